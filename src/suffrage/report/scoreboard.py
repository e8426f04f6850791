"""The scoreboard as a plot and as tables: by method, value set, seed, and in pairs."""

from __future__ import annotations

from collections.abc import Sequence

from suffrage.evaluate.fit import AVERAGE, NAME
from suffrage.evaluate.results import LEFT_OUT, FigureDifference, Results, SplitSide
from suffrage.report.cells import (
    ABREAST,
    SIDE_NAMES,
    VERDICT_NAMES,
    Cell,
    Table,
    abreast,
    colours,
    compared_cell,
    difference_cell,
    figure_cell,
    make_table,
    methods_of_kind,
    verdict_name,
)
from suffrage.report.dot_plot import Plot, dot_plot
from suffrage.report.marks import marks_note, stricter_note
from suffrage.report.numbers import INTERVAL_NAME, NOTHING, way_note, way_text
from suffrage.report.tables import by_kind, fit_difference, fit_figure, scoreboard_rows

FEW_PAIRS = 16


def scoreboard_plot(results: Results) -> Plot:
    """Fit on the main side, a row for each method."""
    found = [(m, f) for m in by_kind(results) if (f := fit_figure(results, m.name))]
    style = colours(results)
    return dot_plot(
        [(method.label, style[method.name], figure) for method, figure in found],
        [(f.value, m.kind) for m, f in found if m.kind in ("floor", "ceiling")],
    )


def plot_caption(results: Results) -> str:
    """What the plot shows, and where its axis begins."""
    return (
        f"Fit on the questions {SIDE_NAMES[results.main_side]}: dots with {INTERVAL_NAME}s. Dotted "
        "lines: the floors. Dashed line: the ceiling. The axis starts at "
        f"{scoreboard_plot(results).start}.{marks_note(results)}"
    )


def scoreboard_table(results: Results) -> Table:
    """Every method with every figure, over all value sets and seeds."""
    side = results.main_side
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
                figure_cell(row.held_out),
                figure_cell(row.trained),
                *([figure_cell(row.sentence)] if said else []),
                figure_cell(row.earth_movers),
                figure_cell(row.entropy),
                figure_cell(row.slope),
                Cell(way_text(main)),
                Cell(str(main.n) if main else NOTHING),
            ]
        )
    shown = [row.held_out if side == "held_out" else row.trained for row in board]
    title = f"Scoreboard: all value sets and seeds together.{way_note(shown)}"
    return make_table(title.removesuffix("."), columns, rows)


def value_set_scores(results: Results) -> list[Table]:
    """Fit on the main side for each value set; none with one value set.

    Whichever there are fewer of, value sets or methods, becomes columns, six at most abreast.
    """
    if len(results.value_sets) < 2:
        return []
    side, methods = results.main_side, by_kind(results)
    title = f"Fit for each value set, questions {SIDE_NAMES[side]}"

    def cell(method: str, value_set: str) -> Cell:
        return figure_cell(fit_figure(results, method, side, value_set=value_set), 2)

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
            cells.append(figure_cell(fit_figure(results, method.name, side, value_set=LEFT_OUT)))
            if prompted:
                found = fit_difference(results, method.name, prompted[0], side, value_set=LEFT_OUT)
                own = method.name == prompted[0]
                cells.append(Cell(NOTHING) if own else difference_cell(found))
        rows.append(cells)
    title = f"Groups no method was trained on: {', '.join(groups)}"
    return make_table(title, columns, rows)


def seed_scores(results: Results) -> Table | None:
    """Fit on the main side for each seed; None with one seed."""
    seeds = results.study.seeds
    if len(seeds) < 2:
        return None
    side = results.main_side
    rows = [
        [
            Cell(method.label),
            *(figure_cell(fit_figure(results, method.name, side, seed=s), 3) for s in seeds),
        ]
        for method in by_kind(results)
    ]
    columns = [("Method", False), *((f"Seed {seed}", True) for seed in seeds)]
    return make_table(f"Fit for each seed, questions {SIDE_NAMES[side]}", columns, rows)


def difference_tables(results: Results, side: SplitSide) -> tuple[Table | None, Table | None]:
    """Paired differences in fit and in earth mover's distance, over all value sets.

    First those of trained methods against the untrained model, the prompted one and the average
    training answer, then all others; all together where they are few.
    """
    bars = {m.name for m in methods_of_kind(results, "untrained")} | {AVERAGE}
    trained = {m.name for m in methods_of_kind(results, "trained")}
    pairs = results.differences_of(NAME, "fit", side=side)
    main = [d for d in pairs if d.method in trained and d.against in bars]
    if not main or len(pairs) <= FEW_PAIRS:
        return _difference_table(results, side, pairs), None
    rest = [d for d in pairs if d not in main]
    return _difference_table(results, side, main), _difference_table(results, side, rest)


def _difference_table(
    results: Results, side: SplitSide, pairs: Sequence[FigureDifference]
) -> Table | None:
    if not pairs:
        return None
    trained = {method.name for method in methods_of_kind(results, "trained")}
    rows = []
    for d in sorted(pairs, key=lambda d: d.method not in trained):  # what was trained comes first
        distance = fit_difference(results, d.method, d.against, side, "emd")
        rows.append(
            [
                compared_cell(results, d.method, d.against),
                difference_cell(d),
                Cell(verdict_name(d, VERDICT_NAMES), mark=d.verdict),
                difference_cell(distance),
            ]
        )
    columns = [
        ("Compared", False),
        ("Difference in fit", True),
        ("So the first is", False),
        ("Difference in earth mover’s distance", True),
    ]
    title = f"Paired differences, questions {SIDE_NAMES[side]}"
    return make_table(title, columns, rows, stricter_note(pairs))
