"""What the evaluations of groups draw: whom a name reaches, whom a model serves least."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from suffrage.evaluate.results import EvaluationFacts, MethodFacts, Results
from suffrage.evaluate.robustness import FAMILIES, USUAL
from suffrage.evaluate.steerability import ITSELF
from suffrage.report.cells import (
    Cell,
    Table,
    difference_cell,
    figure_cell,
    make_table,
    model_methods,
)
from suffrage.report.evaluations import Panel
from suffrage.report.heat_map import heat_map, tiles
from suffrage.report.numbers import NOTHING, WithInterval, number, percent, signed

FOLDED = "The same as a table"
PAIRS = 10
# Differences of fit below this are never drawn in full colour.
# Groups whose answers under each name are shown.
MOST_NAMES = 40
LEAST_REACH = 0.05
# (rows, columns) of figures, None where there is none.
Figures = Sequence[Sequence[WithInterval | None]]
_Values = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class _Value:
    """A figure that an evaluation keeps in its details."""

    value: float
    low: float | None
    high: float | None


def _value(found: dict[str, Any] | None) -> _Value | None:
    return None if found is None else _Value(found["value"], found["low"], found["high"])


def _values(figures: Figures) -> list[list[float | None]]:
    return [[None if f is None else f.value for f in row] for row in figures]


def _reach(values: _Values, least: Sequence[float] = ()) -> float:
    """The value drawn in full colour: the largest of all, or more where `least` is."""
    return max([abs(v) for row in values for v in row if v is not None] + [*least], default=1.0)


def _shown(values: _Values, digits: int = 3, with_sign: bool = False) -> list[list[str]]:
    show = signed if with_sign else number
    return [[NOTHING if v is None else show(v, digits) for v in row] for row in values]


def _map_panel(
    title: str,
    text: str,
    rows: Sequence[str],
    columns: Sequence[str],
    coloured: _Values,
    shown: Sequence[Sequence[str]],
    reach: float,
    table: Table,
    outlined: Collection[tuple[int, int]] = (),
) -> Panel:
    """A heat map with its cells in words and as a table."""
    spoken = [
        [f"{column} {cell}" for column, cell in zip(columns, cells, strict=True)] for cells in shown
    ]
    words = "; ".join(f"{row}: {', '.join(cells)}" for row, cells in zip(rows, spoken, strict=True))
    drawn = heat_map(rows, columns, coloured, shown, reach, words, outlined)
    return Panel(title, text, drawn, [table], FOLDED)


def _figure_table(
    caption: str,
    head: str,
    methods: Sequence[MethodFacts],
    rows: Sequence[Cell],
    figures: Figures,
    with_sign: bool = False,
) -> Table:
    cell = difference_cell if with_sign else figure_cell
    return make_table(
        caption,
        [(head, False), *((method.label, True) for method in methods)],
        [[row, *map(cell, found)] for row, found in zip(rows, figures, strict=True)],
    )


def steerability_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """What each name adds, by group and method; and whom the answers under each name fit."""
    found = {
        (f.value_set, f.method): f
        for f in results.figures
        if (f.evaluation, f.measure, f.seed) == (facts.name, "name_adds", "all")
    }
    methods = [m for m in model_methods(results) if ("all", m.name) in found]
    if not methods:
        return []
    groups = [
        g for g in facts.details.get("groups", ()) if any((g, m.name) in found for m in methods)
    ]
    panels = []
    if groups:
        cells = [[found.get((group, method.name)) for method in methods] for group in groups]
        values = _values(cells)
        # Full colour is at least what half of the people reach: a next-to-nothing must look so.
        tops = [f.ceiling for row in cells for f in row if f is not None and f.ceiling is not None]
        panels.append(
            _map_panel(
                "Which groups their name reaches",
                "What the name adds to the fit of each group (a row) under each method (a column): "
                "blue where the group’s own name brings the answers nearer to it than the mean of "
                "all names, orange where it takes them away.",
                groups,
                [method.label for method in methods],
                values,
                _shown(values, with_sign=True),
                _reach(values, tops),
                _figure_table(
                    "What the name adds", "Group", methods, [*map(Cell, groups)], cells, True
                ),
            )
        )
    best = max(methods, key=lambda m: found["all", m.name].value)
    own = facts.details.get("names", {}).get(best.name, {})
    # A table of a hundred and fifty groups by as many names is 7 MB and shows nobody anything.
    return [*panels, _names_panel(best.label, own)] if 0 < len(own) <= MOST_NAMES else panels


def _names_panel(label: str, fits: dict[str, dict[str, float | None]]) -> Panel:
    groups = list(fits)
    names = [*groups, ITSELF]
    values = [[fits[group][name] for name in names] for group in groups]
    coloured = [_from_mean(row) for row in values]
    shown = _shown(values, 2)
    table = make_table(
        f"Fit of each group to the answers under each name ({label})",
        [
            ("People", False),
            *((f"asked as {name}" if name != ITSELF else name, True) for name in names),
        ],
        [[Cell(group), *map(Cell, row)] for group, row in zip(groups, shown, strict=True)],
    )
    return _map_panel(
        f"Whom the answers under each name fit: {label}",
        "Rows are people, columns the name the model was asked under. Steering shows where the "
        "framed cell, the group under its own name, is the highest of its row. Blue is above the "
        "mean of the row, orange below.",
        groups,
        names,
        coloured,
        shown,
        _reach(coloured, [LEAST_REACH]),
        table,
        {(place, place) for place in range(len(groups))},
    )


def _from_mean(row: list[float | None]) -> list[float | None]:
    known = [v for v in row if v is not None]
    middle = float(np.mean(known)) if known else 0.0
    return [None if v is None else v - middle for v in row]


def equity_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Who is served least by each method, and every group's shortfall."""
    least: dict[str, Any] = facts.details.get("least", {})
    methods = [m for m in model_methods(results) if m.name in least]
    if not methods:
        return []
    return [_served_least(methods, least), _shortfall_panel(results, methods, least)]


