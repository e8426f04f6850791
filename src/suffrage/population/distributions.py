"""Weighted answer distributions and their uncertainty, in closed form and by resampling.

Symbols: w_i weight of respondent i, y_i the position of the option chosen, p_k the weighted share
of option k among those who chose an option.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, PositionArray

# The most numbers a working matrix holds: 64 MB of float64.
CHUNK_CELLS = 8_000_000


@dataclass(frozen=True)
class GroupedShares:
    """Weighted answer distributions of many items in many groups, as arrays.

    Axes: J items, G groups, K the most options any item has. Cells of options an item does not
    have hold 0; where nobody with a weight answered, shares and errors are NaN; where one did,
    the errors are.
    shares, standard_errors: (J, G, K). n, n_eff: (J, G), of those who chose an option.
    """

    shares: FloatArray
    standard_errors: FloatArray
    n: npt.NDArray[np.int64]
    n_eff: FloatArray


def grouped_shares(
    positions: list[PositionArray],
    options: list[int],
    weights: FloatArray,
    groups: npt.NDArray[np.int64],
    group_count: int,
) -> GroupedShares:
    """Weighted shares with linearised standard errors, one pass over each item.

    positions: J columns of shape (respondents,), 0..K_j-1 or negative for non-response.
    options: K_j of each item. weights: (respondents,). groups: (respondents,), 0..G-1, or
    negative for respondents in no group.

    The share is a ratio of weighted totals, so its variance is Taylor-linearised:
    n/(n-1) * sum w_i^2 (1[y_i=k] - p_k)^2 / (sum w_i)^2, which needs only the sums of w and of w^2
    by option. Source: Lohr, Sampling: Design and Analysis (2nd ed.), section 9.1; respondents are
    taken as drawn independently with replacement (no strata or clusters here).
    """
    shape = (len(positions), group_count, max(options))
    shares, errors = np.zeros(shape), np.zeros(shape)
    counts = np.zeros(shape[:2], dtype=np.int64)
    n_eff = np.zeros(shape[:2])
    if (groups < 0).any():
        inside = np.flatnonzero(groups >= 0)
        positions = [column[inside] for column in positions]
        weights, groups = weights[inside], groups[inside]
    squares = np.square(weights)
    first_cells: dict[int, npt.NDArray[np.int64]] = {}
    for j, (column, k) in enumerate(zip(positions, options, strict=True)):
        # Non-response has a cell of its own before those of the options: counting it and
        # leaving it out costs less than picking the answers first.
        if k not in first_cells:
            first_cells[k] = groups * (k + 1) + 1
        cells = first_cells[k] + np.maximum(column, -1)
        w, w2, n_by_option = (
            np.bincount(cells, values, group_count * (k + 1)).reshape(group_count, k + 1)[:, 1:]
            for values in (weights, squares, None)
        )
        n = n_by_option.sum(axis=1)
        total, total2 = w.sum(axis=1, keepdims=True), w2.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = w / total
            others = np.maximum(total2 - w2, 0)
            spread = np.square(1 - p) * w2 + np.square(p) * others
            errors[j, :, :k] = np.sqrt(spread * (n / (n - 1))[:, None]) / total
            n_eff[j] = (np.square(total) / total2)[:, 0]
        shares[j, :, :k] = p
        counts[j] = n
    return GroupedShares(shares, errors, counts, np.nan_to_num(n_eff))


def share_intervals(
    shares: FloatArray,
    standard_errors: FloatArray,
    n_eff: float | FloatArray,
    quantile: float = 1.959964,
) -> tuple[FloatArray, FloatArray]:
    """Low and high ends of 95 % intervals of shares, within 0 to 1 also for shares of 0 and 1.

    shares, standard_errors: (options,), n_eff of one shape with them or one number. Wilson's score
    interval with p(1-p)/SE^2 as the number of respondents, or n_eff where that cannot be had.
    quantile: of the normal distribution, or of Student's t where few stand behind the errors.
    Source: Wilson (1927), JASA 22: 209-212; the number of respondents as in Korn and Graubard
    (1998), Survey Methodology 24: 193-201.
    """
    z2 = quantile**2
    sure = standard_errors > 0
    m = np.full(shares.shape, n_eff, dtype=np.float64)
    m[sure] = (shares * (1 - shares))[sure] / np.square(standard_errors[sure])
    centre = (shares + z2 / (2 * m)) / (1 + z2 / m)
    half = np.sqrt(z2 * (shares * (1 - shares) / m + z2 / (4 * m**2))) / (1 + z2 / m)
    return np.clip(centre - half, 0, shares), np.clip(centre + half, shares, 1)


def resampled_shares(
    positions: list[PositionArray],
    options: list[int],
    respondent_weights: FloatArray,
) -> list[FloatArray]:
    """Answer distributions under many sets of respondent weights at once.

    respondent_weights: (replicates, respondents): base weight times how often each respondent was
    drawn. Gives one array (replicates, K_j) an item; a replicate in which nobody answered is NaN.
    """
    ends = np.cumsum(options)
    totals = np.zeros((respondent_weights.shape[0], int(ends[-1])))
    # All items in one matrix product, some respondents at a time to bound the memory.
    step = max(1, CHUNK_CELLS // int(ends[-1]))
    for start in range(0, respondent_weights.shape[1], step):
        rows = slice(start, start + step)
        chosen = np.concatenate(
            [
                column[rows] == np.arange(k, dtype=np.int8)[:, None]
                for column, k in zip(positions, options, strict=True)
            ]
        )
        totals += respondent_weights[:, rows] @ chosen.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return [
            part / part.sum(axis=1, keepdims=True) for part in np.split(totals, ends[:-1], axis=1)
        ]


def in_blocks(count: int, respondents: int) -> list[int]:
    """How many of `count` weight matrix rows to hold at once: sizes that sum to `count`."""
    size = max(1, min(count, CHUNK_CELLS // max(respondents, 1)))
    return [min(size, count - start) for start in range(0, count, size)]


def bootstrap_weights(
    weights: FloatArray, replicates: int, generator: np.random.Generator
) -> FloatArray:
    """Base weights times bootstrap counts, shape (replicates, respondents).

    The n-1 bootstrap of Rao and Wu (1988): n-1 draws with replacement, scaled by n/(n-1), which
    makes the variance of a mean unbiased also for few respondents.
    """
    n = weights.size
    if n == 1:
        return np.repeat(weights[None, :], replicates, axis=0)
    counts = generator.multinomial(n - 1, np.full(n, 1 / n), size=replicates)
    return np.asarray(counts * (n / (n - 1)) * weights)


def half_sample_weights(
    weights: FloatArray, splits: int, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Random halves of the respondents: two weight matrices, each (splits, respondents).

    Every respondent is in exactly one half; halves differ in size by at most one.
    """
    order = np.argsort(generator.random((splits, weights.size)), axis=1)
    first = np.zeros((splits, weights.size))
    np.put_along_axis(first, order[:, : weights.size // 2], 1.0, axis=1)
    return first * weights, (1 - first) * weights


def sample_worth(shares: FloatArray, standard_errors: FloatArray, n_eff: float) -> float:
    """How many respondents drawn with equal weights would give as sure an answer distribution.

    (K-1) / sum_k (SE_k^2 / p_k), which is n over the mean generalised design effect, but never
    more than n_eff: the linearised errors of options that few chose are unsure themselves.
    Source: Rao and Scott (1981), JASA 76: 221-230.
    """
    chosen = (shares > 0) & (standard_errors > 0)
    if chosen.sum() < 2:
        return n_eff
    spread = np.square(standard_errors[chosen]) / shares[chosen]
    return min(float((chosen.sum() - 1) / spread.sum()), n_eff)
