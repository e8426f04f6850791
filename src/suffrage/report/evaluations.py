"""The part of the report for each evaluation besides `fit`: its figures, what it can't show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import (
    ALL,
    LEARNED,
    LEFT_OUT,
    EvaluationFacts,
    Figure,
    FigureDifference,
    Measure,
    Results,
    Verdict,
)
from suffrage.plurals import with_unit
from suffrage.report.cells import (
    LEFT_OUT_NAME,
    Cell,
    Table,
    compared_cell,
    difference_cell,
    figure_cell,
    make_table,
    model_methods,
)
from suffrage.report.marks import stricter_note
from suffrage.report.numbers import NOTHING, number
from suffrage.report.overview import evaluation_power, gap_of, in_order

UNSAID = "its author does not say; read its figures with care."
# More measures than this do not fit a page next to their intervals.
MEASURES_ABREAST = 5
BETTER_NAMES: dict[Verdict, str] = {
    "higher": "better",
    "lower": "worse",
    "same": "cannot be told apart",
    "unknown": "different",
}


@dataclass(frozen=True)
class Panel:
    """What an evaluation shows next to its figures."""

    title: str
    text: str  # the caption, which also says what the picture shows to those who do not see it
    markup: str = ""  # an inline SVG or other HTML that its maker has escaped
    tables: Sequence[Table] = field(default=())
    folded: str = ""  # a heading to fold the tables under; they are open where it is empty


# Evaluations with something of their own to draw, from `EvaluationFacts.details`.
PANELS: dict[str, Callable[[Results, EvaluationFacts], list[Panel]]] = {}


@dataclass(frozen=True)
class Section:
    """One evaluation on the page."""

    name: str
    question: str
    cannot_show: str
    figures: Sequence[Table]
    power: Sequence[str]  # what the study could have seen, in words
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


def _explained(measure: Measure) -> str:
    if measure.better is None:
        return measure.explanation
    return f"{measure.explanation} {measure.better.capitalize()} is better."


def _over_all(results: Results, evaluation: str, measure: Measure) -> list[Figure]:
    """Every method's figure over all value sets and seeds, on the side the report leads with."""
    place = (evaluation, measure.name, ALL, ALL)
    return [
        f
        for f in results.figures
        if (f.evaluation, f.measure, f.value_set, f.seed) == place
        and f.side in (None, results.main_side)
    ]


def _figure_tables(results: Results, facts: EvaluationFacts) -> list[Table]:
    """All figures of an evaluation, so many measures abreast."""
    measures = [m for m in facts.measures if m.in_table and _over_all(results, facts.name, m)]
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
                figure_cell(results.figure(facts.name, m.name, method.name), m.digits)
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
    """Each measure over the groups trained on and those left out; None without such groups."""
    rows = []
    for measure in facts.measures:
        if not measure.in_table:
            continue
        for method in model_methods(results):
            learned, apart = (
                results.figure(facts.name, measure.name, method.name, scope)
                for scope in (LEARNED, LEFT_OUT)
            )
            if apart is not None:
                cells = (figure_cell(one, measure.digits) for one in (learned, apart))
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
        f"Groups no method was trained on ({groups}), next to the others", columns, rows
    )


def _edge_cell(results: Results, evaluation: str, measure: Measure, edge: str) -> Cell:
    values = {
        round(value, 6)
        for f in _over_all(results, evaluation, measure)
        if (value := getattr(f, edge)) is not None
    }
    if not values:
        return Cell(NOTHING)
    low, high = min(values), max(values)
    one = number(low, measure.digits)
    return Cell(one if len(values) == 1 else f"{one} to {number(high, measure.digits)}")


def _counted(results: Results, evaluation: str, measure: Measure) -> Cell:
    counts = {f.n for f in _over_all(results, evaluation, measure)}
    shown = with_unit(max(counts), measure.unit)
    return Cell(shown if len(counts) == 1 else f"{min(counts)} to {shown}")


def _difference_table(results: Results, facts: EvaluationFacts) -> Table | None:
    """Differences of the headline measures, with Holm's correction and what could be seen."""
    measures = {m.name: m for m in facts.measures if m.headline}
    found = [
        d
        for d in results.figure_differences
        if (d.evaluation, d.value_set) == (facts.name, ALL)
        and d.measure in measures
        and d.side in (None, results.main_side)
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
    rows = [_difference_row(results, d, measures[d.measure]) for d in found]
    return make_table("Paired differences", columns, rows, stricter_note(found))


def _difference_row(results: Results, d: FigureDifference, measure: Measure) -> list[Cell]:
    figures = {
        name: figure
        for name in (d.method, d.against)
        if (figure := results.figure(d.evaluation, d.measure, name)) is not None
    }
    verdict = gap_of(d, measure, figures).verdict
    known = d.adjusted is not None
    left_out = verdict == "unknown" and (d.unanswered or d.against_unanswered)
    words = LEFT_OUT_NAME if left_out else BETTER_NAMES[verdict]
    return [
        compared_cell(results, d.method, d.against),
        Cell(measure.label),
        difference_cell(d, measure.digits),
        Cell(words, mark="" if verdict == "unknown" else verdict) if known else Cell(NOTHING),
        Cell(number(d.adjusted, 3) if known else NOTHING),
        Cell(NOTHING if d.detectable is None else number(d.detectable, measure.digits)),
    ]
