"""Every evaluation at a glance: one scoreboard of headline measures, what got worse, what could be seen.

A difference is turned so that above 0 is better, whichever way the measure points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import (
    Difference,
    EvaluationFacts,
    Figure,
    FigureDifference,
    Measure,
    MethodFacts,
    Results,
    Score,
)
from suffrage.report.cells import (
    Cell,
    Table,
    base_method,
    main_difference,
    main_score,
    make_table,
    methods_of_kind,
    model_methods,
)
from suffrage.report.tables import (
    NOTHING,
    SIGNIFICANT,
    Verdict,
    interval,
    main_side,
    number,
    signed,
)

FIT = "fit"
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
    "capability",
    "safety",
)
# A loss of so much, on measures that mostly run from 0 to 1, is one that matters.
MARGIN = 0.02
# More columns than this do not fit a page beside their intervals.
METHODS_ABREAST = 4


def in_order(evaluations: Sequence[EvaluationFacts]) -> list[EvaluationFacts]:
    """Evaluations in the order a sceptic asks."""
    known = {name: place for place, name in enumerate(ORDER)}
    return sorted(evaluations, key=lambda facts: known.get(facts.name, len(ORDER)))


@dataclass(frozen=True)
class Gap:
    """How much better one method is than another; below 0: worse. verdict: after Holm's correction.

    None where the two lie on either side of the point that is best, so that no sign can be given.
    """

    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Line:
    """A headline measure: every method's figure, and how it compares with the untrained model.

    seen: the smallest difference from the untrained model that the study could see, over methods.
    """

    evaluation: str
    measure: Measure
    figures: dict[str, Figure | Score]
    gaps: dict[str, Gap]
    seen: float | None
    n: int


def headline_lines(results: Results) -> list[Line]:
    """Fit first, then every headline measure that has figures, in the order a sceptic asks."""
    return [*_fit_line(results), *_other_lines(results)]


def _fit_line(results: Results) -> list[Line]:
    side = "questions held out" if main_side(results) == "held_out" else "questions trained on"
    measure = Measure(
        name="fit_jsd",
        label=f"Fit, {side}",
        explanation="1 minus the Jensen-Shannon distance.",
        better="higher",
        unit="questions",
    )
    figures: dict[str, Figure | Score] = {
        m.name: s for m in model_methods(results) if (s := main_score(results, m.name))
    }
    base = base_method(results)
    if base is None or not figures:
        return []
    found = {
        name: d for name in figures if (d := main_difference(results, name, base.name)) is not None
    }
    gaps = {name: _gap(d, measure, figures, base.name) for name, d in found.items()}
    n = max(score.items for score in figures.values() if isinstance(score, Score))
    return [Line(FIT, measure, figures, gaps, _seen(list(found.values())), n)]


def _other_lines(results: Results) -> list[Line]:
    base, lines = base_method(results), []
    names = [m.name for m in model_methods(results)]
    for facts in in_order(results.evaluations):
        for measure in facts.measures:
            if not measure.headline:
                continue
            figures: dict[str, Figure | Score] = {
                f.method: f
                for f in results.figures
                if (f.evaluation, f.measure, f.value_set, f.seed)
                == (facts.name, measure.name, "all", "all")
                and f.method in names
            }
            if not figures:
                continue
            found = {
                d.method if d.against == base.name else d.against: d
                for d in results.figure_differences
                if base is not None
                and (d.evaluation, d.measure) == (facts.name, measure.name)
                and base.name in (d.method, d.against)
            }
            gaps = {
                name: _gap(d, measure, figures, base.name if base else "")
                for name, d in found.items()
                if name in figures
            }
            n = max(figure.n for figure in figures.values() if isinstance(figure, Figure))
            lines.append(Line(facts.name, measure, figures, gaps, _seen(list(found.values())), n))
    return lines


def _seen(differences: Sequence[Difference | FigureDifference]) -> float | None:
    seen = [d.detectable for d in differences if d.detectable is not None]
    return max(seen, default=None)


def _gap(
    d: Difference | FigureDifference,
    measure: Measure,
    figures: dict[str, Figure | Score],
    base: str,
) -> Gap:
    """A method against the untrained model, turned so that above 0 is better."""
    ends = (d.low, d.high) if d.against == base else (_turned(d.high), _turned(d.low))
    value = d.value if d.against == base else -d.value
    method = d.method if d.against == base else d.against
    return turned_gap(
        value, ends, d.adjusted, measure, *(figures.get(name) for name in (method, base))
    )


def turned_gap(
    value: float,
    ends: tuple[float | None, float | None],
    adjusted: float | None,
    measure: Measure,
    one: Figure | Score | None,
    two: Figure | Score | None,
) -> Gap:
    """A difference (one minus two) as a gap in the measure's good direction."""
    sign = _direction(measure, one, two)
    if sign is None:
        # No direction is better, or the two lie on either side of the best: told apart, or not.
        return Gap(None, *ends, "unknown" if adjusted is None or adjusted < SIGNIFICANT else "same")
    low, high = ends if sign > 0 else (_turned(ends[1]), _turned(ends[0]))
    value = sign * value
    if low is None or high is None:
        return Gap(value, None, None, "unknown")
    apart = adjusted < SIGNIFICANT if adjusted is not None else (low > 0 or high < 0)
    return Gap(value, low, high, "same" if not apart else "higher" if value > 0 else "lower")


