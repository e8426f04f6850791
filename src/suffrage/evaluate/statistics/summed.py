"""Figures that are functions of sums over units, such as correlations and calibration errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import Figure, FigureDifference, SplitSide
from suffrage.evaluate.statistics.figures import compared_rows, drawn_figure, drawn_figures
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    make_draws,
    resampled_estimate,
    without_interval,
)
from suffrage.models.readouts import Readout

# (..., m) sums to (...) figures; NaN where they say nothing.
Statistic = Callable[[FloatArray], FloatArray]
BINS = 10
# Replicates that a draw picks from, more than any value set has; fewer are counted round.
MOVES = 10_000


@dataclass(frozen=True, eq=False)
class Summed:
    """What one unit adds to the sums."""

    seed: int
    value_set: str
    item: str
    cluster: str
    within: str  # units of one `within` are summed; the figure is the mean over these groups
    sums: FloatArray
    # Gives the sums under resampled respondents, (REPLICATES, m); None where there are none.
    resampled: Callable[[], FloatArray] | None = None

    @property
    def key(self) -> tuple[int, str, str]:
        """What a unit of another method must share to be compared with this one."""
        return (self.seed, self.value_set, self.item)


def summed_figures(
    evaluation: str,
    measure: str,
    statistic: Statistic,
    by_method: Mapping[str, Sequence[Summed]],
    methods: Sequence[str],
    seed: int,
    floor: float | None = None,
    ceiling: float | None = None,
    left_out: Sequence[str] = (),
    *,
    side: SplitSide | None = None,
    readout: Readout | None = None,
) -> tuple[list[Figure], list[FigureDifference]]:
    """As `make_figures` for a statistic of sums: the mean of it over the units' `within`.

    Intervals come from resampling clusters of items, and respondents: what the respondents'
    replicates do to the figure over all items is added to each draw. Resampling pulls calibration
    errors up and correlations down, so the draws are moved back to be centred on the figure.
    """
    every = [unit for units in by_method.values() for unit in units]
    if not every:
        return [], []
    names = {u.cluster for u in every}
    draws = make_draws([*names], [u.value_set for u in every], MOVES, seed)
    figures: list[Figure] = []
    whole: dict[str, Estimate] = {}
    scoped, cells = compared_rows(by_method, methods, left_out)
    for method, by_scope in scoped.items():
        for (at_seed, value_set), chosen in by_scope.items():
            found = replace(_estimate(chosen, statistic, draws), floor=floor, ceiling=ceiling)
            if not np.isfinite(found.value):
                continue
            if at_seed is None and value_set is None:
                whole[method] = found
                continue
            place = (evaluation, measure, method, at_seed, value_set)
            some = cells[at_seed, value_set]
            figures.append(drawn_figure(*place, found, side, readout, some))
    over_all, differences = drawn_figures(
        evaluation, measure, whole, methods, side, readout, cells.get((None, None))
    )
    return [*over_all, *figures], [*differences]


def _estimate(units: Sequence[Summed], statistic: Statistic, draws: Draws) -> Estimate:
    sums: dict[str, FloatArray] = defaultdict(
        lambda: np.zeros((len(draws.clusters), units[0].sums.size), dtype=np.float64)
    )
    for unit in units:
        sums[unit.within][draws.place[unit.cluster]] += unit.sums
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([statistic(draws.weights @ found) for found in sums.values()])
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    mean = np.where(known.any(axis=0), mean, np.nan)
    n = len({unit.item for unit in units})
    if not np.isfinite(mean[0]):
        return without_interval(np.nan, draws, n)
    sizes = draws.sizes([unit.cluster for unit in units])
    return resampled_estimate(mean, _moves(units, statistic), draws, sizes, n, centred=True)


def _moves(units: Sequence[Summed], statistic: Statistic) -> FloatArray:
    """How resampled respondents move a figure around its mean over them; empty where unknown.

    One replicate number is used for all value sets, whose replicates are drawn independently.
    """
    found = [None if unit.resampled is None else unit.resampled() for unit in units]
    count = min((len(rows) for rows in found if rows is not None), default=0)
    if count < 2:
        return np.empty(0)
    sums: dict[str, FloatArray] = defaultdict(lambda: np.zeros((count, units[0].sums.size)))
    for unit, rows in zip(units, found, strict=True):
        sums[unit.within] += unit.sums if rows is None else rows[:count]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([statistic(rows) for rows in sums.values()])
    known = np.isfinite(values)
    means = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    means = means[known.any(axis=0)]
    return np.asarray(means - means.mean()) if means.size else np.empty(0)


def pair_sums(x: float | FloatArray, y: float) -> FloatArray:
    """What a pair adds to the sums of `correlation`: 1, x, y, x^2, y^2, xy; (...) -> (..., 6)."""
    x = np.asarray(x, dtype=np.float64)
    one = np.ones_like(x)
    return np.stack([one, x, y * one, x * x, y * y * one, x * y], axis=-1)


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's r of x and y; 0 where y is the same everywhere, NaN where x is."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    tiny = 1e-12 * np.maximum(n, 1) ** 2
    r = (n * xy - x * y) / np.sqrt(np.maximum(spread_x * spread_y, 1e-300))
    r = np.where(spread_y > tiny, np.clip(r, -1, 1), 0.0)
    return np.asarray(np.where((n > 1) & (spread_x > tiny), r, np.nan))


def share_sums(p: FloatArray, q: FloatArray) -> FloatArray:
    """What an item adds to the sums of `calibration_error` and `resolution`.

    p: people's shares, (..., K); q: the model's, (K,). Options go into BINS equal bins of q. The
    sums are, for each bin: how many, sum of q, sum of p, sum of p - 1/K; and last, over all
    options, the sum of (p - 1/K)^2.
    """
    even = p - 1 / q.size
    bins = np.minimum((q * BINS + 1e-9).astype(np.int64), BINS - 1)
    inside = np.eye(BINS)[bins]  # (K, BINS)
    parts = [np.broadcast_to(w, p.shape) @ inside for w in (np.ones(q.size), q, p, even)]
    return np.concatenate([*parts, np.square(even).sum(axis=-1, keepdims=True)], axis=-1)


def calibration_error(sums: FloatArray) -> FloatArray:
    """Expected calibration error of option shares: sum_b n_b/N |mean q in b - mean p in b|.

    Of the options a model gives about 30%, do people on average give 30%? 0 is calibrated. An
    even answer is calibrated too, though it tells no option from another: see `resolution`.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), for probabilities; here people's shares are the outcomes.
    """
    n, q, p = (sums[..., k * BINS : (k + 1) * BINS] for k in range(3))
    return np.asarray(np.abs(q - p).sum(axis=-1) / n.sum(axis=-1))


def resolution(sums: FloatArray) -> FloatArray:
    """The share of the spread of people's answers that the model's bins explain, 0 to 1.

    sum_b (sum over options in b of p - 1/K)^2 / n_b, over the sum of (p - 1/K)^2: the resolution
    term, as a share of the spread around the even answer.

    References
    ----------
    Murphy (1973), A new vector partition of the probability score.
    """
    n, even = sums[..., :BINS], sums[..., 3 * BINS : 4 * BINS]
    explained = np.divide(even * even, n, where=n > 0, out=np.zeros_like(even, dtype=np.float64))
    return np.asarray(explained.sum(axis=-1) / sums[..., -1])
