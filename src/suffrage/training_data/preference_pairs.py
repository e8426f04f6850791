"""Preference records: two answers to one item, and how many people give the first of them.

What they teach: which of two answers is commoner, and by how much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.population import ValueSet
from suffrage.training_data.demonstrations import drawn_questions
from suffrage.training_data.records import (
    Labels,
    RecordBuilder,
    Records,
    RecordSettings,
    origin,
)
from suffrage.training_data.split import ItemSplit


def draw_option_pair(shares: FloatArray, generator: np.random.Generator) -> tuple[int, int]:
    """Two options: the first drawn by its share, the second uniformly from the others.

    A pair then comes as often as somebody gives one of its two answers, which is how much it
    matters. A pair of answers that nobody gives never comes.

    Parameters
    ----------
    shares : array, shape (options,)
        0 or more, not all 0.
    generator : Generator

    Returns
    -------
    first, second : int
        Two different positions.
    """
    first = int(generator.choice(shares.size, p=shares / shares.sum()))
    second = int(generator.integers(shares.size - 1))
    return first, second + (second >= first)


def labelled(share: float, labels: Labels, generator: np.random.Generator) -> float:
    """The label of a share: itself, one person's answer drawn by it, or what most people say.

    Examples
    --------
    >>> labelled(0.7, "majority", np.random.default_rng(1))
    1.0
    """
    if labels == "shares":
        return share
    if labels == "drawn":
        return float(generator.random() < share)
    return 0.5 if share == 0.5 else float(share > 0.5)


def build_preferences(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` pairs from the trained items. The two sides are in random order.

    Chosen is the side with the larger label, so that `share` is 0.5 or more. Both sides are worded
    alike, so that neither length nor manner tells them apart.
    """
    rows = []
    for one in drawn_questions(value_sets, split, count, generator, settings):
        first, second = draw_option_pair(one.shares, generator)
        share = float(one.shares[first] / (one.shares[first] + one.shares[second]))
        label = labelled(share, settings.labels, generator)
        if label < 0.5:
            first, second, label = second, first, 1 - label
        rows.append(
            {
                **one.columns,
                "chosen": one.answers[first],
                "rejected": one.answers[second],
                "share": label,
                "weight": 1.0,
                "completion": one.answers[one.drawn],
            }
        )
    return Records("preference", pl.DataFrame(rows), origin(value_sets, split, settings))


BUILDER = RecordBuilder("preference", build_preferences)
