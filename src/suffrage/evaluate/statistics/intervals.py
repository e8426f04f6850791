"""Estimates over items and respondents, paired between methods.

Most figures are a mean, or a ratio of means, over (seed, value set, item) rows. One bootstrap draw
takes clusters of items with replacement, the same clusters in every seed and value set, and one
replicate of each population's respondents. An `Estimate` has the figure under every draw, with
each cluster left out, and under other respondents alone. `combined` applies a function to all of
them, so that the difference, ratio or least of several figures has its error in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.evaluate.statistics.inference import Inference, infer
from suffrage.evaluate.statistics.outcomes import Outcomes

DRAWS = 2000


@dataclass(frozen=True, eq=False, slots=True)
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

    def weighted(self, weight: float) -> Measured:
        """The row, counted `weight` times in a mean or ratio."""
        below = None if self.below_replicates is None else self.below_replicates * weight
        return replace(
            self,
            point=self.point * weight,
            replicates=self.replicates * weight,
            below=self.below * weight,
            below_replicates=below,
            sampled=None if self.sampled is None else self.sampled * weight,
        )


@dataclass(frozen=True, eq=False)
class Draws:
    """The resamples under which all methods are compared."""

    clusters: Sequence[str]
    value_sets: Sequence[str]
    counts: FloatArray  # how often each cluster was drawn, (DRAWS, clusters)
    replicate: IntArray  # which of the respondents' replicates, (DRAWS, value sets)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The column of each cluster."""
        return {name: place for place, name in enumerate(self.clusters)}

    @cached_property
    def weights(self) -> FloatArray:
        """How often each cluster counts: in the figure, with each left out, in every draw.

        Shape (1 + clusters + DRAWS, clusters). `resampled_estimate` takes a statistic under them.
        """
        count = len(self.clusters)
        return np.concatenate([np.ones((1, count)), 1 - np.eye(count), self.counts])

    @cached_property
    def _by_cluster(self) -> FloatArray:
        return np.ascontiguousarray(self.counts.T)

    def counts_of(self, used: BoolArray) -> FloatArray:
        """How often these clusters were drawn, (DRAWS, clusters used)."""
        return self.counts if used.all() else self._by_cluster[used].T

    def sizes(self, clusters: Sequence[str]) -> FloatArray:
        """How often each cluster is among these, (clusters,)."""
        places = [self.place[name] for name in clusters]
        return np.bincount(places, minlength=len(self.clusters)).astype(np.float64)


