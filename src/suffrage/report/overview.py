"""Every evaluation at a glance: headline measures, what got worse, what the study could have seen.

A difference is turned so that above 0 is better, whichever way the measure points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import (
    SIGNIFICANT,
    EvaluationFacts,
    Figure,
    FigureDifference,
    Measure,
    MethodFacts,
    Results,
    Verdict,
)
from suffrage.evaluate.statistics.losses import is_loss
from suffrage.plurals import with_unit
from suffrage.report.cells import (
    SIDE_NAMES,
    Cell,
    Table,
    base_method,
    figure_cell,
    make_table,
    methods_of_kind,
    model_methods,
)
from suffrage.report.numbers import NOTHING, number, signed

# Evaluations in the order a sceptic asks; those not named here come last, in the study's order.
ORDER = (
    FIT,
    "distances",
    "published",
    "transfer",
    "wvb",
    "globalopinionqa",
    "opinionqa",
    "memorisation",
    "robustness",
    "structure",
    "steerability",
    "equity",
    "behaviour",
    "preferences",
    "votes",
    "capability",
    "safety",
)
# A loss of so much, on measures that mostly run from 0 to 1, is one that matters.
MARGIN = 0.02
# More columns than this do not fit a page next to their intervals.
METHODS_ABREAST = 4


def in_order(evaluations: Sequence[EvaluationFacts]) -> list[EvaluationFacts]:
    """Evaluations in the order a sceptic asks."""
    known = {name: place for place, name in enumerate(ORDER)}
    return sorted(evaluations, key=lambda facts: known.get(facts.name, len(ORDER)))


@dataclass(frozen=True)
class Gap:
    """How much better one method is than another; below 0: worse."""

    # None where the two are on either side of the best point, so that no sign can be given.
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict  # after Holm's correction


@dataclass(frozen=True)
class Line:
    """A headline measure: every method's figure, and how it compares with the untrained model."""

    evaluation: str
    measure: Measure
    label: str
    figures: Mapping[str, Figure]
    gaps: Mapping[str, Gap]
    # The smallest difference from the untrained model that the study could see, over methods.
    seen: float | None
    n: int


def headline_lines(results: Results) -> list[Line]:
    """Every headline measure that has figures, in the order a sceptic asks."""
    return [
        line
        for facts in in_order(results.evaluations)
        for measure in facts.measures
        if measure.headline and (line := _line(results, facts.name, measure)) is not None
    ]


def _line(results: Results, evaluation: str, measure: Measure) -> Line | None:
    figures = {
        m.name: f
        for m in model_methods(results)
        if (f := results.figure(evaluation, measure.name, m.name)) is not None
    }
    base = base_method(results)
    if not figures:
        return None
    differences = {
        name: d
        for name in figures
        if base is not None
        and (d := results.difference(evaluation, measure.name, name, base.name)) is not None
    }
    label = measure.label
    if evaluation == FIT:
        label += f", questions {SIDE_NAMES[results.main_side]}"
    return Line(
        evaluation,
        measure,
        label,
        figures,
        {name: gap_of(d, measure, figures) for name, d in differences.items()},
        max((d.detectable for d in differences.values() if d.detectable is not None), default=None),
        max(figure.n for figure in figures.values()),
    )


def gap_of(d: FigureDifference, measure: Measure, figures: Mapping[str, Figure]) -> Gap:
    """A difference of two methods, turned so that above 0 is better."""
    sign = _direction(measure, figures.get(d.method), figures.get(d.against))
    if sign is None:
        # No direction is better, or the two are on either side of the best point.
        apart = d.adjusted is None or d.adjusted < SIGNIFICANT
        return Gap(None, d.low, d.high, "unknown" if apart else "same")
    better = d.model_copy(update={"better": "higher" if sign > 0 else "lower"})
    better = better if sign > 0 else better.as_gain()
    return Gap(better.value, better.low, better.high, better.verdict)


def _direction(measure: Measure, one: Figure | None, two: Figure | None) -> int | None:
    """1 where more is better, -1 where less is; None where neither can be said."""
    if measure.better in ("higher", "lower"):
        return 1 if measure.better == "higher" else -1
    if measure.better is None or one is None or two is None:
        return None
    best = float(measure.better[-1])
    above = {value.value > best for value in (one, two)}
    if len(above) == 2:
        return None
    return -1 if above == {True} else 1


# --- The scoreboard ----------------------------------------------------------------------------


def glance_tables(results: Results) -> list[Table]:
    """A row a headline measure, a column a method, so many abreast; the untrained model in each."""
    lines = headline_lines(results)
    methods = model_methods(results)
    base = base_method(results)
    if len(lines) < 2 or base is None:
        return []
    others = [m for m in methods if m.name != base.name]
    blocks = _evenly(others, METHODS_ABREAST)
    return [_glance_table(lines, base, block, k, len(blocks)) for k, block in enumerate(blocks)]


