"""What a public would say, from a few people's answers and a model's, with valid intervals.

A model's answers alone are no estimate of a public: they are off by an amount that nobody knows
without asking people. Prediction-powered inference asks a few. With y_i what person i of the sample
answered (a row of 0 and 1 over the options), f_i what the model answers for somebody like person i,
and fbar the mean of f over the population, the rectified estimate is

    theta = mean_sample(y) + lambda (fbar - mean_sample(f)).

It is unbiased whatever the model says, because both means of f estimate the same thing; lambda is
set to make its variance least, so that a model that knows nothing is left out. f_i depends on a
person through the groups a value set is made of; where the model says the same of everyone, the
bracket is 0 and nothing is gained.

Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Science 382: 669-674; lambda as in
Angelopoulos, Duchi and Zrnic (2023), PPI++, arXiv 2311.01453, section 6. With known fbar this is the
difference estimator with a regression coefficient of Sarndal, Swensson and Wretman (1992), chapter 6.
Variances are linearised and follow the sampling design (`population.design`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray
from suffrage.population.design import Design
from suffrage.population.distributions import share_intervals
from suffrage.survey import effective_sample_size

NORMAL = 1.959964
# Cells with fewer people of the sample are joined into one.
SMALLEST_CELL = 5


@dataclass(frozen=True, eq=False)
class Sample:
    """The people asked.

    answers: (n, K), one row a person: 1 at the option chosen, or one column for a mean.
    predictions: (n, K), what the model answers for a person of the same groups. weights: (n,).
    fraction: the part of a finite population that they are, when that population is what is
    wanted; 0 when it is large.
    """

    answers: FloatArray
    predictions: FloatArray
    weights: FloatArray
    fraction: float = 0.0


@dataclass(frozen=True, eq=False)
class Others:
    """The rest of the survey: not asked this item, but their groups are known.

    predictions: (N, K). weights: (N,).
    """

    predictions: FloatArray
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class Estimated:
    """An estimate with its 95 % interval. values, errors, low, high: (K,)."""

    values: FloatArray
    errors: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class Rectified:
    """Three answers to what a public would say.

    classical: the people asked, alone. raw: the model alone, (K,), which has no valid interval.
    rectified: both. tuning: lambda, with its standard error. worth: how many people asked without
    the model would be as sure. cells_worth: the same for people weighted to the cells' known shares,
    without a model; None when not asked for. helps: whether lambda is above 0 beyond chance. fraction:
    as in `Sample`.
    """

    classical: Estimated
    raw: FloatArray
    rectified: Estimated
    tuning: float
    tuning_error: float
    n: int
    n_eff: float
    worth: float
    cells_worth: float | None
    helps: bool
    fraction: float = 0.0

    @property
    def gain(self) -> float:
        """By how much the effective sample size grew; 0 when the model adds nothing."""
        return self.worth / self.n - 1


def rectify(
    sample: Sample,
    population: FloatArray | Others,
    design: Design | None = None,
    tuning: float | None = None,
    shares: bool = True,
    cells: tuple[IntArray, FloatArray | IntArray] | None = None,
) -> Rectified:
    """Classical, raw and rectified estimates of shares, or of a mean.

    population: the mean prediction over the population, (K,), known from margins or a whole survey;
    or the rest of the survey, as uncertain as any sample. design: of the sample's rows and then the
    others'; None for independent draws. tuning: lambda where it is not to be chosen; 0 gives the
    classical estimate, 1 the first form of prediction-powered inference. shares: whether answers are
    shares, with intervals inside 0 to 1 (Wilson), or a mean (Student's t). cells: of each person
    asked, and the cells' known shares or those of the others, for `cells_worth`.

    One lambda serves all options, so that shares sum to 1; it is at least 0.
    Raises ValueError on fewer than three people.
    """
    n = sample.weights.size
    if n < 3:
        raise ValueError("at least three people are needed")
    n_eff = effective_sample_size(sample.weights)
    others = population if isinstance(population, Others) else None
    mean_there = (
        _mean(population.predictions, population.weights)
        if isinstance(population, Others)
        else population
    )
    design = design or independent(n, 0 if others is None else others.weights.size)
    degrees = min(n_eff, design.stratum.size - design.sizes.size + 1) - 1
    people = _mean(sample.answers, sample.weights)
    guessed = _mean(sample.predictions, sample.weights)
    a = _units(_both(_influence(sample.answers, sample.weights), others), design)
    b = _units(_prediction_influence(sample, others), design)
    spread = float((b * b).sum())
    told = spread > 1e-18
    chosen = (
        tuning if tuning is not None else max(0.0, -float((a * b).sum()) / spread if told else 0.0)
    )
    together = a + chosen * b
    finite = 1 - sample.fraction
    before = finite * (a * a).sum(axis=0)
    after = finite * (together * together).sum(axis=0)
    if tuning is None and chosen > 0 and degrees > 1:
        after *= degrees / (degrees - 1)  # choosing lambda cost a degree of freedom
    score = (together * b).sum(axis=1)
    tuning_error = float(np.sqrt(np.square(score).sum()) / spread) if told else 0.0
    values = people + chosen * (mean_there - guessed)
    ratio = float(before.sum() / after.sum()) if after.sum() > 0 else 1.0
    quantile = student_quantile(max(degrees, 2))
    classical = _estimated(people, np.sqrt(before), n_eff, quantile, shares)
    rectified = classical
    if chosen > 0:
        narrower = student_quantile(max(degrees - 1, 2))
        rectified = _estimated(values, np.sqrt(after), n_eff * ratio, narrower, shares)
    return Rectified(
        classical=classical,
        raw=mean_there,
        rectified=rectified,
        tuning=chosen,
        tuning_error=tuning_error,
        n=n,
        n_eff=n_eff,
        worth=n * ratio,
        cells_worth=None
        if cells is None
        else n * float(before.sum()) / (finite * _cells_variance(sample, others, design, *cells)),
        helps=told and chosen > quantile * tuning_error,
        fraction=sample.fraction,
    )


def people_needed(found: Rectified, half_width: float) -> tuple[int, int]:
    """How many people of a large population to ask, so that no option's interval is wider.

    half_width: of the 95 % interval, in shares. First of people alone, then joined with the model, when
    its groups' shares are known or come from far more people.
    """
    needed = (
        found.n * float(np.square(estimated.errors).max()) / (1 - found.fraction)
        for estimated in (found.classical, found.rectified)
    )
    alone, joined = (int(np.ceil(variance * (NORMAL / half_width) ** 2)) for variance in needed)
    return alone, joined


def chosen_options(positions: npt.NDArray[np.integer], options: int) -> FloatArray:
    """Positions as rows of 0 and 1, (n, options)."""
    return np.asarray(np.eye(options)[positions])


def student_quantile(degrees: float) -> float:
    """The 97.5 % point of Student's t, to the third digit from 4 degrees of freedom on.

    Source: Abramowitz and Stegun (1964), 26.7.5.
    """
    z, v = NORMAL, degrees
    return float(
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(weights @ values / weights.sum())


def _influence(values: FloatArray, weights: FloatArray) -> FloatArray:
    """What each person adds to the weighted mean's error, (n, K): the mean is a ratio, linearised."""
    return np.asarray(weights[:, None] * (values - _mean(values, weights)) / weights.sum())


def _both(first: FloatArray, others: Others | None) -> FloatArray:
    """The sample's rows with a row of zeros for each of the others."""
    if others is None:
        return first
    return np.concatenate([first, np.zeros((others.weights.size, first.shape[1]))])


def _prediction_influence(sample: Sample, others: Others | None) -> FloatArray:
    """Of fbar - mean_sample(f)."""
    here = -_influence(sample.predictions, sample.weights)
    if others is None:
        return here
    return np.concatenate([here, _influence(others.predictions, others.weights)])


def independent(n: int, others: int = 0) -> Design:
    """A design without strata and clusters: every person a sampling unit of their own; the sample and the others apart."""
    return Design(np.arange(n + others), np.repeat([0, 1], [n, others]))


def _units(influence: FloatArray, design: Design) -> FloatArray:
    """Totals of the sampling units about their stratum's mean, so that products sum to variances.

    As in `design_standard_errors`: the variance of the estimate is the sum of squares, (units, K).
    """
    units, strata = design.stratum.size, design.sizes
    totals = np.zeros((units, influence.shape[1]))
    np.add.at(totals, design.psu, influence)
    sums = np.zeros((strata.size, influence.shape[1]))
    np.add.at(sums, design.stratum, totals)
    alone = strata == 1
    centre = np.where(alone[:, None], totals.mean(axis=0), sums / np.maximum(strata, 1)[:, None])
    scale = np.sqrt(np.where(alone, 1.0, strata / np.maximum(strata - 1, 1)))
    return np.asarray((totals - centre[design.stratum]) * scale[design.stratum, None])


def _estimated(
    values: FloatArray, errors: FloatArray, n_eff: float, quantile: float, shares: bool
) -> Estimated:
    if not shares:
        return Estimated(values, errors, values - quantile * errors, values + quantile * errors)
    inside = np.clip(values, 0, 1)
    inside = inside / inside.sum()
    # Where no spread can be had from a share of 0 or 1, the number of people decides.
    sure = np.where((inside > 0) & (inside < 1), errors, 0.0)
    low, high = share_intervals(inside, sure, n_eff, quantile)
    return Estimated(inside, errors, low, high)


def _cells_variance(
    sample: Sample,
    others: Others | None,
    design: Design,
    cells: IntArray,
    known: FloatArray | IntArray,
) -> float:
    """The variance of the people weighted to the cells' shares, summed over the options.

    Post-stratification, linearised: residuals within cells, scaled by known over sampled share; plus
    the spread of the others between cells, where the shares come from them. Source: Sarndal,
    Swensson and Wretman (1992), section 7.6.
    """
    count = known.size if others is None else int(max(cells.max(), known.max())) + 1
    sizes = np.bincount(cells, minlength=count)
    join = np.where(sizes < SMALLEST_CELL, count, np.arange(count))
    here = join[cells]
    w_here = np.bincount(here, sample.weights, count + 1)
    if others is None:
        share = np.bincount(join, known, count + 1)
    else:
        share = np.bincount(join[known.astype(int)], others.weights, count + 1)
    share = share / share.sum()
    within = np.zeros((count + 1, sample.answers.shape[1]))
    np.add.at(within, here, sample.weights[:, None] * sample.answers)
    within = within / np.maximum(w_here, 1e-300)[:, None]
    members = np.bincount(here, minlength=count + 1)
    scale = share / np.maximum(w_here / w_here.sum(), 1e-300)
    scale *= np.sqrt(members / np.maximum(members - 1, 1))
    residual = sample.answers - within[here]
    z = (sample.weights * scale[here] / sample.weights.sum())[:, None] * residual
    if others is not None:
        there = join[known.astype(int)]
        z = np.concatenate([z, _influence(within[there], others.weights)])
    return float(np.square(_units(z, design)).sum())
