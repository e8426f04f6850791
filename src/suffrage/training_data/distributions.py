"""Distribution records: the whole answer distribution of a population, one item a record.

What it learns from: shares, so that an item costs one example however many people answered it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    random_question,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit


def build_distributions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
) -> Records:
    """`count` records from the trained items; each visit to an item draws order and labels anew."""
    rows = []
    for place, (value_set, item_id) in enumerate(
        training_pairs(value_sets, split, count, generator)
    ):
        distribution = value_set.distributions[item_id]
        question = random_question(distribution.item, value_set.description, generator)
        rows.append(
            {
                "id": f"{place:06d}",
                "value_set": value_set.name,
                "item": item_id,
                "system": question.system_text,
                "user": question.user_text,
                "labels": list(question.label_of_position),
                "target": distribution.shares.tolist(),
            }
        )
    made_from = {
        "value_sets": {v.name: v.content_hash for v in value_sets},
        "split": split.content_hash,
    }
    return Records("distribution", pl.DataFrame(rows), made_from)


BUILDER = RecordBuilder("distribution", build_distributions)