def _served_least(methods: Sequence[MethodFacts], least: dict[str, Any]) -> Panel:
    rows = []
    for method in methods:
        own = least[method.name]
        rows.append(
            [
                Cell(method.label),
                Cell(own["group"]),
                figure_cell(_value(own["groups"][own["group"]])),
                Cell(percent(own["often"])),
            ]
        )
    columns = [
        ("Method", False),
        ("Served least", False),
        ("Below its ceiling", True),
        ("Last in this share of resamples", True),
    ]
    return Panel(
        "Who is served least",
        "The group whose fit is furthest below what half of its own respondents reach. It need not "
        "be the group with the lowest fit, which the first page names. If it is last in few "
        "resamples, another group could be the last one. This interval is for that group alone. "
        "The interval of the figure above also allows for not knowing which group is last.",
        tables=[make_table("Served least by each method", columns, rows)],
    )


def _shortfall_panel(
    results: Results, methods: Sequence[MethodFacts], least: dict[str, Any]
) -> Panel:
    groups = [v.name for v in results.value_sets if v.name in least[methods[0].name]["groups"]]
    cells = [[_value(least[m.name]["groups"].get(group)) for m in methods] for group in groups]
    values = _values(cells)
    last = {
        (groups.index(least[m.name]["group"]), place)
        for place, m in enumerate(methods)
        if least[m.name]["group"] in groups
    }
    return _map_panel(
        "How far each group is from its ceiling",
        "Shortfall of each group (a row) under each method (a column): the deeper the orange, the "
        "further the answers are from what half of the group’s respondents reach. Framed: the "
        "group served least.",
        groups,
        [method.label for method in methods],
        [[None if v is None else -v for v in row] for row in values],
        _shown(values),
        _reach(values),
        _figure_table("Shortfall of every group", "Group", methods, [*map(Cell, groups)], cells),
        last,
    )


