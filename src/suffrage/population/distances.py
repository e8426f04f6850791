"""Distances between answer distributions.

Symbols: p what one population answered, q what another, or a model, answered over the same options.
Every function takes arrays whose last axis is the options, and broadcasts over the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


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
