"""Where two populations differ most, and which differences are more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, gamma, sqrt

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.population.distribution_distances import jensen_shannon_distance, total_variation
from suffrage.population.distributions import sample_worth
from suffrage.population.value_set import AnswerDistribution, ValueSet

FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class ItemComparison:
    """One item in two populations, first minus second.

    total_variation: half the sum of absolute differences in shares, 0 to 1; the part of either
    population that would have to answer otherwise. low, high: its 95 % interval, which excludes 0
    where the two differ beyond noise on this item taken alone.
    jensen_shannon: the distance in base 2, 0 to 1.
    mean_difference: of the mean position on a scale from 0 to 1, with its standard error and 95 %
    bootstrap interval (mean_low, mean_high); None for nominal items.
    p_value: of the shares being equal. clear: beyond noise also among all items compared, holding
    the false discovery rate at 5 %.
    Intervals and standard errors are None where a value set comes without resamples.
    """

    item_id: str
    total_variation: float
    low: float | None
    high: float | None
    jensen_shannon: float
    mean_difference: float | None
    standard_error: float | None
    mean_low: float | None
    mean_high: float | None
    p_value: float
    clear: bool


def compare_value_sets(first: ValueSet, second: ValueSet) -> list[ItemComparison]:
    """Every item both populations answered, those that differ most first.

    Takes the two populations as drawn independently, which holds for groups without members in
    common. A small group is compared as it stands, drawn toward its parent, so that its
    differences are understated. Raises InputError when they share no item, or an item's options differ.
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
    """How far resampling alone moves the difference in shares: (draws, options), around 0."""
    count = min(len(a.replicates), len(b.replicates))
    if count == 0:
        return np.empty((0, a.shares.size))
    # Shifted by one draw: value sets of one name and size in two surveys draw the same rows.
    drawn = a.replicates[:count] - np.roll(b.replicates[:count], 1, axis=0)
    return np.asarray(drawn - drawn.mean(axis=0))


def _distance_interval(distance: float, noise: FloatArray) -> tuple[float | None, float | None]:
    """A 95 % interval of the total variation: the distance less and plus what noise makes of it.

    Percentiles of resampled distances lie too high, since noise makes any two populations differ:
    of two equal ones with ten options they hold the truth in none of 20 cases. With c the 95 %
    quantile of the distance that noise alone covers, the triangle inequality gives
    |TV(sample) - TV(population)| <= c in 95 % of samples, for any number of options; cautious where
    the populations differ.
    """
    if not noise.size:
        return None, None
    covered = float(np.quantile(total_variation(noise, np.zeros(1)), 0.95))
    return max(distance - covered, 0.0), min(distance + covered, 1.0)


def equality_p_value(a: AnswerDistribution, b: AnswerDistribution) -> float:
    """The p-value of equal shares: Pearson's test with the Rao-Scott first-order correction.

    X^2 = m1 m2 / (m1 + m2) sum_k (p1_k - p2_k)^2 / p_k, chi-squared with K-1 degrees of freedom, p
    the shares of both together, over the K options that anyone chose. m is what each sample is
    worth (`respondents_worth`). Needs no resamples, and holds with options that few chose, where
    a Wald test with a resampled covariance rejects far too often.
    Source: Rao and Scott (1981), JASA 76: 221-230; Scott and Rao (1981) for two samples.
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
    """P(chi-squared with `degrees` > statistic), by the finite recurrence in the degrees.

    With 0 degrees of freedom the statistic is always 0, and the answer 1.

    Source: Abramowitz and Stegun (1964), 26.4.4 and 26.4.5.
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


def benjamini_hochberg(p_values: FloatArray, rate: float) -> npt.NDArray[np.bool_]:
    """Which hypotheses are rejected at this false discovery rate, as booleans.

    Source: Benjamini and Hochberg (1995), procedure (1).
    """
    order = np.argsort(p_values)
    ranked = p_values[order] <= rate * np.arange(1, p_values.size + 1) / p_values.size
    rejected = np.zeros(p_values.size, dtype=bool)
    if ranked.any():
        rejected[order[: int(np.flatnonzero(ranked).max()) + 1]] = True
    return np.asarray(rejected)
