"""What a method left out is marked where its figure is shown, and never counts for it."""

from __future__ import annotations

import io
from collections.abc import Collection

import pytest
from rich.console import Console

from suffrage.evaluate.fit import AVERAGE, UNIFORM
from suffrage.evaluate.results import Results
from suffrage.report.finding import finding
from suffrage.report.marks import marks_note
from suffrage.report.numbers import INCOMPLETE, INCOMPLETE_NOTE
from suffrage.report.page import render_report
from suffrage.report.regimes import regime_parts
from suffrage.report.summary import board_summary
from suffrage.report.tables import markdown_scoreboard
from suffrage.report.terminal import scoreboard
from tests.report.example_results import EVERY_MODEL, example_results

TOO_FEW = ("too few separate questions", "Too few separate questions", "too few questions")


def leaving_out(results: Results, methods: Collection[str], count: int = 12) -> Results:
    """The same results where these methods left answers out and would win by what they gave."""
    figures = [
        f.model_copy(update={"missing": count, "value": 0.87, "low": 0.84, "high": 0.9})
        if f.method in methods
        else f.model_copy(update={"uncounted": count})
        for f in results.figures
    ]
    clear = {"unanswered": count, "value": 0.13, "low": 0.1, "high": 0.16, "adjusted": 0.001}
    differences = [
        d.model_copy(update=clear | ({"against_unanswered": 3} if d.against in methods else {}))
        if d.method in methods
        else d
        for d in results.figure_differences
    ]
    return results.model_copy(update={"figures": figures, "figure_differences": differences})


@pytest.fixture(scope="module")
def audit() -> Results:
    return leaving_out(example_results(methods=("base",)), ["base"])


@pytest.fixture(scope="module")
def many() -> Results:
    results = example_results(methods=tuple(EVERY_MODEL))
    return leaving_out(results, [m.name for m in results.methods if m.kind == "trained"])


def test_an_audit_says_that_answers_are_missing_and_not_that_questions_are(audit: Results) -> None:
    lead = finding(audit).lead
    assert f"to 0.87{INCOMPLETE}" in lead
    assert (
        "the model left out 12 answers that this rule gave, so nothing is said in its favour "
        "(difference +0.13, 95% interval +0.10 to +0.16)" in lead
    )
    assert not any(words in lead for words in TOO_FEW)


def test_the_first_page_gives_missing_answers_as_the_reason(audit: Results) -> None:
    summary = board_summary(audit)
    assert summary is not None and summary.verdict == "This study cannot say"
    assert summary.because == [
        "The model left out 12 answers that a rule without a model gave, so nothing is said in its "
        "favour."
    ]
    assert summary.figures[0].words.endswith("not counted, because answers are missing")
    assert INCOMPLETE_NOTE in summary.caption


def test_the_page_explains_the_mark_once_it_is_used(audit: Results) -> None:
    page = render_report(audit)
    assert INCOMPLETE in page and INCOMPLETE_NOTE in page


def test_a_mark_is_explained_only_next_to_figures_that_have_it() -> None:
    results = example_results(methods=("base",))
    figures = [
        f.model_copy(update={"missing": 3 if f.readout == "sampled" else 0})
        for f in results.figures
    ]
    results = results.model_copy(update={"figures": figures})
    assert any(f.missing for f in figures if f.evaluation == "fit")
    assert not marks_note(results) and INCOMPLETE_NOTE in marks_note(results, ["sampled"])
    summary = board_summary(results)
    assert summary is not None and INCOMPLETE not in summary.caption
    assert render_report(results).count(INCOMPLETE_NOTE) == 1


@pytest.mark.slow
def test_of_many_that_all_left_answers_out_none_is_called_closest(many: Results) -> None:
    lead = finding(many).lead
    trained = [m for m in many.methods if m.kind == "trained"]
    assert len(trained) > 3
    assert (
        f"Each of {len(trained)} trained methods left out answers that others gave, so none is "
        "called the closest to the public." in lead
    )
    assert "comes closest" not in lead
    assert f"{len(trained)} of the {len(trained)} are not to be compared" in lead


def test_of_many_the_closest_is_one_that_gave_all_answers() -> None:
    results = example_results(methods=tuple(EVERY_MODEL))
    trained = [m for m in results.methods if m.kind == "trained"]
    whole = trained[0]
    lead = finding(leaving_out(results, [m.name for m in trained[1:]])).lead
    assert "comes closest" in lead
    assert whole.label.lower()[:10] in lead.split("comes closest")[0].lower()


def test_figures_in_every_table_carry_the_mark(audit: Results) -> None:
    out = io.StringIO()
    Console(file=out, width=500).print(scoreboard(audit))
    row = next(line for line in out.getvalue().splitlines() if line.strip().startswith("Untrained"))
    assert row.count(INCOMPLETE) >= 3
    row = next(li for li in markdown_scoreboard(audit).splitlines() if li.startswith("| Untrained"))
    assert row.count(INCOMPLETE) >= 3


def test_new_topics_say_that_none_is_the_best_where_all_left_answers_out(many: Results) -> None:
    def new(results: Results) -> Results:
        figures = [
            f.model_copy(update={"regime": "topic"})
            for f in results.figures
            if (f.measure, f.side, f.readout) == ("fit", "held_out", "letters")
        ]
        gaps = [
            d.model_copy(update={"regime": "topic"})
            for d in results.figure_differences
            if (d.measure, d.side) == ("fit", "held_out") and d.against in (AVERAGE, UNIFORM)
        ]
        return results.model_copy(
            update={
                "figures": [*results.figures, *figures],
                "figure_differences": [*results.figure_differences, *gaps],
            }
        )

    said = [part.sentence for part in regime_parts(new(many))]
    assert any("every trained method left out answers that others gave" in one for one in said)
    assert not any(words in one for one in said for words in ("could be read", *TOO_FEW))
