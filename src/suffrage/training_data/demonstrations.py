"""Demonstrations: answers drawn from the population's distribution, one a record.

What it learns from: single answers, as often as the population gives them.
"""

from __future__ import annotations

from collections import defaultdict
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


def systematic_draws(shares: np.ndarray, count: int, start: float) -> np.ndarray:
    """`count` option positions at even steps through the cumulative shares, from `start` in [0, 1).

    Every option is drawn floor or ceil of count times its share: the same expectation as
    independent draws with the least noise (Kish 1965, section 4.1, systematic selection).
    """
    points = (np.arange(count) + start) / count
    return np.minimum(np.searchsorted(np.cumsum(shares), points, side="right"), shares.size - 1)


def build_demonstrations(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
) -> Records:
    """`count` demonstrations from the trained items, in random order."""
    pairs = training_pairs(value_sets, split, count, generator)
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (value_set, item_id) in enumerate(pairs):
        places[value_set.name, item_id].append(place)
    drawn = np.zeros(count, dtype=np.int64)
    for group in places.values():
        value_set, item_id = pairs[group[0]]
        shares = value_set.distributions[item_id].shares
        draws = systematic_draws(shares, len(group), float(generator.random()))
        drawn[group] = generator.permutation(draws)
    rows = []
    for place, (value_set, item_id) in enumerate(pairs):
        item = value_set.distributions[item_id].item
        question = random_question(item, value_set.description, generator)
        rows.append(
            {
                "id": f"{place:06d}",
                "value_set": value_set.name,
                "item": item_id,
                "user": question.user_text,
                "completion": question.label_of_position[drawn[place]],
            }
        )
    made_from = {
        "value_sets": {v.name: v.content_hash for v in value_sets},
        "split": split.content_hash,
    }
    return Records("demonstration", pl.DataFrame(rows), made_from)


BUILDER = RecordBuilder("demonstration", build_demonstrations)
