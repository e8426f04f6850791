"""How much lower a fit would be if fewer people had answered.

Chance moves the shares of few people, and mostly away from what a model says. Of two groups that
think alike, the one with fewer respondents therefore seems farther from any model. Whoever ranks
groups compares them as if no more people had answered in any of them than in the smallest.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.population import AnswerDistribution

# What fewer people add to 1 over the number of answers. No item with fewer than 10 is kept.
ADDED = np.array([0.0, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.1])
SAMPLES = 100
# Numbers of answers are the same where 1 over them differs by no more: 1,000 and 1,010 are.
SAME_NUMBER = 1e-5


def fewest_answers(groups: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return how many people answered each item in the group with the fewest.

    A group that was not asked an item counts there with its median number of answers. Without
    that, items asked of large groups alone would be compared at the size of these.

    Parameters
    ----------
    groups : iterable of mapping
        The effective number of answers by item, for each group.

    Returns
    -------
    dict
        By item; every item that any group answered.

    Examples
    --------
    >>> fewest_answers([{"tax": 80.0, "rent": 90.0}, {"tax": 20.0}])
    {'tax': 20.0, 'rent': 20.0}
    """
    every = [group for group in groups if group]
    usual = [float(np.median(list(group.values()))) for group in every]
    return {
        item: min(group.get(item, middle) for group, middle in zip(every, usual, strict=True))
        for item in dict.fromkeys(item for group in every for item in group)
    }


def samples_with_as_few(name: str, shares: FloatArray, answers: float, fewest: float) -> FloatArray:
    """Return shares that a group would give if only so many of its people had answered.

    Parameters
    ----------
    name : str
        The same draws are made under a name each time.
    shares : array, shape (options,)
        The group's own.
    answers, fewest : float
        How many people answered in the group, and how many count.

    Returns
    -------
    array, shape (samples, options)
        The group's own shares alone where it has no more people.
    """
    added = 1 / fewest - 1 / answers
    if not added > SAME_NUMBER:
        return shares[None]
    return sampled(name, np.tile(shares, (SAMPLES, 1)), added)


def loss_with_fewer(
    people: AnswerDistribution, measure: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Return how much a measure falls on average where fewer people answer.

    Parameters
    ----------
    people : AnswerDistribution
        How a group answered an item.
    measure : callable
        Of shares, shape (samples, options) or (options,): one number for each row.

    Returns
    -------
    array, shape (len(ADDED),)
        The measure less its mean over samples from these shares. A sample of m people adds 1/m to
        1 over the number of answers, one for each value of `ADDED`; the first is 0.
    """
    whole = float(measure(people.shares))
    samples = [
        sampled(people.item.id, np.tile(people.shares, (SAMPLES, 1)), added) for added in ADDED[1:]
    ]
    return np.array([0.0, *(whole - float(measure(some).mean()) for some in samples)])


def sampled(item: str, shares: FloatArray, added: float) -> FloatArray:
    """Return the shares that people drawn from some would give.

    Parameters
    ----------
    item : str
        The same draws are made of an item each time.
    shares : array, shape (samples, options)
    added : float
        1 over the number of people; above 0.

    Returns
    -------
    array, shape (samples, options)
    """
    size = max(1, round(1 / float(added)))
    generator = np.random.default_rng([zlib.crc32(item.encode()), size])
    parts = shares / shares.sum(axis=-1, keepdims=True)
    return np.asarray(generator.multinomial(size, parts) / size)


def loss_with_as_few(
    losses: FloatArray, people: AnswerDistribution, others: AnswerDistribution
) -> float:
    """Return what `loss_with_fewer` is where no more people answer than in another group.

    It is 0 where the other group has no fewer answers, or where either number is not known.

    Parameters
    ----------
    losses : array, shape (len(ADDED),)
        Of `people`.
    people, others : AnswerDistribution
    """
    added = 1 / others.effective_answers - 1 / people.effective_answers
    return float(np.interp(added, ADDED, losses)) if added > 0 else 0.0
