"""Intervals and p-values from few clusters, for any figure that can be worked out without one.

With five or ten clusters of questions the percentile bootstrap is too narrow: its 95% intervals
cover 0.73 of true values at three clusters and 0.89 at ten. Student's t is right for symmetric
differences and too narrow for skewed ones. The studentised bootstrap is right for skewed ones and
too narrow for heavy tails. An interval here is therefore Student's, with the standard error of the
delete-one-cluster jackknife, and each side is stretched where the studentised bootstrap reaches
further. Tests are stricter. Holm's correction asks for levels far below 5%, and out there the
bootstrap of few clusters sees too little of a long tail. A test therefore has half the degrees of
freedom, and the side of the tail is stretched once more, by the skewness. That stretch shrinks with
the root of the clusters, as the skewness of their mean does. Four clusters, and more that count for
fewer than four, have an interval and no verdict. Intervals are not stretched twice: the product of
both stretches can reach anywhere. `benchmarks/inference.py` and `benchmarks/inference_precise.py`
show the coverage and the error rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.statistics.outcomes import Outcomes
from suffrage.population.student import student_quantile, student_tails

LEVEL = 0.95
# With fewer clusters nothing is claimed: no interval, no verdict.
FEWEST_CLUSTERS = 4
# With fewer clusters, or with an effective number below `FEWEST_CLUSTERS`, nothing is told apart: a
# p-value is at least that of the sign test. Four clusters of skewed values are too often close
# together by chance, and far from their mean.
FEWEST_TEST_CLUSTERS = 5
# A skewed difference among few clusters is found too often even so, the more the smaller the level
# that Holm's correction asks for. P-values are those of Student's t with half as many degrees of
# freedom, and at least these.
FEWEST_TEST_DEGREES = 2
# Few clusters show too little of their skewness. In a test a standard error is therefore longer by
# this number over the root of the clusters, whatever their skewness is.
UNSEEN_TAIL = 0.4
# A tail stretches a test by the skewness times this number over the root of the clusters, and by
# the whole skewness where clusters are few. The mean of many clusters is hardly skewed.
TAIL = 3.5
# The studentised bootstrap of four clusters can reach anywhere; no side is stretched further.
MOST_STRETCH = 6.0
# The share of studies that would see a difference of the size called detectable.
POWER = 0.8
# An error below this part of the figure is rounding: every cluster gives the same value.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Inference:
    """A figure with its standard error and how far each side of its interval reaches."""

    value: float
    # The standard error over clusters and respondents; NaN or infinite where it is not known.
    error: float
    # The number of clusters with rows.
    clusters: int
    # The number of clusters of one size that would tell as much: Student's degrees of freedom + 1.
    effective: int
    # How much further than Student's t the lower and the upper side reach, 1 or more.
    stretch_low: float
    stretch_high: float
    # The third central moment over the standard deviation cubed, of clusters and respondents.
    skewness: float = 0.0
    # What one unit can be, where a unit has one of a few values: right or wrong.
    outcomes: Outcomes | None = None
    # Whether the clusters differ, beyond rounding.
    clusters_differ: bool = True

    @property
    def can_tell(self) -> bool:
        """Whether there are enough clusters for an interval."""
        return self.clusters >= FEWEST_CLUSTERS and isfinite(self.value) and isfinite(self.error)

    @property
    def can_test(self) -> bool:
        """Whether there are enough clusters for a verdict."""
        enough = self.clusters >= FEWEST_TEST_CLUSTERS and self.effective >= FEWEST_CLUSTERS
        return self.can_tell and enough

    @property
    def varies(self) -> bool:
        """Whether the clusters or the respondents differ, beyond rounding."""
        return self.error > ROUNDING * max(1.0, abs(self.value))

    @property
    def _is_zero(self) -> bool:
        """Whether the figure is 0 in all clusters, but for rounding."""
        return not self.varies and abs(self.value) <= ROUNDING

    def interval(self, level: float = LEVEL) -> tuple[float | None, float | None]:
        """Return the interval at a level, or (None, None) with too few clusters.

        Where units are right or wrong, few clusters can agree by chance, and their spread then
        says too little. A share of such units has an interval for shares, and a difference of two
        shares that agree in all clusters has the exact one. Another figure that is the same in
        all clusters is so by construction, as the entropy of even answers is, and its interval
        is a point. Where that point is 0 but for rounding, 0 is in the interval.
        """
        if not self.can_tell:
            return None, None
        student = student_quantile(0.5 + level / 2, self.effective - 1)
        reach = student * self.error
        low, high = self.value - self.stretch_low * reach, self.value + self.stretch_high * reach
        if self.outcomes is not None and not self.clusters_differ:
            least, most = self.outcomes.interval_where_all_agree(self.value, self.effective, level)
            return min(low, least), max(high, most)
        if self.outcomes is not None and self.outcomes.is_share and 0 < self.value < 1:
            return self.outcomes.share_interval(self.value, self.error, student)
        if self._is_zero:
            return min(low, 0.0), max(high, 0.0)
        return low, high

    def p_value(self, against: float = 0.0) -> float | None:
        """Return the two-sided p-value for a true value of `against`.

        It is None with too few clusters for an interval. With too few for a verdict it is at least
        the sign test's, 2^(1 - effective clusters): 0.125 or more. Where every cluster gives one
        and the same value, no variation can be seen, and it is 2^(1 - clusters).
        """
        if not self.can_tell:
            return None
        distance = self.value - against
        if not self.varies:
            same = abs(distance) <= ROUNDING * max(1.0, abs(self.value))
            return 1.0 if same else float(2.0 ** (1 - self.clusters))
        t = abs(distance) / (self.error * self._test_stretch(distance > 0))
        p = student_tails(t / _unseen_tail(self.effective), degrees_of_tests(self.effective))
        return p if self.can_test else max(p, float(2.0 ** (1 - self.effective)))

    def _test_stretch(self, above: bool) -> float:
        """How much further than Student's t a test reaches, for a value above or below another.

        A value above another is tested with the side that reaches down to it.
        """
        tail = tail_part(self.effective) * (-self.skewness if above else self.skewness)
        return (self.stretch_low if above else self.stretch_high) * (1 + max(0.0, tail))

    @property
    def widening(self) -> float:
        """How much wider the interval is than the bootstrap's spread would make it, 1 or more.

        A bootstrap of C clusters has the variance of C clusters, not of C - 1, and its percentiles
        are those of the normal distribution.
        """
        reach = student_quantile(0.5 + LEVEL / 2, self.effective - 1)
        few = sqrt(self.effective / (self.effective - 1))
        stretch = max(self.stretch_low, self.stretch_high)
        return stretch * few * reach / NormalDist().inv_cdf(0.5 + LEVEL / 2)

    @property
    def detectable(self) -> float | None:
        """The true difference that a test at 5% would find in four of five such studies.

        It is None where nothing can be told apart, or where nothing varies: no error is not power.
        """
        if not self.can_test or not self.varies:
            return None
        stretch = max(self._test_stretch(above) for above in (False, True))
        return self.error * errors_needed(1 - LEVEL, self.effective, stretch)


def degrees_of_tests(clusters: int) -> int:
    """Return the degrees of freedom of p-values, fewer than the clusters have."""
    return max(FEWEST_TEST_DEGREES, clusters // 2 - 1)


def critical_value(level: float, clusters: int) -> float:
    """Return how many standard errors from 0 a p-value falls below a level, without a stretch.

    Parameters
    ----------
    level : float
        Above 0 and below 1.
    clusters : int
        2 or more.
    """
    return _unseen_tail(clusters) * student_quantile(1 - level / 2, degrees_of_tests(clusters))


def tail_part(clusters: int) -> float:
    """Return the part of the skewness that stretches a test: above 0, and 1 with few clusters.

    Parameters
    ----------
    clusters : int
        1 or more.

    References
    ----------
    Hall (1988), Theoretical comparison of bootstrap confidence intervals, Annals of Statistics 16:
    the skewness of a mean shrinks with the root of the number averaged.

    Examples
    --------
    >>> [round(tail_part(clusters), 2) for clusters in (8, 50, 400)]
    [1.0, 0.49, 0.17]
    """
    return min(1.0, TAIL / sqrt(clusters))


def _unseen_tail(clusters: int) -> float:
    """How much longer a standard error is in a test, for the skewness that few clusters hide."""
    return 1 + UNSEEN_TAIL / sqrt(clusters)


def errors_needed(level: float, clusters: int, stretch: float = 1.0) -> float:
    """Return how many standard errors a true difference needs to be seen four times in five."""
    degrees = max(clusters - 1, 1)
    return stretch * critical_value(level, clusters) + student_quantile(POWER, degrees)


def usual_errors_needed(clusters: int) -> float:
    """Return how many standard errors are seen four times in five where clusters differ normally.

    Samples of normal values are skewed by chance, and tests are stretched by it. Four in five have
    less skewness on one side than this part of its standard deviation.

    References
    ----------
    Fisher (1930), The moments of the distribution for normal samples of measures of departure from
    normality, Proceedings of the Royal Society A 130, for the standard deviation.
    """
    by_chance = sqrt(6 * (clusters - 2) / ((clusters + 1) * (clusters + 3)))
    tail = tail_part(clusters) * NormalDist().inv_cdf(POWER) * by_chance
    return errors_needed(1 - LEVEL, clusters, 1 + tail)


def detectable_with(clusters: int, deviation: float) -> float | None:
    """Return the true difference that a study with so many clusters would see four times in five.

    Parameters
    ----------
    clusters : int
        Of questions, of about one size.
    deviation : float
        The standard deviation of a difference between clusters.

    Returns
    -------
    float or None
        None with too few clusters for a verdict.

    Examples
    --------
    >>> round(detectable_with(10, 0.08), 3)
    0.14
    """
    if clusters < FEWEST_TEST_CLUSTERS:
        return None
    return deviation / sqrt(clusters) * usual_errors_needed(clusters)


def infer(
    value: float,
    left_out: FloatArray,
    sizes: FloatArray,
    counts: FloatArray,
    people_variance: float = 0.0,
    clusters: int | None = None,
    outcomes: Outcomes | None = None,
) -> Inference:
    """Return a figure with its error and the reach of its interval.

    The jackknife's influence values l = (C - 1) (mean(left_out) - left_out) stand for the
    clusters' own values. The standard error is that of their mean. The studentised bootstrap is
    that of the ratio sum(l) / sum(sizes). For a plain mean over clusters of one size both are the
    usual ones.

    Parameters
    ----------
    value : float
        The figure.
    left_out : array, shape (clusters,)
        The figure with each cluster left out.
    sizes : array, shape (clusters,)
        The number of questions in each cluster, or the sum of what they weigh; above 0. Their
        unit does not matter.
    counts : array, shape (draws, clusters)
        How often each bootstrap draw took each of these clusters.
    people_variance : float
        The variance of the figure under resampled respondents and resampled answers of the model,
        0 or more. It is added to the variance over clusters.
    clusters : int, optional
        The number of clusters that some part of the figure rests on, where it is fewer than all.
    outcomes : Outcomes, optional
        What one unit can be, where the figure is a mean of right and wrong answers, or the like.

    Returns
    -------
    Inference

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 11 and 12.
    Hall (1988), Theoretical comparison of bootstrap confidence intervals, Annals of Statistics 16.
    Cameron, Gelbach and Miller (2008), Bootstrap-based improvements for inference with clustered
    errors, Review of Economics and Statistics 90.
    Kish (1965), Survey Sampling, section 11.7, for the effective number.
    """
    count = left_out.size
    clusters = count if clusters is None else min(clusters, count)
    effective = _effective(sizes, clusters)
    # Without some cluster there would be no figure: nothing can be said of its error.
    known = isfinite(value) and bool(np.isfinite(left_out).all())
    if clusters < FEWEST_CLUSTERS or effective < 2 or not known:
        return Inference(value, float("nan"), clusters, effective, 1.0, 1.0, outcomes=outcomes)
    influence = influences(left_out)
    between = float(influence @ influence) / (count * (count - 1))
    total = between + people_variance
    if between <= (ROUNDING * max(1.0, abs(value))) ** 2:
        people = sqrt(people_variance)
        return Inference(
            value, people, clusters, effective, 1.0, 1.0, outcomes=outcomes, clusters_differ=False
        )
    low, high = _stretches(influence, sizes / sizes.mean(), counts, effective)
    # Respondents add no skewness of their own: the stretch is for the part that clusters have.
    part = sqrt(between / total)
    low, high = 1 + (low - 1) * part, 1 + (high - 1) * part
    skewness = _skewness(influence) * part**3
    return Inference(value, sqrt(total), clusters, effective, low, high, skewness, outcomes)


def _effective(sizes: FloatArray, clusters: int) -> int:
    """Kish's effective number, rounded, and not above the clusters that some part rests on."""
    if not sizes.size:
        return 0
    return min(clusters, round(float(sizes.sum() ** 2 / np.square(sizes).sum())))


