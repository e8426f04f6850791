"""How many equally weighted respondents a weighted sample is worth."""

from __future__ import annotations

import numpy as np

from suffrage.arrays import FloatArray


def effective_sample_size(weights: FloatArray) -> float:
    """Return Kish's effective sample size.

    Parameters
    ----------
    weights : array, shape (respondents,)
        Non-negative; at least one is positive.

    Returns
    -------
    float
        (sum w)^2 / sum w^2, between 1 and the number of respondents.

    Raises
    ------
    ValueError
        A weight is negative, infinite or missing, or all are zero.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7.

    Examples
    --------
    >>> effective_sample_size(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    if weights.size == 0 or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("weights must be finite and not negative, and there must be at least one")
    if not weights.any():
        raise ValueError("weights are all zero")
    weights = scaled_weights(weights)
    return float(weights.sum() ** 2 / np.square(weights).sum())


def scaled_weights(weights: FloatArray) -> FloatArray:
    """Return weights in the same proportions, the largest between 0.5 and 1.

    Their squares and sums are then numbers that a computer can hold. The factor is a power of two,
    so nothing is rounded.

    Parameters
    ----------
    weights : array, shape (respondents,)
        Finite and not negative.

    Examples
    --------
    >>> scaled_weights(np.array([4.0, 1.0, 0.0]))
    array([0.5  , 0.125, 0.   ])
    """
    largest = weights.max(initial=0.0)
    return np.asarray(np.ldexp(weights, -int(np.frexp(largest)[1])))


def design_effect(weights: FloatArray) -> float:
    """Return Kish's design effect from unequal weighting.

    Parameters
    ----------
    weights : array, shape (respondents,)
        Non-negative; at least one is positive.

    Returns
    -------
    float
        n / n_eff: 1 when all weights are equal, and higher the more they differ.

    Raises
    ------
    ValueError
        A weight is negative, infinite or missing, or all are zero.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7.

    Examples
    --------
    >>> design_effect(np.array([1.0, 1.0, 2.0]))
    1.125
    """
    return weights.size / effective_sample_size(weights)
