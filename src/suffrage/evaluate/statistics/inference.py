"""Intervals and p-values from few clusters, for means and ratios of means.

A figure is a ratio of sums over clusters of questions, or a difference of two such ratios. With five
or ten clusters the percentile bootstrap is too narrow: its 95% intervals cover 0.73 of true values
at three clusters and 0.89 at ten. Student's t is right for symmetric differences and too narrow
for skewed ones. The studentised bootstrap is right for skewed ones and too narrow for heavy tails.
An interval here is therefore Student's, and each side is stretched where the studentised
bootstrap reaches further. `benchmarks/inference.py` shows its coverage and its error rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.evaluate.statistics.student import student_quantile, student_tails

LEVEL = 0.95
# With fewer clusters nothing is claimed: no interval, no verdict.
FEWEST_CLUSTERS = 4
# A skewed difference among few clusters is found too often even so; p-values are raised by
# 1 + SKEWNESS_ALLOWANCE / clusters, which is 2 at four clusters and 1.1 at forty.
SKEWNESS_ALLOWANCE = 4.0
# The studentised bootstrap of four clusters can reach anywhere; no side is stretched further.
MOST_STRETCH = 6.0


@dataclass(frozen=True, eq=False)
class Ratio:
    """The sums of a figure by cluster: its value is sum(above) / sum(below)."""

    # Shape (clusters,): the sums of the numerator.
    above: FloatArray
    # Shape (clusters,): the sums of the denominator; the number of rows for a plain mean.
    below: FloatArray

    @property
    def value(self) -> float:
        """The ratio of the sums; NaN where the denominator is not positive."""
        total = float(self.below.sum())
        return float(self.above.sum()) / total if total > 0 else float("nan")


@dataclass(frozen=True)
class Inference:
    """A figure with its standard error and how far each side of its interval reaches."""

    # The figure: a ratio, or the difference of two.
    value: float
    # The standard error over clusters and, where they are given, over respondents.
    error: float
    # The number of clusters with rows.
    clusters: int
    # How much further than Student's t the lower and the upper side reach, 1 or more.
    stretch_low: float
    stretch_high: float

    @property
    def can_tell(self) -> bool:
        """Whether there are enough clusters for an interval."""
        return self.clusters >= FEWEST_CLUSTERS and isfinite(self.value)

    def interval(self, level: float = LEVEL) -> tuple[float | None, float | None]:
        """The interval at a level, or (None, None) with too few clusters."""
        if not self.can_tell:
            return None, None
        reach = student_quantile(0.5 + level / 2, self.clusters - 1) * self.error
        return self.value - self.stretch_low * reach, self.value + self.stretch_high * reach

    def p_value(self, against: float = 0.0) -> float | None:
        """The two-sided p-value for a true value of `against`; None with too few clusters.

        Where every cluster gives one and the same value, no variation can be seen. The p-value is
        then that of the sign test, 2^(1 - clusters).
        """
        if not self.can_tell:
            return None
        distance = self.value - against
        if self.error <= 1e-12 * max(1.0, abs(self.value)):
            return 1.0 if abs(distance) < 1e-12 else float(2.0 ** (1 - self.clusters))
        # A value above `against` is tested with the side that reaches down to it.
        stretch = self.stretch_low if distance > 0 else self.stretch_high
        t = abs(distance) / (self.error * stretch)
        allowance = 1 + SKEWNESS_ALLOWANCE / self.clusters
        return min(1.0, allowance * student_tails(t, self.clusters - 1))


def infer(
    first: Ratio,
    second: Ratio | None,
    counts: IntArray,
    respondents: float = 0.0,
) -> Inference:
    """Return a figure, or the difference of two, with its error and the reach of its interval.

    Parameters
    ----------
    first, second : Ratio
        The figure, and the one it is compared with (None for a figure alone), over the same
        clusters in the same order. A cluster without rows has zeros in both.
    counts : array, shape (draws, clusters)
        How often each bootstrap draw took each cluster.
    respondents : float
        The variance of the figure under resampled respondents and resampled answers of the model,
        0 or more. It is added to the variance over clusters.

    Returns
    -------
    Inference
        Its error is the delete-one-cluster jackknife's, which is the usual standard error for
        clusters of one size and errs on the wide side for others.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 11 and 12.
    Hall (1988), Theoretical comparison of bootstrap confidence intervals, Annals of Statistics 16.
    Cameron, Gelbach and Miller (2008), Bootstrap-based improvements for inference with clustered
    errors, Review of Economics and Statistics 90.
    """
    ratios = [first] if second is None else [first, second]
    used = np.logical_or.reduce([ratio.below > 0 for ratio in ratios])
    kept = [Ratio(ratio.above[used], ratio.below[used]) for ratio in ratios]
    value = kept[0].value - (kept[1].value if second is not None else 0.0)
    clusters = int(used.sum())
    if clusters < FEWEST_CLUSTERS or not isfinite(value):
        return Inference(value, float("nan"), clusters, 1.0, 1.0)
    between = _jackknife_variance(kept)
    low, high = _stretches(kept, counts[:, used], value, clusters)
    # Respondents add no skewness of their own: the stretch is for the part that clusters have.
    total = between + respondents
    part = sqrt(between / total) if total > 0 else 0.0
    return Inference(
        value, sqrt(total), clusters, 1 + (low - 1) * part, 1 + (high - 1) * part
    )


def _jackknife_variance(ratios: Sequence[Ratio]) -> float:
    """The variance of the figure from leaving out one cluster at a time."""
    left_out = np.zeros(ratios[0].above.size)
    for sign, ratio in zip((1.0, -1.0), ratios, strict=False):
        below = ratio.below.sum() - ratio.below
        above = ratio.above.sum() - ratio.above
        left_out += sign * np.divide(above, below, out=np.full(below.size, np.nan), where=below > 0)
    # Without this one cluster there would be no figure: nothing can be said of its error.
    if not np.isfinite(left_out).all():
        return inf
    count = left_out.size
    return float((count - 1) / count * np.square(left_out - left_out.mean()).sum())


def _stretches(
    ratios: Sequence[Ratio], counts: IntArray, value: float, clusters: int
) -> tuple[float, float]:
    """How much further than Student's t the studentised bootstrap reaches, below and above."""
    drawn = np.zeros(counts.shape[0])
    parts: list[tuple[FloatArray, FloatArray, FloatArray, float]] = []
    valid = np.ones(counts.shape[0], dtype=bool)
    for sign, ratio in zip((1.0, -1.0), ratios, strict=False):
        below = counts @ ratio.below
        valid &= below > 0
        below = np.where(below > 0, below, 1.0)
        at = (counts @ ratio.above) / below
        drawn += sign * at
        parts.append((at, below, ratio.above, sign))
    # The squared influences of the clusters drawn, written out in sums of products so that no
    # array of draws x clusters is needed.
    vectors = [v for ratio in ratios for v in (ratio.above, ratio.below)]
    weights = [w for at, below, _, sign in parts for w in (sign / below, -sign * at / below)]
    square = np.zeros(counts.shape[0])
    for i in range(len(vectors)):
        for j in range(i, len(vectors)):
            products = counts @ (vectors[i] * vectors[j])
            square += (1.0 if i == j else 2.0) * weights[i] * weights[j] * products
    error = np.sqrt(np.maximum(square, 0.0) * clusters / (clusters - 1))
    scale = float(np.median(error[valid])) if valid.any() else 0.0
    known = valid & (error > 1e-9 * max(scale, 1e-300))
    t = np.divide(drawn - value, error, out=np.zeros_like(drawn), where=known)
    # A draw of one cluster only has no error; it lies as far out as can be on its side.
    t = np.where(known, t, np.sign(drawn - value) * 1e6)[valid]
    if t.size == 0 or scale == 0.0:
        return 1.0, 1.0
    reach = student_quantile(0.5 + LEVEL / 2, clusters - 1)
    tail = (1 - LEVEL) / 2
    below_q, above_q = np.quantile(t, [tail, 1 - tail])
    # The upper end of the interval comes from the lower tail of t, and the lower end from the upper.
    low, high = float(above_q) / reach, float(-below_q) / reach
    return min(MOST_STRETCH, max(1.0, low)), min(MOST_STRETCH, max(1.0, high))