def _evenly(methods: Sequence[MethodFacts], most: int) -> list[list[MethodFacts]]:
    """Blocks of nearly equal size, none above `most`; one empty block when there is nothing."""
    count = max(1, -(-len(methods) // most))
    size, over = divmod(len(methods), count)
    blocks, start = [], 0
    for k in range(count):
        end = start + size + (k < over)
        blocks.append(list(methods[start:end]))
        start = end
    return blocks


def _glance_table(
    lines: Sequence[Line], base: MethodFacts, block: Sequence[MethodFacts], k: int, of: int
) -> Table:
    rows = []
    for line in lines:
        cells = [
            Cell(line.label, _pointing(line.measure)),
            _figure_cell(line, base.name),
            *(_figure_cell(line, m.name) for m in block),
        ]
        shown = NOTHING if line.seen is None else number(line.seen, line.measure.digits)
        rows.append([*cells, Cell(shown)])
    columns = [("Measure", False), (base.label, True), *((m.label, True) for m in block)]
    part = f", part {k + 1} of {of}" if of > 1 else ""
    return make_table(
        f"Headline figures of every evaluation{part}",
        [*columns, ("Smallest difference to be seen", True)],
        rows,
    )


def _pointing(measure: Measure) -> str:
    return f"{measure.better} is better" if measure.better else "neither way is better"


def _figure_cell(line: Line, method: str) -> Cell:
    figure = line.figures.get(method)
    if figure is None:
        return Cell(NOTHING)
    gap = line.gaps.get(method)
    mark = gap.verdict if gap is not None and gap.verdict != "unknown" else ""
    digits = line.measure.digits
    return replace(figure_cell(figure, digits), mark=mark)


# --- In words ----------------------------------------------------------------------------------


def flag_sentence(results: Results) -> str:
    """On which measures trained methods lost more than the margin beyond chance, and how many."""
    lines = headline_lines(results)
    trained = methods_of_kind(results, "trained")
    if len(lines) < 2 or not trained:
        return ""
    lost = {
        line.label: count
        for line in lines
        if (count := sum(is_lost(line.gaps.get(method.name)) for method in trained))
    }
    if not lost:
        return (
            f"No trained method lost more than {MARGIN:g} against the untrained model, beyond "
            "chance, on any of these measures."
        )
    named = "; ".join(f"{label} ({count} of {len(trained)})" for label, count in lost.items())
    return (
        f"Training cost more than {MARGIN:g}, beyond chance, on these measures (how many of the "
        f"trained methods): {named}."
    )


def is_lost(gap: Gap | None) -> bool:
    """Whether a method lost more than the margin, by the corrected difference."""
    return gap is not None and is_loss(gap.value, gap.verdict, MARGIN)


def loss_table(results: Results) -> Table | None:
    """How much each trained method gained, and where it lost more than the margin, or may have."""
    lines = headline_lines(results)
    trained = methods_of_kind(results, "trained")
    if len(lines) < 2 or not trained:
        return None
    rows = []
    for method in trained:
        lost, open_, better, held = [], [], 0, 0
        for line in lines:
            gap = line.gaps.get(method.name)
            if gap is None or gap.value is None or gap.low is None:
                continue
            better += gap.verdict == "higher"
            if is_lost(gap):
                lost.append(f"{line.label} {signed(gap.value, line.measure.digits)}")
            elif gap.low < -MARGIN:
                open_.append(line.label)
            else:
                held += 1
        of = f"\u00a0of\u00a0{len(lines)}"
        rows.append(
            [
                Cell(method.label),
                Cell(f"{better}{of}"),
                Cell("; ".join(lost) or "nothing", mark="lower" if lost else ""),
                Cell("; ".join(open_) or "nothing"),
                Cell(f"{held}{of}"),
            ]
        )
    columns = [
        ("Method", False),
        ("Better on", False),
        (f"Lost more than {MARGIN:g} on", False),
        ("May have lost as much on", False),
        ("Such a loss is excluded on", False),
    ]
    return make_table("What training changed, compared with the untrained model", columns, rows)


def power_sentence(line: Line) -> str:
    """What the study could have seen on a measure, in words."""
    if line.seen is None:
        return ""
    return (
        f"With {with_unit(line.n, line.measure.unit)} this study would have seen a true "
        f"difference of {number(line.seen, line.measure.digits)} from the untrained model in "
        f"“{line.label}” four times in five, if it were the only one tested. Smaller differences "
        "would mostly be missed."
    )


def evaluation_power(results: Results, evaluation: str) -> list[str]:
    """What the study could have seen in each headline measure of an evaluation."""
    lines = [line for line in headline_lines(results) if line.evaluation == evaluation]
    return [sentence for line in lines if (sentence := power_sentence(line))]
