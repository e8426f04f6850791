"""What must change a stage's key, and what must not: a key decides what is computed again.

Some parts of a key imply others. The key of a split contains the seed, so that no test here can
tell whether the key of a training contains the seed once or twice.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from suffrage.consult.consultation import Consultation, read_consultation, write_consultation
from suffrage.errors import InputError
from suffrage.evaluate import EvaluationOptions
from suffrage.study import stages
from suffrage.study.commands.simulated_public import (
    SimulatedPublicSettings,
    simulated_public,
    write_public,
)
from suffrage.study.schema import EvaluationSpec, Study, read_study
from suffrage.study.wiring import Wiring, wire
from tests.synthetic import make_survey, write_survey_files

SMALL = {"steps": 4, "batch": 4}
STUDY: dict[str, Any] = {
    "study": "keys",
    "seeds": [7, 8],
    "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
    "weights": {"margins": {"region": {"north": 0.5, "south": 0.5}}, "source": "A census"},
    "value_sets": [
        {"name": "north", "where": {"region": "north"}},
        {"name": "south", "where": {"region": "south"}, "description": "people down south"},
    ],
    "held_out": {"by": "item", "share": 0.3},
    "consultation": {"folder": "public", "held_out": 0.3},
    "model": "model",
    "methods": [
        "base",
        "prompt",
        {"method": "sft", "name": "taught", "general": "general.jsonl", **SMALL},
        {"method": "kto", "name": "heard", "records": "reactions", **SMALL},
        {"method": "dpo", "name": "continued", "from": "taught", **SMALL},
        {"method": "distribution", "name": "apart", "together": False, **SMALL},
    ],
    "evaluate": [
        "fit",
        {"evaluation": "robustness", "paraphrases": "paraphrases.json"},
        {"evaluation": "preferences", "consultation": "polled"},
    ],
    "scoring": {"samples": 2},
    "output": "out",
}
UNTRAINED, TRAINED = ("base", "prompt"), ("taught", "continued", "heard", "apart")


def write_files(folder: Path) -> None:
    """Everything the study names: a survey, a consultation, a model's folder, methods' files."""
    survey = make_survey(respondents=60, items=6)
    write_survey_files(folder, survey)
    public, truth = simulated_public(
        survey, SimulatedPublicSettings(participants=20, statements=10), 1
    )
    write_public(public, truth, survey.codebook.items, folder / "public")
    for name in ("model", "polled"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text("{}")
    (folder / "general.jsonl").write_text('{"prompt": "2 + 2?", "completion": "4"}\n')
    (folder / "paraphrases.json").write_text("{}")


def keys_of(wiring: Wiring) -> dict[str, str]:
    """Every stage's key under a name that holds no seed: kind/what it is of/place of the seed."""
    place = {seed: at for at, seed in enumerate(wiring.study.seeds)}
    found = {"results": wiring.results.key}
    found |= {f"survey{name}": stage.key for name, stage in wiring.sources.items()}
    found |= {f"value_sets/{name}": stage.key for name, stage in wiring.value_sets.items()}
    found |= {f"split/{place[seed]}": stage.key for seed, stage in wiring.splits.items()}
    for kind, by_place in (("records", wiring.records), ("align", wiring.align)):
        for (method, seed, group), stage in by_place.items():
            found[f"{kind}/{method}/{place[seed]}/{group}"] = stage.key
    for (method, seed), stage in wiring.answers.items():
        found[f"answers/{method}/{place[seed]}"] = stage.key
    for (evaluation, method, seed), stage in wiring.probes.items():
        found[f"probes/{evaluation}/{method}/{place[seed]}"] = stage.key
    return found


def write(folder: Path, content: dict[str, Any], comment: str = "") -> dict[str, str]:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False) + comment)
    return keys_of(wire(read_study(path)))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("original")
    write_files(folder)
    return folder, write(folder, STUDY)


