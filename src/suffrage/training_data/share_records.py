"""Share records: every population's answers to every trained item, each once.

What they teach: all that is known, in the items' own order, to methods that ask no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    origin,
    row_start,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit, near_duplicate_groups


def build_shares(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """One record for each population and trained item, or as many of these as are asked for.

    `group` is the same for items that ask nearly the same, which a validation keeps together.
    """
    every = sum(split.trains_on(item) for v in value_sets for item in v.distributions)
    items = {item.id: item for value_set in value_sets for item in value_set.items}
    groups = near_duplicate_groups([item for item in items.values() if split.trains_on(item.id)])
    rows: list[dict[str, Any]] = []
    for value_set, item_id in training_pairs(value_sets, split, min(every, count), generator):
        found = value_set.distributions[item_id]
        rows.append(
            {
                **row_start(len(rows), value_set.name, item_id, found.item.question, "option"),
                "answers": list(found.item.texts),
                "target": found.shares.tolist(),
                "ordered": found.item.ordered,
                "group": groups[item_id],
                "persona": value_set.description,
            }
        )
    return Records("shares", pl.DataFrame(rows), origin(value_sets, split, settings))


BUILDER = RecordBuilder("shares", build_shares)
