"""The report says once what its correction for many comparisons covers, and what it does not."""

from __future__ import annotations

import re

import pytest

from suffrage.evaluate.results import Results
from suffrage.report.marks import per_measure_note
from suffrage.report.overview import glance_tables
from suffrage.report.page import render_report
from tests.report.example_results import example_results, with_evaluations

RULE = "A verdict is corrected for all comparisons of its measure, and not over measures"


def with_p_values(results: Results) -> Results:
    """The same results, every difference with a p-value."""
    rows = [d.model_copy(update={"p": 0.2, "adjusted": 0.4}) for d in results.figure_differences]
    return results.model_copy(update={"figure_differences": rows})


@pytest.mark.slow
@pytest.mark.parametrize("methods", [("base",), ("base", "prompt", "sft", "distribution")])
def test_the_page_says_once_that_corrections_are_for_each_measure(methods: tuple[str, ...]) -> None:
    results = with_p_values(example_results(methods=methods))
    assert render_report(results).count(RULE) == 1


@pytest.mark.slow
def test_a_page_with_headlines_and_one_without_both_say_it() -> None:
    results = with_p_values(example_results())
    bare = results.model_copy(update={"evaluations": results.evaluations[:1]})
    assert not glance_tables(bare)
    assert render_report(bare).count(RULE) == 1


def test_the_note_counts_the_measures_with_verdicts() -> None:
    results = with_p_values(example_results(methods=("base",)))
    found = re.search(r"verdicts on (\d+) measures", per_measure_note(results))
    by_hand = len({(d.evaluation, d.measure) for d in results.figure_differences})
    assert found is not None and int(found[1]) == by_hand > 1
    one = [d for d in results.figure_differences if (d.evaluation, d.measure) == ("fit", "fit")]
    note = per_measure_note(results.model_copy(update={"figure_differences": one}))
    assert RULE in note and "measures," not in note.replace(RULE, "")
    assert per_measure_note(results.model_copy(update={"figure_differences": []})) == ""


@pytest.mark.slow
def test_a_page_with_an_overview_says_it_there() -> None:
    results = with_p_values(with_evaluations(example_results(), ("safety", "distances")))
    page = render_report(results)
    assert glance_tables(results) and page.count(RULE) == 1
    assert page.index('id="glance"') < page.index(RULE) < page.index('id="asked"')