def robustness_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Every method's fit in every way of asking."""
    fits: dict[str, dict[str, Any]] = facts.details.get("fits", {})
    methods = [m for m in model_methods(results) if fits.get(m.name)]
    if not methods:
        return []
    ways = list(dict.fromkeys(way for m in methods for way in fits[m.name]))
    family = {way: fits[m.name][way]["family"] for m in methods for way in fits[m.name]}
    order = ["usual", *FAMILIES]
    ways.sort(key=lambda way: order.index(family[way]))
    cells = [[_value(fits[m.name].get(way)) for m in methods] for way in ways]
    usual = [_value(fits[m.name].get(USUAL)) for m in methods]
    lost = [
        [
            None if c is None or u is None else c.value - u.value
            for c, u in zip(row, usual, strict=True)
        ]
        for row in cells
    ]
    names = [way[:1].upper() + way[1:] for way in ways]
    headings = [
        Cell(name, "" if family[way] == "usual" else FAMILIES[family[way]])
        for way, name in zip(ways, names, strict=True)
    ]
    weakest = facts.details.get("weakest", {})
    where = "".join(
        f" {m.label} keeps least here: {FAMILIES[weakest[m.name]].lower()}."
        for m in methods
        if m.name in weakest
    )
    return [
        _map_panel(
            "The same questions, asked otherwise",
            "Fit to the people in each way of asking (a row) under each method (a column): blue "
            "where it is above the fit as usual, orange where it is below. A change that lowers "
            "every method alike is an effect of the format. A change that lowers only the "
            f"trained methods shows shallow training.{where}",
            names,
            [method.label for method in methods],
            lost,
            _shown(_values(cells)),
            _reach(lost, [LEAST_REACH]),
            _figure_table("Fit in every way of asking", "Way of asking", methods, headings, cells),
        ),
        _moves_panel(facts.details.get("moves", {}), methods),
    ]


def _moves_panel(moves: dict[str, dict[str, float]], methods: list[MethodFacts]) -> Panel:
    families = [f for f in FAMILIES if any(f in moves.get(m.name, {}) for m in methods)]
    rows = [
        [Cell(m.label), *(Cell(number(moves.get(m.name, {}).get(f))) for f in families)]
        for m in methods
    ]
    columns = [("Method", False), *((FAMILIES[family], True) for family in families)]
    return Panel(
        "How far the answers move",
        "The share of answers that would have to change back to be those given as usual: 0 none, 1 "
        "all of them. Little movement is not good in itself: a model that always gives the same "
        "answer does not move either.",
        tables=[make_table("Mean total variation from the answers as usual", columns, rows)],
    )


def structure_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Which questions go together over groups: people's correlations next to each model's."""
    found: dict[str, Any] = facts.details.get("items", {})
    methods = [m for m in model_methods(results) if f"model {m.name}" in found]
    if not methods or "people" not in found:
        return []
    people = found["people"]
    # By the first axis of people's correlations, so that related questions are neighbours.
    _, vectors = np.linalg.eigh(np.array(people["correlations"]))
    names = [people["items"][int(place)] for place in np.argsort(vectors[:, -1])]
    panels = [("People", _ordered(people, names))]
    panels += [(m.label, _ordered(found[f"model {m.name}"], names)) for m in methods]
    return [
        Panel(
            "Which questions go together",
            "Each square is a question against itself and all others, in the same order "
            "everywhere: blue where groups that answer one higher answer the other higher too, "
            "orange where they answer it lower, white where nothing goes together. A model with "
            "people’s structure has people’s picture.",
            tiles(
                panels,
                "correlations of questions over groups; the strongest are in the table below",
            ),
            [_pair_table(results, names, panels)],
            f"The {PAIRS} pairs of questions that go together most, among people",
        )
    ]


def _ordered(found: dict[str, Any], names: list[str]) -> list[list[float]]:
    """The matrix in the order of these items; 0 where the model's answer could not be read."""
    at = {item: place for place, item in enumerate(found["items"])}
    table = found["correlations"]
    return [[table[at[a]][at[b]] if a in at and b in at else 0.0 for b in names] for a in names]


def _pair_table(
    results: Results, names: list[str], panels: list[tuple[str, list[list[float]]]]
) -> Table:
    people = np.array(panels[0][1])
    rows, columns = np.triu_indices(len(names), 1)
    order = np.argsort(-np.abs(people[rows, columns]), kind="stable")[:PAIRS]
    questions = {item.id: item.question for item in results.items}
    return make_table(
        "Correlation over groups",
        [("Questions", False), *((title, True) for title, _ in panels)],
        [
            [
                Cell(
                    f"{names[rows[k]]}, {names[columns[k]]}",
                    f"{questions[names[rows[k]]]} / {questions[names[columns[k]]]}",
                ),
                *(Cell(signed(matrix[rows[k]][columns[k]], 2)) for _, matrix in panels),
            ]
            for k in order
        ],
    )


GROUP_PANELS = {
    "steerability": steerability_panels,
    "equity": equity_panels,
    "robustness": robustness_panels,
    "structure": structure_panels,
}
