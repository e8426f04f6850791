"""The page shows what a model said of its own answers, bad texts and leaning judges included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suffrage.evaluate.results import Results, SelfFeedback
from suffrage.report.page import render_report
from suffrage.report.self_feedback import feedback_parts
from suffrage.study.self_feedback_facts import self_feedback, spread

from .example_results import example_results
from .test_page import Page

KINDS = ("ok", "unchanged", "empty", "refusal", "off_format")


def write_checkpoint(
    folder: Path, judged: bool = True, lean: float = 0.3, checked: bool = True
) -> None:
    """A folder as `cai` leaves it."""
    principles = [
        {"id": "kind", "text": "Be kind.", "support": 0.8},
        {"id": "short", "text": "Be brief."},
    ]
    critiques = [
        {
            "id": str(k),
            "value_set": "nz",
            "user": f"Question {k}?",
            "draft": "" if k == 0 else f"Draft <b>{k}</b>",
            "principles": [principles[k % 2]],
            "critiques": [f"Critique {k}"],
            "revisions": [f"Revision {k}"],
            "outcome": "ok",
        }
        for k in range(8)
    ]
    judgements = [
        {
            "value_set": "nz",
            "user": row["user"],
            "principle": principles[0],
            "chosen": "Yes.",
            "rejected": "No.",
            "share": 0.75,
            "a_first": 0.9,
            "a_second": 0.4,
            "outcome": "ok",
        }
        for row in critiques
    ]
    texts = dict.fromkeys(KINDS, 0)
    feedback: dict[str, Any] = {
        "drafts": {**texts, "ok": 7, "empty": 1},
        "critiques": {**texts, "ok": 8},
        "revisions": {**texts, "ok": 6, "refusal": 2},
        "revisions_trained_on": 6,
        "judgements": {
            **{"ok": 8, "same": 0, "unreadable": 0, "off_format": 0, "trained_on": 8},
            **{"lean_to_a": lean, "same_both_ways": 0.6, "sureness": 0.7, "mass": 0.9},
        }
        if judged
        else None,
    }
    if checked:
        feedback["judge_check"] = {
            **{"pairs": 64, "agreement": 0.81, "probability": 0.7},
            **{"same_both_ways": 0.6, "mass": 0.9, "least_agreement": 0.7},
        }
    full = [{"group_support": {}, "sources": [], "support": None, **p} for p in principles]
    full[0]["group_support"] = {"a": 0.9, "b": 0.4}
    constitution = {"weighing": "support", "constitutions": {"all": {"principles": full}}}
    folder.mkdir()
    (folder / "critiques.jsonl").write_text("\n".join(json.dumps(row) for row in critiques) + "\n")
    (folder / "feedback.json").write_text(json.dumps(feedback))
    (folder / "constitution.json").write_text(json.dumps(constitution))
    if judged:
        (folder / "judgements.jsonl").write_text(
            "\n".join(json.dumps(row) for row in judgements) + "\n"
        )


def with_feedback(folder: Path, **more: Any) -> tuple[Results, SelfFeedback]:
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder / "checkpoint", **more)
    found = self_feedback(folder / "checkpoint", "sft", 7, "")
    assert found is not None
    return example_results().model_copy(update={"self_feedback": [found]}), found


def test_the_page_shows_texts_counts_and_the_judges_lean(tmp_path: Path) -> None:
    results, found = with_feedback(tmp_path)
    assert [(p.id, p.critiques, p.judgements) for p in found.principles] == [
        ("kind", 4, 8),
        ("short", 4, 0),
    ]
    page = render_report(results)
    text = Page(page).text
    assert "What the model said of its own answers" in text
    for said in ("Critique 2", "Revision 2", "Be kind.", "6 of 8 revisions were trained on"):
        assert said in text
    assert "prefers the letter A: whichever answer was there got 80" in text
    assert "a 90" in text and "b 40" in text
    assert "<b>2</b>" not in page, "a model's text is never markup"
    outcomes = feedback_parts(results)[0].outcomes
    assert [cell.text for cell in outcomes.rows[2]] == ["Revisions", "6", "0", "0", "2", "0"]


def test_a_judge_that_does_not_lean_is_not_said_to(tmp_path: Path) -> None:
    results, _ = with_feedback(tmp_path, lean=0.02)
    assert "prefers the letter" not in Page(render_report(results)).text


@pytest.mark.slow
def test_the_page_says_whether_the_model_can_judge(tmp_path: Path) -> None:
    """A checkpoint from before there was a check has nothing to say of it."""
    results, found = with_feedback(tmp_path)
    assert found.judge_check is not None
    text = Page(render_report(results)).text
    assert "preferred the right answer in 81" in text and "of 64 pairs" in text
    assert "Nobody checked" not in text
    results, found = with_feedback(tmp_path / "before", checked=False)
    assert found.judge_check is None
    assert "Nobody checked whether this model can judge" in Page(render_report(results)).text


def test_without_judgements_the_page_says_so(tmp_path: Path) -> None:
    results, found = with_feedback(tmp_path, judged=False)
    assert found.judgements is None and found.verdicts == []
    assert "No answers were judged" in Page(render_report(results)).text


def test_without_such_a_checkpoint_there_is_no_such_section(tmp_path: Path) -> None:
    assert self_feedback(tmp_path, "sft", 7, "") is None
    assert 'id="feedback"' not in render_report(example_results())


@pytest.mark.parametrize(("rows", "expected"), [(8, [0, 2, 4, 6]), (3, [0, 1, 2]), (0, [])])
def test_examples_are_picked_by_place(rows: int, expected: list[int]) -> None:
    assert spread(list(range(rows)), 4) == expected
