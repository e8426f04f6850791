"""Ways of reading an answer: how they disagree, and what falls outside the options."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from suffrage.evaluate.results import (
    Results,
    ScoredAnswer,
)
from suffrage.models.readouts import Readout
from suffrage.plurals import plural
from suffrage.report.cells import (
    NOT_MEASURED,
    READOUT_NAMES,
    SIDE_NAMES,
    Cell,
    Table,
    figure_cell,
    make_table,
    model_methods,
)
from suffrage.report.numbers import NOTHING, number, percent, thousands
from suffrage.report.tables import fit_figure


def readouts_used(results: Results) -> list[Readout]:
    """The readouts this run made, in the order the report names them."""
    found = {answer.readout for answer in results.answers}
    return [readout for readout in READOUT_NAMES if readout in found]


def readout_table(results: Results) -> Table:
    """The fit each way of reading a model's answers gives, side by side."""
    side, readouts = results.main_side, readouts_used(results)
    rows = [
        [
            Cell(m.label),
            *(figure_cell(fit_figure(results, m.name, side, readout=r)) for r in readouts),
        ]
        for m in model_methods(results)
    ]
    columns = [("Method", False), *((READOUT_NAMES[readout], True) for readout in readouts)]
    return make_table(f"Fit by readout, questions {SIDE_NAMES[side]}", columns, rows)


def mass_table(results: Results) -> Table:
    """How much each readout leaves outside the options, what was refused, order sensitivity."""
    side, readouts = results.main_side, readouts_used(results)
    answers: dict[tuple[str, Readout], list[ScoredAnswer]] = defaultdict(list)
    for answer in results.answers:
        if answer.side == side:
            answers[answer.method, answer.readout].append(answer)
    rows = []
    for method in model_methods(results):
        orders = [
            answer.order_sensitivity
            for answer in answers[method.name, "letters"]
            if answer.order_sensitivity is not None
        ]
        rows.append(
            [
                Cell(method.label),
                *(_mass_cell(answers[method.name, readout]) for readout in readouts),
                Cell(number(math.fsum(orders) / len(orders)) if orders else NOT_MEASURED),
            ]
        )
    columns = [
        ("Method", False),
        *((READOUT_NAMES[readout], True) for readout in readouts),
        ("Order sensitivity", True),
    ]
    caption = (
        f"Probability outside the options, and order sensitivity, questions {SIDE_NAMES[side]}"
    )
    return make_table(caption, columns, rows)


def _mass_cell(answers: Sequence[ScoredAnswer]) -> Cell:
    if not answers:
        return Cell(NOTHING)
    refused = sum(answer.refused for answer in answers)
    outside = 1 - math.fsum(answer.mass for answer in answers) / len(answers)
    return Cell(percent(max(0.0, outside)), f"{refused} of {len(answers)} unread")


def written_table(results: Results) -> Table | None:
    """What became of every written answer: one option named, declined, or off format."""
    rows = []
    for method in model_methods(results):
        written = [
            a
            for a in results.answers
            if a.method == method.name and a.readout == "sampled" and a.drawn
        ]
        drawn = sum(a.drawn or 0 for a in written)
        if not drawn:
            continue
        named = math.fsum(a.mass * (a.drawn or 0) for a in written) / drawn
        declined = math.fsum((a.declined or 0.0) * (a.drawn or 0) for a in written) / drawn
        rows.append(
            [
                Cell(method.label),
                Cell(thousands(drawn)),
                Cell(percent(named)),
                Cell(percent(declined)),
                Cell(percent(max(0.0, 1 - named - declined))),
            ]
        )
    columns = [
        ("Method", False),
        ("Written answers", True),
        ("Named one option", True),
        ("Declined to answer", True),
        ("Off format", True),
    ]
    caption = "What became of every written answer; shares are made of those that named one option"
    return make_table(caption, columns, rows) if rows else None


def readout_disagreement_table(results: Results) -> Table | None:
    """Mean total variation between two readouts: a row for each pair, a column for each method."""
    models = [
        m for m in model_methods(results) if any(d.method == m.name for d in results.readouts)
    ]
    pairs = list(dict.fromkeys((d.first, d.second) for d in results.readouts))
    if not pairs or not models:
        return None
    at = {(d.method, d.first, d.second): d for d in results.readouts}
    rows = [
        [
            Cell(f"{READOUT_NAMES[first]} / {READOUT_NAMES[second].lower()}"),
            *(
                Cell(number(d.total_variation), plural(d.items, "question"))
                if (d := at.get((model.name, first, second)))
                else Cell(NOTHING)
                for model in models
            ),
        ]
        for first, second in pairs
    ]
    columns = [("Between", False), *((model.label, True) for model in models)]
    return make_table(
        "How far two readouts of one model disagree (0 same, 1 disjoint)", columns, rows
    )


def refused_items(results: Results) -> list[tuple[str, str]]:
    """For each model, the items it could not be read on, with the readout."""
    found = []
    for method in model_methods(results):
        places = sorted(
            {
                f"{a.item} ({READOUT_NAMES[a.readout].lower()})"
                for a in results.answers
                if a.method == method.name and a.refused
            }
        )
        if places:
            found.append((method.label, ", ".join(places)))
    return found
