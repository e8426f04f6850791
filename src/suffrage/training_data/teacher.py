"""A teacher for `distribution`: what can be predicted of an answer from the question's words.

What one question's people answer is mostly particular to it. A step of a few questions pulls a
model toward all of that, and what is common to many questions is lost in it. The teacher is a
kernel ridge regression on the words of questions and options with low-rank population factors, and
its prediction for a question comes from other questions only. It holds what is common and little
else, so that a small model learns from it in fewer steps.

Source: Hinton, Vinyals and Dean (2015), Distilling the knowledge in a neural network; here with
predictions made out of fold, as in stacking (Wolpert 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data.low_rank import FactorSettings, ItemAnswers
from suffrage.training_data.records import trained_items
from suffrage.training_data.split import ItemSplit, near_duplicate_groups
from suffrage.training_data.word_regression import (
    AskedItem,
    choose_settings,
    fit_of_predictions,
    predict_each,
)


@dataclass(frozen=True, eq=False)
class Teacher:
    """Predictions of answers to questions trained on, each made without that question."""

    # By item, the shares that each value set is predicted to have, (value sets, options).
    shares: dict[str, FloatArray]
    # The place of each value set, by name.
    value_sets: dict[str, int]
    # What was chosen on questions left out in turn.
    settings: FactorSettings
    # The fit of the predictions to what people answered.
    fit: float

    def prediction(self, value_set: str, item: str) -> FloatArray:
        """The predicted share of each option, in the item's own order."""
        return np.asarray(self.shares[item][self.value_sets[value_set]])


def fit_teacher(value_sets: Sequence[ValueSet], split: ItemSplit, seed: int) -> Teacher:
    """Fit a teacher on the items that a split trains on, and predict each of these.

    Items that ask nearly the same are left out together.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
        Nothing but its items to train on is read.
    seed : int
        Of the parts and of the factors' start.

    Returns
    -------
    Teacher
    """
    items = list(trained_items(value_sets, split).values())
    groups = near_duplicate_groups(items)
    asked = [AskedItem(item, _answers(value_sets, item, groups[item.id])) for item in items]
    settings = choose_settings(asked, len(value_sets), seed).settings
    shares = predict_each(asked, len(value_sets), settings, seed)
    names = {value_set.name: place for place, value_set in enumerate(value_sets)}
    return Teacher(shares, names, settings, fit_of_predictions(asked, shares))


def _answers(value_sets: Sequence[ValueSet], item: Item, group: str) -> ItemAnswers:
    asked = [place for place, v in enumerate(value_sets) if item.id in v.distributions]
    shares = [value_sets[place].distributions[item.id].shares for place in asked]
    return ItemAnswers(np.array(asked), np.array(shares), group)
