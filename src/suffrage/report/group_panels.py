"""What the evaluations of groups draw: who is reached by name, who is served least, what is shallow."""

from __future__ import annotations

from typing import Any

import numpy as np

from suffrage.evaluate.results import EvaluationFacts, MethodFacts, Results
from suffrage.evaluate.robustness import FAMILIES, USUAL
from suffrage.evaluate.steerability import ITSELF
from suffrage.report.cells import Cell, Table, make_table, model_methods
from suffrage.report.evaluations import Panel
from suffrage.report.heat_map import heat_map, tiles
from suffrage.report.numbers import NOTHING, interval, number, percent, signed

FOLDED = "The same as a table"
PAIRS = 10
# Differences of fit below this are never drawn in full colour.
LEAST_REACH = 0.05


def steerability_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """What each name adds, by group and method; and whom the answers under each name fit."""
    found = {
        (f.value_set, f.method): f
        for f in results.figures
        if (f.evaluation, f.measure, f.seed) == (facts.name, "name_adds", "all")
    }
    methods = [m for m in model_methods(results) if ("all", m.name) in found]
    groups = [
        g for g in facts.details.get("groups", ()) if any((g, m.name) in found for m in methods)
    ]
    if not methods:
        return []
    panels = []
    if groups:
        cells = [[found.get((group, method.name)) for method in methods] for group in groups]
        values = [[None if f is None else f.value for f in row] for row in cells]
        # Full colour is at least what half of the people reach: a next-to-nothing must look like one.
        tops = [f.ceiling for row in cells for f in row if f is not None and f.ceiling is not None]
        reach = max([abs(v) for row in values for v in row if v is not None] + tops)
        shown = [[NOTHING if v is None else signed(v, 3) for v in row] for row in values]
        labels = [method.label for method in methods]
        table = make_table(
            "What the name adds",
            [("Group", False), *((label, True) for label in labels)],
            [
                [
                    Cell(group),
                    *(
                        Cell(NOTHING)
                        if f is None
                        else Cell(signed(f.value, 3), interval(f.low, f.high, 3, with_sign=True))
                        for f in row
                    ),
                ]
                for group, row in zip(groups, cells, strict=True)
            ],
        )
        panels.append(
            Panel(
                "Which groups their name reaches",
                "What the name adds to the fit of each group (a row) under each method (a column): blue where the "
                "group’s own name brings the answers nearer to it than the mean of all names, orange where "
                "it takes them away.",
                heat_map(groups, labels, values, shown, reach, _spoken(groups, labels, shown)),
                [table],
                FOLDED,
            )
        )
    best = max(methods, key=lambda m: found["all", m.name].value)
    names = facts.details.get("names", {})
    return [*panels, *([_names_panel(best.label, names[best.name])] if best.name in names else [])]


