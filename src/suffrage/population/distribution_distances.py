"""Distances between answer distributions.

Symbols: p what one population answered, q what another, or a model, answered over the same options.
Every function takes arrays whose last axis is the options, and broadcasts over the others.
"""

from __future__ import annotations

import numpy as np

from suffrage.arrays import FloatArray


def above_even(p: FloatArray, q: FloatArray) -> FloatArray:
    """sum_k (p_k - 1/K)(q_k - 1/K): how far two distributions lean the same way.

    Summed over items, `above_even(p, q) / above_even(p, p)` is the least-squares slope of the
    model's shares q on people's shares p, both counted from the even answer: 1 is proportional,
    above 1 amplifies what is common, 0 ignores the question. p, q: (..., K), rows sum to 1.
    """
    even = 1 / p.shape[-1]
    return np.asarray(((p - even) * (q - even)).sum(-1))


def entropy(p: FloatArray) -> FloatArray:
    """Shannon entropy in bits, -sum p log2 p; from 0 to log2 of the number of options."""
    logs = np.log2(p, where=p > 0, out=np.zeros_like(p))
    return np.asarray(np.abs(-(p * logs).sum(axis=-1)))


def jensen_shannon_divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    """H((p+q)/2) - (H(p)+H(q))/2 in bits, 0 to 1. Source: Lin (1991), equation 4.1."""
    p, q = np.broadcast_arrays(p, q)
    divergence = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return np.asarray(np.clip(divergence, 0.0, 1.0))


def jensen_shannon_distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """The square root of the divergence in base 2: a metric, 0 to 1."""
    return np.sqrt(jensen_shannon_divergence(p, q))


def fit(p: FloatArray, q: FloatArray) -> FloatArray:
    """1 - Jensen-Shannon distance (base 2): 1 when equal, 0 when they share no option."""
    return np.asarray(1.0 - jensen_shannon_distance(p, q))


def fit_natural(p: FloatArray, q: FloatArray) -> FloatArray:
    """1 - Jensen-Shannon distance with natural logarithms, scipy's default: 0.167 (1 - sqrt(ln 2)) to 1."""
    return np.asarray(1.0 - np.sqrt(np.log(2) * jensen_shannon_divergence(p, q)))


def modes_shared(p: FloatArray, q: FloatArray) -> FloatArray:
    """The chance of naming a commonest answer of p by one of the commonest of q drawn at random.

    1 or 0 where each has one commonest answer; the even answer scores what a guess does, 1/K.
    """
    tops = [np.isclose(d, d.max(axis=-1, keepdims=True), atol=1e-9) for d in (p, q)]
    return np.asarray((tops[0] & tops[1]).sum(axis=-1) / tops[1].sum(axis=-1))


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Half the sum of absolute differences, 0 to 1: the part that would have to answer otherwise."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def earth_movers_distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """Normalised earth mover's distance between ordered options at equal steps, 0 to 1.

    sum_k |P_k - Q_k| / (K - 1), P and Q cumulative: 1 when everyone moves from end to end.
    The 1-Wasserstein distance over options placed evenly from 0 to 1; `ordinal_emd` of Suh et
    al. (2025) with unit steps. Meaningless for nominal options.
    """
    gaps = np.abs(np.cumsum(p, axis=-1) - np.cumsum(q, axis=-1))[..., :-1]
    return np.asarray(gaps.sum(axis=-1) / (np.shape(p)[-1] - 1))


def ordinal_earth_movers_distance(p: FloatArray, q: FloatArray, values: FloatArray) -> FloatArray:
    """Earth mover's distance between options at given values, over the range they span, 0 to 1.

    sum_i |P_i - Q_i| (v_i+1 - v_i) / (v_max - v_min) over the options in the order of their values.
    values: (K,), NaN for options outside the scale ("not sure"): those are left out and both sides
    renormalised. NaN where fewer than two values differ, or nothing is left on a side.
    With option codes for values this is WorldValuesBench's distance (Zhao et al. 2024: answers
    rescaled by (x - min)/(max - min)); with "not sure" left out, SubPOP's (`ordinal_emd`, Suh et al.
    2025, where such options have the value -1).
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
