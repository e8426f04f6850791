"""Intervals for shares of few possible outcomes, such as right and wrong answers.

Six right answers of six have no spread, and Student's interval around them is a point. What can be
said of the true share comes from the binomial distribution instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

# The values that a unit's outcome may have: wrong and right, and their differences.
_OUTCOMES = frozenset({-1.0, 0.0, 1.0})


class _Unit(Protocol):
    @property
    def point(self) -> float: ...
    @property
    def below(self) -> float: ...


@dataclass(frozen=True)
class Outcomes:
    """What one unit of a mean can be, and how many units there are."""

    lowest: float
    highest: float
    units: int

    @property
    def is_share(self) -> bool:
        """Whether the mean is a share, between 0 and 1."""
        return (self.lowest, self.highest) == (0.0, 1.0)

    def minus(self, other: Outcomes) -> Outcomes:
        """What the difference from another mean's unit can be."""
        return Outcomes(
            self.lowest - other.highest,
            self.highest - other.lowest,
            min(self.units, other.units),
        )

    def interval_where_all_agree(
        self, value: float, clusters: int, level: float
    ) -> tuple[float, float]:
        """Return the exact interval of a mean that is the same in each of some clusters.

        The share of clusters that differ is at most 1 - ((1 - level) / 2)^(1 / clusters), by
        Clopper and Pearson (1934), and each of them is at an end at most.

        Examples
        --------
        >>> low, high = Outcomes(0.0, 1.0, 6).interval_where_all_agree(1.0, 6, 0.95)
        >>> round(low, 3), high
        (0.541, 1.0)
        """
        others = 1 - ((1 - level) / 2) ** (1 / clusters)
        return (
            value - others * (value - self.lowest),
            value + others * (self.highest - value),
        )

    def share_interval(self, value: float, error: float, quantile: float) -> tuple[float, float]:
        """Return Wilson's interval of a share, with the effective number of units.

        Parameters
        ----------
        value : float
            The share, above 0 and below 1.
        error : float
            Its standard error over clusters, above 0. As many independent units as would have
            this error are the effective number, but no more than there are units.
        quantile : float
            Student's quantile at the interval's level and the clusters' degrees of freedom.

        References
        ----------
        Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA.
        Dean and Pagano (2015), Evaluating confidence interval methods for binomial proportions in
        clustered surveys, Journal of Survey Statistics and Methodology 3.

        Examples
        --------
        >>> low, high = Outcomes(0.0, 1.0, 10).share_interval(0.1, 0.0949, 1.96)
        >>> round(low, 3), round(high, 3)
        (0.018, 0.404)
        """
        apart = value * (1 - value)
        number = min(apart / error**2, self.units)
        squared = quantile**2
        middle = (value + squared / (2 * number)) / (1 + squared / number)
        reach = sqrt(apart / number + squared / (4 * number**2)) * quantile / (1 + squared / number)
        return middle - reach, middle + reach


def outcomes_of(units: Iterable[_Unit]) -> Outcomes | None:
    """Return what the units of a measure can be; None where they have more values than outcomes.

    Parameters
    ----------
    units : iterable
        Of all methods: one method alone may give the same value everywhere by construction.
    """
    counted = [unit for unit in units if unit.below > 0]
    values = {unit.point / unit.below for unit in counted}
    if not values or not values <= _OUTCOMES:
        return None
    return Outcomes(-1.0 if min(values) < 0 else 0.0, 1.0, len(counted))
