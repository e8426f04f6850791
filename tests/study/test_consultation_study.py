"""A study that learns from a consultation: its checkpoints, people held out, a changed vote."""

import json
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage import registry
from suffrage.consult.consultation import Consultation, read_consultation, write_consultation
from suffrage.errors import InputError
from suffrage.evaluate import preferences
from suffrage.population import build_value_set
from suffrage.study.commands.disagreements import study_disagreements
from suffrage.study.commands.simulated_public import (
    SimulatedPublicSettings,
    simulated_public,
    write_public,
)
from suffrage.study.inputs import StudyInputs, study_consultation
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.wiring import wire
from suffrage.training_data import HeldOut, split_items
from suffrage.training_data.records import Records
from tests.evaluate.asking import evaluated, value_of
from tests.impostors import Impostor, flat
from tests.json_keys import check_keys
from tests.study.conftest import Write
from tests.synthetic import make_survey

SMALL = {"steps": 2, "batch": 4}
METHODS: list[Any] = [
    "prompt",
    {"method": "distribution", "name": "survey-only", "format": "written", **SMALL},
    {"method": "dpo", "name": "compared", "from": "survey-only", "records": "comparisons", **SMALL},
    {"method": "kto", "name": "liked", "from": "survey-only", "records": "reactions", **SMALL},
    {
        "method": "ccai",
        "from": "survey-only",
        "constitution": "from_consultation",
        "drafts": 4,
        "longest": 4,
        "keep": "all",
        "then": "none",
        **SMALL,
    },
]

pytestmark = pytest.mark.skipif(
    "comparisons" not in registry.names("record_builders"),
    reason="the installed package does not register comparisons yet: pip install -e . once more",
)
SURVEY = make_survey(respondents=240, items=8)


@pytest.fixture
def write_loop(write_study: Write, tmp_path: Path) -> Write:
    public, truth = simulated_public(
        SURVEY, SimulatedPublicSettings(participants=120, statements=30), 1
    )
    write_public(public, truth, SURVEY.codebook.items, tmp_path / "public")

    def write(**changes: Any) -> Path:
        content = {
            "methods": METHODS,
            "consultation": {"folder": "public", "held_out": 0.3, "groups": 2, "resamples": 4},
            "evaluate": ["fit", {"evaluation": "preferences", "consultation": "public"}],
            **changes,
        }
        return write_study(**content)

    return write


@pytest.mark.slow
def test_the_loop_runs_and_a_changed_vote_trains_only_what_heard_it(
    write_loop: Write, tmp_path: Path
) -> None:
    study = read_study(write_loop())
    finished = run_study(study)
    assert finished.results is not None
    manifests = {
        path.parent.name.split("-seed")[0]: json.loads(path.read_text())
        for path in (finished.folder / "checkpoints").glob("*-seed3/manifest.json")
    }
    assert manifests["compared"]["from"] == "survey-only"
    public = read_consultation(tmp_path / "public")
    assert manifests["compared"]["made_from"]["consultation"]["content_hash"] == public.content_hash
    assert "consultation" not in manifests["survey-only"]["made_from"]
    assert run_study(study).computed == ()
    compared = [f for f in finished.results.figures if f.measure == "comparisons_held_out"]
    assert {f.method for f in compared} == {"prompt", "survey-only", "compared", "liked", "ccai"}
    assert {f.value_set for f in compared} == {"all", "north", "south"}
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    tables["reactions"] = public.reactions.with_columns(value=-pl.col("value"))
    rmtree(tmp_path / "public")
    write_consultation(Consultation(**tables), tmp_path / "public")
    again = run_study(read_study(study.source)).computed
    assert [step for step in again if step.startswith("align")] == [
        "align compared-seed3",
        "align liked-seed3",
        "align ccai-seed3",
    ]


@pytest.mark.slow
def test_nothing_of_people_or_items_held_out_is_in_the_records(
    write_loop: Write,
) -> None:
    study = read_study(write_loop())
    run_study(study, only="records")
    inputs = StudyInputs(wire(study))
    value_sets, split = list(inputs.value_sets.values()), inputs.splits[3]
    source = study_consultation(study, value_sets, SURVEY.codebook.items, split, 3)
    assert not set(source.people) & set(source.held_out_people)
    held_out = set(split.held_out)
    for stage in inputs.wiring.records.values():
        assert not held_out & set(Records.read(stage.folder).frame["item"])


