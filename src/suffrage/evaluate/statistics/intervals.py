"""Bootstrap intervals over items and respondents, paired between methods.

Every figure is a mean, or a ratio of means, over (seed, value set, item) rows. One bootstrap draw
takes clusters of items with replacement, the same clusters in every seed and value set, and one
replicate of each population's respondents. Under the same draws, two methods have a paired
interval for their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Measured:
    """One method's value on one (seed, value set, item) row."""

    seed: int
    value_set: str
    item: str
    cluster: str
    point: float  # the numerator, with the population's shares as they are
    replicates: FloatArray  # the numerator under resampled respondents, (REPLICATES,)
    below: float = 1.0  # the denominator: 1 for a plain mean
    below_replicates: FloatArray | None = None  # the same under resampled respondents
    # The numerator under the model's own sampling error, where its answer was sampled.
    sampled: FloatArray | None = None

    @property
    def key(self) -> tuple[int, str, str]:
        """What a row of another method must share to be paired with this one."""
        return (self.seed, self.value_set, self.item)


@dataclass(frozen=True, eq=False)
class Draws:
    """The resamples under which all methods are compared."""

    clusters: Sequence[str]
    value_sets: Sequence[str]
    counts: npt.NDArray[np.int64]  # how often each cluster was drawn, (DRAWS, clusters)
    replicate: npt.NDArray[np.int64]  # which of the respondents' replicates, (DRAWS, value sets)


def make_draws(
    clusters: Sequence[str], value_sets: Sequence[str], replicates: int, seed: int
) -> Draws:
    """Draws over the given clusters and value sets, sorted, so that their order changes nothing."""
    clusters, value_sets = sorted(set(clusters)), sorted(set(value_sets))
    generator = np.random.default_rng([seed, 2])
    shares = np.full(len(clusters), 1 / len(clusters))
    counts = generator.multinomial(len(clusters), shares, size=DRAWS)
    chosen = generator.integers(replicates, size=(DRAWS, len(value_sets)))
    return Draws(clusters, value_sets, counts, chosen)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure with its bootstrap draws, under the resamples that all methods share."""

    value: float
    draws: FloatArray  # (DRAWS,); NaN where a draw says nothing
    low: float | None  # None with fewer than two clusters
    high: float | None
    n: int  # different units behind it
    floor: float | None = None
    ceiling: float | None = None
    clusters: int = 0  # different clusters its units are in; p-values need them


def bootstrap_estimate(rows: Sequence[Measured], draws: Draws) -> Estimate:
    """The ratio of mean `point` to mean `below` over the rows, with its interval.

    Replicates of the respondents enter as their deviation from the replicates' own mean: the
    target is noisy already, and resampling it once more would pull every distance up.
    """
    if not rows:
        raise ValueError("no rows to estimate from")
    above = _resampled(rows, draws, [r.point for r in rows], [r.replicates for r in rows])
    above += _sampling_error(rows, draws)
    ones = [np.ones(1) if r.below_replicates is None else r.below_replicates for r in rows]
    below = _resampled(rows, draws, [r.below for r in rows], ones)
    # A draw without any of these rows' clusters says nothing, and is left out as NaN.
    drawn = np.divide(above, below, where=below > 0, out=np.full(below.shape, np.nan))
    under = sum(r.below for r in rows)
    value = sum(r.point for r in rows) / under if under > 0 else float("nan")
    clusters = len({r.cluster for r in rows})
    low, high = percentile_interval(drawn[np.isfinite(drawn)], clusters)
    n = len({r.item for r in rows})
    return Estimate(value, drawn, low, high, n, clusters=clusters)


def difference(first: Sequence[Measured], second: Sequence[Measured], draws: Draws) -> Estimate:
    """first - second over the rows both have, under the same draws."""
    shared = {r.key for r in first} & {r.key for r in second}
    a, b = ([r for r in rows if r.key in shared] for rows in (first, second))
    one, two = bootstrap_estimate(a, draws), bootstrap_estimate(b, draws)
    drawn = one.draws - two.draws
    low, high = percentile_interval(drawn[np.isfinite(drawn)], one.clusters)
    value = one.value - two.value
    return Estimate(value, drawn, low, high, one.n, clusters=one.clusters)


def percentile_interval(drawn: FloatArray, clusters: int) -> tuple[float | None, float | None]:
    """The middle 95 % of the draws; None with fewer than two clusters to draw from."""
    if clusters < 2 or drawn.size == 0:
        return None, None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _sampling_error(rows: Sequence[Measured], draws: Draws) -> FloatArray:
    """What the models' own sampling adds to the sum of the numerators, (DRAWS,).

    The same resample of a model's answer in every value set and seed it counts for.
    """
    cluster_at = {name: place for place, name in enumerate(draws.clusters)}
    total = np.zeros(draws.counts.shape[0])
    for row in rows:
        if row.sampled is not None:
            off = row.sampled - row.sampled.mean()
            chosen = off[draws.replicate[:, 0] % off.size]
            total += draws.counts[:, cluster_at[row.cluster]] * chosen
    return total


def _resampled(
    rows: Sequence[Measured], draws: Draws, points: list[float], replicates: list[FloatArray]
) -> FloatArray:
    """The sum over rows of cluster count x value under each draw's respondents, (DRAWS,)."""
    cluster_at = {name: place for place, name in enumerate(draws.clusters)}
    value_set_at = {name: place for place, name in enumerate(draws.value_sets)}
    total = np.zeros(draws.counts.shape[0])
    for row, point, resampled in zip(rows, points, replicates, strict=True):
        value = np.full(total.shape, point)
        if resampled.size > 1:
            chosen = draws.replicate[:, value_set_at[row.value_set]] % resampled.size
            value = value + (resampled - resampled.mean())[chosen]
        total += draws.counts[:, cluster_at[row.cluster]] * value
    return total
