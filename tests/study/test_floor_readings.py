"""Readings with the average answer in a whole study: mixed with it, or times a kept table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.results import Results, ScoredAnswer
from suffrage.report.tables import read_results
from suffrage.study.run import run_study
from suffrage.study.schema import Study, read_study
from suffrage.study.wiring import wire
from suffrage.training_data import ItemSplit, Records
from suffrage.training_data.average_answer import LEAST_SHARE, AverageAnswers, TrainedAnswers
from tests.study.conftest import Write
from tests.synthetic import make_survey, write_survey_files

DISTRIBUTION = {"method": "distribution", "steps": 4, "batch": 4}
OFFSET = {**DISTRIBUTION, "name": "ours", "validation": 0.3, "offset": "average"}


def run(study: Study) -> Results:
    found = run_study(study, quiet=True).results
    assert found is not None
    return found


def split_of(study: Study) -> ItemSplit:
    (stage,) = wire(study).splits.values()
    return ItemSplit.read(stage.folder)


def letters(results: Results, method: str) -> dict[tuple[str, str], ScoredAnswer]:
    return {
        (a.value_set, a.item): a
        for a in results.answers
        if a.method == method and a.readout == "letters"
    }


@pytest.fixture
def write(write_study: Write, tmp_path: Path) -> Write:
    """As `write_study`, with more questions."""
    write_survey_files(tmp_path, make_survey(respondents=200, items=16))
    return write_study


@pytest.mark.slow
def test_questions_held_back_are_nobodys_to_learn_and_mixtures_have_rows(write: Write) -> None:
    study = read_study(write(calibrate=0.3, methods=["prompt", DISTRIBUTION, "factors"]))
    results, split = run(study), split_of(study)
    assert 0 < len(split.held_back) < len(split.train)
    for stage in wire(study).records.values():
        assert not set(Records.read(stage.folder).frame["item"]) & set(split.held_back)
    assert not {a.item for a in results.answers} & set(split.held_back)
    found = {own.method: own for own in results.mixing}
    assert list(found) == ["prompt", "distribution", "factors"]
    for method, own in found.items():
        assert own.questions == len(split.held_back) and own.cells == 2 * own.questions
        assert own.mixed_fit >= max(own.model_fit, own.average_fit)
        floor, plain = letters(results, "average"), letters(results, method)
        for place, answer in letters(results, f"{method}+average").items():
            model, average = np.array(plain[place].shares), np.array(floor[place].shares)
            expected = own.weight * model + (1 - own.weight) * average
            assert answer.shares == pytest.approx(expected)
    gap = results.difference("fit", "fit", "distribution+average", "average")
    assert gap is not None
    page = (study.output / "report.html").read_text()
    assert "How much does the model add to the average answer?" in page
    assert (
        f"mixed with the average answer ({found['distribution'].weight:.2g} of the model)" in page
    )
    assert "held back to choose weights" in page
    lead = page.split('id="scoreboard"')[0]
    assert "mixed with the average answer" not in lead, "the plain checkpoint stays the headline"
    assert read_results(study.output).mixing == results.mixing


@pytest.mark.slow
def test_weights_are_chosen_on_a_methods_own_validation_questions(write: Write) -> None:
    """Nothing is trained or asked again where `calibrate: true` comes later."""
    shown = {"method": "prompt", "name": "shown", "in_context": 2}
    methods = ["prompt", shown, DISTRIBUTION, OFFSET]
    run_study(read_study(write(methods=methods)), only="answers", quiet=True)
    study = read_study(write(methods=methods, calibrate=True))
    finished = run_study(study, quiet=True)
    assert finished.computed == ("results results",)
    results = finished.results
    assert results is not None
    back = next(
        set(Records.read(stage.folder).made_from["validation"])
        for (method, _, _), stage in wire(study).records.items()
        if method == "ours"
    )
    found = {own.method: own for own in results.mixing}
    assert list(found) == ["prompt", "ours+table"], "the others hold nothing back"
    assert found["ours+table"].questions == found["prompt"].questions == len(back)
    assert found["ours+table"].reading == "ours+table+average"
    for name in ("distribution", "shown"):
        assert any(f"{name} has no weight" in sentence for sentence in results.limits)
    assert not back & set(split_of(study).held_out)


@pytest.mark.slow
def test_a_checkpoint_with_a_table_is_read_alone_and_with_it(write: Write) -> None:
    study = read_study(write(methods=["prompt", OFFSET]))
    results = run(study)
    (stage,) = wire(study).align.values()
    kept = json.loads((stage.folder / "average_answers.json").read_text())
    table = AverageAnswers.from_content(kept)
    plain, both = letters(results, "ours"), letters(results, "ours+table")
    assert plain.keys() == both.keys()
    for (value_set, item), answer in both.items():
        average = np.maximum(table.answer(value_set, len(answer.shares)), LEAST_SHARE)
        expected = np.array(plain[value_set, item].shares) * average
        assert answer.shares == pytest.approx(expected / expected.sum())
    assert results.difference("fit", "fit", "ours+table", "average") is not None
    facts = {m.name: m.kind for m in results.methods}
    assert facts["ours"] == "trained" and facts["ours+table"] == "reading"
    manifest = json.loads((stage.folder / "manifest.json").read_text())
    assert "average" not in manifest["made_from"]
    assert not results.mixing


@pytest.mark.slow
def test_a_method_that_goes_on_is_not_weighed_on_what_was_learnt_before_it(write: Write) -> None:
    """The first method may have learnt what the second one holds back."""
    later = {**OFFSET, "name": "later", "from": "distribution"}
    study = read_study(write(methods=[DISTRIBUTION, later], calibrate=True))
    results = run(study)
    learnt: set[str] = set()
    back: set[str] = set()
    for (method, _, _), stage in wire(study).records.items():
        records = Records.read(stage.folder)
        if method == "later":
            back = set(records.made_from["validation"])
        else:
            learnt = set(records.frame["item"])
    weighed = [own.questions for own in results.mixing if own.method == "later+table"]
    assert weighed == ([len(back - learnt)] if back - learnt else [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.7, "above 0 and below 0.5"),
        (0, "above 0 and below 0.5"),
        ("much", "above 0 and below 0.5"),
        (True, "none has validation"),
    ],
)
def test_a_study_says_how_to_calibrate(write_study: Write, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_study(write_study(calibrate=given))


def test_a_share_too_small_for_any_question_is_an_error(write_study: Write) -> None:
    with pytest.raises(InputError, match=r"calibrate: 0\.01 of .* holds none of them back"):
        run_study(read_study(write_study(calibrate=0.01)), only="split", quiet=True)


def test_the_floor_of_trained_answers_knows_no_question_held_back(write_study: Write) -> None:
    study = read_study(write_study(calibrate=0.4))
    run_study(study, only="split", quiet=True)
    from suffrage.study.inputs import StudyInputs

    inputs, split = StudyInputs(wire(study)), split_of(study)
    people = inputs.value_sets["north"]
    own = {i: d.shares for i, d in people.distributions.items()}
    for item in split.held_back:
        alike = [own[i] for i in split.train if own[i].size == own[item].size]
        if alike:
            found = TrainedAnswers(people, split).average_without(item)
            assert found == pytest.approx(np.mean(alike, axis=0))
