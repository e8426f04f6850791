"""Binary records: one answer, and whether (or how far) it is the population's.

What they teach: like or dislike of single answers, without a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.demonstrations import drawn_questions
from suffrage.training_data.records import RecordBuilder, Records, RecordSettings, origin
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
    rows = []
    for place, one in enumerate(drawn_questions(value_sets, split, count, generator, settings)):
        shares = one.shares
        if settings.labels == "drawn":
            desirable = float(place % 2 == 0)
            against = (1 - shares) / (shares.size - 1)
            which = one.drawn if desirable else int(generator.choice(shares.size, p=against))
        else:
            which = int(generator.integers(shares.size))
            most = float(shares[which] >= shares.max())
            desirable = float(shares[which]) if settings.labels == "shares" else most
        rows.append(
            {
                **one.columns,
                "answer": one.answers[which],
                "desirable": desirable,
                "weight": 1.0,
                "answers": list(one.answers),
            }
        )
    return Records("binary", pl.DataFrame(rows), origin(value_sets, split, settings))


BUILDER = RecordBuilder("binary", build_binary)
