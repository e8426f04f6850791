"""Demonstrations: answers drawn from the population's distribution, one a record.

What they teach: single answers, as often as the population gives them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray, IntArray
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data.answers_in_context import RecordPersonas
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


def systematic_draws(shares: FloatArray, count: int, start: float) -> IntArray:
    """Positions of options at even steps through their cumulative shares.

    Every option is drawn floor or ceil of count times its share: the same expectation as
    independent draws, with the least noise.

    Parameters
    ----------
    shares : array, shape (options,)
        Sum to 1.
    count : int
        How many to draw.
    start : float
        Where the first step begins, from 0 to below 1.

    Returns
    -------
    array, shape (count,)
        In the order of the options.

    References
    ----------
    Kish (1965), Survey Sampling, section 4.1, systematic selection.

    Examples
    --------
    >>> systematic_draws(np.array([0.5, 0.25, 0.25]), 4, 0.5)
    array([0, 0, 1, 2])
    """
    points = (np.arange(count) + start) / count
    return np.minimum(np.searchsorted(np.cumsum(shares), points, side="right"), shares.size - 1)


def drawn_positions(
    pairs: Sequence[tuple[ValueSet, str]], generator: np.random.Generator
) -> IntArray:
    """An option drawn from the population's shares for each pair, systematically within an item."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (value_set, item_id) in enumerate(pairs):
        places[value_set.name, item_id].append(place)
    drawn = np.zeros(len(pairs), dtype=np.int64)
    for group in places.values():
        value_set, item_id = pairs[group[0]]
        shares = value_set.distributions[item_id].shares
        draws = systematic_draws(shares, len(group), float(generator.random()))
        drawn[group] = generator.permutation(draws)
    return drawn


@dataclass(frozen=True, eq=False)
class DrawnQuestion:
    """A question about a trained item, its answers, and one of them drawn by the population."""

    # The columns that every record has.
    columns: dict[str, Any]
    # (options,), the population's.
    shares: FloatArray
    # What each option answers to the question, in the item's own order.
    answers: tuple[str, ...]
    # Which option was drawn.
    drawn: int


def drawn_questions(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
    worded: Callable[[Item], Item] = lambda item: item,
) -> Iterator[DrawnQuestion]:
    """`count` questions about trained items, in random order.

    Parameters
    ----------
    value_sets, split, count, generator, settings
        As for every record builder.
    worded : callable
        Words an item; called once a question.
    """
    pairs = training_pairs(value_sets, split, count, generator)
    drawn = drawn_positions(pairs, generator)
    personas = RecordPersonas(value_sets, split, (), settings.in_context, settings.seed, generator)
    for place, (value_set, item_id) in enumerate(pairs):
        distribution = value_set.distributions[item_id]
        user, answers = question_and_answers(
            worded(distribution.item),
            personas.drawn(value_set, item_id),
            settings.format,
            generator,
        )
        columns = row_start(place, value_set.name, item_id, user, settings.format)
        yield DrawnQuestion(columns, distribution.shares, answers, int(drawn[place]))


def demonstrations(
    kind: str,
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
    worded: Callable[[Item], Item] = lambda item: item,
) -> Records:
    """`count` drawn answers to trained items, in random order; see `drawn_questions`."""
    rows = [
        {**one.columns, "completion": one.answers[one.drawn]}
        for one in drawn_questions(value_sets, split, count, generator, settings, worded)
    ]
    return Records(kind, pl.DataFrame(rows), origin(value_sets, split, settings))


def build_demonstrations(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` demonstrations, items worded as the survey does."""
    return demonstrations("demonstration", value_sets, split, count, generator, settings)


BUILDER = RecordBuilder("demonstration", build_demonstrations)
