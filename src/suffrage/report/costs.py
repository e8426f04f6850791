"""What it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suffrage.evaluate.results import (
    Cost,
    Results,
)
from suffrage.report.cells import NOT_MEASURED, Cell, Table, make_table, thousands
from suffrage.report.tables import (
    by_kind,
    duration,
)


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
            Cell(_memory(max(cost.peak_memory_bytes for cost in method.costs))),
            Cell(thousands(sum(cost.steps for cost in method.costs))),
            Cell(thousands(sum(cost.examples for cost in method.costs))),
            Cell(thousands(sum(cost.tokens for cost in method.costs))),
            Cell(_energy(method.costs)),
            Cell(_money(method.costs)),
        ]
        for method in by_kind(results)
        if method.costs
    ]
    return make_table("What training cost, all checkpoints of a method together", columns, rows)


def _memory(count: int) -> str:
    return f"{count / 1e9:.1f}\u00a0GB" if count >= 1e9 else f"{count / 1e6:.0f}\u00a0MB"


def _energy(costs: Sequence[Cost]) -> str:
    known = [cost.energy_kwh for cost in costs if cost.energy_kwh is not None]
    if len(known) < len(costs):
        return NOT_MEASURED
    total = math.fsum(known)
    return f"{total:.2f}\u00a0kWh" if total >= 0.1 else f"{1000 * total:.1f}\u00a0Wh"


def _money(costs: Sequence[Cost]) -> str:
    known = [cost.money for cost in costs if cost.money is not None]
    currencies = {cost.currency for cost in costs}
    if len(known) < len(costs) or len(currencies) != 1:
        return NOT_MEASURED
    return f"{math.fsum(known):.2f} {currencies.pop() or ''}".strip()
