"""A study that starts from a checkpoint of another one, and never tests it on what it learnt."""

import html
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import suffrage
from suffrage.align.checkpoint import TRAINED_QUESTIONS, Checkpoint
from suffrage.errors import InputError
from suffrage.evaluate import Answers, EvaluationInput
from suffrage.evaluate.asking.item_probes import removed_note, without_overlaps
from suffrage.models import ModelIdentity
from suffrage.report.page import write_report
from suffrage.study import pre_aligned
from suffrage.study.commands.paraphrasing import paraphrase
from suffrage.study.planning.plan import plan_study
from suffrage.study.run import run_study
from suffrage.study.schema import Study, read_study, study_survey
from suffrage.study.sources import with_populations
from suffrage.study.wiring import wire
from suffrage.training_data import ItemSplit, Records
from tests.study.conftest import Write
from tests.synthetic import PLAIN_QUESTIONS, make_survey, write_survey_files

# Of the eight questions that the later study has, the earlier one asked these four, held out q3,
# and called its populations something else.
ASKED, LEARNT = ("q0", "q1", "q2", "q3"), ("q0", "q1", "q2")
TRAINED = {"method": "distribution", "batch": 4, "steps": 3, "learning_rate": 0.01}
# A training so short that it changes nothing.
STILL = {"method": "distribution", "batch": 4, "steps": 1, "learning_rate": 1e-12}
SETS = [
    {"name": "up", "where": {"region": "north"}, "description": "people in the hills"},
    {"name": "down", "where": {"region": "south"}, "description": "people at the sea"},
]


def reword(folder: Path) -> None:
    """Ask questions that have nothing in common."""
    codebook = yaml.safe_load((folder / "codebook.yaml").read_text())
    for item, question in zip(codebook["items"], PLAIN_QUESTIONS, strict=False):
        item["question"] = question
    (folder / "codebook.yaml").write_text(yaml.safe_dump(codebook))


@pytest.fixture
def write_study(write_study: Write, tmp_path: Path) -> Write:
    """Writes the later study."""
    reword(tmp_path)
    return write_study