@pytest.mark.slow
def test_a_model_that_knows_the_people_agrees_with_them_and_a_flat_one_does_not(
    tmp_path: Path,
) -> None:
    """Against impostors: one reads its group's true favourite, one says all alike."""
    survey = make_survey(respondents=240, items=12)  # with fewer there is no interval on a side
    public, truth = simulated_public(
        survey, SimulatedPublicSettings(participants=200, comparisons=20), 1
    )
    write_public(public, truth, survey.codebook.items, tmp_path / "public")
    north = build_value_set(survey, "north", {"region": "north"}, 1, "people up north")
    tops = {item: d.shares.max() for item, d in north.distributions.items()}
    # Where people are of one mind there is something to agree with: each side gets its share.
    clear = tuple(sorted(tops, key=lambda item: -tops[item])[::2])
    split = split_items(survey.codebook.items, HeldOut(by="list", items=clear), 3)

    def knows(options: Any, question: str) -> Any:
        item = next((i for i in survey.codebook.items if i.question in question), None)
        if item is None or not all(any(o.text in t for o in item.options) for t in options):
            return np.full(len(options), 1 / len(options))
        d = north.distributions[item.id]
        # The expected utility of saying an option: minus its mean distance from what people hold.
        spots = np.arange(len(d.shares)) / (len(d.shares) - 1)
        gains = np.array([-(d.shares @ np.abs(spots - spot)) for spot in spots])
        own = [
            next(g for g, o in zip(gains, item.options, strict=True) if o.text in t)
            for t in options
        ]
        shares = np.exp(np.array(own))
        return shares / shares.sum()

    models = {"flat": flat(), "knows": Impostor(knows)}
    options = preferences.Options(consultation=str(tmp_path / "public"), held_out=0.3)
    card = evaluated(preferences.EVALUATION, models, [north], split, options)
    for side in ("held_out", "trained"):
        measure = f"comparisons_{side}"
        assert value_of(card, measure, "flat").value == 0.5
        knower = value_of(card, measure, "knows")
        assert knower.value > 0.6 and knower.low > 0.5
        assert abs(knower.value - knower.ceiling) < 0.1


@pytest.mark.slow
def test_a_value_set_without_participants_is_compared_with_nobody(
    write_loop: Write, tmp_path: Path
) -> None:
    sets = [
        {"name": "north", "where": {"region": "north"}},
        {"name": "young", "where": {"age": {"max": 40}}},
    ]
    links = tmp_path / "public-links.csv"
    with pytest.raises(InputError, match=r"where.age is nothing the consultation asked"):
        study_disagreements(read_study(write_loop(value_sets=sets)), links)
    consultation = {"folder": "public", "without": ["young"]}
    study = read_study(write_loop(value_sets=sets, consultation=consultation))
    assert {row.value_set for row in study_disagreements(study, links)} == {"north"}


@pytest.mark.slow
def test_the_survey_and_a_public_drawn_from_it_agree_and_a_turned_public_does_not(
    write_loop: Write, tmp_path: Path
) -> None:
    study = read_study(write_loop())
    rows = study_disagreements(study, tmp_path / "public-links.csv")
    check_keys("consult against-survey", [asdict(row) for row in rows])
    assert {row.value_set for row in rows} == {"north", "south"}
    assert np.mean([row.clear for row in rows]) < 0.05
    public = read_consultation(tmp_path / "public")
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    tables["votes"] = public.votes.with_columns(vote=-pl.col("vote"))
    rmtree(tmp_path / "public")
    write_consultation(Consultation(**tables), tmp_path / "public")
    turned = study_disagreements(read_study(study.source), tmp_path / "public-links.csv")
    assert np.mean([row.clear for row in turned]) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"consultation": None}, "compared learns from a consultation, and the study has none"),
        ({"consultation": {"folder": "nowhere"}}, "no such file"),
        ({"consultation": {"folder": "public", "held_out": 1.2}}, "held_out"),
        (
            {
                "consultation": {
                    "folder": "public",
                    "margins": {"margins": {"a": {"b": 1}}, "source": "x"},
                }
            },
            "read_as: population",
        ),
        (
            {"methods": [{"method": "sft", "records": "comparisons"}]},
            "sft learns from demonstration",
        ),
        (
            {"methods": [{"method": "dpo", "records": "ballots"}]},
            "must be one of survey, comparisons",
        ),
        (
            {"methods": [{"method": "dpo", "records": "comparisons", "format": "option"}]},
            "written answers",
        ),
        ({"methods": [{"method": "dpo", "records": "comparisons", "epochs": 2}]}, "say steps"),
        (
            {"consultation": {"folder": "public", "without": ["nroth"]}},
            "there is no value set 'nroth'; there are north, south. Did you mean \"north\"",
        ),
        (
            {"value_sets": [{"name": "young", "where": {"age": {"max": 40}}}]},
            "value set young, .* where.age is nothing the consultation asked",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_runs(
    changes: dict[str, Any], complaint: str, write_loop: Write
) -> None:
    with pytest.raises(InputError, match=complaint):
        run_study(read_study(write_loop(**changes)))
