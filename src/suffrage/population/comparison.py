"""Where two populations differ most, and which differences are more than noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.errors import InputError
from suffrage.population.distributions import FloatArray
from suffrage.population.value_set import AnswerDistribution, ValueSet

FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class ItemComparison:
    """One item in two populations, first minus second.

    total_variation: half the sum of absolute differences in shares, 0 to 1; the part of either
    population that would have to answer otherwise. low, high: its 95 % bootstrap interval.
    mean_difference: of the mean position on a scale from 0 to 1, None for nominal items, with its
    standard error. p_value: of the shares being equal, by a Wald test. clear: still a difference
    after holding the false discovery rate over all items at 5 %.
    """

    item_id: str
    total_variation: float
    low: float
    high: float
    mean_difference: float | None
    standard_error: float | None
    p_value: float
    clear: bool


def compare(first: ValueSet, second: ValueSet) -> list[ItemComparison]:
    """Every item both populations answered, those that differ most first.

    Takes the two populations as drawn independently, which holds for groups without members in
    common. Raises InputError when they share no item.
    """
    shared = [item for item in first.distributions if item in second.distributions]
    if not shared:
        raise InputError(f"value sets {first.name} and {second.name} have no item in common.")
    pairs = [(first.distributions[item], second.distributions[item]) for item in shared]
    p_values = np.array([equality_p_value(a, b) for a, b in pairs])
    clear = benjamini_hochberg(p_values, FALSE_DISCOVERY_RATE)
    found = [
        _compare_item(a, b, float(p), bool(c))
        for (a, b), p, c in zip(pairs, p_values, clear, strict=True)
    ]
    return sorted(found, key=lambda row: (-row.total_variation, row.item_id))


def _compare_item(
    a: AnswerDistribution, b: AnswerDistribution, p_value: float, clear: bool
) -> ItemComparison:
    apart = a.shares - b.shares
    # Resampled differences spread around the observed one; distances would be biased upward.
    drawn = np.abs(_resampled_difference(a, b)).sum(axis=1) / 2
    value = float(np.abs(apart).sum() / 2)
    centred = value + drawn - drawn.mean()
    low, high = np.quantile(centred, [0.025, 0.975])
    mean, error = None, None
    if a.item.ordered:
        scale = np.linspace(0, 1, a.shares.size)
        mean = float(apart @ scale)
        error = float((_resampled_difference(a, b) @ scale).std(ddof=1))
    return ItemComparison(
        item_id=a.item.id,
        total_variation=value,
        low=float(max(low, 0.0)),
        high=float(min(high, 1.0)),
        mean_difference=mean,
        standard_error=error,
        p_value=p_value,
        clear=clear,
    )


def _resampled_difference(a: AnswerDistribution, b: AnswerDistribution) -> FloatArray:
    count = min(len(a.replicates), len(b.replicates))
    return np.asarray(a.replicates[:count] - b.replicates[:count])


def equality_p_value(a: AnswerDistribution, b: AnswerDistribution) -> float:
    """The p-value of equal shares: a Wald test with the replicates' covariance.

    W = d' C^+ d, chi-squared with K-1 degrees of freedom, d the difference in shares, C its
    bootstrap covariance. Source: Rao and Thomas (1989), Wald test for survey proportions.
    """
    difference = (a.shares - b.shares)[:-1]
    covariance = np.atleast_2d(np.cov(_resampled_difference(a, b)[:, :-1], rowvar=False))
    statistic = float(difference @ np.linalg.pinv(covariance) @ difference)
    return chi_squared_tail(statistic, difference.size)


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """P(chi-squared with `degrees` > statistic), by the finite recurrence in the degrees.

    Source: Abramowitz and Stegun (1964), 26.4.4 and 26.4.5.
    """
    from math import erfc, exp, gamma, sqrt

    half = statistic / 2
    if half > 700:
        return 0.0
    tail = erfc(sqrt(half)) if degrees % 2 else exp(-half)
    for k in range(1 if degrees % 2 else 2, degrees, 2):
        tail += half ** (k / 2) * exp(-half) / gamma(k / 2 + 1)
    return min(tail, 1.0)


def benjamini_hochberg(p_values: FloatArray, rate: float) -> FloatArray:
    """Which hypotheses are rejected at this false discovery rate, as booleans.

    Source: Benjamini and Hochberg (1995), procedure (1).
    """
    order = np.argsort(p_values)
    ranked = p_values[order] <= rate * np.arange(1, p_values.size + 1) / p_values.size
    rejected = np.zeros(p_values.size, dtype=bool)
    if ranked.any():
        rejected[order[: int(np.flatnonzero(ranked).max()) + 1]] = True
    return np.asarray(rejected)
