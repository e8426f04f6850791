"""The scoreboard as a plot and as tables: by method, value set, seed, and in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import (
    LEFT_OUT,
    Difference,
    Results,
    Side,
)
from suffrage.report.cells import (
    ABREAST,
    AVERAGE,
    INTERVAL_NAME,
    SIDE_NAMES,
    VERDICT_NAMES,
    Cell,
    Table,
    abreast,
    colours,
    main_score,
    make_table,
    methods_of_kind,
    score_cell,
)
from suffrage.report.finding import in_sentence
from suffrage.report.tables import (
    NOTHING,
    by_kind,
    find_difference,
    find_score,
    interval,
    main_side,
    number,
    percent,
    scoreboard_rows,
    signed,
    verdict,
)

FEW_PAIRS = 16


@dataclass(frozen=True)
class PlotRow:
    """A method's dot and whisker; positions in percent of the plot's width."""

    label: str
    style: str
    at: float
    low: float | None
    high: float | None
    text: str
    note: str


@dataclass(frozen=True)
class Plot:
    """Dots with whiskers on one axis. lines: the floors and the ceiling, through every row."""

    rows: Sequence[PlotRow]
    lines: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str]]


def scoreboard_plot(results: Results) -> Plot:
    """Fit on the main side, one row a method."""
    found = [(m, s) for m in by_kind(results) if (s := main_score(results, m.name))]
    edges = [
        edge
        for _, score in found
        for edge in (score.value, score.low, score.high)
        if edge is not None and math.isfinite(edge)
    ]
    ticks = axis_ticks(min(edges, default=0.0), max(edges, default=1.0))

    def place(value: float) -> float:
        # 3 % of room at either end, so that no dot is cut.
        return round(3 + 94 * (value - ticks[0]) / (ticks[-1] - ticks[0]), 2)

    style = colours(results)
    return Plot(
        rows=[
            PlotRow(
                label=method.label,
                style=style[method.name],
                at=place(score.value),
                low=None if score.low is None else place(score.low),
                high=None if score.high is None else place(score.high),
                text=number(score.value),
                note=interval(score.low, score.high),
            )
            for method, score in found
        ],
        lines=[(place(s.value), m.kind) for m, s in found if m.kind in ("floor", "ceiling")],
        ticks=[(place(tick), number(tick)) for tick in ticks],
    )


def plot_caption(results: Results) -> str:
    """What the plot shows, and where its axis begins."""
    side = SIDE_NAMES[main_side(results)]
    start = scoreboard_plot(results).ticks[0][1]
    return (
        f"Fit on the questions {side}: dots with {INTERVAL_NAME}s. Dotted lines: the floors. "
        f"Dashed line: the ceiling. The axis starts at {start}."
    )


def axis_ticks(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, at most six of them."""
    for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        if last - first <= 5:
            return [round(place * step, 2) for place in range(first, last + 1)]
    return [low, high]


def scoreboard_table(results: Results) -> Table:
    """Every method with every figure, over all value sets and seeds."""
    side = main_side(results)
    name = SIDE_NAMES[side]
    columns = [
        ("Method", False),
        ("Fit, held out", True),
        ("Fit, trained on", True),
        (f"Earth mover’s distance, {name}", True),
        (f"Entropy ratio, {name}", True),
        (f"Proportionality slope, {name}", True),
        ("Way to the ceiling", True),
        ("Questions", True),
    ]
    board = scoreboard_rows(results)
    said = any(row.sentence for row in board)
    if said:
        columns.insert(3, (f"Fit said in a sentence, {name}", True))
    rows = []
    for row in board:
        main = row.held_out if side == "held_out" else row.trained
        rows.append(
            [
                Cell(row.method.label),
                score_cell(row.held_out),
                score_cell(row.trained),
                *([score_cell(row.sentence)] if said else []),
                score_cell(row.earth_movers),
                score_cell(row.entropy),
                score_cell(row.slope),
                Cell(percent(main.way if main else None)),
                Cell(str(main.items) if main else NOTHING),
            ]
        )
    return make_table("Scoreboard: all value sets and seeds together", columns, rows)


