"""Floors: the answers that need no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.population import ValueSet
from suffrage.training_data import ItemSplit


def uniform(option_count: int) -> FloatArray:
    """The same share for every option."""
    return np.full(option_count, 1 / option_count)


def average_training_distribution(
    value_set: ValueSet, split: ItemSplit, item_id: str
) -> FloatArray:
    """The best answer that ignores the question: the mean answer to the trained items.

    Taken over trained items with as many options; where there is none, over all trained items
    spread evenly along their scale and cut into as many parts. An item trained on does not count
    toward its own average. Uniform when nothing is trained on.
    """
    wanted = value_set.distributions[item_id].shares.size
    return average_answer(value_set, split, wanted, leave_out=item_id)


def average_answer(
    value_set: ValueSet, split: ItemSplit, wanted: int, leave_out: str | None = None
) -> FloatArray:
    """The mean answer to the trained items but one, on a scale of `wanted` options."""
    others = [
        distribution.shares
        for other, distribution in value_set.distributions.items()
        if other in split.train and other != leave_out
    ]
    alike = [shares for shares in others if shares.size == wanted]
    if alike:
        return np.asarray(np.mean(alike, axis=0))
    if others:
        return np.asarray(np.mean([respread(shares, wanted) for shares in others], axis=0))
    return uniform(wanted)


def mean_of_groups(value_sets: Sequence[ValueSet], item_id: str) -> FloatArray:
    """The mean answer to a question of the given groups that were asked it, each counted once.

    For a group left out of training: what can be said of it without telling it from the others.

    Raises
    ------
    ValueError
        None of the groups was asked.
    """
    found = [v.distributions[item_id].shares for v in value_sets if item_id in v.distributions]
    if not found:
        raise ValueError(f"no value set was asked {item_id}")
    return np.asarray(np.mean(found, axis=0))


def respread(shares: FloatArray, option_count: int) -> FloatArray:
    """A distribution on a scale of K steps as one on `option_count` steps, mass kept in place.

    Step k covers [k/K, (k+1)/K] evenly; the new shares are what falls in each new step.
    """
    edges = np.linspace(0, 1, shares.size + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(shares)])
    return np.diff(np.interp(np.linspace(0, 1, option_count + 1), edges, cumulative))
