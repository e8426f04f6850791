"""Binary records: one answer, and whether (or how far) it is the population's.

What they teach: like or dislike of single answers, without a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.demonstrations import drawn_positions
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    origin,
    question_and_answers,
    row_start,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit


def build_binary(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` single answers from the trained items.

    With labels "drawn", answers drawn by the shares are desirable and answers drawn by one minus
    the shares are not, in turn. With "majority" and "shares" an option is drawn uniformly; it is
    desirable when no other is commoner, or by its share.
    """
    pairs = training_pairs(value_sets, split, count, generator)
    drawn = drawn_positions(pairs, generator)
    rows = []
    for place, (value_set, item_id) in enumerate(pairs):
        distribution = value_set.distributions[item_id]
        shares = distribution.shares
        user, answers = question_and_answers(
            distribution.item, value_set.description, settings.format, generator
        )
        if settings.labels == "drawn":
            desirable = float(place % 2 == 0)
            against = (1 - shares) / (shares.size - 1)
            which = int(drawn[place] if desirable else generator.choice(shares.size, p=against))
        else:
            which = int(generator.integers(shares.size))
            most = float(shares[which] >= shares.max())
            desirable = float(shares[which]) if settings.labels == "shares" else most
        rows.append(
            {
                **row_start(place, value_set.name, item_id, user, settings.format),
                "answer": answers[which],
                "desirable": desirable,
                "weight": 1.0,
                "answers": list(answers),
            }
        )
    return Records("binary", pl.DataFrame(rows), origin(value_sets, split, settings))


BUILDER = RecordBuilder("binary", build_binary)