@pytest.fixture
def folder(original: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """A copy to change; that it lies elsewhere changes no key."""
    return shutil.copytree(original[0], tmp_path / "copy")


def changed_keys(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Of the stages that both have, those whose keys differ."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def method(name: str, **changes: Any) -> dict[str, Any]:
    """The study with one of its methods changed."""
    own = [m | changes if isinstance(m, dict) and m["name"] == name else m for m in METHODS]
    assert own != METHODS
    return {"methods": own}


METHODS: list[Any] = STUDY["methods"]
NORTH, SOUTH = STUDY["value_sets"]
FIT, ROBUSTNESS, PREFERENCES = STUDY["evaluate"]


def asked(*methods: str) -> list[str]:
    """The stages that ask these methods' models, and the results."""
    return [f"answers/{m}/*" for m in methods] + [f"probes/*/{m}/*" for m in methods] + ["results"]


def learnt(*methods: str) -> list[str]:
    """The stages in which these methods' models are trained and asked."""
    own = [f"{kind}/{m}/*" for kind in ("records", "align") for m in methods]
    return [*own, *asked(*methods)]


EVERY = [*learnt(*TRAINED), *asked(*UNTRAINED)]
# Settings of the study by what they are: the change, and which stages of the study it touches.
SETTINGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the second seed": (
        {"seeds": [7, 9]},
        [
            "split/1",
            "records/*/1/*",
            "align/*/1/*",
            "answers/*/1",
            "probes/*/1",
            # An untrained model is asked once about what any seed holds out.
            *asked(*UNTRAINED),
        ],
    ),
    "the first seed": ({"seeds": [6, 8]}, ["value_sets/*", "split/0", *EVERY]),
    "a seed more": ({"seeds": [7, 8, 9]}, asked(*UNTRAINED)),
    "the survey's options": (
        {"survey": STUDY["survey"] | {"encoding": "utf-8"}},
        ["survey", "value_sets/*", "split/*", *EVERY],
    ),
    "weights": (
        {"weights": STUDY["weights"] | {"source": "Another census"}},
        ["survey", "value_sets/*", "split/*", *EVERY],
    ),
    "no weights": ({"weights": None}, ["survey", "value_sets/*", "split/*", *EVERY]),
    "non-response as options": (
        {"non_response_as_options": ["don't know"]},
        ["survey", "value_sets/*", "split/*", *EVERY],
    ),
    "a value set's where": (
        {"value_sets": [NORTH, SOUTH | {"where": {"region": "south", "age": {"min": 20}}}]},
        [
            "value_sets/south",
            *learnt("taught", "continued", "heard"),
            "records/apart/*/south",
            "align/apart/*/south",
            *asked("apart", *UNTRAINED),
        ],
    ),
    "a value set's description": (
        {"value_sets": [NORTH, SOUTH | {"description": "southerners"}]},
        [
            "value_sets/south",
            *learnt("taught", "continued", "heard"),
            "records/apart/*/south",
            "align/apart/*/south",
            *asked("apart", *UNTRAINED),
        ],
    ),
    "a value set more": (
        {"value_sets": [NORTH, SOUTH, {"name": "old", "where": {"age": {"min": 50}}}]},
        [*learnt("taught", "continued", "heard"), *asked("apart", *UNTRAINED)],
    ),
    "the order of value sets": (
        {"value_sets": [SOUTH, NORTH]},
        [*learnt("taught", "continued", "heard"), *asked("apart", *UNTRAINED)],
    ),
    "held_out": (
        {"held_out": {"by": "item", "share": 0.4}},
        ["split/*", *EVERY],
    ),
    "a share held back to choose weights on": ({"calibrate": 0.2}, ["split/*", *EVERY]),
    "how the consultation is read": (
        {"consultation": STUDY["consultation"] | {"held_out": 0.4}},
        learnt("heard"),
    ),
    "who has no participants": (
        {"consultation": STUDY["consultation"] | {"without": ["south"]}},
        learnt("heard"),
    ),
    "scoring": ({"scoring": {"samples": 3}}, asked(*UNTRAINED, *TRAINED)),
    "the sample of what was trained on": (
        {"scoring": {"samples": 2, "trained_cells": 100}},
        asked(*UNTRAINED, *TRAINED),
    ),
    "an option of a method": (
        method("taught", steps=5),
        # What goes on from its checkpoint has other weights, from the same records.
        [*learnt("taught"), "align/continued/*", *asked("continued")],
    ),
    "an option of a method that another starts from none": (
        method("continued", beta=0.3),
        learnt("continued"),
    ),
    "an option of a method with a model for each value set": (
        method("apart", steps=5),
        learnt("apart"),
    ),
    "where a training starts": (
        method("continued", **{"from": "heard"}),
        ["align/continued/*", *asked("continued")],
    ),
    "the records' source": (
        # Its format is said, because records of a consultation are always written.
        method("heard", records="survey", format="written"),
        learnt("heard"),
    ),
    "the trained method under a name": (
        method("apart", method="sft"),
        learnt("apart"),
    ),
    "the untrained method under a name": (
        {"methods": [{"method": "prompt", "name": "base"}, *METHODS[1:]]},
        asked("base"),
    ),
    "a method more": (
        {"methods": [*METHODS, {"method": "kto", "name": "more", **SMALL}]},
        ["results"],
    ),
    "a method fewer": ({"methods": METHODS[:-1]}, ["results"]),
    "the order of methods": ({"methods": [METHODS[-1], *METHODS[:-1]]}, ["results"]),
    "an option of an evaluation": (
        {"evaluate": [FIT, ROBUSTNESS | {"wordings": 1}, PREFERENCES]},
        ["probes/robustness/*", "results"],
    ),
    "an evaluation more": ({"evaluate": [*STUDY["evaluate"], "memorisation"]}, ["results"]),
    "the order of evaluations": ({"evaluate": STUDY["evaluate"][::-1]}, ["results"]),
    "a model's name under a key of its own": ({"model": {"name": "model"}}, ["results"]),
    "how a model's attention is computed": (
        {"model": {"name": "model", "attn_implementation": "eager"}},
        ["align/*", *asked(*UNTRAINED, *TRAINED)],
    ),
    "whether a model's own code runs": (
        {"model": {"name": "model", "trust_remote_code": True}},
        ["align/*", *asked(*UNTRAINED, *TRAINED)],
    ),
    "where a model's weights go": ({"model": {"name": "model", "device_map": "auto"}}, ["results"]),
    "the study's name": ({"study": "renamed"}, ["results"]),
    "the title": ({"title": "A title"}, ["results"]),
    "how an untrained method describes populations": (
        {"methods": ["base", {"method": "prompt", "in_context": 2}, *METHODS[2:]]},
        asked("prompt"),
    ),
    "how a trained method describes populations": (
        method("apart", in_context=2),
        learnt("apart"),
    ),
    "what is tuned": ({"tune": {"learning_rate": [0.001, 0.002]}}, ["results"]),
    "the price of an hour": ({"price": {"per_hour": 2.0}}, ["results"]),
    "the output": ({"output": "elsewhere"}, ["results"]),
}


