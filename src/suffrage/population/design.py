"""Standard errors and the bootstrap of a stratified, clustered sample.

Symbols: h stratum, n_h primary sampling units (PSUs) in it, c a PSU, w_i weight. PSUs are taken as
drawn with replacement within strata (the ultimate-cluster approximation), which overstates errors
rather than understates them. Source: Sarndal, Swensson and Wretman (1992), sections 4.5 and 5.5;
Lohr (2nd ed.), section 9.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.plurals import by_count, plural
from suffrage.population.resampling import shares_of_totals
from suffrage.survey import Survey
from suffrage.survey.survey import PSU, STRATUM

# The most numbers a matrix of bootstrap factors holds: 64 MB of float64.
FACTORS = 8_000_000


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

        0 where all respondents are in one unit: nothing then tells how much units differ.
        Strata of one unit are compared with each other, and count as one. Source: Korn and
        Graubard (1999), Analysis of Health Surveys, section 5.2.
        """
        units = np.unique(self.psu)
        if units.size == 1:
            return 0
        strata = np.unique(self.stratum[units])
        alone = int((self.sizes[strata] == 1).sum())
        return max(units.size - strata.size + max(alone - 1, 0), 1)

    @property
    def words(self) -> str:
        """The design in a few words, for reports."""
        alone = int((self.sizes == 1).sum())
        count = self.sizes.size
        lone = f", {alone} of them with one unit only" if alone and count > 1 else ""
        strata = f"{count} {by_count(count, 'stratum', 'strata')}{lone}"
        return f"{strata}, {plural(self.stratum.size, 'sampling unit')}"


def design_of(survey: Survey, rows: IntArray) -> Design | None:
    """The design behind some rows of a survey; None where the archive gives none."""
    if not survey.has_design:
        return None
    psu, stratum = (
        survey.responses[name].rank("dense").to_numpy().astype(np.int64) - 1
        for name in (PSU, STRATUM)
    )
    stratum_of_psu = np.zeros(psu.max() + 1, dtype=np.int64)
    stratum_of_psu[psu] = stratum
    return Design(psu[rows], stratum_of_psu)


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
    by_option = unit_totals(column, options, weights, design)
    total = by_option.sum()
    p = by_option.sum(axis=0) / total
    z = (by_option - by_option.sum(axis=1, keepdims=True) * p) / total
    return np.asarray(np.sqrt(np.square(scaled_deviations(z, design)).sum(axis=0)))


def design_bootstrap_shares(
    positions: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    design: Design,
    replicates: int,
    generator: np.random.Generator,
) -> list[FloatArray]:
    """Return answer distributions under the bootstrap of whole sampling units.

    Draws n_h - 1 PSUs with replacement in each stratum, times n_h/(n_h - 1). A stratum of one PSU
    keeps it.

    Parameters
    ----------
    positions : list of J arrays, shape (respondents,)
        0..K_j-1, or negative for non-response.
    options : list of int
        K_j of each item.
    weights : array, shape (respondents,)
        Base weights, not negative.
    design : Design
        Of the same respondents.
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
    Rao and Wu (1988), JASA 83: 231-241, the rescaled bootstrap.
    """
    units = design.stratum.size
    totals = [np.zeros((0, k)) for k in options]
    step = max(1, FACTORS // units)
    for start in range(0, replicates, step):
        factors = _unit_factors(design, min(step, replicates - start), generator)
        totals = [
            np.concatenate([above, factors @ unit_totals(column, k, weights, design)])
            for above, column, k in zip(totals, positions, options, strict=True)
        ]
    return shares_of_totals(np.concatenate(totals, axis=1), options)


def unit_totals(
    column: PositionArray, options: int, weights: FloatArray, design: Design
) -> FloatArray:
    """Return the weight in each sampling unit of those who chose each option.

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
    array, shape (units, options)
        Sums of weights.
    """
    units = design.stratum.size
    cells = design.psu * options + np.maximum(column, 0)
    answered = np.where(column >= 0, weights, 0.0)
    return np.asarray(np.bincount(cells, answered, units * options).reshape(units, options))


def _unit_factors(design: Design, replicates: int, generator: np.random.Generator) -> FloatArray:
    """How much each sampling unit counts in each replicate, shape (replicates, units)."""
    factors = np.ones((replicates, design.stratum.size))
    for h, size in enumerate(design.sizes):
        if size > 1:
            inside = np.flatnonzero(design.stratum == h)
            counts = generator.multinomial(size - 1, np.full(size, 1 / size), size=replicates)
            factors[:, inside] = counts * (size / (size - 1))
    return factors
