"""Distances between answer distributions.

Symbols: p what one population answered, q what another, or a model, answered over the same options.
Every function takes arrays whose last axis is the options, and broadcasts over the others.
"""

from __future__ import annotations

import numpy as np

from suffrage.arrays import FloatArray

# The smallest share whose logarithm is taken; 0 times it is 0.
SMALLEST = float(np.finfo(float).tiny)
# `fit_natural` of two answers with no option in common.
LOWEST_FIT_NATURAL = 1 - float(np.sqrt(np.log(2)))


def above_even(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return how far two distributions lean the same way: sum_k (p_k - 1/K)(q_k - 1/K).

    Summed over items, `above_even(p, q) / above_even(p, p)` is the least-squares slope of the
    model's shares q on people's shares p, both counted from the even answer: 1 is proportional,
    above 1 amplifies what is common, 0 ignores the question.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        -1/K to 1 - 1/K.

    Examples
    --------
    >>> people, model = np.array([0.75, 0.25]), np.array([1.0, 0.0])
    >>> float(above_even(people, model) / above_even(people, people))
    2.0
    """
    even = 1 / p.shape[-1]
    return np.asarray(((p - even) * (q - even)).sum(-1))


def entropy(p: FloatArray) -> FloatArray:
    """Return Shannon's entropy in bits, -sum_k p_k log2 p_k.

    Parameters
    ----------
    p : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        0 (everyone chose one option) to log2 of the number of options (all options alike).

    Examples
    --------
    >>> float(entropy(np.array([0.5, 0.25, 0.25, 0.0])))
    1.5
    """
    return np.asarray(np.abs(_weighted_logs(p).sum(axis=-1)))


def _weighted_logs(p: FloatArray) -> FloatArray:
    """Return p log2 p, 0 where p is 0."""
    return np.asarray(p * np.log2(np.maximum(p, SMALLEST)))


def jensen_shannon_divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the Jensen-Shannon divergence in bits, H((p+q)/2) - (H(p)+H(q))/2.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        0 (equal) to 1 (no option in common).

    References
    ----------
    Lin (1991), IEEE Transactions on Information Theory 37: 145-151, equation 4.1.

    Examples
    --------
    >>> float(jensen_shannon_divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0])).round(3))
    0.311
    """
    parts = (_weighted_logs(p) + _weighted_logs(q)) / 2 - _weighted_logs((p + q) / 2)
    return np.asarray(np.minimum(np.maximum(parts.sum(axis=-1), 0.0), 1.0))


def jensen_shannon_distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the Jensen-Shannon distance in base 2, the square root of the divergence.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        A metric, 0 (equal) to 1 (no option in common).

    References
    ----------
    Endres and Schindelin (2003), IEEE Transactions on Information Theory 49: 1858-1860.

    Examples
    --------
    >>> float(jensen_shannon_distance(np.array([0.5, 0.5]), np.array([1.0, 0.0])).round(3))
    0.558
    """
    return np.sqrt(jensen_shannon_divergence(p, q))


def fit(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return 1 - Jensen-Shannon distance (base 2): 1 when equal, 0 with no option in common."""
    return np.asarray(1.0 - jensen_shannon_distance(p, q))


def fit_natural(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return 1 - Jensen-Shannon distance with natural logarithms, scipy's default.

    It ranges from 1 - sqrt(ln 2), which is 0.167, to 1.
    """
    return np.asarray(1.0 - np.sqrt(np.log(2) * jensen_shannon_divergence(p, q)))


def modes_shared(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the chance that one of q's commonest answers, drawn at random, is one of p's.

    It is 1 or 0 where each has one commonest answer; the even answer scores as a guess does, 1/K.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        0 to 1.
    """
    tops = [np.isclose(d, d.max(axis=-1, keepdims=True), atol=1e-9) for d in (p, q)]
    return np.asarray((tops[0] & tops[1]).sum(axis=-1) / tops[1].sum(axis=-1))


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return half the sum of absolute differences.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        0 to 1: the part of either population that would have to answer otherwise.

    Examples
    --------
    >>> float(total_variation(np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.25, 0.25])))
    0.25
    """
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def earth_movers_distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the normalised earth mover's distance between ordered options at equal steps.

    sum_k |P_k - Q_k| / (K - 1), P and Q cumulative: the 1-Wasserstein distance over options placed
    evenly from 0 to 1. It has no meaning for nominal options.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.

    Returns
    -------
    array, shape (...)
        0 (equal) to 1 (everyone moves from one end to the other).

    References
    ----------
    Suh et al. (2025), SubPOP: `ordinal_emd` with unit steps.

    Examples
    --------
    >>> float(earth_movers_distance(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])))
    0.5
    """
    gaps = np.abs(np.cumsum(p, axis=-1) - np.cumsum(q, axis=-1))[..., :-1]
    return np.asarray(gaps.sum(axis=-1) / (np.shape(p)[-1] - 1))


def ordinal_earth_movers_distance(p: FloatArray, q: FloatArray, values: FloatArray) -> FloatArray:
    """Return the earth mover's distance between options at given values, over their range.

    sum_i |P_i - Q_i| (v_i+1 - v_i) / (v_max - v_min) over the options in the order of their values.
    With option codes for values this is WorldValuesBench's distance; with "not sure" left out it is
    SubPOP's, where such options have the value -1.

    Parameters
    ----------
    p, q : array, shape (..., options)
        Shares; each row sums to 1.
    values : array, shape (options,)
        The value of each option; NaN for options outside the scale ("not sure"), which are left
        out while both sides are renormalised.

    Returns
    -------
    array, shape (...)
        0 to 1; NaN where fewer than two values differ, or nothing is left on a side.

    References
    ----------
    Zhao et al. (2024), WorldValuesBench: answers rescaled by (x - min)/(max - min).
    Suh et al. (2025), SubPOP: `ordinal_emd`.

    Examples
    --------
    >>> p, q = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    >>> float(ordinal_earth_movers_distance(p, q, np.array([1.0, 2.0, 5.0])))
    0.25
    """
    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order])]
    steps = np.diff(values[order])
    p, q = np.broadcast_arrays(p, q)
    if not steps.sum() > 0:
        return np.full(p.shape[:-1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (d[..., order] / d[..., order].sum(axis=-1, keepdims=True) for d in (p, q))
    gaps = np.abs(np.cumsum(p, axis=-1) - np.cumsum(q, axis=-1))[..., :-1]
    return np.asarray((gaps * steps).sum(axis=-1) / steps.sum())