def value_set_scores(results: Results) -> list[Table]:
    """Fit on the main side for each value set; none with one value set.

    Whichever there are fewer of, value sets or methods, stands in columns, six at most abreast.
    """
    if len(results.value_sets) < 2:
        return []
    side, methods = main_side(results), by_kind(results)
    title = f"Fit for each value set, questions {SIDE_NAMES[side]}"

    def cell(method: str, value_set: str) -> Cell:
        return score_cell(find_score(results, method, side, value_set=value_set), 2)

    if len(methods) > max(ABREAST, len(results.value_sets)):
        rows = [
            [Cell(m.label), *(cell(m.name, v.name) for v in results.value_sets)] for m in methods
        ]
        columns = [("Method", False), *((v.name, True) for v in results.value_sets)]
    else:
        rows = [
            [Cell(v.name, v.description), *(cell(m.name, v.name) for m in methods)]
            for v in results.value_sets
        ]
        columns = [("Value set", False), *((m.label, True) for m in methods)]
    return abreast(make_table(title, columns, rows), ABREAST)


def left_out_scores(results: Results) -> Table | None:
    """Every method on the groups no method was trained on; None where there is no such group."""
    groups = [v.name for v in results.value_sets if v.left_out]
    if not groups:
        return None
    methods = by_kind(results)
    prompted = [m.name for m in methods if m.kind == "untrained" and m.name == "prompt"]
    columns = [
        ("Method", False),
        ("Fit, questions held out", True),
        *((("Against the prompt", True),) if prompted else ()),
        ("Fit, questions trained on", True),
        *((("Against the prompt", True),) if prompted else ()),
    ]
    rows = []
    for method in methods:
        cells = [Cell(method.label)]
        for side in ("held_out", "trained"):
            cells.append(score_cell(find_score(results, method.name, side, value_set=LEFT_OUT)))
            if prompted:
                found = find_difference(results, method.name, prompted[0], side, value_set=LEFT_OUT)
                own = method.name == prompted[0]
                cells.append(Cell(NOTHING) if own else _difference_cell(found))
        rows.append(cells)
    title = f"Groups no method was trained on: {', '.join(groups)}"
    return make_table(title, columns, rows)


def seed_scores(results: Results) -> Table | None:
    """Fit on the main side for each seed; None with one seed."""
    seeds = results.study.seeds
    if len(seeds) < 2:
        return None
    side = main_side(results)
    rows = [
        [
            Cell(method.label),
            *(score_cell(find_score(results, method.name, side, seed=s), 3) for s in seeds),
        ]
        for method in by_kind(results)
    ]
    columns = [("Method", False), *((f"Seed {seed}", True) for seed in seeds)]
    return make_table(f"Fit for each seed, questions {SIDE_NAMES[side]}", columns, rows)


def difference_tables(results: Results, side: Side) -> tuple[Table | None, Table | None]:
    """Paired differences in fit and in earth mover's distance, over all value sets.

    First those of trained methods against the untrained model, the prompted one and the average
    training answer, then all others; all together where they are few.
    """
    bars = {m.name for m in methods_of_kind(results, "untrained")} | {AVERAGE}
    trained = {m.name for m in methods_of_kind(results, "trained")}
    pairs = [
        d
        for d in results.differences
        if (d.side, d.metric, d.value_set) == (side, "fit_jsd", "all")
    ]
    main = [d for d in pairs if d.method in trained and d.against in bars]
    if not main or len(pairs) <= FEW_PAIRS:
        return _difference_table(results, side, pairs), None
    rest = [d for d in pairs if d not in main]
    return _difference_table(results, side, main), _difference_table(results, side, rest)


def _difference_table(results: Results, side: Side, pairs: Sequence[Difference]) -> Table | None:
    if not pairs:
        return None
    labels = {method.name: method.label for method in results.methods}
    trained = {method.name for method in methods_of_kind(results, "trained")}
    rows = []
    for d in sorted(pairs, key=lambda d: d.method not in trained):  # what was trained comes first
        distance = find_difference(results, d.method, d.against, side, "emd")
        rows.append(
            [
                Cell(
                    labels.get(d.method, d.method),
                    f"against {in_sentence(labels.get(d.against, d.against))}",
                ),
                _difference_cell(d),
                Cell(VERDICT_NAMES[verdict(d)], mark=verdict(d)),
                _difference_cell(distance),
            ]
        )
    columns = [
        ("Compared", False),
        ("Difference in fit", True),
        ("So the first is", False),
        ("Difference in earth mover’s distance", True),
    ]
    return make_table(f"Paired differences, questions {SIDE_NAMES[side]}", columns, rows)


def _difference_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell(NOTHING)
    span = interval(difference.low, difference.high, 3, with_sign=True)
    return Cell(signed(difference.value, 3), span)
