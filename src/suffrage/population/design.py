"""Standard errors and bootstrap weights of a stratified, clustered sample.

Symbols: h stratum, n_h primary sampling units (PSUs) in it, c a PSU, w_i weight. PSUs are taken as
drawn with replacement within strata (the ultimate-cluster approximation), which errs to the safe
side. Source: Sarndal, Swensson and Wretman (1992), section 4.5 and 5.5; Lohr (2nd ed.), section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.survey import Survey
from suffrage.survey.survey import PSU, STRATUM


@dataclass(frozen=True, eq=False)
class Design:
    """Where each of some respondents stands in the design of the whole sample.

    psu: (respondents,), 0..M-1. stratum: (M,), 0..H-1, of each PSU of the whole sample: those
    without a respondent here count as well, because another sample could have had one in them.
    """

    psu: IntArray
    stratum: IntArray

    @property
    def sizes(self) -> IntArray:
        """n_h, shape (H,)."""
        return np.bincount(self.stratum)

    @property
    def words(self) -> str:
        """The design in a few words, for reports."""
        alone = int((self.sizes == 1).sum())
        lone = f", {alone} of them with one unit only" if alone else ""
        return f"{self.sizes.size} strata{lone}, {self.stratum.size} sampling units"


def design_of(survey: Survey, rows: npt.NDArray[np.integer]) -> Design | None:
    """The design behind some rows of a survey; None where the archive gives none."""
    if not survey.has_design:
        return None
    names = survey.responses[PSU].to_numpy()
    _, first, psu = np.unique(names, return_index=True, return_inverse=True)
    _, stratum = np.unique(survey.responses[STRATUM].to_numpy()[first], return_inverse=True)
    return Design(psu[rows].astype(np.int64), stratum.astype(np.int64))


def design_standard_errors(
    column: PositionArray, options: int, weights: FloatArray, design: Design
) -> FloatArray:
    """Linearised standard errors of an item's shares, shape (options,).

    The share p_k is a ratio, linearised as z_i = w_i (1[y_i = k] - p_k) / sum w over those who
    answered, 0 for all others. With z_hc a PSU's total and zbar_h a stratum's mean of them, the
    variance is sum_h n_h/(n_h - 1) sum_c (z_hc - zbar_h)^2. A stratum of one PSU is compared with
    the mean of all PSUs instead, which overstates rather than drops its part.
    """
    answered = column >= 0
    w = np.where(answered, weights, 0.0)
    total = w.sum()
    units, strata = design.stratum.size, design.sizes
    cells = design.psu * options + np.maximum(column, 0)
    by_option = np.bincount(cells, w, units * options).reshape(units, options)
    p = by_option.sum(axis=0) / total
    z = (by_option - by_option.sum(axis=1, keepdims=True) * p) / total
    sums = np.zeros((strata.size, options))
    np.add.at(sums, design.stratum, z)
    centre = np.where((strata == 1)[:, None], z.mean(axis=0), sums / strata[:, None])
    correction = np.where(strata == 1, 1.0, strata / np.maximum(strata - 1, 1))
    squares = np.square(z - centre[design.stratum])
    return np.asarray(np.sqrt((squares * correction[design.stratum, None]).sum(axis=0)))


def design_bootstrap_weights(
    weights: FloatArray, design: Design, replicates: int, generator: np.random.Generator
) -> FloatArray:
    """Weights times bootstrap factors, shape (replicates, respondents).

    The rescaled bootstrap of Rao and Wu (1988): n_h - 1 PSUs drawn with replacement in each
    stratum, times n_h/(n_h - 1). A stratum of one PSU keeps it.
    """
    factors = np.ones((replicates, design.stratum.size))
    for h, size in enumerate(design.sizes):
        if size > 1:
            inside = np.flatnonzero(design.stratum == h)
            counts = generator.multinomial(size - 1, np.full(size, 1 / size), size=replicates)
            factors[:, inside] = counts * (size / (size - 1))
    return np.asarray(factors[:, design.psu] * weights)