def make_draws(
    clusters: Sequence[str], value_sets: Sequence[str], replicates: int, seed: int
) -> Draws:
    """Draws over the given clusters and value sets, sorted, so that their order changes nothing."""
    clusters, value_sets = sorted(set(clusters)), sorted(set(value_sets))
    generator = np.random.default_rng([seed, 2])
    shares = np.full(len(clusters), 1 / len(clusters))
    counts = generator.multinomial(len(clusters), shares, size=DRAWS)
    chosen = generator.integers(replicates, size=(DRAWS, len(value_sets)))
    return Draws(clusters, value_sets, counts.astype(np.float64), chosen)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure and how it moves, under the resamples that all methods share."""

    value: float
    # The figure in every draw of clusters and respondents, (DRAWS,); NaN where it says nothing.
    draws: FloatArray
    # The figure with each cluster left out, (clusters,); the figure itself for one without rows.
    left_out: FloatArray
    # The figure under other respondents, and other samples of the model's answers, (DRAWS,).
    people: FloatArray
    # What each cluster weighs, as the number of its rows, (clusters,); 0 for one without rows.
    sizes: FloatArray
    resamples: Draws
    # Different units behind it.
    n: int
    floor: float | None = None
    ceiling: float | None = None
    # The fewest clusters that any part of it rests on; None for all that have rows.
    fewest: int | None = None
    # The interval, where a rule of its own gives it: of a largest value, or of a ratio.
    own_interval: tuple[float | None, float | None] | None = None
    # What one unit can be, where the figure is a mean of right and wrong answers, or the like.
    outcomes: Outcomes | None = None

    @property
    def used(self) -> BoolArray:
        """Which clusters have rows, (clusters,)."""
        return self.sizes > 0

    @property
    def clusters(self) -> int:
        """How many clusters it rests on."""
        found = int(self.used.sum())
        return found if self.fewest is None else min(self.fewest, found)

    @cached_property
    def inference(self) -> Inference:
        """Its standard error and the reach of its interval."""
        used = self.used
        counts = self.resamples.counts_of(used)
        known = self.people[np.isfinite(self.people)]
        moves = float(known.var()) if known.size > 1 else 0.0
        return infer(
            self.value,
            self.left_out[used],
            self.sizes[used],
            counts,
            moves,
            self.clusters,
            self.outcomes,
        )

    @property
    def low(self) -> float | None:
        """The lower end of the 95% interval; None with too few clusters."""
        return (self.own_interval or self.inference.interval())[0]

    @property
    def high(self) -> float | None:
        """The upper end of the 95% interval; None with too few clusters."""
        return (self.own_interval or self.inference.interval())[1]


def combined(function: Callable[..., Any], *estimates: Estimate, **fields: Any) -> Estimate:
    """Return a function of estimates as an estimate, with an error of its own.

    Parameters
    ----------
    function : callable
        Takes one array for each estimate and returns an array of the same shape, place by place.
    estimates : Estimate
        All under the same resamples.
    fields
        Fields of the new estimate, such as `n` or `floor`. By default n is the least of theirs,
        and there is neither floor nor ceiling.

    Raises
    ------
    ValueError
        The estimates have different resamples.
    """
    first = estimates[0]
    if any(one.resamples is not first.resamples for one in estimates):
        raise ValueError("estimates under different resamples cannot be combined")
    with np.errstate(divide="ignore", invalid="ignore"):
        value, draws, left_out, people = (
            np.asarray(function(*(np.asarray(getattr(one, part)) for one in estimates)))
            for part in ("value", "draws", "left_out", "people")
        )
    return Estimate(
        **{
            "value": float(value),
            "draws": draws,
            "left_out": left_out,
            "people": people,
            "sizes": np.mean([_shares(one.sizes) for one in estimates], axis=0),
            "resamples": first.resamples,
            "n": min(one.n for one in estimates),
            "fewest": min(one.clusters for one in estimates),
            **fields,
        }
    )


def _shares(sizes: FloatArray) -> FloatArray:
    total = sizes.sum()
    return np.asarray(sizes / total) if total > 0 else sizes


def minus(first: Estimate, second: Estimate) -> Estimate:
    """first - second, under the same resamples."""
    one, two = first.outcomes, second.outcomes
    outcomes = None if one is None or two is None else one.minus(two)
    return combined(np.subtract, first, second, outcomes=outcomes)


def without_interval(
    value: float, draws: Draws, n: int, floor: float | None = None, ceiling: float | None = None
) -> Estimate:
    """An estimate of which no resample tells anything."""
    return Estimate(
        value,
        np.full(draws.counts.shape[0], np.nan),
        np.full(len(draws.clusters), np.nan),
        np.full(draws.counts.shape[0], np.nan),
        np.zeros(len(draws.clusters)),
        draws,
        n,
        floor,
        ceiling,
    )


def resampled_estimate(
    under_weights: FloatArray,
    moves: FloatArray,
    draws: Draws,
    sizes: FloatArray,
    n: int,
    *,
    centred: bool = False,
) -> Estimate:
    """Return an estimate from a statistic under the weights of `Draws.weights`.

    Parameters
    ----------
    under_weights : array, shape (1 + clusters + DRAWS,)
        The statistic under each row of `draws.weights`.
    moves : array, shape (replicates,)
        How resampled respondents move it around its mean over them; empty where that is unknown.
    sizes : array, shape (clusters,)
        What each cluster weighs, as the number of its rows; 0 for one without rows.
    centred : bool
        Whether to move the draws so that their mean is the figure, for statistics that resampling
        of items pulls to one side.
    """
    count = len(draws.clusters)
    value = float(under_weights[0])
    drawn = under_weights[1 + count :]
    known = drawn[np.isfinite(drawn)]
    if centred and known.size:
        drawn = drawn + (value - known.mean())
    people = np.full(drawn.size, value)
    if moves.size > 1:
        off = moves[draws.replicate[:, 0] % moves.size]
        drawn, people = drawn + off, people + off
    return Estimate(value, drawn, under_weights[1 : 1 + count], people, sizes, draws, n)


def bootstrap_estimate(
    rows: Sequence[Measured], draws: Draws, outcomes: Outcomes | None = None
) -> Estimate:
    """The ratio of mean `point` to mean `below` over the rows, with its error.

    outcomes: what a row of the measure can be, where it has one of few values; see `outcomes_of`.

    Replicates of the respondents enter as their deviation from the replicates' own mean: the
    target is noisy already, and resampling it once more would pull every distance up.
    """
    if not rows:
        raise ValueError("no rows to estimate from")
    above = _summed(rows, draws, [r.point for r in rows], [r.replicates for r in rows])
    above = above.plus(_sampling_error(rows, draws))
    ones = [np.ones(1) if r.below_replicates is None else r.below_replicates for r in rows]
    below = _summed(rows, draws, [r.below for r in rows], ones)
    rows_in = draws.sizes([row.cluster for row in rows])
    used = rows_in > 0
    weighs = below.whole - below.left_out
    # A draw without any of these rows' clusters says nothing, and is left out as NaN.
    return Estimate(
        float(_ratio(np.asarray(above.whole), np.asarray(below.whole))),
        _ratio(above.draws, below.draws),
        np.where(
            used,
            _ratio(above.left_out, below.left_out),
            _ratio(np.asarray(above.whole), np.asarray(below.whole)),
        ),
        _ratio(above.people, below.people),
        np.where(used, np.maximum(weighs, 1e-9 * max(below.whole, 1e-9)), 0.0),
        draws,
        len({row.item for row in rows}),
        outcomes=None if outcomes is None else replace(outcomes, units=len(rows)),
    )


def difference(first: Sequence[Measured], second: Sequence[Measured], draws: Draws) -> Estimate:
    """first - second over the rows both have, under the same draws."""
    shared = {r.key for r in first} & {r.key for r in second}
    a, b = ([r for r in rows if r.key in shared] for rows in (first, second))
    return minus(bootstrap_estimate(a, draws), bootstrap_estimate(b, draws))


@dataclass(frozen=True, eq=False)
class _Sums:
    """A sum over rows, as a figure moves."""

    whole: float
    draws: FloatArray
    left_out: FloatArray
    people: FloatArray

    def plus(self, moves: tuple[FloatArray, FloatArray]) -> _Sums:
        """The same with moves of draws and people added."""
        return _Sums(self.whole, self.draws + moves[0], self.left_out, self.people + moves[1])


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.asarray(np.divide(above, below, where=below > 0, out=np.full(below.shape, np.nan)))


def _sampling_error(rows: Sequence[Measured], draws: Draws) -> tuple[FloatArray, FloatArray]:
    """What the models' own sampling adds to the sum of the numerators, in draws and people.

    The same resample of a model's answer in every value set and seed it counts for.
    """
    own = [row for row in rows if row.sampled is not None]
    if not own:
        return np.zeros(draws.counts.shape[0]), np.zeros(draws.counts.shape[0])
    return _moved(
        draws,
        [row.cluster for row in own],
        [row.sampled for row in own if row.sampled is not None],
        0,
    )


def _summed(
    rows: Sequence[Measured], draws: Draws, points: list[float], replicates: list[FloatArray]
) -> _Sums:
    """The sum over rows of cluster count x value under each draw's respondents."""
    by_cluster = np.zeros(len(draws.clusters))
    np.add.at(by_cluster, [draws.place[row.cluster] for row in rows], points)
    whole = float(sum(points))
    used = by_cluster != 0
    total = draws.counts_of(used) @ by_cluster[used]
    people = np.full(draws.counts.shape[0], whole)
    moving: dict[str, list[int]] = {}
    for at, (row, resampled) in enumerate(zip(rows, replicates, strict=True)):
        if resampled.size > 1:
            moving.setdefault(row.value_set, []).append(at)
    for value_set, places in moving.items():
        moved, alone = _moved(
            draws,
            [rows[at].cluster for at in places],
            [replicates[at] for at in places],
            draws.value_sets.index(value_set),
        )
        total, people = total + moved, people + alone
    return _Sums(whole, total, by_cluster.sum() - by_cluster, people)


def _moved(
    draws: Draws, clusters: Sequence[str], replicates: Sequence[FloatArray], column: int
) -> tuple[FloatArray, FloatArray]:
    """How replicates move a sum: in every draw of clusters, and with every cluster once.

    Parameters
    ----------
    clusters, replicates
        One for each row.
    column : int
        The column of `draws.replicate` that picks a replicate.
    """
    size = max(one.size for one in replicates)
    off = np.zeros((len(draws.clusters), size))
    for cluster, resampled in zip(clusters, replicates, strict=True):
        moves = resampled - resampled.mean()
        off[draws.place[cluster]] += moves if moves.size == size else np.resize(moves, size)
    chosen = draws.replicate[:, column] % size
    used = np.flatnonzero(off.any(axis=1))
    counts = draws.counts if used.size == off.shape[0] else draws.counts[:, used]
    moved = np.einsum("dc,cd->d", counts, off[used][:, chosen])
    return moved, off.sum(axis=0)[chosen]
