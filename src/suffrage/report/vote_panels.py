"""What the evaluation of votes shows: gain and harm in one table, four quadrants, who is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suffrage.evaluate.asking.voting_groups import AVERAGE, EVEN, FLOORS, PARTICIPANTS
from suffrage.evaluate.capability import NAME as CAPABILITY
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.recorded_predictions import PREDICTION
from suffrage.evaluate.results import (
    ALL,
    EvaluationFacts,
    Figure,
    MethodFacts,
    Results,
    SplitSide,
)
from suffrage.report.cells import (
    Cell,
    Table,
    base_method,
    figure_cell,
    in_sentence,
    make_table,
    model_methods,
)
from suffrage.report.evaluations import Panel
from suffrage.report.numbers import NOTHING, interval, percent, signed

# What a model may gain or lose by learning from a consultation: evaluation, measure, heading.
OUTCOMES = (
    ("votes", "fit", "Fit of votes"),
    ("votes", "agreement", "Agreement with votes"),
    (FIT, "fit", "Fit of the survey"),
    (CAPABILITY, "capability", "Abilities"),
)
# Heading, measure, and whose. An even vote's agreement is a half by its making.
PREDICTION_COLUMNS = (
    ("Fit", "fit", PREDICTION),
    ("Even vote", "fit", EVEN),
    ("Average vote", "fit", AVERAGE),
    ("Agreement", "agreement", PREDICTION),
    ("Average vote", "agreement", AVERAGE),
)
# People and statements, in the order of the columns.
QUADRANTS: tuple[tuple[str, SplitSide, str], ...] = (
    ("", "held_out", "Both held out"),
    ("", "trained", "People held out"),
    ("_seen", "held_out", "Statements held out"),
    ("_seen", "trained", "Both trained on"),
)


def vote_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Gain and harm of each method, the four quadrants, and every group."""
    panels = [
        Panel(
            "What learning from the consultation gained and cost",
            "Votes are those of people held out on statements held out; survey questions are "
            "held out too. Below each figure is its difference from the checkpoint that the "
            "method started from, or from the untrained model where it started from none.",
            tables=[_outcome_table(results, facts)],
        ),
        Panel(
            "What is new to the model",
            "The fit of votes by whether the people and the statements were trained on. Only where "
            "both are held out is a gain more than memory. The commonest and the average vote "
            "ignore the statement; the other groups’ vote has read votes on it that no model has. "
            "Other members are the group’s own, who were trained on.",
            tables=[
                _quadrant_table(results, "fit", "Fit of votes"),
                _quadrant_table(results, "agreement", "Agreement"),
            ],
        ),
    ]
    groups = _group_table(results, facts)
    if groups is not None:
        panels.append(groups)
    predicted = facts.details.get("predictions")
    return panels if predicted is None else [*panels, _prediction_panel(predicted)]


def _prediction_panel(predicted: Mapping[str, Any]) -> Panel:
    """Votes that were predicted before the round, by group."""
    figures = [Figure.model_validate(row) for row in predicted["figures"]]
    at = {(f.measure, f.method, f.value_set): f for f in figures if f.seed == ALL}
    groups = list(dict.fromkeys(f.value_set for f in figures))
    columns = PREDICTION_COLUMNS
    rows = [
        [
            Cell("All groups" if group == ALL else group),
            *(figure_cell(at.get((measure, method, group))) for _, measure, method in columns),
        ]
        for group in groups
    ]
    count = predicted["votes_before"]
    return Panel(
        "Predictions on record",
        f"What a model predicted when {count} votes had been cast, compared with the votes of "
        f"everybody who took part, on {predicted['statements']} statements. The even vote gives "
        "agree, disagree and neither the same share, and its agreement is a half. The average vote "
        "knows the group and ignores the statement. The hash of the predictions, which the audit "
        f"log of the consultation holds, is {predicted['hash']}.",
        tables=[
            make_table(
                "Predicted votes",
                [("Group", False), *((heading, True) for heading, _, _ in columns)],
                rows,
            )
        ],
    )