def _names_panel(label: str, fits: dict[str, dict[str, float | None]]) -> Panel:
    groups = list(fits)
    names = [*groups, ITSELF]
    values = [[fits[group][name] for name in names] for group in groups]
    coloured = [_from_mean(row) for row in values]
    reach = max([abs(v) for row in coloured for v in row if v is not None] + [LEAST_REACH])
    shown = [[NOTHING if v is None else number(v, 2) for v in row] for row in values]
    table = make_table(
        f"Fit of each group to the answers under each name ({label})",
        [
            ("People", False),
            *((f"asked as {name}" if name != ITSELF else name, True) for name in names),
        ],
        [[Cell(group), *map(Cell, row)] for group, row in zip(groups, shown, strict=True)],
    )
    return Panel(
        f"Whom the answers under each name fit: {label}",
        "Rows are people, columns the name the model was asked under. Steering shows where the framed cell, the "
        "group under its own name, is the highest of its row. Blue is above the mean of the row, orange below.",
        heat_map(
            groups,
            names,
            coloured,
            shown,
            reach,
            _spoken(groups, names, shown),
            {(place, place) for place in range(len(groups))},
        ),
        [table],
        FOLDED,
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
    rows = []
    for method in methods:
        own = least[method.name]
        group = own["groups"][own["group"]]
        rows.append(
            [
                Cell(method.label),
                Cell(own["group"]),
                Cell(number(group["value"], 3), interval(group["low"], group["high"], 3)),
                Cell(percent(own["often"]) if own["often"] is not None else NOTHING),
            ]
        )
    columns = [
        ("Method", False),
        ("Served least", False),
        ("Below its ceiling", True),
        ("Last in so many resamples", True),
    ]
    who = Panel(
        "Who is served least",
        "The group whose fit lies furthest below what half of its own respondents reach. Where it is last in "
        "few resamples, other groups might as well be named. Its interval is its own: that of the figure above "
        "allows for not knowing which group it is.",
        tables=[make_table("Served least by each method", columns, rows)],
    )
    groups = [v.name for v in results.value_sets if v.name in least[methods[0].name]["groups"]]
    cells = [[least[m.name]["groups"].get(group) for m in methods] for group in groups]
    values = [[None if c is None else c["value"] for c in row] for row in cells]
    reach = max((abs(v) for row in values for v in row if v is not None), default=1.0)
    shown = [[NOTHING if v is None else number(v, 3) for v in row] for row in values]
    labels = [method.label for method in methods]
    table = make_table(
        "Shortfall of every group",
        [("Group", False), *((label, True) for label in labels)],
        [
            [
                Cell(group),
                *(
                    Cell(NOTHING)
                    if c is None
                    else Cell(number(c["value"], 3), interval(c["low"], c["high"], 3))
                    for c in row
                ),
            ]
            for group, row in zip(groups, cells, strict=True)
        ],
    )
    last = {
        (groups.index(least[m.name]["group"]), place)
        for place, m in enumerate(methods)
        if least[m.name]["group"] in groups
    }
    shortfall = [[None if v is None else -v for v in row] for row in values]
    every = Panel(
        "How far each group is from its ceiling",
        "Shortfall of each group (a row) under each method (a column): the deeper the orange, the further "
        "the answers lie from what half of the group’s respondents reach. Framed: the group served least.",
        heat_map(groups, labels, shortfall, shown, reach, _spoken(groups, labels, shown), last),
        [table],
        FOLDED,
    )
    return [who, every]


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
    cells = [[fits[m.name].get(way) for m in methods] for way in ways]
    usual = [fits[m.name].get(USUAL) for m in methods]
    lost = [
        [
            None if c is None or u is None else c["value"] - u["value"]
            for c, u in zip(row, usual, strict=True)
        ]
        for row in cells
    ]
    reach = max([abs(v) for row in lost for v in row if v is not None] + [LEAST_REACH])
    shown = [[NOTHING if c is None else number(c["value"], 3) for c in row] for row in cells]
    labels = [method.label for method in methods]
    names = [way[:1].upper() + way[1:] for way in ways]
    table = make_table(
        "Fit in every way of asking",
        [("Way of asking", False), *((label, True) for label in labels)],
        [
            [
                Cell(name, "" if family[way] == "usual" else FAMILIES[family[way]]),
                *(
                    Cell(NOTHING)
                    if c is None
                    else Cell(number(c["value"], 3), interval(c["low"], c["high"], 3))
                    for c in row
                ),
            ]
            for way, name, row in zip(ways, names, cells, strict=True)
        ],
    )
    weakest = facts.details.get("weakest", {})
    where = "".join(
        f" {m.label} keeps least here: {FAMILIES[weakest[m.name]].lower()}."
        for m in methods
        if m.name in weakest
    )
    return [
        Panel(
            "The same questions, asked otherwise",
            "Fit to the people in each way of asking (a row) under each method (a column): blue where it is above "
            "the fit as usual, orange where it is below. A change that lowers every method alike is the "
            f"format’s, one that lowers only the trained ones is shallowness.{where}",
            heat_map(names, labels, lost, shown, reach, _spoken(names, labels, shown)),
            [table],
            FOLDED,
        ),
        _moves_panel(facts.details.get("moves", {}), methods),
    ]


def _moves_panel(moves: dict[str, dict[str, float]], methods: list[MethodFacts]) -> Panel:
    families = [f for f in FAMILIES if any(f in moves.get(m.name, {}) for m in methods)]
    rows = [
        [
            Cell(m.label),
            *(
                Cell(number(moves[m.name][f]) if f in moves.get(m.name, {}) else NOTHING)
                for f in families
            ),
        ]
        for m in methods
    ]
    columns = [("Method", False), *((FAMILIES[family], True) for family in families)]
    return Panel(
        "How far the answers move",
        "The share of answers that would have to change back to be those given as usual: 0 none, 1 all of them. "
        "Steady is not good by itself: a model that says nothing does not move either.",
        tables=[make_table("Mean total variation from the answers as usual", columns, rows)],
    )


def structure_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Which questions go together over groups: people's correlations beside each model's."""
    found: dict[str, Any] = facts.details.get("items", {})
    methods = [m for m in model_methods(results) if f"model {m.name}" in found]
    if not methods or "people" not in found:
        return []
    people = found["people"]
    # By the first axis of people's correlations, so that what goes together lies together.
    _, vectors = np.linalg.eigh(np.array(people["correlations"]))
    names = [people["items"][int(place)] for place in np.argsort(vectors[:, -1])]
    panels = [("People", _ordered(people, names))]
    panels += [(m.label, _ordered(found[f"model {m.name}"], names)) for m in methods]
    return [
        Panel(
            "Which questions go together",
            "Each square is a question against itself and all others, in the same order everywhere: blue where "
            "groups that answer one higher answer the other higher too, orange where they answer it lower, white where "
            "nothing goes together. A model with people’s structure has people’s picture.",
            tiles(
                panels,
                "correlations of questions over groups; the strongest stand in the table below",
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


def _spoken(rows: list[str], columns: list[str], shown: list[list[str]]) -> str:
    """A picture's cells in words."""
    return "; ".join(
        f"{row}: {', '.join(f'{column} {cell}' for column, cell in zip(columns, cells, strict=True))}"
        for row, cells in zip(rows, shown, strict=True)
    )


GROUP_PANELS = {
    "steerability": steerability_panels,
    "equity": equity_panels,
    "robustness": robustness_panels,
    "structure": structure_panels,
}
