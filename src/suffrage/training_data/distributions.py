"""Distribution records: the whole answer distribution of a population, one item a record.

What it learns from: shares, so that an item costs one visit however many people answered it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
    """`count` records from the trained items: at each visit one label set, both ways round.

    The two ways of a visit stand next to each other, so that a step sees an item with its options
    in one order and in the opposite one: what then lowers the loss is what the options say, not
    where they stand. They share the text up to the options, which packed rows compute once.
    """
    rows: list[dict[str, Any]] = []
    for value_set, item_id in training_pairs(value_sets, split, -(-count // 2), generator):
        distribution = value_set.distributions[item_id]
        question = random_question(distribution.item, value_set.description, generator)
        for shown in (question, replace(question, order=question.order[::-1])):
            rows.append(
                {
                    "id": f"{len(rows):06d}",
                    "value_set": value_set.name,
                    "item": item_id,
                    "user": shown.user_text,
                    "labels": list(shown.label_of_position),
                    "target": distribution.shares.tolist(),
                }
            )
    made_from = {
        "value_sets": {v.name: v.content_hash for v in value_sets},
        "split": split.content_hash,
    }
    return Records("distribution", pl.DataFrame(rows[:count]), made_from)


BUILDER = RecordBuilder("distribution", build_distributions)
