"""Who took part, held against the population: who is still missing, and how many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

# Below this many people a count is not told: it could point at somebody.
LEAST_SHOWN = 3


@dataclass(frozen=True)
class Stratum:
    """People of one demographic value.

    count: who took part; None where fewer than `LEAST_SHOWN` did, and so too few to tell. share:
    among those who answered the item. target: the population's share, None where none is known.
    missing: how many more it would take at the present number, None without a target.
    """

    item: str
    value: str
    count: int | None
    share: float | None
    target: float | None
    missing: int | None


def participation(
    demographics: pl.DataFrame,
    targets: Mapping[str, Mapping[str, float]] | None = None,
    values: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Stratum]:
    """Each item's values in the order of `values`, then of targets, then by name.

    demographics: columns participant, item, value, of those who count. values: an item's possible
    values, so that one nobody gave is shown as missing. Targets need not sum to 1: they are taken
    in proportion.
    """
    wanted, known = targets or {}, values or {}
    counted = {
        (item, value): count
        for item, value, count in demographics.group_by("item", "value")
        .agg(pl.col("participant").n_unique())
        .iter_rows()
    }
    items = list(dict.fromkeys([*known, *wanted, *sorted({item for item, _ in counted})]))
    found = []
    for item in items:
        own = wanted.get(item, {})
        whole = sum(own.values())
        names = dict.fromkeys(
            [*known.get(item, ()), *own, *sorted(v for i, v in counted if i == item)]
        )
        total = sum(counted.get((item, name), 0) for name in names)
        for name in names:
            count = counted.get((item, name), 0)
            target = own[name] / whole if name in own and whole > 0 else None
            shown = count == 0 or count >= LEAST_SHOWN
            missing = None if target is None else max(0, round(target * total) - count)
            found.append(
                Stratum(
                    item=item,
                    value=name,
                    count=count if shown else None,
                    share=count / total if total and shown else None,
                    target=target,
                    missing=missing if shown else None,
                )
            )
    return found
