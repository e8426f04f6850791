"""Augmented demonstrations: drawn answers to items said in many ways that keep their meaning.

What they teach: the answer belongs to what is asked, not to the words it is asked in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data.augmentation import CONTEXTS, in_context, wordings_of
from suffrage.training_data.demonstrations import demonstrations
from suffrage.training_data.records import RecordBuilder, Records, RecordSettings
from suffrage.training_data.split import ItemSplit

KIND = "augmented_demonstration"


def build_augmented(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` demonstrations, each with a wording and a context of its own."""

    def worded(item: Item) -> Item:
        wordings = wordings_of(item, settings.paraphrases)
        wording = wordings[int(generator.integers(len(wordings)))]
        return in_context(item, wording, int(generator.integers(len(CONTEXTS))))

    return demonstrations(KIND, value_sets, split, count, generator, settings, worded)


BUILDER = RecordBuilder(KIND, build_augmented)
