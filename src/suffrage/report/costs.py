"""Costs as people read them: seconds, memory, energy, money and tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suffrage.evaluate.results import (
    AskingCost,
    Cost,
    Results,
)
from suffrage.report.cells import NOT_MEASURED, Cell, Table, make_table
from suffrage.report.numbers import duration, thousands
from suffrage.report.tables import by_kind


def cost_table(results: Results) -> Table:
    """What training cost, summed over a method's checkpoints; memory is the highest peak."""
    columns = [
        ("Method", False),
        ("Checkpoints", True),
        ("Time", True),
        ("Peak memory", True),
        ("Steps", True),
        ("Examples", True),
        ("Tokens", True),
        ("Energy", True),
        ("Money", True),
    ]
    rows = [
        [
            Cell(method.label),
            Cell(str(len(method.costs))),
            Cell(duration(sum(cost.seconds for cost in method.costs))),
            Cell(memory_words(max(cost.peak_memory_bytes for cost in method.costs))),
            Cell(thousands(sum(cost.steps for cost in method.costs))),
            Cell(thousands(sum(cost.examples for cost in method.costs))),
            Cell(thousands(sum(cost.tokens for cost in method.costs))),
            Cell(energy_words(method.costs)),
            Cell(money_words(method.costs)),
        ]
        for method in by_kind(results)
        if method.costs
    ]
    return make_table("What training cost, all checkpoints of a method together", columns, rows)


def asking_table(results: Results) -> Table | None:
    """What asking a model behind an endpoint cost; None where none was asked."""
    columns = [
        ("Method", False),
        ("Requests", True),
        ("Tokens read", True),
        ("Tokens written", True),
        ("Money", True),
    ]
    asked = [(m.label, m.asking) for m in by_kind(results) if m.asking is not None]
    rows = [
        [
            Cell(label),
            Cell(thousands(asking.requests)),
            Cell(thousands(asking.input_tokens), _estimated(asking)),
            Cell(thousands(asking.output_tokens)),
            Cell(asking_money([asking])),
        ]
        for label, asking in asked
    ]
    caption = "What asking the endpoint cost, all runs of the study together"
    return make_table(caption, columns, rows) if rows else None


def asking_line(results: Results) -> str | None:
    """The same in one line for a terminal, over all methods."""
    asked = [m.asking for m in results.methods if m.asking is not None]
    if not asked:
        return None
    return (
        f"{sum(a.requests for a in asked):,} requests, "
        f"{sum(a.input_tokens for a in asked):,} tokens read, "
        f"{sum(a.output_tokens for a in asked):,} written; {asking_money(asked)}"
    )


def asking_money(asked: Sequence[AskingCost]) -> str:
    """Money spent on asking, to a hundredth of a cent, or that no prices were given."""
    known = [asking.money for asking in asked if asking.money is not None]
    if len(known) < len(asked):
        return "no prices given"
    return f"{math.fsum(known):.4f} {asked[0].currency or ''}".strip()


def _estimated(asking: AskingCost) -> str:
    if not asking.estimated:
        return ""
    return f"{asking.estimated} requests not counted by the server, and estimated"


def memory_words(count: int) -> str:
    """Bytes as gigabytes or megabytes."""
    return f"{count / 1e9:.1f}\u00a0GB" if count >= 1e9 else f"{count / 1e6:.0f}\u00a0MB"


def energy_words(costs: Sequence[Cost]) -> str:
    """The energy of several trainings together, or that not all of it was measured."""
    known = [cost.energy_kwh for cost in costs if cost.energy_kwh is not None]
    if len(known) < len(costs):
        return NOT_MEASURED
    total = math.fsum(known)
    return f"{total:.2f}\u00a0kWh" if total >= 0.1 else f"{1000 * total:.1f}\u00a0Wh"


def money_words(costs: Sequence[Cost]) -> str:
    """The price of several trainings together, or that not all of it is known."""
    known = [cost.money for cost in costs if cost.money is not None]
    currencies = {cost.currency for cost in costs}
    if len(known) < len(costs) or len(currencies) != 1:
        return NOT_MEASURED
    return f"{math.fsum(known):.2f} {currencies.pop() or ''}".strip()
