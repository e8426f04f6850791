"""What a public would say, from a few people's answers and a model's, with valid intervals.

A model's answers alone do not estimate a public's: nobody knows by how much they are wrong without
asking people. Prediction-powered inference asks a few. With y_i what person i of the sample
answered (a row of 0 and 1 over the options), f_i what the model answers for somebody like person i,
and fbar the mean of f over the population, the rectified estimate is

    theta = mean_sample(y) + lambda (fbar - mean_sample(f)).

It is unbiased whatever the model says, because both means of f estimate the same thing. Lambda is
chosen to minimise the variance, so that a model that knows nothing is left out. f_i depends on a
person through the groups a value set is made of; where the model says the same of everyone, the
bracket is 0 and nothing is gained.

Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Science 382: 669-674; lambda as in
Angelopoulos, Duchi and Zrnic (2023), PPI++, arXiv 2311.01453, section 6. With known fbar this is
the difference estimator with a regression coefficient of Sarndal, Swensson and Wretman (1992),
chapter 6. Variances are linearised and follow the sampling design (`population.design`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.population.design import Design, scaled_deviations
from suffrage.population.distributions import share_intervals
from suffrage.survey import effective_sample_size

NORMAL = 1.959964
# Cells with fewer people of the sample are joined into one.
SMALLEST_CELL = 5


@dataclass(frozen=True, eq=False)
class Sample:
    """The people asked."""

    # Shape (n, K), one row for each person: 1 at the option chosen, or one column for a mean.
    answers: FloatArray
    # Shape (n, K): what the model answers for a person of the same groups.
    predictions: FloatArray
    # Shape (n,).
    weights: FloatArray
    # The part of a finite population that they are, when the estimate is of that population;
    # 0 when it is large.
    fraction: float = 0.0


@dataclass(frozen=True, eq=False)
class Others:
    """The rest of the survey: they were not asked this item, but their groups are known."""

    # Shape (N, K).
    predictions: FloatArray
    # Shape (N,).
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class Estimated:
    """An estimate with its standard errors and 95% interval, each of shape (K,)."""

    values: FloatArray
    errors: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class Rectified:
    """Three answers to what a public would say."""

    # The people asked, alone.
    classical: Estimated
    # The model alone, shape (K,); it has no valid interval.
    raw: FloatArray
    # Both together.
    rectified: Estimated
    # Lambda, with its standard error.
    tuning: float
    tuning_error: float
    # People asked, and their effective number.
    n: int
    n_eff: float
    # How many people asked without the model would give as sure an estimate.
    worth: float
    # The same for people weighted to the cells' known shares, without a model; None when not
    # asked for.
    cells_worth: float | None
    # Whether lambda is above 0 beyond chance.
    helps: bool
    # As in `Sample`.
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
    """Return classical, raw and rectified estimates of shares, or of a mean.

    One lambda serves all options, so that shares sum to 1; it is at least 0.

    Parameters
    ----------
    sample : Sample
        The people asked, three at least.
    population : array, shape (K,), or Others
        The mean prediction over the population, known from margins or a whole survey; or the
        rest of the survey, which is as uncertain as any sample.
    design : Design, optional
        Of the sample's rows and then the others'; independent draws when None.
    tuning : float, optional
        Lambda. When None, it is chosen; 0 gives the classical estimate, 1 the first form of
        prediction-powered inference.
    shares : bool
        Whether answers are shares, with intervals inside 0 to 1 (Wilson), or a mean (Student's t).
    cells : (array, array), optional
        For `cells_worth`: the cell of each person asked, and the cells' known shares or the cells
        of the others.

    Returns
    -------
    Rectified
        The three estimates, and how many people the model is worth.

    Raises
    ------
    ValueError
        There are fewer than three people.
    """
    n = sample.weights.size
    if n < 3:
        raise ValueError("at least three people are needed")
    n_eff = effective_sample_size(sample.weights)
    others = population if isinstance(population, Others) else None
    raw = _mean(others.predictions, others.weights) if others else np.asarray(population)
    design = design or independent(n, 0 if others is None else others.weights.size)
    degrees = min(n_eff, design.stratum.size - design.sizes.size + 1) - 1
    errors = _Errors.of(sample, others, design)
    chosen = errors.best_tuning if tuning is None else tuning
    finite = 1 - sample.fraction
    before, after = finite * errors.variances(0.0), finite * errors.variances(chosen)
    if tuning is None and chosen > 0 and degrees > 1:
        after *= degrees / (degrees - 1)  # choosing lambda cost a degree of freedom
    ratio = float(before.sum() / after.sum()) if after.sum() > 0 else 1.0
    quantile = student_critical_point(max(degrees, 2))
    people = _mean(sample.answers, sample.weights)
    classical = _estimated(people, np.sqrt(before), n_eff, quantile, shares)
    rectified = classical
    if chosen > 0:
        values = people + chosen * (raw - _mean(sample.predictions, sample.weights))
        wider = student_critical_point(max(degrees - 1, 2))
        rectified = _estimated(values, np.sqrt(after), n_eff * ratio, wider, shares)
    cells_worth = None
    if cells is not None:
        with_cells = finite * _cells_variance(sample, others, design, *cells)
        cells_worth = n * float(before.sum()) / with_cells
    return Rectified(
        classical=classical,
        raw=raw,
        rectified=rectified,
        tuning=chosen,
        tuning_error=errors.tuning_error(chosen),
        n=n,
        n_eff=n_eff,
        worth=n * ratio,
        cells_worth=cells_worth,
        helps=errors.predictions_differ and chosen > quantile * errors.tuning_error(chosen),
        fraction=sample.fraction,
    )


@dataclass(frozen=True, eq=False)
class _Errors:
    """What each sampling unit adds to the errors of the estimate's two parts."""

    # Of mean_sample(y), shape (units, K).
    people: FloatArray
    # Of fbar - mean_sample(f), shape (units, K).
    bracket: FloatArray

    @classmethod
    def of(cls, sample: Sample, others: Others | None, design: Design) -> _Errors:
        """The errors of a sample, and of the others' predictions where fbar comes from them."""
        people = _influence(sample.answers, sample.weights)
        bracket = -_influence(sample.predictions, sample.weights)
        if others is not None:
            there = _influence(others.predictions, others.weights)
            people = np.concatenate([people, np.zeros_like(there)])
            bracket = np.concatenate([bracket, there])
        return cls(_unit_errors(people, design), _unit_errors(bracket, design))

    @property
    def spread(self) -> float:
        """The variance of the bracket, summed over the options."""
        return float((self.bracket * self.bracket).sum())

    @property
    def predictions_differ(self) -> bool:
        """Whether the model says different things of different people."""
        return self.spread > 1e-18

    @property
    def best_tuning(self) -> float:
        """The lambda with the least variance, at least 0."""
        if not self.predictions_differ:
            return 0.0
        return max(0.0, -float((self.people * self.bracket).sum()) / self.spread)

    def variances(self, tuning: float) -> FloatArray:
        """Of the estimate with this lambda, shape (K,)."""
        together = self.people + tuning * self.bracket
        return np.asarray((together * together).sum(axis=0))

    def tuning_error(self, tuning: float) -> float:
        """The standard error of a lambda that was chosen."""
        if not self.predictions_differ:
            return 0.0
        score = ((self.people + tuning * self.bracket) * self.bracket).sum(axis=1)
        return float(np.sqrt(np.square(score).sum()) / self.spread)


def people_needed(found: Rectified, half_width: float) -> tuple[int, int]:
    """Return how many people of a large population to ask for intervals of a given width.

    Parameters
    ----------
    found : Rectified
        Estimates from the people asked so far.
    half_width : float
        Half the width of the widest option's 95% interval, in shares.

    Returns
    -------
    alone, joined : int
        People alone, and people joined with the model. The second holds when the shares of the
        model's groups are known, or come from far more people.
    """
    needed = (
        found.n * float(np.square(estimated.errors).max()) / (1 - found.fraction)
        for estimated in (found.classical, found.rectified)
    )
    alone, joined = (int(np.ceil(variance * (NORMAL / half_width) ** 2)) for variance in needed)
    return alone, joined


def chosen_options(positions: PositionArray | IntArray, options: int) -> FloatArray:
    """Return positions as rows of 0 and 1, shape (n, options)."""
    return np.asarray(np.eye(options)[positions])


def student_critical_point(degrees: float) -> float:
    """Return the 97.5% point of Student's t.

    Parameters
    ----------
    degrees : float
        Degrees of freedom, above 0.

    Returns
    -------
    float
        Correct to the third digit from 4 degrees of freedom on.

    References
    ----------
    Abramowitz and Stegun (1964), 26.7.5.

    Examples
    --------
    >>> round(student_critical_point(10), 3)
    2.228
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
    """What each person adds to the error of the weighted mean, a linearised ratio: (n, K)."""
    return np.asarray(weights[:, None] * (values - _mean(values, weights)) / weights.sum())


def independent(n: int, others: int = 0) -> Design:
    """Return a design without clusters: each person is a sampling unit.

    The sample is one stratum, the others are a second.
    """
    return Design(np.arange(n + others), np.repeat([0, 1], [n, others]))


def _unit_errors(influence: FloatArray, design: Design) -> FloatArray:
    """What each sampling unit adds to an estimate's error, so that products sum to variances."""
    totals = np.zeros((design.stratum.size, influence.shape[1]))
    np.add.at(totals, design.psu, influence)
    return scaled_deviations(totals, design)


def _estimated(
    values: FloatArray, errors: FloatArray, n_eff: float, quantile: float, shares: bool
) -> Estimated:
    if not shares:
        return Estimated(values, errors, values - quantile * errors, values + quantile * errors)
    inside = np.clip(values, 0, 1)
    inside = inside / inside.sum()
    # A share of 0 or 1 has no spread of its own, so the number of people decides.
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

    This is post-stratification, linearised: residuals within cells, scaled by known over sampled
    share; plus the spread of the others between cells, where the shares come from them. Source:
    Sarndal, Swensson and Wretman (1992), section 7.6.
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
    return float(np.square(_unit_errors(z, design)).sum())
