"""Where two populations differ most, and which differences are more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, gamma, sqrt

import numpy as np

from suffrage.arrays import BoolArray, FloatArray
from suffrage.errors import InputError
from suffrage.population.distribution_distances import jensen_shannon_distance, total_variation
from suffrage.population.distributions import sample_worth
from suffrage.population.value_set import AnswerDistribution, ValueSet

FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class ItemComparison:
    """One item in two populations; differences are the first minus the second.

    Intervals and standard errors are None where a value set comes without resamples.
    """

    item_id: str
    # Half the sum of absolute differences in shares, 0 to 1: the part of either population that
    # would have to answer otherwise.
    total_variation: float
    # Its 95% interval, which excludes 0 where the two differ beyond noise on this item alone.
    low: float | None
    high: float | None
    # The distance in base 2, 0 to 1.
    jensen_shannon: float
    # Of the mean position on a scale from 0 to 1, with its standard error and 95% bootstrap
    # interval; None for nominal items.
    mean_difference: float | None
    standard_error: float | None
    mean_low: float | None
    mean_high: float | None
    # Of equal shares.
    p_value: float
    # Whether the two differ beyond noise among all items compared (false discovery rate 5%).
    clear: bool


def compare_value_sets(first: ValueSet, second: ValueSet) -> list[ItemComparison]:
    """Compare two populations on every item that both answered.

    The two are taken as drawn independently, which holds for groups without members in common.
    A small group is compared as it is, drawn toward its parent, so that its differences are
    understated.

    Parameters
    ----------
    first, second : ValueSet
        The two populations.

    Returns
    -------
    list of ItemComparison
        The items that differ most first.

    Raises
    ------
    InputError
        They have no item in common, or an item's options differ.
    """
    shared = [item for item in first.distributions if item in second.distributions]
    if not shared:
        raise InputError(f"value sets {first.name} and {second.name} have no item in common.")
    pairs = [(first.distributions[item], second.distributions[item]) for item in shared]
    for a, b in pairs:
        if a.item.texts != b.item.texts:
            raise InputError(
                f"item {a.item.id} has other options in value set {first.name} than in "
                f"{second.name}; they cannot be compared."
            )
    p_values = np.array([equality_p_value(a, b) for a, b in pairs])
    rejected = benjamini_hochberg(p_values, FALSE_DISCOVERY_RATE)
    found = [
        _compare_item(a, b, float(p), bool(r))
        for (a, b), p, r in zip(pairs, p_values, rejected, strict=True)
    ]
    return sorted(found, key=lambda row: (-row.total_variation, row.item_id))


def _compare_item(
    a: AnswerDistribution, b: AnswerDistribution, p_value: float, rejected: bool
) -> ItemComparison:
    apart = a.shares - b.shares
    noise = _resampling_noise(a, b)
    distance = float(total_variation(a.shares, b.shares))
    low, high = _distance_interval(distance, noise)
    mean, error, mean_low, mean_high = None, None, None, None
    if a.item.ordered:
        scale = np.linspace(0, 1, apart.size)
        mean = float(apart @ scale)
        if noise.size:
            drawn = noise @ scale
            error = float(drawn.std(ddof=1))
            mean_low = mean + float(np.quantile(drawn, 0.025))
            mean_high = mean + float(np.quantile(drawn, 0.975))
    return ItemComparison(
        item_id=a.item.id,
        total_variation=distance,
        low=low,
        high=high,
        jensen_shannon=float(jensen_shannon_distance(a.shares, b.shares)),
        mean_difference=mean,
        standard_error=error,
        mean_low=mean_low,
        mean_high=mean_high,
        p_value=p_value,
        # The test and the interval answer one question by two routes; clear needs both.
        clear=rejected and (low is None or low > 0),
    )


def _resampling_noise(a: AnswerDistribution, b: AnswerDistribution) -> FloatArray:
    """By how much resampling alone changes the difference in shares: (draws, options), around 0."""
    count = min(len(a.replicates), len(b.replicates))
    if count == 0:
        return np.empty((0, a.shares.size))
    # Shifted by one draw: value sets of one name and size in two surveys draw the same rows.
    drawn = a.replicates[:count] - np.roll(b.replicates[:count], 1, axis=0)
    return np.asarray(drawn - drawn.mean(axis=0))


def _distance_interval(distance: float, noise: FloatArray) -> tuple[float | None, float | None]:
    """A 95% interval of the total variation: the distance minus and plus what noise adds to it.

    Percentiles of resampled distances are too high, because noise makes any two populations differ:
    for two equal ones with ten options they contain the truth in none of 20 cases. With c the 95%
    quantile of the distance that noise alone covers, the triangle inequality gives
    |TV(sample) - TV(population)| <= c in 95% of samples, for any number of options. The interval
    is cautious where the populations differ.
    """
    if not noise.size:
        return None, None
    covered = float(np.quantile(total_variation(noise, np.zeros(1)), 0.95))
    return max(distance - covered, 0.0), min(distance + covered, 1.0)


def equality_p_value(a: AnswerDistribution, b: AnswerDistribution) -> float:
    """Return the p-value of equal shares, by Pearson's test with the Rao-Scott correction.

    X^2 = m1 m2 / (m1 + m2) sum_k (p1_k - p2_k)^2 / p_k is chi-squared with K-1 degrees of freedom;
    p are the shares of both together, over the K options that anyone chose, and m is what each
    sample is worth (`respondents_worth`). The test needs no resamples, and holds with options that
    few chose, where a Wald test with a resampled covariance rejects far too often.

    Parameters
    ----------
    a, b : AnswerDistribution
        One item in two populations, with the same options.

    Returns
    -------
    float
        0 to 1.

    References
    ----------
    Rao and Scott (1981), JASA 76: 221-230, first-order correction.
    Scott and Rao (1981) for two samples.
    """
    worth_a, worth_b = respondents_worth(a), respondents_worth(b)
    together = (worth_a * a.shares + worth_b * b.shares) / (worth_a + worth_b)
    chosen = together > 0
    apart = np.square(a.shares - b.shares)[chosen] / together[chosen]
    statistic = worth_a * worth_b / (worth_a + worth_b) * float(apart.sum())
    return chi_squared_tail(statistic, int(chosen.sum()) - 1)


def respondents_worth(d: AnswerDistribution) -> float:
    """`sample_worth` of a distribution; of a pooled one it counts the parent's part too."""
    return sample_worth(d.shares, d.standard_errors, d.n_eff / (1 - d.pooled))


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """Return the probability that a chi-squared variable is above the statistic.

    Parameters
    ----------
    statistic : float
        Not negative.
    degrees : int
        Degrees of freedom. With 0 of them the statistic is always 0, and the result 1.

    Returns
    -------
    float
        0 to 1, by the finite recurrence in the degrees.

    References
    ----------
    Abramowitz and Stegun (1964), 26.4.4 and 26.4.5.

    Examples
    --------
    >>> round(chi_squared_tail(3.841, 1), 3)
    0.05
    """
    if degrees == 0:
        return 1.0
    half = statistic / 2
    if half > 700:
        return 0.0
    tail = erfc(sqrt(half)) if degrees % 2 else exp(-half)
    for k in range(1 if degrees % 2 else 2, degrees, 2):
        tail += half ** (k / 2) * exp(-half) / gamma(k / 2 + 1)
    return min(tail, 1.0)


def benjamini_hochberg(p_values: FloatArray, rate: float) -> BoolArray:
    """Return which hypotheses are rejected at a false discovery rate.

    Parameters
    ----------
    p_values : array, shape (hypotheses,)
        In any order.
    rate : float
        The expected share of false discoveries among the rejected, 0 to 1.

    Returns
    -------
    array of bool, shape (hypotheses,)
        True where the hypothesis is rejected.

    References
    ----------
    Benjamini and Hochberg (1995), JRSS B 57: 289-300, procedure (1).

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.2, 0.01, 0.02, 0.9]), 0.05)
    array([False,  True,  True, False])
    """
    order = np.argsort(p_values)
    ranked = p_values[order] <= rate * np.arange(1, p_values.size + 1) / p_values.size
    rejected = np.zeros(p_values.size, dtype=bool)
    if ranked.any():
        rejected[order[: int(np.flatnonzero(ranked).max()) + 1]] = True
    return np.asarray(rejected)
