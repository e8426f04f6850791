"""How well items measure one thing together: Cronbach's alpha and McDonald's omega."""

from __future__ import annotations

import numpy as np

from suffrage.arrays import FloatArray

STEPS = 2000
TOLERANCE = 1e-9


def cronbach_alpha(answers: FloatArray, weights: FloatArray) -> float:
    """Return Cronbach's alpha, k/(k-1) (1 - sum of item variances / variance of the sum).

    Parameters
    ----------
    answers : array, shape (respondents, items)
        NaN where missing; only complete rows count.
    weights : array, shape (respondents,)

    Returns
    -------
    float
        NaN with one item, or where the sum does not vary.

    References
    ----------
    Cronbach (1951), Psychometrika 16.
    """
    k = answers.shape[1]
    found = _covariance(answers, weights)
    if k < 2 or found is None:
        return float("nan")
    whole = float(found.sum())
    return float(k / (k - 1) * (1 - np.trace(found) / whole)) if whole > 0 else float("nan")


def mcdonald_omega(answers: FloatArray, weights: FloatArray) -> float:
    """Return McDonald's omega of one factor: (sum of loadings)^2 over the variance of the sum.

    The variance of the sum is the model's, (sum l)^2 + sum of uniquenesses. Loadings are estimated
    by maximum likelihood from the covariances.

    Parameters
    ----------
    answers : array, shape (respondents, items)
        NaN where missing; only complete rows count.
    weights : array, shape (respondents,)

    Returns
    -------
    float
        NaN below three items, which do not identify a factor, and where an item does not vary.

    References
    ----------
    McDonald (1999), Test Theory.
    """
    found = _covariance(answers, weights)
    if answers.shape[1] < 3 or found is None or (np.diag(found) <= 0).any():
        return float("nan")
    loadings, unique = one_factor(found)
    common = float(loadings.sum() ** 2)
    return common / (common + float(unique.sum()))


def one_factor(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return loadings l and uniquenesses u of one factor, covariance = l l' + diag(u).

    They are maximum likelihood estimates, found by expectation and maximisation.

    covariance: shape (items, items), with positive variances.

    References
    ----------
    Rubin and Thayer (1982), Psychometrika 47, equations 4 to 6.
    """
    variances = np.diag(covariance)
    values, vectors = np.linalg.eigh(covariance)
    loadings = vectors[:, -1] * np.sqrt(values[-1]) * 0.9
    unique = np.maximum(variances - loadings**2, 0.05 * variances)
    for _ in range(STEPS):
        precision = 1 / unique
        scale = 1 + float(precision @ loadings**2)
        # The factor's mean given the items.
        regression = precision * loadings / scale
        crossed = covariance @ regression
        second = 1 - float(regression @ loadings) + float(regression @ crossed)
        new = crossed / second
        left = np.maximum(variances - new * crossed, 1e-6 * variances)
        moved = max(np.abs(new - loadings).max(), np.abs(left - unique).max())
        loadings, unique = new, left
        if moved < TOLERANCE * float(np.sqrt(variances.max())):
            break
    return loadings * np.sign(loadings.sum() or 1.0), unique


def _covariance(answers: FloatArray, weights: FloatArray) -> FloatArray | None:
    complete = ~np.isnan(answers).any(axis=1)
    x, w = answers[complete], weights[complete]
    if w.sum() == 0:
        return None
    # An item that does not vary gets a variance of exactly 0, without rounding errors.
    x = np.where(np.ptp(x, axis=0) == 0, 0.0, x)
    w = w / w.sum()
    centred = x - w @ x
    return np.asarray((centred * w[:, None]).T @ centred)
