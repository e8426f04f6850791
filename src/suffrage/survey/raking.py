"""Raking: weights changed as little as possible so that margins meet known population shares.

Symbols: d_i base weight, w_i = d_i g_i raked weight, g_i the ratio, x_i the indicators of the
categories respondent i is in, lambda one number a category. Every solution has the form
g_i = F(x_i' lambda): F = exp is raking (Deming & Stephan 1940), and with bounds L < g < U the
logit form of Deville & Sarndal (1992, case 6), solved by Newton's method on the margins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray

# Largest difference between a margin and its target, as a share of all, at which they agree.
TOLERANCE = 1e-9
MAX_ITERATIONS = 100
TRIM_ROUNDS = 500


@dataclass(frozen=True, eq=False)
class Margin:
    """One known distribution. A joint cell table is a margin over several columns at once."""

    name: str
    categories: tuple[str, ...]
    # Shape (respondents,): the category of each. Those with -1, unknown, keep the share they have.
    codes: IntArray
    # Shape (categories,): shares of the population, which sum to 1.
    targets: FloatArray


@dataclass(frozen=True, eq=False)
class Raked:
    """Weights that meet the margins, or come as near as bounds and trimming allow."""

    # Shape (respondents,); they have the sum of the base weights.
    weights: FloatArray
    # Newton steps, over all rounds of trimming.
    iterations: int
    # The largest difference between a margin's share and its target.
    gap: float
    # How many respondents had their weight cut.
    trimmed: int

    @property
    def converged(self) -> bool:
        """Whether every margin is met."""
        return self.gap <= 1e-6


def margin_shares(weights: FloatArray, margin: Margin) -> FloatArray:
    """Return the weighted share of each category among respondents whose category is known."""
    known = margin.codes >= 0
    sums = np.bincount(margin.codes[known], weights[known], margin.targets.size)
    return np.asarray(sums / sums.sum())


def largest_gap(weights: FloatArray, margins: Sequence[Margin]) -> float:
    """The largest difference between a share and its target over all margins."""
    return max(float(np.abs(margin_shares(weights, m) - m.targets).max()) for m in margins)


def rake(
    base: FloatArray,
    margins: Sequence[Margin],
    bounds: tuple[float, float] | None = None,
    trim: float | None = None,
) -> Raked:
    """Rake base weights to the margins.

    Parameters
    ----------
    base : array, shape (respondents,)
        Base weights, not negative, with a sum above 0.
    margins : sequence of Margin
        Every category has a positive base weight in the sample.
    bounds : (float, float), optional
        Lowest and highest ratio of a weight to its base weight; the first below 1, the
        second above it.
    trim : float, optional
        No weight is above this many times the mean of the base weights. What is cut goes
        to the others, and the margins are met again, in turns.

    Returns
    -------
    Raked
        The weights; `converged` is false where no weights meet the margins within the
        bounds and the trimming.

    References
    ----------
    Deming and Stephan (1940), Annals of Mathematical Statistics 11: 427-444.
    Deville and Sarndal (1992), JASA 87: 376-382, case 6 for bounds.
    Csiszar (1975), Annals of Probability 3: 146-158, for trimming in turns.

    Examples
    --------
    Three of four respondents are men, and half of the population is:

    >>> sex = Margin("sex", ("man", "woman"), np.array([0, 0, 0, 1]), np.array([0.5, 0.5]))
    >>> rake(np.ones(4), [sex]).weights.round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    total, size = float(base.sum()), base.size
    wanted = np.concatenate([m.targets * base[m.codes >= 0].sum() for m in margins])
    weights, steps = _calibrate(base, margins, wanted, bounds)
    if trim is None:
        return Raked(weights, steps, largest_gap(weights, margins), 0)
    low, high = bounds or (0.0, np.inf)
    lowest, highest = base * low, np.minimum(base * high, trim * total / size)
    cut = weights > highest * (1 + 1e-9)
    for _ in range(TRIM_ROUNDS):
        # In turns: into the limits, then back to the margins. Where weights that keep both exist,
        # the two projections come together (Csiszar 1975); otherwise a gap stays, and is reported.
        weights, more = _calibrate(np.clip(weights, lowest, highest), margins, wanted, None)
        steps += more
        over = weights > highest * (1 + 1e-9)
        cut |= over
        if not over.any() and (weights >= lowest * (1 - 1e-9)).all():
            break
    weights = np.clip(weights, lowest, highest)
    return Raked(weights, steps, largest_gap(weights, margins), int(cut.sum()))