def influences(left_out: FloatArray) -> FloatArray:
    """Return each cluster's influence on a figure: its own value less the mean, for a mean.

    Parameters
    ----------
    left_out : array, shape (clusters,)
        The figure with each cluster left out.
    """
    return np.asarray((left_out.size - 1) * (left_out.mean() - left_out))


def _skewness(influence: FloatArray) -> float:
    """The third central moment over the standard deviation cubed, of values around 0."""
    spread: float = float(np.square(influence).mean()) ** 1.5
    return float((influence * influence * influence).mean()) / max(spread, 1e-300)


def _stretches(
    influence: FloatArray, sizes: FloatArray, counts: FloatArray, effective: int
) -> tuple[float, float]:
    """How much further than Student's t the studentised bootstrap reaches, below and above."""
    products = (np.ones_like(sizes), sizes, influence, influence**2, influence * sizes, sizes**2)
    moments = counts @ np.stack(products, axis=1)
    number, below, above, squares, mixed, weights = moments[moments[:, 0] > 1].T
    if number.size == 0:
        return 1.0, 1.0
    ratio = above / below
    # The sum of (l - ratio x size)^2 over the clusters drawn.
    apart = np.maximum(squares - 2 * ratio * mixed + ratio**2 * weights, 0.0)
    error = np.sqrt(apart * number / (number - 1)) / below
    varies = error > 1e-9 * max(float(np.median(error)), 1e-300)
    # A draw of one cluster only has no error; it lies as far out as can be on its side.
    t = np.where(varies, ratio / np.where(varies, error, 1.0), np.sign(ratio) * 1e6)
    reach = student_quantile(0.5 + LEVEL / 2, effective - 1)
    tail = (1 - LEVEL) / 2
    lowest, highest = np.quantile(t, [tail, 1 - tail])
    # The upper end of the interval comes from the lower tail of t, and the lower end from the
    # upper one.
    low, high = float(highest) / reach, float(-lowest) / reach
    return min(MOST_STRETCH, max(1.0, low)), min(MOST_STRETCH, max(1.0, high))
