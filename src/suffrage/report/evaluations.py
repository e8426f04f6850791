"""The part of the report for each evaluation besides `fit`: its figures, what it can't show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from suffrage.evaluate.results import EvaluationFacts, Figure, Measure, Results
from suffrage.report.cells import Cell, Table, make_table, model_methods
from suffrage.report.finding import in_sentence
from suffrage.report.tables import NOTHING, interval, number, signed

FIT = "fit"


@dataclass(frozen=True)
class Panel:
    """What an evaluation shows beside its figures.

    markup: an inline SVG or other HTML that its maker has escaped. text: what the picture shows, for
    those who do not see it, and its caption. folded: what opens the tables; they lie open where it is empty.
    """

    title: str
    text: str
    markup: str = ""
    tables: Sequence[Table] = field(default=())
    folded: str = ""


# Evaluations with something of their own to draw, from `EvaluationFacts.details`.
PANELS: dict[str, Callable[[Results, EvaluationFacts], list[Panel]]] = {}


@dataclass(frozen=True)
class Section:
    """One evaluation on the page."""

    name: str
    question: str
    cannot_show: str
    figures: Table
    differences: Table | None
    measures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    panels: Sequence[Panel]


def evaluation_sections(results: Results) -> list[Section]:
    """A section for each evaluation that gave figures, in the study's order."""
    return [
        Section(
            name=facts.name,
            question=facts.question,
            cannot_show=facts.cannot_show,
            figures=_figure_table(results, facts),
            differences=_difference_table(results, facts),
            measures=[(m.label, _explained(m)) for m in facts.measures],
            notes=facts.notes,
            panels=PANELS[facts.name](results, facts) if facts.name in PANELS else (),
        )
        for facts in results.evaluations
        if facts.name != FIT and any(f.evaluation == facts.name for f in results.figures)
    ]


def find_figure(
    results: Results, evaluation: str, measure: str, method: str, value_set: str = "all"
) -> Figure | None:
    """The figure over all seeds at a place, or None."""
    wanted = (evaluation, measure, method, value_set, "all")
    return next(
        (
            f
            for f in results.figures
            if (f.evaluation, f.measure, f.method, f.value_set, f.seed) == wanted
        ),
        None,
    )


def headline_table(results: Results) -> Table | None:
    """One scoreboard over all evaluations: a row a method, a column a headline measure."""
    headlines = [(e, m) for e in results.evaluations for m in e.measures if m.headline]
    headlines = [
        (e, m)
        for e, m in headlines
        if any((f.evaluation, f.measure) == (e.name, m.name) for f in results.figures)
    ]
    if not headlines:
        return None
    rows = [
        [
            Cell(method.label),
            *(
                _figure_cell(find_figure(results, e.name, m.name, method.name), m.digits)
                for e, m in headlines
            ),
        ]
        for method in model_methods(results)
    ]
    columns = [("Method", False), *((_heading(m), True) for _, m in headlines)]
    return make_table("Every evaluation at a glance", columns, rows)


def _heading(measure: Measure) -> str:
    return f"{measure.label} ({measure.better} is better)" if measure.better else measure.label


def _explained(measure: Measure) -> str:
    return (
        f"{measure.explanation} {measure.better.capitalize()} is better."
        if (measure.better)
        else measure.explanation
    )


def _figure_cell(figure: Figure | None, digits: int) -> Cell:
    if figure is None:
        return Cell(NOTHING)
    return Cell(number(figure.value, digits), interval(figure.low, figure.high, digits))


def _figure_table(results: Results, facts: EvaluationFacts) -> Table:
    measures = [
        m
        for m in facts.measures
        if m.in_table
        and any((f.evaluation, f.measure) == (facts.name, m.name) for f in results.figures)
    ]
    rows = [
        [
            Cell(method.label),
            *(
                _figure_cell(find_figure(results, facts.name, m.name, method.name), m.digits)
                for m in measures
            ),
        ]
        for method in model_methods(results)
    ]
    for edge, label in (("floor", "Floor"), ("ceiling", "Ceiling")):
        cells = [_edge_cell(results, facts.name, m, edge) for m in measures]
        if any(cell.text != NOTHING for cell in cells):
            rows.append([Cell(label), *cells])
    rows.append([Cell("Counted"), *(_counted(results, facts.name, m) for m in measures)])
    columns = [("Method", False), *((m.label, True) for m in measures)]
    return make_table("All value sets and seeds together", columns, rows)


def _edge_cell(results: Results, evaluation: str, measure: Measure, edge: str) -> Cell:
    values = {
        round(value, 6)
        for f in results.figures
        if (f.evaluation, f.measure, f.value_set, f.seed)
        == (evaluation, measure.name, "all", "all")
        and (value := getattr(f, edge)) is not None
    }
    if not values:
        return Cell(NOTHING)
    low, high = min(values), max(values)
    one = number(low, measure.digits)
    return Cell(one if len(values) == 1 else f"{one} to {number(high, measure.digits)}")


def _counted(results: Results, evaluation: str, measure: Measure) -> Cell:
    counts = {
        f.n
        for f in results.figures
        if (f.evaluation, f.measure, f.value_set, f.seed)
        == (evaluation, measure.name, "all", "all")
    }
    shown = str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return Cell(f"{shown} {measure.unit}")


def _difference_table(results: Results, facts: EvaluationFacts) -> Table | None:
    """Differences of the headline measures, with Holm's correction and what could be seen."""
    labels = {method.name: method.label for method in results.methods}
    digits = {m.name: m.digits for m in facts.measures}
    names = {m.name: m.label for m in facts.measures if m.headline}
    found = [
        d for d in results.figure_differences if d.evaluation == facts.name and d.measure in names
    ]
    if not found:
        return None
    rows = [
        [
            Cell(
                labels.get(d.method, d.method),
                f"against {in_sentence(labels[d.against])}",
            ),
            Cell(names[d.measure]),
            Cell(
                signed(d.value, digits[d.measure]),
                interval(d.low, d.high, digits[d.measure], with_sign=True),
            ),
            Cell(NOTHING if d.adjusted is None else number(d.adjusted, 3)),
            Cell(NOTHING if d.detectable is None else number(d.detectable, digits[d.measure])),
        ]
        for d in found
    ]
    columns = [
        ("Compared", False),
        ("Figure", False),
        ("Difference", True),
        ("p, corrected", True),
        ("Smallest this study could see", True),
    ]
    return make_table("Paired differences", columns, rows)