def _calibrate(
    base: FloatArray,
    margins: Sequence[Margin],
    wanted: FloatArray,
    bounds: tuple[float, float] | None,
) -> tuple[FloatArray, int]:
    """Weights w = d F(x' lambda), and how many Newton steps they took.

    `wanted` is what the weights of each category are to sum to, all margins in a row.
    """
    sizes = [margin.targets.size for margin in margins]
    starts = np.cumsum([0, *sizes])
    # An unknown category is a column of zeros: one more cell, cut off again.
    codes = [np.where(m.codes >= 0, m.codes, m.targets.size) for m in margins]
    lambdas = np.zeros(int(starts[-1]))
    scale = base.sum()
    best, best_gap, steps = base, np.inf, 0
    while steps < MAX_ITERATIONS and best_gap >= TOLERANCE:
        steps += 1
        padded = [
            np.append(lambdas[starts[m] : starts[m + 1]], 0.0)[codes[m]]
            for m in range(len(margins))
        ]
        ratio, slope = _ratio(np.sum(padded, axis=0), bounds)
        weights = base * ratio
        found = np.concatenate(
            [np.bincount(codes[m], weights, sizes[m] + 1)[: sizes[m]] for m in range(len(margins))]
        )
        missing = wanted - found
        gap = float(np.abs(missing).max() / scale)
        if gap < best_gap:
            best, best_gap = weights, gap
        if not np.isfinite(gap):
            break
        hessian = _cross_totals(base * slope, codes, sizes, starts)
        move = np.linalg.lstsq(hessian, missing, rcond=1e-12)[0]
        # Far from the solution a full step overshoots; lambdas are logarithms of ratios.
        lambdas = lambdas + move * min(1.0, 2.0 / max(float(np.abs(move).max()), 1e-12))
    return best, steps


def _ratio(u: FloatArray, bounds: tuple[float, float] | None) -> tuple[FloatArray, FloatArray]:
    """F(u) and its derivative."""
    if bounds is None:
        f = np.exp(np.clip(u, -700, 700))
        return f, f
    low, high = bounds
    a = (high - low) / ((1 - low) * (high - 1))
    e = np.exp(np.clip(a * u, -700, 700))
    below = (high - 1) + (1 - low) * e
    f = (low * (high - 1) + high * (1 - low) * e) / below
    return f, (f - low) * (high - f) / ((1 - low) * (high - 1))


def _cross_totals(
    weights: FloatArray, codes: list[IntArray], sizes: list[int], starts: npt.NDArray[np.int64]
) -> FloatArray:
    """sum_i weights_i x_i x_i', from a table of each two margins."""
    matrix = np.zeros((int(starts[-1]), int(starts[-1])))
    for m, size in enumerate(sizes):
        own = np.bincount(codes[m], weights, size + 1)[:size]
        matrix[starts[m] : starts[m + 1], starts[m] : starts[m + 1]] = np.diag(own)
    for m, n in combinations(range(len(sizes)), 2):
        width = sizes[n] + 1
        cells = np.bincount(codes[m] * width + codes[n], weights, (sizes[m] + 1) * width)
        table = cells.reshape(-1, width)[: sizes[m], : sizes[n]]
        matrix[starts[m] : starts[m + 1], starts[n] : starts[n + 1]] = table
        matrix[starts[n] : starts[n + 1], starts[m] : starts[m + 1]] = table.T
    return matrix
