"""The part of the report for each evaluation besides `fit`: its figures, what it can't show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from suffrage.evaluate.results import (
    LEARNED,
    LEFT_OUT,
    EvaluationFacts,
    Figure,
    FigureDifference,
    Measure,
    Results,
)
from suffrage.report.cells import Cell, Table, make_table, model_methods
from suffrage.report.finding import in_sentence
from suffrage.report.overview import FIT, evaluation_power, in_order, turned_gap
from suffrage.report.tables import NOTHING, Verdict, interval, number, signed

UNSAID = "its maker does not say; take its figures with care."
# More measures than this do not fit a page beside their intervals.
MEASURES_ABREAST = 5
BETTER_NAMES: dict[Verdict, str] = {
    "higher": "better",
    "lower": "worse",
    "same": "cannot be told apart",
    "unknown": "different",
}


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
    """One evaluation on the page. power: what the study could have seen, in words."""

    name: str
    question: str
    cannot_show: str
    figures: Sequence[Table]
    power: Sequence[str]
    differences: Table | None
    left_out: Table | None
    measures: Sequence[tuple[str, str]]
    notes: Sequence[str]
    panels: Sequence[Panel]


def evaluation_sections(results: Results) -> list[Section]:
    """A section for each evaluation that gave figures, in the order a sceptic asks."""
    return [
        Section(
            name=facts.name,
            question=facts.question or facts.name.capitalize(),
            cannot_show=facts.cannot_show or UNSAID,
            figures=_figure_tables(results, facts),
            power=evaluation_power(results, facts.name),
            differences=_difference_table(results, facts),
            left_out=_left_out_table(results, facts),
            measures=[(m.label, _explained(m)) for m in facts.measures],
            notes=facts.notes,
            panels=PANELS[facts.name](results, facts) if facts.name in PANELS else (),
        )
        for facts in in_order(results.evaluations)
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


def _figure_tables(results: Results, facts: EvaluationFacts) -> list[Table]:
    """All figures of an evaluation, so many measures abreast."""
    measures = [
        m
        for m in facts.measures
        if m.in_table
        and any((f.evaluation, f.measure) == (facts.name, m.name) for f in results.figures)
    ]
    blocks = max(1, -(-len(measures) // MEASURES_ABREAST))
    size = -(-len(measures) // blocks)
    return [
        _figure_table(
            results,
            facts,
            measures[part * size : (part + 1) * size],
            f", part {part + 1} of {blocks}" if blocks > 1 else "",
        )
        for part in range(blocks)
    ]


def _figure_table(
    results: Results, facts: EvaluationFacts, measures: Sequence[Measure], part: str
) -> Table:
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
    return make_table(f"All value sets and seeds together{part}", columns, rows)


def _left_out_table(results: Results, facts: EvaluationFacts) -> Table | None:
    """Each measure over the groups trained on and those left out; None where there are none such."""
    rows = []
    for measure in facts.measures:
        if not measure.in_table:
            continue
        for method in model_methods(results):
            learned, apart = (
                find_figure(results, facts.name, measure.name, method.name, scope)
                for scope in (LEARNED, LEFT_OUT)
            )
            if apart is not None:
                cells = (_figure_cell(one, measure.digits) for one in (learned, apart))
                rows.append([Cell(method.label, measure.label), *cells])
    if not rows:
        return None
    columns = [
        ("Method, measure", False),
        (LEARNED.capitalize(), True),
        (LEFT_OUT.capitalize(), True),
    ]
    groups = ", ".join(v.name for v in results.value_sets if v.left_out)
    return make_table(
        f"Groups no method was trained on ({groups}), beside the others", columns, rows
    )


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
    measures = {m.name: m for m in facts.measures if m.headline}
    found = [
        d
        for d in results.figure_differences
        if d.evaluation == facts.name and d.measure in measures
    ]
    if not found:
        return None
    columns = [
        ("Compared", False),
        ("Figure", False),
        ("Difference", True),
        ("So the first is", False),
        ("p, corrected", True),
        ("Smallest to be seen", True),
    ]
    rows = [_difference_row(results, d, measures[d.measure], labels) for d in found]
    return make_table("Paired differences", columns, rows)


def _difference_row(
    results: Results, d: FigureDifference, measure: Measure, labels: dict[str, str]
) -> list[Cell]:
    one, two = (
        find_figure(results, d.evaluation, d.measure, name) for name in (d.method, d.against)
    )
    found = turned_gap(d.value, (d.low, d.high), d.adjusted, measure, one, two).verdict
    known = d.adjusted is not None
    return [
        Cell(
            labels.get(d.method, d.method),
            f"against {in_sentence(labels.get(d.against, d.against))}",
        ),
        Cell(measure.label),
        Cell(
            signed(d.value, measure.digits),
            interval(d.low, d.high, measure.digits, with_sign=True),
        ),
        Cell(BETTER_NAMES[found], mark="" if found == "unknown" else found)
        if known
        else Cell(NOTHING),
        Cell(number(d.adjusted, 3) if known else NOTHING),
        Cell(NOTHING if d.detectable is None else number(d.detectable, measure.digits)),
    ]
