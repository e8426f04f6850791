"""Answer distributions of resampled respondents: the bootstrap and random halves.

Respondents are taken in blocks. How many draws fall into each block is itself drawn (multinomial,
or hypergeometric for halves), then who is drawn within it. This is the same as drawing from all
respondents at once, and neither time nor memory is spent on a weight for each respondent in every
resample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray, PositionArray

# Respondents in a block: their part of one resample fits into a processor's cache.
BLOCK = 8192

_Part = TypeVar("_Part")


def bootstrap_shares(
    positions: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    replicates: int,
    generator: np.random.Generator,
) -> list[FloatArray]:
    """Return answer distributions under the n-1 bootstrap.

    Each replicate draws n-1 respondents with replacement, which makes the variance of a mean
    unbiased also for few respondents. One respondent alone is always drawn.

    Parameters
    ----------
    positions : list of J arrays, shape (respondents,)
        0..K_j-1, or negative for non-response.
    options : list of int
        K_j of each item.
    weights : array, shape (respondents,)
        Base weights, not negative.
    replicates : int
        How many.
    generator : numpy Generator
        The source of randomness.

    Returns
    -------
    list of J arrays, shape (replicates, K_j)
        Shares, of all items under the same draws; NaN in a replicate in which nobody answered.

    References
    ----------
    Rao and Wu (1988), JASA 83: 231-241.

    Examples
    --------
    >>> answers = np.array([0, 1, 1, 1, 0], dtype=np.int16)
    >>> (drawn,) = bootstrap_shares([answers], [2], np.ones(5), 3, np.random.default_rng(0))
    >>> drawn.shape, bool((drawn * 4 % 1 == 0).all())
    ((3, 2), True)
    """
    sizes = _block_sizes(weights.size)
    draws = generator.multinomial(
        max(weights.size - 1, 1), sizes / weights.size, size=replicates
    ).astype(np.int64)
    blocks = (
        (
            _times_drawn(draws[:, block], int(size), generator),
            _chosen_weight(positions, options, weights, start, int(size)),
        )
        for block, (start, size) in enumerate(zip(_starts(sizes), sizes, strict=True))
    )
    totals = np.zeros((replicates, sum(options)))
    for counts, chosen in _made_ahead(blocks):
        totals += counts @ chosen
    return shares_of_totals(totals, options)


def half_sample_shares(
    positions: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    splits: int,
    generator: np.random.Generator,
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return answer distributions in random halves of the respondents.

    Parameters
    ----------
    positions, options, weights
        As of `bootstrap_shares`.
    splits : int
        How many times the respondents are split.
    generator : numpy Generator
        The source of randomness.

    Returns
    -------
    first, second : list of J arrays, shape (splits, K_j)
        Every respondent is in one of the two halves, whose sizes differ by at most one. NaN where
        nobody in a half answered.
    """
    sizes = _block_sizes(weights.size)
    members = generator.multivariate_hypergeometric(
        sizes, weights.size // 2, size=splits, method="marginals"
    )
    blocks = (
        (
            _random_members(members[:, block], int(size), generator),
            _chosen_weight(positions, options, weights, start, int(size)),
        )
        for block, (start, size) in enumerate(zip(_starts(sizes), sizes, strict=True))
    )
    first = np.zeros((splits, sum(options)))
    second = np.zeros_like(first)
    for inside, chosen in _made_ahead(blocks):
        first += inside.astype(np.float64) @ chosen
        second += (~inside).astype(np.float64) @ chosen
    return shares_of_totals(first, options), shares_of_totals(second, options)


def shares_of_totals(totals: FloatArray, options: Sequence[int]) -> list[FloatArray]:
    """Return each item's shares from weighted totals of all items' options, item after item.

    Parameters
    ----------
    totals : array, shape (resamples, sum of K_j)
        The weight of those who chose each option.
    options : list of int
        K_j of each item.

    Returns
    -------
    list of J arrays, shape (resamples, K_j)
        NaN where nobody answered.
    """
    parts = np.split(totals, np.cumsum(options)[:-1], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return [part / part.sum(axis=1, keepdims=True) for part in parts]


def _made_ahead(parts: Iterator[_Part]) -> Iterator[_Part]:
    """The same parts in their order, each made on another thread while the one before is used.

    Random draws take one core. The products of matrices between them need not wait for them.
    """
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = worker.submit(next, parts, None)
            yield part


def _block_sizes(respondents: int) -> IntArray:
    return np.array(
        [min(BLOCK, respondents - start) for start in range(0, respondents, BLOCK)], dtype=np.int64
    )


def _starts(sizes: IntArray) -> list[int]:
    return [int(end - size) for end, size in zip(np.cumsum(sizes), sizes, strict=True)]


def _times_drawn(draws: IntArray, respondents: int, generator: np.random.Generator) -> FloatArray:
    """How often each of some respondents is drawn; draws: how many draws each replicate has."""
    who = generator.integers(0, respondents, int(draws.sum()))
    counts = np.empty((draws.size, respondents))
    for row, drawn in zip(counts, np.split(who, np.cumsum(draws)[:-1]), strict=True):
        row[:] = np.bincount(drawn, minlength=respondents)
    return counts


def _random_members(
    members: IntArray, respondents: int, generator: np.random.Generator
) -> BoolArray:
    """Random subsets of some respondents with so many members each, shape (splits, respondents).

    Everyone's coin is tossed, and as many random members leave or join as there are too many or
    too few: by symmetry every subset of the size is as likely as any other.
    """
    width = -(-respondents // 8)
    tossed = np.frombuffer(generator.bytes(members.size * width), dtype=np.uint8)
    bits = np.unpackbits(tossed.reshape(members.size, width), axis=1, count=respondents)
    inside = bits.astype(bool)
    for row, wanted in zip(inside, members, strict=True):
        surplus = int(row.sum()) - int(wanted)
        changing = np.flatnonzero(row == (surplus > 0))
        row[generator.choice(changing, abs(surplus), replace=False, shuffle=False)] = surplus < 0
    return inside


def _chosen_weight(
    positions: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    start: int,
    size: int,
) -> FloatArray:
    """Each respondent's weight at the options they chose, shape (size, sum of K_j)."""
    rows = slice(start, start + size)
    # Filled option by option, which is twice as fast as respondent by respondent.
    by_option = np.empty((sum(options), size))
    answers = (
        column[rows] == k
        for column, count in zip(positions, options, strict=True)
        for k in range(count)
    )
    for total, chose in zip(by_option, answers, strict=True):
        np.multiply(weights[rows], chose, out=total)
    return by_option.T
