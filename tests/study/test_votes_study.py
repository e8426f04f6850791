"""A study that trains on votes, anchored to its survey, and blended with its start."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.study.commands.simulated_public import (
    SimulatedPublicSettings,
    simulated_public,
    write_public,
)
from suffrage.study.inputs import StudyInputs, study_consultation
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.wiring import wire
from suffrage.training_data.records import Records, held_back_in
from suffrage.training_data.replay import is_replay
from tests.study.conftest import Write
from tests.synthetic import make_survey, write_survey_files

SURVEY = make_survey(respondents=240, items=8)
START = {"method": "distribution", "name": "survey-only", "steps": 4, "batch": 4, "validation": 0.2}
VOTED: dict[str, Any] = {
    "method": "distribution",
    "name": "voted",
    "from": "survey-only",
    "records": "votes",
    "steps": 4,
    "batch": 9,
    "replay": 0.75,
    "keep_close": 1.0,
    "own_text": 2,
    "validation": 0.2,
    "validate_every": 2,
    "blend": True,
}
PAIRED = {"method": "dpo", "name": "paired", "form": "proportional", "records": "votes"}
CHOSEN = {"validation": 0.2, "validate_every": 2, "blend": True}
DRAWN = {"method": "sft", "name": "drawn", "records": "votes", "replay": 0.5, **CHOSEN}
# Few people compared two answers to one prompt.
MANY = {**CHOSEN, "validation": 0.4}
COMPARED = {"method": "dpo", "name": "compared", "records": "comparisons", **MANY}
LIKED = {"method": "kto", "name": "liked", "records": "reactions", "labels": "shares", **MANY}
SIGNALS = {"survey": 4, "votes": 2, "reactions": 2}
TOGETHER = {"method": "combined", "name": "together", "signals": SIGNALS, "ablation": True, **MANY}
SMALL = {"steps": 2, "batch": 4, "from": "survey-only"}


@pytest.fixture
def write_votes(write_study: Write, tmp_path: Path) -> Write:
    public, truth = simulated_public(
        SURVEY, SimulatedPublicSettings(participants=150, statements=60), 1
    )
    write_public(public, truth, SURVEY.codebook.items, tmp_path / "public")

    def write(**changes: Any) -> Path:
        write_survey_files(tmp_path, SURVEY)
        return write_study(
            **{
                "methods": [
                    START,
                    VOTED,
                    {**PAIRED, **SMALL},
                    {**DRAWN, **SMALL},
                    {**COMPARED, **SMALL},
                    {**LIKED, **SMALL},
                    {**TOGETHER, **SMALL, "batch": 8},
                ],
                "consultation": {
                    "folder": "public",
                    "held_out": 0.3,
                    "held_out_statements": 0.2,
                    "votes": {"least_voters": 3},
                    "resamples": 4,
                },
                "evaluate": ["fit", {"evaluation": "votes", "most": 6}],
                **changes,
            },
        )

    return write


@pytest.mark.slow
def test_a_regression_on_words_learns_votes_and_is_compared_without_any_language_model(
    write_votes: Write,
) -> None:
    regression = {"method": "factors", "name": "regression", "states": "text", "records": "votes"}
    study = read_study(write_votes(methods=[regression], evaluate=["votes"]))
    finished = run_study(study)
    results = finished.results
    assert results is not None
    assert not any("could not be asked" in note for e in results.evaluations for note in e.notes)
    (stage,) = (s for place, s in wire(study).align.items() if place[1] == study.seeds[0])
    facts = json.loads((stage.folder / "factors.json").read_text())
    (probes,) = (s for place, s in wire(study).probes.items() if place[2] == study.seeds[0])
    said = pl.read_parquet(probes.folder / "probes.parquet")
    # It learns every cell, though the survey has far fewer questions.
    told = Records.read(wire(study).records["regression", study.seeds[0], ""].folder)
    assert len(told.frame) == told.made_from["votes"]["cells"] > len(SURVEY.codebook.items) * 3
    # It learns the populations that are asked, under the words that ask them.
    inputs = StudyInputs(wire(study))
    source = inputs.consultations[study.seeds[0]]
    described = {v.name: v.description for v in inputs.value_sets.values()}
    described["everyone"] = source.everyone_described
    assert set(facts["personas"]) == {described[name] for name in said["population"].unique()}
    assert len(facts["personas"]) == 3
    fits = {m: results.figure("votes", "fit", m) for m in ("regression", "average vote")}
    assert all(fit is not None and 0 < fit.value < 1 for fit in fits.values())
    assert results.difference("votes", "fit", "regression", "average vote") is not None
    assert (finished.folder / "report.html").is_file()


@pytest.mark.slow
def test_votes_train_anchored_and_blended_and_the_run_says_what_was_kept(
    write_votes: Write,
) -> None:
    # No claim is about what the models write.
    letters = {"samples": 0, "text": False, "lowest_mass": 0.0}
    study = read_study(write_votes(scoring=letters))
    finished = run_study(study)
    assert finished.results is not None
    inputs = StudyInputs(wire(study))
    place, split = ("voted", 3, ""), inputs.splits[3]
    records = Records.read(inputs.wiring.records[place].folder)
    rows = records.frame.to_dicts()
    learnt = [row for row in rows if not row["validation"]]
    # Each step has one record of votes, seven of the survey and a place for the model's own text.
    kinds = [row["own_text"] is not None or is_replay(row) for row in learnt]
    assert kinds == ([False] + [True] * 8) * 4
    assert [row["own_text"] for row in learnt[8::9]] == [0, 1, 0, 1]
    source = study_consultation(study, list(inputs.value_sets.values()), inputs.items, split, 3)
    asked_of_survey = {row["item"] for row in rows if row["validation"] and row["guard"]}
    # The survey is guarded by what its own training held back, so that nobody has learnt it.
    start = inputs.wiring.records["survey-only", 3, ""].folder
    assert asked_of_survey == held_back_in(start)
    assert not asked_of_survey & {row["item"] for row in learnt}
    assert not set(split.never_trained) & {row["item"] for row in rows}
    assert not set(source.statement_split.held_out) & {row["item"] for row in rows}
    blends = {blend.method: blend for blend in finished.results.blends}
    assert set(blends) == {
        *("voted", "drawn", "compared", "liked", "together"),
        *(f"together-without-{name}" for name in SIGNALS),
    }
    for one in blends.values():
        best = next(point for point in one.points if point.weight == one.weight)
        assert best.fit >= one.points[0].fit
    blend = blends["voted"]
    manifest = json.loads((finished.folder / blend.checkpoint / "manifest.json").read_text())
    assert manifest["blend"]["weight"] == blend.weight
    kept = next(point for point in blend.points if point.weight == blend.weight)
    first = blend.points[0]
    assert kept.fit >= first.fit
    assert kept.survey_fit is not None and first.survey_fit is not None
    assert kept.survey_fit >= first.survey_fit - 0.01
    checkpoint = finished.folder / blend.checkpoint
    card = (checkpoint / "README.md").read_text(encoding="utf-8")
    held_out = len(source.held_out_people)
    learnt_votes = records.made_from["votes"]["statements"]
    assert f"a consultation of {len(source.people) + held_out} participants; {held_out}" in card
    assert f"It learnt how they voted on {learnt_votes} statements." in card
    assert "did in a survey and participants did in a consultation" in card
    assert "was kept, because its fit was the best on" in card
    survey_only = next((finished.folder / "checkpoints").glob("survey-only-*")) / "README.md"
    assert "consultation of" not in survey_only.read_text(encoding="utf-8")
    questions = json.loads((checkpoint / "trained_questions.json").read_text())
    texts = {item.question for item in source.statement_items}
    assert {row["question"] for row in questions} & texts
    combined = Records.read(inputs.wiring.records["together", 3, ""].folder).frame.to_dicts()
    learnt = [row for row in combined if not row["validation"]]
    # Half of each step is the survey's, and of the rest votes are half.
    assert [is_replay(row) for row in learnt] == ([False] * 4 + [True] * 4) * 2
    own = [row["signal"] for row in learnt if not is_replay(row)]
    assert sorted(own) == ["reactions"] * 4 + ["votes"] * 4
    assert {row["signal"] for row in combined if row["validation"] and not row["guard"]} == {
        "reactions",
        "votes",
    }
    assert (
        finished.results.difference("votes", "fit", "together", "together-without-votes")
        is not None
    )
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "How far from its start may a model go?" in page
    assert "What does each signal add?" in page
    assert "What learning from the consultation gained and cost" in page
    gap = finished.results.difference("votes", "fit", "voted", "survey-only")
    figure = finished.results.figure("votes", "fit", "voted")
    assert gap is not None and figure is not None and figure.side == "held_out"
    assert figure.ceiling is not None and figure.floor is not None
    assert run_study(study).computed == ()


@pytest.mark.parametrize(
    ("consultation", "message"),
    [
        (None, "votes needs a consultation"),
        ({"folder": "public", "held_out_statements": 0.2, "held_out": 0}, "consultation.held_out,"),
        ({"folder": "public"}, "consultation.held_out_statements,"),
    ],
)
def test_votes_are_compared_only_where_statements_and_people_are_held_out(
    consultation: dict[str, Any] | None, message: str, write_votes: Write
) -> None:
    changes = {"methods": ["prompt"], "evaluate": ["votes"], "consultation": consultation}
    with pytest.raises(InputError, match=message):
        read_study(write_votes(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replay": 0.5, "records": "survey"}, "these are the survey's"),
        ({"offset": "average"}, "offset: is the average answer to the survey's questions"),
        ({"epochs": 2, "steps": None}, "epochs: is for records from the survey"),
    ],
)
def test_what_does_not_go_with_votes_is_refused(
    changes: dict[str, Any], message: str, write_votes: Write
) -> None:
    own = {"method": "distribution", "name": "voted", "records": "votes", **SMALL, **changes}
    own = {key: value for key, value in own.items() if value is not None and key != "from"}
    with pytest.raises(InputError, match=message):
        read_study(write_votes(methods=[own]))