def _outcome_table(results: Results, facts: EvaluationFacts) -> Table:
    starts: Mapping[str, str] = facts.details.get("starts", {})
    known = [entry for entry in OUTCOMES if _any(results, entry[0], entry[1])]
    methods = model_methods(results)
    labels = {method.name: method.label for method in methods}
    rows = []
    for method in methods:
        untrained = base_method(results)
        against = starts.get(method.name) or (untrained.name if untrained else method.name)
        first = Cell(method.label)
        if against != method.name:
            first = Cell(method.label, f"against {in_sentence(labels[against])}")
        rows.append(
            [first, *(_outcome(results, method.name, against, *entry[:2]) for entry in known)]
        )
    columns = [("Method", False), *((heading, True) for _, _, heading in known)]
    return make_table("Held-out votes, held-out survey questions and abilities", columns, rows)


def _any(results: Results, evaluation: str, measure: str) -> bool:
    return any((f.evaluation, f.measure) == (evaluation, measure) for f in results.figures)


def _outcome(results: Results, method: str, against: str, evaluation: str, measure: str) -> Cell:
    figure = results.figure(evaluation, measure, method)
    if figure is None:
        return Cell(NOTHING)
    found = results.difference(evaluation, measure, method, against)
    shown = figure_cell(figure).text
    if found is None:
        return Cell(shown)
    span = interval(found.low, found.high, 3, with_sign=True)
    mark = found.verdict if found.verdict in ("higher", "lower") else ""
    return Cell(shown, f"{signed(found.value, 3)} ({span})", mark)


def _quadrant_table(results: Results, measure: str, caption: str) -> Table:
    names = {method.name: method.label for method in model_methods(results)}
    names |= {name: name.capitalize() for name in (*FLOORS, PARTICIPANTS)}
    found = {
        (f.method, f.measure, f.side): f
        for f in results.figures
        if (f.evaluation, f.value_set, f.seed) == ("votes", ALL, ALL)
    }
    rows = []
    for name, label in names.items():
        cells = [found.get((name, measure + people, side)) for people, side, _ in QUADRANTS]
        if any(cells):
            rows.append([Cell(label), *map(figure_cell, cells)])
    columns = [("Method", False), *((heading, True) for _, _, heading in QUADRANTS)]
    return make_table(f"{caption}: all participants and value sets", columns, rows)


def _group_table(results: Results, facts: EvaluationFacts) -> Panel | None:
    """The shortfall of each group, the one served least marked; None where there is one group."""
    tables = [
        _shortfalls(results, least, heading)
        for kind, heading in (("demographic", "Value set"), ("opinion", "Opinion group"))
        if (least := facts.details.get("least", {}).get(kind))
    ]
    if not tables:
        return None
    return Panel(
        "Who is served least",
        "How far the fit of each group’s held-out votes is below what its own members who were "
        "trained on reach, on statements held out. The group served least is named, with how "
        "often it is last in resamples: if that is rare, another group could be the one.",
        tables=tables,
    )


def _shortfalls(results: Results, least: Mapping[str, Any], heading: str) -> Table:
    methods: list[MethodFacts] = [m for m in model_methods(results) if m.name in least]
    groups = list(least[methods[0].name]["groups"])
    columns = [("Method", False), *((group, True) for group in groups), ("Served least", False)]
    rows = [
        [
            Cell(method.label),
            *(_shortfall(least[method.name]["groups"].get(group)) for group in groups),
            Cell(least[method.name]["group"], _often(least[method.name]["often"])),
        ]
        for method in methods
    ]
    return make_table(f"{heading}s: shortfall", columns, rows)


def _shortfall(found: Mapping[str, float | None] | None) -> Cell:
    if found is None or found["value"] is None:
        return Cell(NOTHING)
    return Cell(signed(found["value"], 3), interval(found["low"], found["high"], 3, with_sign=True))


def _often(share: float | None) -> str:
    return "" if share is None else f"last in {percent(share)}"


VOTE_PANELS: dict[str, Callable[[Results, EvaluationFacts], list[Panel]]] = {"votes": vote_panels}