def expected(patterns: list[str], names: set[str]) -> set[str]:
    """The stages the patterns pick out; each pattern must pick one at least."""
    for pattern in patterns:
        assert any(fnmatchcase(name, pattern) for name in names), f"{pattern} matches no stage"
    return {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_changed_setting_changes_the_keys_it_decides_and_no_others(
    setting: str, original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    changes, patterns = SETTINGS[setting]
    before = original[1]
    after = write(folder, {k: v for k, v in (STUDY | changes).items() if v is not None})
    both = before.keys() & after.keys()
    assert changed_keys(before, after) == expected(patterns, set(both))


def turn_reactions(folder: Path) -> None:
    public = read_consultation(folder / "public")
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    tables["reactions"] = public.reactions.with_columns(value=-pl.col("value"))
    shutil.rmtree(folder / "public")
    write_consultation(Consultation(**tables), folder / "public")


def append(name: str) -> Callable[[Path], None]:
    """Adds a line to a file."""

    def change(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write("\n")

    return change


# Files by what they are: the change, and which stages of the study it touches.
FILES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "the survey": (append("survey.csv"), ["survey", "value_sets/*", "split/*", *EVERY]),
    "the codebook": (append("codebook.yaml"), ["survey", "value_sets/*", "split/*", *EVERY]),
    "the model": (
        append("model/config.json"),
        ["align/*", *asked(*UNTRAINED, *TRAINED)],
    ),
    "a method's own file": (
        append("general.jsonl"),
        [*learnt("taught"), "align/continued/*", *asked("continued")],
    ),
    "an evaluation's own file": (append("paraphrases.json"), ["probes/robustness/*", "results"]),
    "a file in an evaluation's own folder": (
        append("polled/config.json"),
        ["probes/preferences/*", "results"],
    ),
    "the consultation": (turn_reactions, learnt("heard")),
    "a file nobody names": (append("notes.txt"), []),
}


@pytest.mark.parametrize("file", FILES)
def test_a_changed_file_changes_the_keys_it_decides_and_no_others(
    file: str, original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    change, patterns = FILES[file]
    before = original[1]
    change(folder)
    after = write(folder, STUDY)
    assert before.keys() == after.keys()
    assert changed_keys(before, after) == expected(patterns, set(before))


def test_another_place_another_time_and_a_finished_run_change_no_key(
    original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    for path in folder.rglob("*"):
        path.touch()
    (folder / "out" / "survey").mkdir(parents=True)
    assert write(folder, STUDY) == original[1]


def test_a_comment_in_the_study_changes_the_results_that_print_it_and_no_more(
    original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    after = write(folder, STUDY, comment="# why this share\n")
    assert changed_keys(original[1], after) == {"results"}


def test_the_same_files_under_another_name_are_not_trained_on_or_asked_about_again(
    original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    for name in ("model", "public"):
        (folder / name).rename(folder / f"{name}-2")
    consultation = STUDY["consultation"] | {"folder": "public-2"}
    after = write(folder, STUDY | {"model": "model-2", "consultation": consultation})
    assert changed_keys(original[1], after) == {"results"}


def test_another_version_of_the_stages_changes_every_key(
    original: tuple[Path, dict[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "VERSION", stages.VERSION + 1)
    monkeypatch.setattr(stages, "LATER", {})
    after = write(folder, STUDY)
    assert changed_keys(original[1], after) == set(original[1])


def test_another_version_of_the_results_trains_and_asks_nothing_again(
    original: tuple[Path, dict[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stages.LATER, "results", stages.VERSION + 100)
    assert changed_keys(original[1], write(folder, STUDY)) == {"results"}


def with_method(study: Study, name: str, /, **changes: Any) -> Study:
    """The study whose method of that name has other properties, and the same options."""
    own = (
        spec.model_copy(update={"method": replace(spec.method, **changes)})
        if spec.name == name
        else spec
        for spec in study.methods
    )
    return study.model_copy(update={"methods": tuple(own)})


def with_source(study: Study, name: str, source: str) -> Study:
    """The study whose method of that name has records from another source."""
    own = (
        spec.model_copy(update={"records": source}) if spec.name == name else spec
        for spec in study.methods
    )
    return study.model_copy(update={"methods": tuple(own)})


def with_evaluations(study: Study, change: Callable[[EvaluationSpec], EvaluationSpec]) -> Study:
    """The study with its evaluations changed, and its text as it was."""
    return study.model_copy(update={"evaluate": tuple(map(change, study.evaluate))})


class MoreOptions(EvaluationOptions):
    """Of another version of an evaluation."""

    more: int = 0


# What a study's text does not say: another version of a method or evaluation, or a plugin's.
OBJECTS: dict[str, tuple[Callable[[Study], Study], list[str]]] = {
    "the kind of records a method learns from": (
        lambda study: with_method(study, "apart", records="demonstration"),
        [*learnt("apart")],
    ),
    "the source of the records": (
        lambda study: with_source(study, "heard", "comparisons"),
        [*learnt("heard")],
    ),
    "which method trains": (
        lambda study: with_method(study, "apart", name="another"),
        ["align/apart/*", *asked("apart")],
    ),
    "whether an untrained method names the population": (
        lambda study: with_method(study, "base", asks_as_population=True),
        asked("base"),
    ),
    "what a method is called in the report": (
        lambda study: with_method(study, "apart", label="Another", explanation="Of another."),
        [],
    ),
    "which evaluation asks": (
        lambda study: with_evaluations(
            study,
            lambda spec: (
                spec
                if spec.name != "robustness"
                else spec.model_copy(
                    update={"evaluation": replace(spec.evaluation, name="another")}
                )
            ),
        ),
        ["results"],
    ),
    "an option of an evaluation that asks nothing of its own": (
        lambda study: with_evaluations(
            study,
            lambda spec: (
                spec
                if spec.name != "fit"
                else spec.model_copy(update={"options": MoreOptions(more=1)})
            ),
        ),
        ["results"],
    ),
    "the model's name": (lambda study: study.model_copy(update={"model": "./model"}), ["results"]),
}


@pytest.mark.parametrize("thing", OBJECTS)
def test_what_the_text_does_not_say_changes_the_keys_it_decides_and_no_others(
    thing: str, original: tuple[Path, dict[str, str]], folder: Path
) -> None:
    change, patterns = OBJECTS[thing]
    write(folder, STUDY)
    after = keys_of(wire(change(read_study(folder / "study.yaml"))))
    both = original[1].keys() & after.keys()
    assert changed_keys(original[1], after) == expected(patterns, set(both))


def test_a_file_of_an_evaluation_that_asks_nothing_of_its_own_changes_the_results(
    folder: Path,
) -> None:
    def keys() -> dict[str, str]:
        write(folder, STUDY)
        study = read_study(folder / "study.yaml")
        return keys_of(
            wire(
                with_evaluations(
                    study,
                    lambda spec: spec.model_copy(
                        update={"evaluation": replace(spec.evaluation, probe=None)}
                    ),
                )
            )
        )

    before = keys()
    append("paraphrases.json")(folder)
    assert changed_keys(before, keys()) == {"results"}


def test_leaving_a_value_set_out_of_training_looks_again_at_what_untrained_models_are_asked(
    folder: Path,
) -> None:
    together = STUDY | {"methods": METHODS[:-1]}
    before = write(folder, together)
    after = write(folder, together | {"value_sets": [NORTH, SOUTH | {"train": False}]})
    # Of what is trained on only a sample may be asked, so that untrained models are touched too.
    touched = [*learnt("taught", "continued", "heard"), *asked(*UNTRAINED)]
    assert changed_keys(before, after) == expected(touched, set(before))


def test_the_first_trained_method_of_a_study_changes_its_splits(folder: Path) -> None:
    """A split that leaves nothing to train on is an error only where something is trained."""
    before = write(folder, STUDY | {"methods": METHODS[:2], "consultation": None})
    after = write(folder, STUDY | {"methods": METHODS[:3], "consultation": None})
    assert changed_keys(before, after) == expected(["split/*", *asked(*UNTRAINED)], set(before))


def test_a_value_set_of_another_changes_with_it(folder: Path) -> None:
    part = {"name": "young", "of": "south", "where": {"age": {"max": 40}}}
    before = write(folder, STUDY | {"value_sets": [NORTH, SOUTH, part]})
    moved = SOUTH | {"where": {"region": ["south"]}}
    after = write(folder, STUDY | {"value_sets": [NORTH, moved, part]})
    found = {name for name in changed_keys(before, after) if name.startswith("value_sets/")}
    assert found == {"value_sets/south", "value_sets/young"}


@pytest.mark.slow
def test_another_segment_is_another_value_set(folder: Path) -> None:
    write(folder, STUDY)
    study = read_study(folder / "study.yaml")
    north, south = study.value_sets
    found = []
    for segment in (("segments/south-1", 0), ("segments/south-1", 1), ("segments/south-2", 1)):
        own = (north, south.model_copy(update={"segment": segment}))
        found.append(keys_of(wire(study.model_copy(update={"value_sets": own}))))
    for before, after in ((found[0], found[1]), (found[1], found[2])):
        assert "value_sets/south" in changed_keys(before, after)
        assert "value_sets/north" not in changed_keys(before, after)


def turn_to(cache: Path, commit: str) -> None:
    """Let the main branch of owner/name in a local cache be a commit."""
    folder = cache / "models--owner--name"
    (folder / "snapshots" / commit).mkdir(parents=True, exist_ok=True)
    (folder / "snapshots" / commit / "config.json").write_text("{}")
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with a model, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    turn_to(tmp_path / "hub", "1" * 40)
    return tmp_path / "hub"


def test_another_revision_of_a_model_on_the_hub_is_another_model(folder: Path, cache: Path) -> None:
    before = write(folder, STUDY | {"model": "owner/name"})
    named = write(folder, STUDY | {"model": {"name": "owner/name", "revision": "1" * 40}})
    assert changed_keys(before, named) == {"results"}, "the same revision, said or looked up"
    turn_to(cache, "2" * 40)
    touched = ["align/*", *asked(*UNTRAINED, *TRAINED)]
    moved = write(folder, STUDY | {"model": "owner/name"})
    assert changed_keys(before, moved) == expected(touched, set(before))
    pinned = write(folder, STUDY | {"model": {"name": "owner/name", "revision": "1" * 40}})
    assert pinned == named, "a revision that is written down stays"


@pytest.mark.parametrize("reader", ["judge", "entailment"])
def test_another_revision_of_a_judge_asks_its_evaluation_again(
    reader: str, folder: Path, cache: Path
) -> None:
    judged = STUDY | {"evaluate": ["fit", {"evaluation": "behaviour", reader: "owner/name"}]}
    before = write(folder, judged)
    turn_to(cache, "2" * 40)
    assert changed_keys(before, write(folder, judged)) == expected(
        ["probes/behaviour/*", "results"], set(before)
    )


def test_another_revision_of_an_endpoints_tokenizer_asks_again(folder: Path, cache: Path) -> None:
    given = ENDPOINT | {"tokenizer": "owner/name"}
    untrained = STUDY | {"methods": METHODS[:2], "consultation": None, "model": given}
    before = write(folder, untrained)
    turn_to(cache, "2" * 40)
    assert changed_keys(before, write(folder, untrained)) == expected(
        asked(*UNTRAINED), set(before)
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"name": "model", "revision": "main"}, "only models on the hub have revisions"),
        ({"revision": "main"}, r"model.*name"),
        ({"name": "model", "attn_implementation": "fast"}, r"attn_implementation.*eager"),
        ({"name": "model", "revison": "main"}, "revison.*unknown key"),
    ],
)
def test_settings_of_a_model_that_cannot_be_are_refused(
    model: dict[str, Any], said: str, folder: Path
) -> None:
    with pytest.raises(InputError, match=said):
        write(folder, STUDY | {"model": model})


ENDPOINT = {"endpoint": "https://example.org/v1", "name": "a-model"}


@pytest.mark.parametrize(
    ("changes", "asks_again"),
    [
        ({"version": "2026-01"}, True),
        ({"name": "another-model"}, True),
        ({"samples": 30}, True),
        ({"extra": {"reasoning": False}}, True),
        ({"tokenizer": "model"}, True),
        ({"key": "A_KEY"}, False),
        ({"concurrency": 2, "timeout": 5.0, "retries": 1}, False),
        ({"prices": {"input": 1.0, "output": 2.0}, "budget": {"money": 3.0}}, False),
    ],
)
def test_an_endpoint_is_asked_again_where_its_answers_would_differ(
    folder: Path, changes: dict[str, Any], asks_again: bool
) -> None:
    untrained = STUDY | {"methods": METHODS[:2], "consultation": None}
    before = write(folder, untrained | {"model": ENDPOINT})
    after = write(folder, untrained | {"model": ENDPOINT | changes})
    touched = asked(*UNTRAINED) if asks_again else ["results"]
    assert changed_keys(before, after) == expected(touched, set(before))


def test_a_survey_only_training_is_the_same_with_and_without_a_consultation(folder: Path) -> None:
    deaf = [m for m in METHODS if m != METHODS[3]]
    before = write(folder, STUDY | {"methods": deaf})
    after = write(folder, STUDY | {"methods": deaf, "consultation": None})
    assert changed_keys(before, after) == {"results"}


def test_untrained_models_answer_once_for_all_seeds(
    original: tuple[Path, dict[str, str]],
) -> None:
    keys = original[1]
    for name in UNTRAINED:
        assert keys[f"answers/{name}/0"] == keys[f"answers/{name}/1"]
    for name in TRAINED:
        assert keys[f"answers/{name}/0"] != keys[f"answers/{name}/1"]


def test_two_methods_share_no_stage_though_their_options_are_alike(folder: Path) -> None:
    twins = [{"method": name, "name": name, **SMALL} for name in ("rloo", "grpo")]
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY | {"methods": twins, "consultation": None}))
    stages_of = wire(read_study(path)).stages()
    assert len({stage.folder for stage in stages_of}) == len(stages_of)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("general.jsonl", "taught: .*general.jsonl is not there"),
        ("paraphrases.json", "evaluate: robustness: .*paraphrases.json is not there"),
    ],
)
def test_a_file_that_is_missing_is_named(folder: Path, missing: str, said: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError, match=said):
        write(folder, STUDY)


def test_keys_can_be_written_as_json(original: tuple[Path, dict[str, str]]) -> None:
    """They stand in folder names and manifests, so they are short plain text."""
    assert json.loads(json.dumps(original[1])) == original[1]
    assert all(key.isalnum() for key in original[1].values())


def test_the_automatic_number_format_is_the_one_that_this_machine_computes_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for fast in ("float32", "bfloat16"):
        monkeypatch.setattr("suffrage.evaluate.asking.answers.fast_dtype", lambda fast=fast: fast)
        automatic = write(folder, STUDY | {"scoring": {"samples": 2, "dtype": "auto"}})
        named = write(folder, STUDY | {"scoring": {"samples": 2, "dtype": fast}})
        answers = {name for name in automatic if name.startswith("answers/")}
        assert answers and all(automatic[name] == named[name] for name in answers)
        found[fast] = automatic
    assert changed_keys(*found.values()) >= answers


def test_evaluations_that_need_answers_to_trained_questions_decide_what_is_asked(
    folder: Path,
) -> None:
    before = write(folder, STUDY)
    after = write(folder, STUDY | {"evaluate": [*STUDY["evaluate"], "behaviour"]})
    assert changed_keys(before, after) == expected(asked(*UNTRAINED, *TRAINED), set(before))
