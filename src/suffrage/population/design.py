"""Standard errors and bootstrap weights of a stratified, clustered sample.

Symbols: h stratum, n_h primary sampling units (PSUs) in it, c a PSU, w_i weight. PSUs are taken as
drawn with replacement within strata (the ultimate-cluster approximation), which overstates errors
rather than understates them. Source: Sarndal, Swensson and Wretman (1992), sections 4.5 and 5.5;
Lohr (2nd ed.), section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.survey import Survey
from suffrage.survey.survey import PSU, STRATUM


@dataclass(frozen=True, eq=False)
class Design:
    """Where each of some respondents is in the design of the whole sample."""

    # Shape (respondents,): 0..M-1.
    psu: IntArray
    # Shape (M,): 0..H-1, the stratum of each PSU of the whole sample. PSUs without a respondent
    # here count as well, because another sample could have had one in them.
    stratum: IntArray

    @property
    def sizes(self) -> IntArray:
        """n_h, shape (H,)."""
        return np.bincount(self.stratum)

    @property
    def degrees_of_freedom(self) -> int:
        """Sampling units less strata, 1 at least; those without a respondent here do not count.

        Strata of one unit are compared with each other, and count as one. Source: Korn and
        Graubard (1999), Analysis of Health Surveys, section 5.2.
        """
        units = np.unique(self.psu)
        strata = np.unique(self.stratum[units])
        alone = int((self.sizes[strata] == 1).sum())
        return max(units.size - strata.size + max(alone - 1, 0), 1)

    @property
    def words(self) -> str:
        """The design in a few words, for reports."""
        alone = int((self.sizes == 1).sum())
        lone = f", {alone} of them with one unit only" if alone else ""
        return f"{self.sizes.size} strata{lone}, {self.stratum.size} sampling units"


def design_of(survey: Survey, rows: IntArray) -> Design | None:
    """The design behind some rows of a survey; None where the archive gives none."""
    if not survey.has_design:
        return None
    names = survey.responses[PSU].to_numpy()
    _, first, psu = np.unique(names, return_index=True, return_inverse=True)
    _, stratum = np.unique(survey.responses[STRATUM].to_numpy()[first], return_inverse=True)
    return Design(psu[rows].astype(np.int64), stratum.astype(np.int64))


def scaled_deviations(totals: FloatArray, design: Design) -> FloatArray:
    """Return what each sampling unit adds to the error of an estimate.

    With z_hc a PSU's total and zbar_h a stratum's mean of them, the variance of the estimate is
    sum_h n_h/(n_h - 1) sum_c (z_hc - zbar_h)^2. A stratum of one PSU is compared with the mean of
    all PSUs instead, which overstates its part rather than drops it.

    Parameters
    ----------
    totals : array, shape (M, K)
        z_hc: each PSU's sum of its respondents' influences on K estimates.
    design : Design
        The stratum of each PSU.

    Returns
    -------
    array, shape (M, K)
        sqrt(n_h/(n_h - 1)) (z_hc - zbar_h): squares sum to variances, products to covariances.
    """
    strata = design.sizes
    sums = np.zeros((strata.size, totals.shape[1]))
    np.add.at(sums, design.stratum, totals)
    alone = strata == 1
    means = sums / np.maximum(strata, 1)[:, None]
    centre = np.where(alone[:, None], totals.mean(axis=0), means)
    scale = np.sqrt(np.where(alone, 1.0, strata / np.maximum(strata - 1, 1)))
    return np.asarray((totals - centre[design.stratum]) * scale[design.stratum, None])


def design_standard_errors(
    column: PositionArray, options: int, weights: FloatArray, design: Design
) -> FloatArray:
    """Return linearised standard errors of an item's shares.

    The share p_k is a ratio, linearised as z_i = w_i (1[y_i = k] - p_k) / sum w over those who
    answered, 0 for all others; variances follow from `scaled_deviations`.

    Parameters
    ----------
    column : array, shape (respondents,)
        Positions 0..options-1, or negative for no answer.
    options : int
        K.
    weights : array, shape (respondents,)
        Not negative.
    design : Design
        Of the same respondents.

    Returns
    -------
    array, shape (options,)
        In shares, 0 or above.

    References
    ----------
    Sarndal, Swensson and Wretman (1992), sections 4.5 and 5.5.
    """
    answered = column >= 0
    w = np.where(answered, weights, 0.0)
    total = w.sum()
    units = design.stratum.size
    cells = design.psu * options + np.maximum(column, 0)
    by_option = np.bincount(cells, w, units * options).reshape(units, options)
    p = by_option.sum(axis=0) / total
    z = (by_option - by_option.sum(axis=1, keepdims=True) * p) / total
    return np.asarray(np.sqrt(np.square(scaled_deviations(z, design)).sum(axis=0)))


def design_bootstrap_weights(
    weights: FloatArray, design: Design, replicates: int, generator: np.random.Generator
) -> FloatArray:
    """Return weights times bootstrap factors of whole sampling units.

    Draws n_h - 1 PSUs with replacement in each stratum, times n_h/(n_h - 1). A stratum of one PSU
    keeps it.

    Parameters
    ----------
    weights : array, shape (respondents,)
        Base weights.
    design : Design
        Of the same respondents.
    replicates : int
        How many.
    generator : numpy Generator
        The source of randomness.

    Returns
    -------
    array, shape (replicates, respondents)
        0 where a respondent's PSU was not drawn.

    References
    ----------
    Rao and Wu (1988), JASA 83: 231-241, the rescaled bootstrap.
    """
    factors = np.ones((replicates, design.stratum.size))
    for h, size in enumerate(design.sizes):
        if size > 1:
            inside = np.flatnonzero(design.stratum == h)
            counts = generator.multinomial(size - 1, np.full(size, 1 / size), size=replicates)
            factors[:, inside] = counts * (size / (size - 1))
    return np.asarray(factors[:, design.psu] * weights)