def write_earlier(folder: Path, model: Path | str, **changes: Any) -> Study:
    """The earlier study: the same survey with half of its questions."""
    folder.mkdir()
    write_survey_files(folder, make_survey(respondents=240, items=8))
    reword(folder)
    codebook = yaml.safe_load((folder / "codebook.yaml").read_text())
    codebook["items"] = [item for item in codebook["items"] if item["id"] in ASKED]
    codebook["title"] = "The earlier survey"
    (folder / "codebook.yaml").write_text(yaml.safe_dump(codebook))
    content = {
        "study": "earlier",
        "seed": 5,
        "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
        "value_sets": SETS,
        "held_out": {"by": "list", "items": ["q3"]},
        "model": str(model),
        "methods": [TRAINED],
        "output": "out",
        **changes,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return read_study(folder / "study.yaml")


@pytest.fixture(scope="module", params=["lora", "none"])
def earlier(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Path:
    """The checkpoint of an earlier study, an adapter or a whole model, as its run links it."""
    folder = tmp_path_factory.mktemp("before") / request.param
    # A fresh adapter moves little in three steps.
    rate = {"lora": 0.1, "none": 0.01}[request.param]
    method = {**TRAINED, "adapter": request.param, "learning_rate": rate}
    study = write_earlier(folder, tiny_model, methods=[method])
    run_study(study, only="align", quiet=True)
    return study.output / "checkpoints" / "distribution-seed5"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A checkpoint that nobody trained: only what a study reads of one before it loads any."""
    return write_checkpoint(tmp_path / "adapter", tmp_path)


def write_checkpoint(folder: Path, weights: Path, **changes: Any) -> Path:
    """The files of an adapter over a model in the folder `weights`/model."""
    from suffrage.models import identify

    model = weights / "model"
    if not model.is_dir():
        model.mkdir()
        (model / "config.json").write_text("{}")
    identity = identify(str(model), Path())
    manifest = {
        "study": "earlier",
        "method": "sft",
        "seed": 5,
        "base_model": {"name": "model", "source": str(model), "content": identity.content},
        "made_from": {"value_sets": {"up": "1"}},
        "value_sets": {"up": "people in the hills", "down": "people at the sea"},
        "surveys": ["The earlier survey"],
        "sources": {"": "2"},
        **changes,
    }
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "adapter_config.json").write_text("{}")
    rows = [{"id": i, "question": PLAIN_QUESTIONS[int(i[1:])]} for i in LEARNT]
    (folder / TRAINED_QUESTIONS).write_text(json.dumps(rows))
    return folder


def keys(study: Study) -> dict[str, str]:
    return {f"{stage.kind} {stage.label}": stage.key for stage in wire(study).stages()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def answers_of(method: str, study: Study) -> np.ndarray:
    """What a study's method answered by letters: the shares of every question and population."""
    stage = wire(study).answers[method, study.seeds[0]]
    found = Answers.read(stage.folder).by_value_set
    said = {(name, a.item_id): a.shares for name, some in found.items() for a in some}
    return np.concatenate([said[place] for place in sorted(said)])


def read_by_library(folder: Path, study: Study) -> np.ndarray:
    """The same, as the library reads it from a checkpoint's folder."""
    model = suffrage.load_model(folder)
    said = {
        (spec.name, item.id): suffrage.ask(model, item, as_=spec.description).reading.shares
        for spec in study.value_sets
        for item in study_survey(study).codebook.items
    }
    return np.concatenate([said[place] for place in sorted(said)])


Reader = Callable[[Path, Study], np.ndarray]


@pytest.fixture(scope="module")
def read_once() -> Reader:
    """Reads a start by the library, once for all studies that ask the same questions of it."""
    said: dict[tuple[object, ...], np.ndarray] = {}

    def read(folder: Path, study: Study) -> np.ndarray:
        book = study_survey(study).codebook
        asked = (*(spec.description for spec in study.value_sets), *book.items)
        if (folder, asked) not in said:
            said[folder, asked] = read_by_library(folder, study)
        return said[folder, asked]

    return read


EARLIER_KEYS = {"study": "later", "scoring": {"samples": 0, "text": False, "lowest_mass": 0.0}}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["model", "from"])
@pytest.mark.parametrize("own", ["lora", "none"])
def test_a_study_starts_from_a_checkpoint_of_either_kind(
    earlier: Path, place: str, own: str, write_study: Write, tiny_model: Path, read_once: Reader
) -> None:
    begun = {} if place == "model" else {"from": str(earlier)}
    study = read_study(
        write_study(
            **EARLIER_KEYS,
            model=str(earlier if place == "model" else tiny_model),
            methods=[
                {"method": "prompt", **begun},
                {**STILL, "name": "still", "adapter": own, **begun},
                {"method": "prompt", "name": "raw"},
            ],
        )
    )
    run = run_study(study, quiet=True)
    assert run.results is not None
    # What the study asked is what the library reads from the checkpoint.
    expected = read_once(earlier, study)
    np.testing.assert_allclose(answers_of("prompt", study), expected, atol=1e-6)
    # A training that changes nothing is still at the checkpoint, and so is what it saved.
    np.testing.assert_allclose(answers_of("still", study), expected, atol=1e-4)
    (stage,) = wire(study).align.values()
    np.testing.assert_allclose(read_by_library(stage.folder, study), expected, atol=1e-4)
    raw = read_once(tiny_model, study)
    assert np.abs(np.subtract(expected, raw)).max() > 0.01
    if place == "from":
        np.testing.assert_allclose(answers_of("raw", study), raw, atol=1e-6)
    # Nothing that the checkpoint learnt is held out, and whatever starts here knows it.
    held_out = {item.id for item in run.results.items if "held_out" in item.side.values()}
    assert held_out and not held_out & set(LEARNT)
    assert {i.id for i in run.results.items if i.trained_before} == set(LEARNT)
    learnt = json.loads((stage.folder / TRAINED_QUESTIONS).read_text())
    (records,) = wire(study).records.values()
    own = set(Records.read(records.folder).frame["item"])
    assert own and {row["id"] for row in learnt} == {*LEARNT, *own}
    (start,) = run.results.starts
    assert (start.study, start.method, start.seed, start.questions) == (
        "earlier",
        "distribution",
        5,
        3,
    )
    assert start.surveys == ["The earlier survey"]
    started = ["prompt", "still"] if place == "from" else ["prompt", "still", "raw"]
    assert start.methods == started


@pytest.mark.slow
def test_a_study_holds_raw_and_pre_aligned_trainings_next_to_each_other(
    earlier: Path, write_study: Write, tiny_model: Path, tmp_path: Path
) -> None:
    path = write_study(
        study="later",
        methods=["base", TRAINED, {**TRAINED, "name": "pre-aligned", "from": str(earlier)}],
    )
    plan = plan_study(read_study(path))
    run = run_study(read_study(path), quiet=True)
    results = run.results
    assert results is not None
    # Both were trained on the same questions and are scored on the same ones.
    place = [(a.value_set, a.item) for a in results.answers if a.method == "distribution"]
    assert place == [(a.value_set, a.item) for a in results.answers if a.method == "pre-aligned"]
    assert results.difference("fit", "fit", "pre-aligned", "distribution") is not None
    said = (
        "pre-aligned started from distribution, seed 5, of the study earlier, which trained "
        f"{tiny_model} on 3 questions of The earlier survey.",
        "3 of this study's 8 questions, or nearly the same ones, were trained on before. They are "
        "always on the side that is trained on and never held out.",
    )
    assert plan.starts == said
    assert plan.as_json()["starts"] == list(said)
    write_report(results, tmp_path / "page.html")
    page = html.unescape((tmp_path / "page.html").read_text())
    assert all(sentence in page for sentence in said)
    manifest = Checkpoint.read(next(run.folder.glob("checkpoints/pre-aligned-seed3"))).manifest
    (before,) = manifest["started_from"]
    assert (before["study"], before["value_sets"]["up"]) == ("earlier", "people in the hills")
    raw = Checkpoint.read(next(run.folder.glob("checkpoints/distribution-seed3"))).manifest
    assert raw["started_from"] == []


@pytest.mark.slow
def test_a_checkpoint_of_a_checkpoint_remembers_what_both_learnt(
    earlier: Path, write_study: Write, tmp_path: Path
) -> None:
    second = write_earlier(
        tmp_path / "second",
        earlier,
        study="second",
        value_sets=[{"name": "all", "where": {"age": {"min": 18}}, "description": "everybody"}],
    )
    book = yaml.safe_load((second.folder / "codebook.yaml").read_text())
    whole = yaml.safe_load((tmp_path / "codebook.yaml").read_text())["items"]
    book["items"] = [item for item in whole if item["id"] in ("q3", "q4", "q5")]
    (second.folder / "codebook.yaml").write_text(yaml.safe_dump(book))
    run = run_study(second, only="align", quiet=True)
    checkpoint = next(run.folder.glob("checkpoints/distribution-seed5"))
    learnt = Checkpoint.read(checkpoint).trained_questions
    assert learnt is not None
    assert [row["id"] for row in learnt] == ["q0", "q1", "q2", "q4", "q5"]
    third = read_study(write_study(methods=["base"], model=str(checkpoint), held_out=SHARE))
    run = run_study(third, only="split", quiet=True)
    (split,) = (ItemSplit.read(stage.folder) for stage in wire(third).splits.values())
    assert set(split.held_out) <= {"q3", "q6", "q7"} and split.held_out
    # Nor are the populations that either of them learnt new.
    for name in ("up", "all"):
        sets = [{**SETS[0], "name": name, "train": False}, SETS[1]]
        known = read_study(write_study(methods=["base"], model=str(checkpoint), value_sets=sets))
        with pytest.raises(InputError, match=f"{name} is left out of training, and .*second"):
            plan_study(known)


@pytest.mark.slow
def test_reinforcement_fine_tunes_the_studys_start_and_not_a_methods_own(
    earlier: Path, write_study: Write, tiny_model: Path
) -> None:
    method = {"method": "rlhf", "steps": 1, "preference_steps": 1, "sft_steps": 1, "batch": 4}
    method["adapter"] = Checkpoint.read(earlier).manifest["settings"]["adapter"]
    for model, begun, tuned in ((earlier, {}, True), (tiny_model, {"from": str(earlier)}, False)):
        study = read_study(write_study(model=str(model), methods=[{**method, **begun}]))
        run = run_study(study, only="align", quiet=True)
        (stage,) = wire(study).align.values()
        assert (stage.folder / "sft.jsonl").exists() is tuned
        assert run.computed[-1].startswith("align")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_the_start_is_what_a_preference_method_is_held_to(
    earlier: Path, write_study: Write, method: str
) -> None:
    """In the first step the model is its own reference: the divergence is nil."""
    more = {"num_generations": 3, "beta": 0.1} if method == "grpo" else {}
    own = {"method": method, "steps": 1, "batch": 4, "adapter": "none", **more}
    study = read_study(write_study(model=str(earlier), methods=[own]))
    run_study(study, only="align", quiet=True)
    (stage,) = wire(study).align.values()
    row = json.loads((stage.folder / "training.jsonl").read_text().splitlines()[0])
    if method == "grpo":
        assert row["kl"] == pytest.approx(0.0, abs=1e-6)
    else:
        records = Records.read(next(iter(wire(study).records.values())).folder)
        shares = np.array(records.frame["share"])
        weights = np.array(records.frame["weight"])
        at_start = np.full(len(shares), np.log(2.0))
        assert row["loss"] == pytest.approx(np.average(at_start, weights=weights), abs=1e-4)


@pytest.mark.slow
def test_an_adapter_over_another_methods_whole_model_is_loaded_over_it(write_study: Write) -> None:
    methods = [
        {**TRAINED, "name": "whole", "adapter": "none"},
        {**STILL, "name": "still", "from": "whole"},
        {**STILL, "name": "further", "from": "still"},
    ]
    study = read_study(write_study(**EARLIER_KEYS, methods=methods))
    run_study(study, only="answers", quiet=True)
    whole = answers_of("whole", study)
    for name in ("still", "further"):
        np.testing.assert_allclose(answers_of(name, study), whole, atol=1e-4)
        (folder,) = [s.folder for (m, _, _), s in wire(study).align.items() if m == name]
        assert Checkpoint.read(folder).is_adapter
        np.testing.assert_allclose(read_by_library(folder, study), whole, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("states", ["model", "text"])
def test_factors_reads_the_states_of_the_start(
    earlier: Path, write_study: Write, tiny_model: Path, states: str
) -> None:
    said = []
    for model in (earlier, tiny_model):
        method = {"method": "factors", "states": states}
        study = read_study(
            write_study(**EARLIER_KEYS, model=str(model), methods=[method], held_out=LIST)
        )
        run_study(study, only="answers", quiet=True)
        said.append(answers_of("factors", study))
    assert np.allclose(*said) is (states == "text")


SHARE = {"by": "item", "share": 0.3}
LIST = {"by": "list", "items": ["q5", "q6"]}


@pytest.mark.parametrize("place", ["model", pytest.param("from", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"held_out": {"by": "list", "items": ["q1", "q6"]}}, r"held_out.items: .*q1 \(\"Is your"),
        ({"held_out": {"question": 0.7}}, "0.7 of 8 questions is 6, and only 5 can be drawn"),
        ({"held_out": {"topic": ["family"]}}, "held_out.topic: .*q1 "),
        ({"held_out": {"question": 0.2, "population": ["up"]}}, "up is left out of training"),
        ({"held_out": {"question": 0.2, "population": 0.9}}, "is 2, and only 1 are new"),
        ({"value_sets": [SETS[0] | {"train": False}, SETS[1]]}, "up is left out of training"),
        (
            {"value_sets": [SETS[0] | {"train": False, "name": "other"}, SETS[1]]},
            "other is left out of training",
        ),
    ],
)
def test_a_hold_out_that_the_start_has_learnt_is_refused_before_any_work(
    adapter: Path,
    write_study: Write,
    tmp_path: Path,
    place: str,
    changes: dict[str, Any],
    said: str,
) -> None:
    model, begun = (
        (adapter, {}) if place == "model" else (tmp_path / "model", {"from": str(adapter)})
    )
    settings = {"value_sets": SETS, "held_out": SHARE, **changes}
    methods = ["base", {**TRAINED, "name": "aligned", **begun}]
    study = read_study(write_study(model=str(model), methods=methods, **settings))
    for refused in (lambda: run_study(study, quiet=True), lambda: plan_study(study)):
        with pytest.raises(InputError, match=said) as error:
            refused()
        assert "adapter (sft, seed 5, of earlier)" in str(error.value)
        done = {path.name for path in study.output.glob("*") if path.is_dir()}
        assert done <= {"survey"}, "no value set was built"


def test_a_share_of_populations_is_drawn_among_those_that_are_new(
    adapter: Path, write_study: Write
) -> None:
    regions = [{"name": f"set{k}", "where": {"age": {"min": 20 + k}}} for k in range(6)]
    regions[0]["name"] = "up"
    for seed in range(12):
        study = read_study(
            write_study(
                seed=seed,
                model=str(adapter),
                value_sets=regions,
                held_out={"question": 0.2, "population": 0.4},
            )
        )
        assert len(with_populations(study).left_out) == 2
        assert "up" not in with_populations(study).left_out


def lose(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def spoil_base(folder: Path) -> None:
    (folder.parent / "model" / "config.json").write_text('{"new": 1}')


def no_text(folder: Path) -> None:
    (folder / "factors.npz").write_text("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lose(TRAINED_QUESTIONS), "has no trained_questions.json.*train it again"),
        (no_text, "is not a language model; name a"),
        (spoil_base, "with other weights"),
    ],
)
@pytest.mark.parametrize("place", ["model", "from"])
def test_a_checkpoint_that_cannot_be_started_from_is_refused(
    adapter: Path,
    write_study: Write,
    tmp_path: Path,
    place: str,
    change: Callable[[Path], object],
    said: str,
) -> None:
    change(adapter)
    model, begun = (
        (adapter, {}) if place == "model" else (tmp_path / "model", {"from": str(adapter)})
    )
    study = read_study(write_study(model=str(model), methods=[{**TRAINED, **begun}]))
    with pytest.raises(InputError, match=said):
        wire(study)


def test_a_checkpoint_of_another_model_is_refused_with_what_to_say(
    adapter: Path, write_study: Write, tiny_model: Path
) -> None:
    study = read_study(write_study(methods=[{**TRAINED, "from": str(adapter)}]))
    with pytest.raises(
        InputError, match=r"trained on model, and .*; say model: .*/model, or start"
    ):
        wire(study)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": [{**TRAINED, "from": "./nothing"}]}, "./nothing does not exist; name the"),
        ({"methods": [{**TRAINED, "from": "./model"}]}, "./model holds no checkpoint"),
        ({"methods": [{**TRAINED, "from": "./run"}]}, "run is a run.*/checkpoints/sft-seed5"),
        ({"model": "run"}, "run is a run.*name one: run/checkpoints/sft-seed5"),
        ({"methods": [{"method": "factors", "from": "./adapter"}]}, "trains no language model"),
        (
            {"methods": ["base", {"method": "prompt", "from": "base"}]},
            "can name another study's checkpoint by its folder",
        ),
        (
            {
                "methods": [{"method": "prompt", "from": "./adapter"}],
                "model": {"endpoint": "https://example.org/v1", "name": "a"},
            },
            "behind an endpoint",
        ),
        ({"model": {"name": "adapter", "revision": "main"}}, "only models on the hub"),
    ],
)
def test_what_is_no_start_is_refused(
    adapter: Path, write_study: Write, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copytree(adapter, tmp_path / "run" / "checkpoints" / "sft-seed5-01234567")
    settings = {"model": str(tmp_path / "model"), **changes}
    with pytest.raises(InputError, match=said):
        wire(read_study(write_study(**settings)))


def test_a_checkpoint_is_found_by_its_label_where_there_are_no_links_and_by_a_variable(
    adapter: Path, write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "run" / "checkpoints" / "sft-seed5-01234567"
    shutil.copytree(adapter, kept)
    monkeypatch.setenv("EARLIER", str(tmp_path / "run"))
    for methods in (["base"], [{**TRAINED, "from": "${EARLIER}/checkpoints/sft-seed5"}]):
        model = "${EARLIER}/checkpoints/sft-seed5" if methods == ["base"] else "model"
        wiring = wire(read_study(write_study(model=model, methods=methods)))
        (start,) = wiring.pre_aligned.values()
        assert start.folder == kept
        assert wiring.model.content == Checkpoint.read(kept).manifest["base_model"]["content"]


def test_keys_change_with_what_a_start_decides_and_with_nothing_else(
    adapter: Path, write_study: Write, tmp_path: Path
) -> None:
    own = {**TRAINED, "name": "aligned"}
    plain = {"model": str(tmp_path / "model"), "study": "later"}

    def of(aligned: dict[str, Any], **changes: Any) -> dict[str, str]:
        return keys(read_study(write_study(**plain | changes, methods=["base", TRAINED, aligned])))

    raw = of(own)
    begun = of({**own, "from": str(adapter)})
    # What the checkpoint learnt is held out of the whole study.
    assert changed(raw, begun) == set(raw) - {
        "survey labelled_file",
        "value_sets north",
        "value_sets south",
    }
    (adapter / "weights").write_text("others")
    after = of({**own, "from": str(adapter)})
    assert changed(begun, after) == {
        "align aligned-seed3",
        "answers aligned-seed3",
        "results results",
    }
    rows = json.loads((adapter / TRAINED_QUESTIONS).read_text())
    rows[0]["question"] = "Do you own a parrot?"
    (adapter / TRAINED_QUESTIONS).write_text(json.dumps(rows))
    learnt = of({**own, "from": str(adapter)})
    assert changed(after, learnt) == changed(raw, begun)
    # Where the folder is changes nothing but the results, which print the study.
    adapter.rename(tmp_path / "moved")
    moved = of({**own, "from": str(tmp_path / "moved")})
    assert changed(learnt, moved) == {"results results"}
    # Reinforcement goes on from a method's own start, and fine-tunes the study's first.
    everyone = of(own, model=str(tmp_path / "moved"))
    assert changed(moved, everyone) == {
        *(
            f"{kind} {name}-seed3"
            for kind in ("align", "answers")
            for name in ("aligned", "distribution")
        ),
        "answers base",
        "results results",
    }


def test_other_surveys_questions_that_a_start_has_learnt_are_not_scored() -> None:
    items = [
        item.model_copy(update={"question": PLAIN_QUESTIONS[place]})
        for place, item in enumerate(make_survey(items=8).codebook.items)
    ]
    before = [items[2].question.upper(), "Do you own a parrot?"]
    given = EvaluationInput([], {}, {}, [], [], trained_before=before)
    kept, removed = without_overlaps(given, items, "transfer")
    assert list(removed) == ["q2"] and len(kept) == 7
    assert "1 of 8 questions of it asks nearly" in removed_note(given, removed, 8, "it")
    assert "Nothing was trained" in removed_note(replace(given, trained_before=()), {}, 8, "it")


def test_paraphrases_are_written_by_the_checkpoint_that_the_study_names(
    adapter: Path, write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def load(base: ModelIdentity, checkpoint: Path, dtype: str) -> None:
        asked.append((base.source, checkpoint))
        raise InputError("far enough")

    monkeypatch.setattr(pre_aligned, "load_checkpoint", load)
    study = read_study(write_study(model=str(adapter), methods=["base"]))
    with pytest.raises(InputError, match="far enough"):
        paraphrase(study, None, 1, tmp_path / "paraphrases.json", quiet=True)
    assert asked == [(str(tmp_path / "model"), adapter)]