def _direction(
    measure: Measure, one: Figure | Score | None, two: Figure | Score | None
) -> int | None:
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


def _turned(value: float | None) -> float | None:
    return None if value is None else -value


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
            Cell(line.measure.label, _pointing(line.measure)),
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
    return Cell(number(figure.value, digits), interval(figure.low, figure.high, digits), mark)


# --- In words ----------------------------------------------------------------------------------


def flag_sentence(results: Results) -> str:
    """On which measures trained methods lost more than the margin beyond chance, and how many did."""
    lines = headline_lines(results)
    trained = methods_of_kind(results, "trained")
    if len(lines) < 2 or not trained:
        return ""
    lost = {
        line.measure.label: count
        for line in lines
        if (count := sum(_is_lost(line.gaps.get(method.name)) for method in trained))
    }
    if not lost:
        return (
            f"No trained method lost more than {MARGIN:g} against the untrained model, beyond chance, "
            "on any of these measures."
        )
    named = "; ".join(f"{label} ({count} of {len(trained)})" for label, count in lost.items())
    return (
        f"Training cost more than {MARGIN:g}, beyond chance, on these measures (how many of the "
        f"trained methods): {named}."
    )


def _is_lost(gap: Gap | None) -> bool:
    return gap is not None and gap.verdict == "lower" and (gap.value or 0.0) < -MARGIN


def loss_table(results: Results) -> Table | None:
    """On how much each trained method gained, and where it lost, or may have, more than the margin."""
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
            if _is_lost(gap):
                lost.append(f"{line.measure.label} {signed(gap.value, line.measure.digits)}")
            elif gap.low < -MARGIN:
                open_.append(line.measure.label)
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
        ("May have lost so much on", False),
        ("So large a loss ruled out on", False),
    ]
    return make_table("What training changed, against the untrained model", columns, rows)


def power_sentence(line: Line | None) -> str:
    """What the study could have seen on a measure, in words."""
    if line is None or line.seen is None:
        return ""
    return (
        f"With {line.n} {line.measure.unit} this study would have seen a true difference of "
        f"{number(line.seen, line.measure.digits)} from the untrained model in "
        f"“{line.measure.label}” four times in five, were it the only one tested; smaller ones would mostly "
        "stay unseen."
    )


def fit_power(results: Results) -> str:
    """What the study could have seen in fit."""
    return power_sentence(next(iter(_fit_line(results)), None))


def evaluation_power(results: Results, evaluation: str) -> list[str]:
    """What the study could have seen in each headline measure of an evaluation."""
    lines = [line for line in _other_lines(results) if line.evaluation == evaluation]
    return [sentence for line in lines if (sentence := power_sentence(line))]
