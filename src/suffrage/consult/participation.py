"""Who took part, compared with the population: who is still missing, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

# A smaller count is not shown, because it could point at somebody.
LEAST_SHOWN = 3


@dataclass(frozen=True)
class Stratum:
    """People of one demographic value."""

    item: str
    value: str
    # How many took part; None where fewer than `LEAST_SHOWN` did.
    count: int | None
    # The share among those who answered the item.
    share: float | None
    # The population's share; None where it is not known.
    target: float | None
    # How many more people of this value there would have to be at the present number of
    # participants; None without a target.
    missing: int | None


def participation(
    demographics: pl.DataFrame,
    targets: Mapping[str, Mapping[str, float]] | None = None,
    values: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Stratum]:
    """Count the people of each demographic value and compare them with the targets.

    Parameters
    ----------
    demographics : DataFrame
        Columns participant, item and value, of those who count.
    targets : mapping, optional
        The population's share of each value, by item. They need not sum to 1.
    values : mapping, optional
        The possible values of an item, so that one that nobody gave is shown as missing.

    Returns
    -------
    list of Stratum
        Item by item, in the order of `values`, then of `targets`, then by name.
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
