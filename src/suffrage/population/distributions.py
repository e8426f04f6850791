"""Weighted answer distributions and their uncertainty in closed form.

Symbols: w_i weight of respondent i, y_i the position of the option chosen, p_k the weighted share
of option k among those who chose an option.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.survey.effective_size import scaled_weights


@dataclass(frozen=True)
class GroupedShares:
    """Weighted answer distributions of many items in many groups, as arrays.

    Axes: J items, G groups, K the most options any item has. Options that an item does not have
    are 0. Where nobody with a weight answered, shares and errors are NaN; where one person did,
    the errors are.
    """

    # Shape (J, G, K).
    shares: FloatArray
    standard_errors: FloatArray
    # Shape (J, G): of those who chose an option.
    n: IntArray
    n_eff: FloatArray


def grouped_shares(
    positions: list[PositionArray],
    options: list[int],
    weights: FloatArray,
    groups: IntArray,
    group_count: int,
) -> GroupedShares:
    """Return weighted shares with linearised standard errors, in one pass over each item.

    A share is a ratio of weighted totals, so its variance is Taylor-linearised:
    n/(n-1) * sum w_i^2 (1[y_i=k] - p_k)^2 / (sum w_i)^2, which needs only the sums of w and of w^2
    by option. Respondents are taken as drawn independently with replacement; `population.design`
    is for strata and clusters.

    Parameters
    ----------
    positions : list of J arrays, shape (respondents,)
        0..K_j-1, or negative for non-response.
    options : list of int
        K_j of each item.
    weights : array, shape (respondents,)
        Not negative.
    groups : array of int, shape (respondents,)
        0..G-1, or negative for respondents in no group.
    group_count : int
        G.

    Returns
    -------
    GroupedShares
        Of every item in every group.

    References
    ----------
    Lohr, Sampling: Design and Analysis (2nd ed.), section 9.1.

    Examples
    --------
    >>> answers, everyone = np.array([0, 1, 1, -1], dtype=np.int16), np.zeros(4, dtype=np.int64)
    >>> found = grouped_shares([answers], [2], np.array([2.0, 1.0, 1.0, 1.0]), everyone, 1)
    >>> found.shares[0, 0]
    array([0.5, 0.5])
    """
    shape = (len(positions), group_count, max(options))
    shares, errors = np.zeros(shape), np.zeros(shape)
    counts = np.zeros(shape[:2], dtype=np.int64)
    n_eff = np.zeros(shape[:2])
    if (groups < 0).any():
        inside = np.flatnonzero(groups >= 0)
        positions = [column[inside] for column in positions]
        weights, groups = weights[inside], groups[inside]
    weights = scaled_weights(weights)
    squares = np.square(weights)
    first_cells: dict[int, IntArray] = {}
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
    """Return 95% intervals of shares that stay within 0 to 1, also for shares of 0 and 1.

    These are Wilson's score intervals with p(1-p)/SE^2 as the number of respondents, or n_eff where
    the standard error is 0. They are NaN where the standard error is.

    Parameters
    ----------
    shares, standard_errors : array, shape (options,)
        In shares.
    n_eff : float or array, shape (options,)
        Effective respondents.
    quantile : float
        Of the normal distribution, or of Student's t where the errors rest on few people.

    Returns
    -------
    low, high : array, shape (options,)
        The ends, 0 to 1, on either side of the share.

    References
    ----------
    Wilson (1927), JASA 22: 209-212.
    Korn and Graubard (1998), Survey Methodology 24: 193-201, for the number of respondents.

    Examples
    --------
    >>> low, high = share_intervals(np.array([0.0]), np.array([0.0]), 20)
    >>> low, high.round(3)
    (array([0.]), array([0.161]))
    """
    z2 = quantile**2
    sure = standard_errors > 0
    m = np.full(shares.shape, n_eff, dtype=np.float64)
    m[np.isnan(standard_errors)] = np.nan
    m[sure] = (shares * (1 - shares))[sure] / np.square(standard_errors[sure])
    centre = (shares + z2 / (2 * m)) / (1 + z2 / m)
    half = np.sqrt(z2 * (shares * (1 - shares) / m + z2 / (4 * m**2))) / (1 + z2 / m)
    return np.clip(centre - half, 0, shares), np.clip(centre + half, shares, 1)


def sample_worth(shares: FloatArray, standard_errors: FloatArray, n_eff: float) -> float:
    """Return how many equally weighted respondents would give as sure an answer distribution.

    (K-1) / sum_k (SE_k^2 / p_k), which is n over the mean generalised design effect, but never
    more than n_eff, because the linearised errors of options that few chose are themselves unsure.

    Parameters
    ----------
    shares, standard_errors : array, shape (options,)
        Of one item.
    n_eff : float
        Effective respondents (Kish).

    Returns
    -------
    float
        At most n_eff; NaN where no standard error is known.

    References
    ----------
    Rao and Scott (1981), JASA 76: 221-230.
    """
    if np.isnan(standard_errors).all():
        return float("nan")
    chosen = (shares > 0) & (standard_errors > 0)
    if chosen.sum() < 2:
        return n_eff
    spread = np.square(standard_errors[chosen]) / shares[chosen]
    return min(float((chosen.sum() - 1) / spread.sum()), n_eff)
