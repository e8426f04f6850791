"""Augmented demonstrations: drawn answers to items said in many ways that keep their meaning.

What they teach: the answer belongs to what is asked, not to the words it is asked in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from suffrage.population import ValueSet
from suffrage.training_data.augmentation import CONTEXTS, in_context, wordings_of
from suffrage.training_data.demonstrations import drawn_positions
from suffrage.training_data.records import (
    RecordBuilder,
    Records,
    RecordSettings,
    asked,
    origin,
    row_start,
    training_pairs,
)
from suffrage.training_data.split import ItemSplit


def build_augmented(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` demonstrations, each with a wording and a context drawn anew."""
    pairs = training_pairs(value_sets, split, count, generator)
    drawn = drawn_positions(pairs, generator)
    rows = []
    for place, (value_set, item_id) in enumerate(pairs):
        item = value_set.distributions[item_id].item
        wordings = wordings_of(item, settings.paraphrases)
        wording = wordings[int(generator.integers(len(wordings)))]
        said = in_context(item, wording, int(generator.integers(len(CONTEXTS))))
        user, answers = asked(said, value_set.description, settings.format, generator)
        rows.append(
            {
                **row_start(place, value_set.name, item_id, user, settings.format),
                "completion": answers[drawn[place]],
            }
        )
    frame = pl.DataFrame(rows)
    return Records("augmented_demonstration", frame, origin(value_sets, split, settings))


BUILDER = RecordBuilder("augmented_demonstration", build_augmented)
