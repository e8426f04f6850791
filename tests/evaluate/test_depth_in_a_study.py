"""The five evaluations in a study, on a tiny model: asked once, scored, and shown in the report."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from suffrage.consult.consultation import write_consultation
from suffrage.errors import InputError
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from tests.evaluate.test_preferences import CONSULTATION
from tests.study.conftest import write_study

__all__ = ["write_study"]

OWN = [
    {
        "id": f"own-{number}",
        "item": f"q{number}",
        "situation": f"Situation {number} has come about.",
        "courses": [
            {"codes": ["0"], "text": "Go left."},
            {"codes": [str(2 + number % 3)], "text": "Go right."},
        ],
    }
    for number in range(8)
]


@pytest.mark.slow
def test_all_five_run_in_a_study_and_stand_in_its_report(write_study: Any, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"scenarios": OWN}))
    write_consultation(CONSULTATION, tmp_path / "public")
    evaluate = [
        "fit",
        {"evaluation": "behaviour", "scenarios": ["own.yaml"]},
        {"evaluation": "capability", "sums": 4, "samples": 1},
        {"evaluation": "safety", "samples": 1},
        {"evaluation": "memorisation", "wordings": 1},
        {
            "evaluation": "preferences",
            "consultation": "public",
            "models": {"trained": "distribution"},
        },
    ]
    methods = ["base", {"method": "distribution", "steps": 2, "batch": 4}]
    study = read_study(write_study(evaluate=evaluate, methods=methods))
    results = run_study(study, quiet=True).results
    assert results is not None
    given = {(f.evaluation, f.measure, f.method) for f in results.figures}
    for evaluation, measure in (
        ("behaviour", "behavioural_effect"),
        ("behaviour", "survey_effect"),
        ("capability", "capability_loss"),
        ("safety", "safety_loss"),
        ("memorisation", "gain_gap"),
        ("memorisation", "recall_gap"),
        ("memorisation", "overlap"),
        ("preferences", "comparisons"),
        ("preferences", "win_rate"),
    ):
        assert (evaluation, measure, "distribution") in given, (evaluation, measure)
    facts = {e.name: e for e in results.evaluations}
    assert "8 scenarios belong to 8 of 8 questions" in facts["behaviour"].notes[0]
    page = (study.output / "report.html").read_text()
    for fact in results.evaluations:
        assert fact.name == "fit" or fact.question in page
    for drawn in ("Scenario by scenario", "Requests that should be declined", "Whose answers won"):
        assert drawn in page
    # Another scenario asks again, and nothing else.
    OWN_AGAIN = [{**OWN[0], "situation": "It has come about otherwise."}, *OWN[1:]]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"scenarios": OWN_AGAIN}))
    again = run_study(read_study(study.source), quiet=True)
    assert [step.split("-")[0] for step in again.computed] == ["probes behaviour"] * 2 + [
        "results results"
    ]


@pytest.mark.slow
def test_a_judge_at_hand_is_examined_before_it_judges(
    write_study: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suffrage.evaluate import behaviour

    few = behaviour.labelled_answers()[:9]
    monkeypatch.setattr(behaviour, "labelled_answers", lambda: few)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"scenarios": OWN[:1]}))
    evaluate = [{"evaluation": "behaviour", "scenarios": ["own.yaml"], "judge": str(tiny_model)}]
    study = read_study(write_study(evaluate=evaluate, methods=["base"]))
    results = run_study(study, quiet=True).results
    assert results is not None
    (facts,) = results.evaluations
    assert facts.details["judge"]["answers"] == 9 and facts.details["judge"]["kappa"] < 0.6
    assert any("its verdicts are not used" in note for note in facts.notes)
    assert not any(f.measure == "behavioural_effect_judged" for f in results.figures)


@pytest.mark.slow
def test_a_survey_without_scenarios_says_what_to_write(write_study: Any) -> None:
    study = read_study(write_study(evaluate=["behaviour"], methods=["base"]))
    with pytest.raises(
        InputError, match="no scenario belongs to an item of this survey; write some"
    ):
        run_study(study, quiet=True)
