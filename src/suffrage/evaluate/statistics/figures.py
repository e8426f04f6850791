"""From measured units to figures: one bootstrap, one correction, one power for every evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import atan, cos, isfinite, pi, sin, sqrt
from statistics import NormalDist
from typing import Protocol, TypeVar

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import LEARNED, LEFT_OUT, Figure, FigureDifference
from suffrage.evaluate.statistics.intervals import (
    DRAWS,
    Draws,
    Estimate,
    Measured,
    difference,
    estimate,
    make_draws,
)

# Of a normal difference at 5 %, two-sided, found four times in five: 1.960 + 0.842.
DETECTABLE_ERRORS = 2.802


class _Place(Protocol):
    @property
    def seed(self) -> int: ...
    @property
    def value_set(self) -> str: ...


Placed = TypeVar("Placed", bound=_Place)

# measure -> method -> rows
Units = Mapping[str, Mapping[str, Sequence[Measured]]]
Edge = Mapping[str, Sequence[Measured] | float]


def make_figures(
    evaluation: str,
    units: Units,
    methods: Sequence[str],
    seed: int,
    floors: Edge | None = None,
    ceilings: Edge | None = None,
    left_out: Sequence[str] = (),
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """Figures over all value sets and seeds, for each of them alone, and the paired differences.

    units: for each measure and method one `Measured` a unit; units of one cluster are resampled
    together, and respondents' replicates enter where a unit has some. methods: in the study's order;
    each is held against every one before it. floors, ceilings: by measure, rows of the same kind or
    one number. left_out: value sets that no method was trained on, which have a mean of their own.
    """
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    for measure, by_method in units.items():
        every = [row for rows in by_method.values() for row in rows]
        if not every:
            continue
        draws = resamples(every, seed)
        edges = [(floors or {}).get(measure), (ceilings or {}).get(measure)]
        for method in methods:
            rows = by_method.get(method, ())
            for at_seed, value_set, chosen in scopes(rows, left_out):
                found = estimate(chosen, draws)
                if not isfinite(found.value):
                    continue
                floor, ceiling = (_edge(edge, chosen, draws) for edge in edges)
                figures.append(
                    Figure(
                        evaluation=evaluation,
                        measure=measure,
                        method=method,
                        seed="all" if at_seed is None else at_seed,
                        value_set=value_set or "all",
                        value=found.value,
                        low=found.low,
                        high=found.high,
                        n=found.items,
                        floor=floor,
                        ceiling=ceiling,
                    )
                )
        differences += _differences(evaluation, measure, by_method, methods, draws)
    return tuple(figures), tuple(differences)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure that is no mean over units: a correlation, the least of several, a ratio of gains.

    draws: under the resamples that every method is seen under, for differences. low, high: its own
    interval, made as the figure needs it. n: units behind it. floor, ceiling: this method's own. clusters:
    how many different ones its draws are over, 0 where they are over none; p-values need it.
    """

    value: float
    draws: FloatArray
    low: float | None
    high: float | None
    n: int
    floor: float | None = None
    ceiling: float | None = None
    clusters: int = 0


def drawn_figure(
    evaluation: str,
    measure: str,
    method: str,
    seed: int | None,
    value_set: str | None,
    found: Drawn,
) -> Figure:
    """A figure made elsewhere; None for the seed or value set where it is over all of them."""
    return Figure(
        evaluation=evaluation,
        measure=measure,
        method=method,
        seed="all" if seed is None else seed,
        value_set=value_set or "all",
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        floor=found.floor,
        ceiling=found.ceiling,
    )


def drawn_figures(
    evaluation: str, measure: str, found: Mapping[str, Drawn], methods: Sequence[str]
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """As `make_figures`, of figures made elsewhere: one a method, over all value sets and seeds."""
    known = [method for method in methods if method in found]
    figures = tuple(
        drawn_figure(evaluation, measure, method, None, None, found[method]) for method in known
    )
    gaps = []
    for earlier, later in combinations(known, 2):
        one, two = found[later], found[earlier]
        drawn = one.draws - two.draws
        kept = drawn[np.isfinite(drawn)]
        whole = one.low is not None and two.low is not None and kept.size > 0
        low, high = np.quantile(kept, [0.025, 0.975]).tolist() if whole else (None, None)
        clusters = min(one.clusters, two.clusters)
        gap = Estimate(one.value - two.value, drawn, low, high, min(one.n, two.n), clusters)
        gaps.append((later, earlier, gap))
    return figures, tuple(_corrected(evaluation, measure, gaps))


def resamples(rows: Sequence[Measured], seed: int) -> Draws:
    """The resamples that all methods' rows together are seen under."""
    return make_draws(
        [row.cluster for row in rows],
        [row.value_set for row in rows],
        max(row.replicates.size for row in rows),
        seed,
    )


def scopes(
    rows: Sequence[Placed], left_out: Sequence[str] = ()
) -> Iterator[tuple[int | None, str | None, Sequence[Placed]]]:
    """All rows, those of groups trained on and left out, of each value set and of each seed, where several."""
    if not rows:
        return
    yield None, None, rows
    apart = [row for row in rows if row.value_set in left_out]
    if apart and len(apart) < len(rows):
        yield None, LEARNED, [row for row in rows if row.value_set not in left_out]
        yield None, LEFT_OUT, apart
    value_sets = list(dict.fromkeys(row.value_set for row in rows))
    if len(value_sets) > 1:
        for name in value_sets:
            yield None, name, [row for row in rows if row.value_set == name]
    seeds = list(dict.fromkeys(row.seed for row in rows))
    if len(seeds) > 1:
        for one in seeds:
            yield one, None, [row for row in rows if row.seed == one]


def _edge(
    edge: Sequence[Measured] | float | None, like: Sequence[Measured], draws: Draws
) -> float | None:
    """A floor or ceiling on the same units as the rows it stands beside."""
    if edge is None or isinstance(edge, float | int):
        return None if edge is None else float(edge)
    keys = {row.key for row in like}
    same = [row for row in edge if row.key in keys]
    if not same:
        return None
    below = sum(row.below for row in same)
    return sum(row.point for row in same) / below if below > 0 else None


def _differences(
    evaluation: str,
    measure: str,
    by_method: Mapping[str, Sequence[Measured]],
    methods: Sequence[str],
    draws: Draws,
) -> list[FigureDifference]:
    found = []
    for earlier, later in combinations([m for m in methods if by_method.get(m)], 2):
        one, two = by_method[later], by_method[earlier]
        if not {row.key for row in one} & {row.key for row in two}:
            continue
        gap = difference(one, two, draws)
        if isfinite(gap.value):
            found.append((later, earlier, gap))
    return _corrected(evaluation, measure, found)


def _corrected(
    evaluation: str, measure: str, found: Sequence[tuple[str, str, Estimate]]
) -> list[FigureDifference]:
    """All differences of one measure, with p-values corrected together."""
    p_values = [
        two_sided(gap.draws, gap.clusters) if gap.low is not None else None for _, _, gap in found
    ]
    known = [p for p in p_values if p is not None]
    adjusted = iter(holm(known))
    return [
        FigureDifference(
            evaluation=evaluation,
            measure=measure,
            method=later,
            against=earlier,
            value=gap.value,
            low=gap.low,
            high=gap.high,
            n=gap.items,
            p=p,
            adjusted=None if p is None else next(adjusted),
            detectable=None if p is None else detectable(gap.draws),
        )
        for (later, earlier, gap), p in zip(found, p_values, strict=True)
    ]


def two_sided(draws: FloatArray, clusters: int = 0) -> float:
    """Twice the share of draws on the rarer side of 0, at least 2/(draws + 1) (Davison and Hinkley 1997, 4.4).

    No number of draws reaches what a correction for many comparisons asks of each. Where none lies
    on the rarer side, the tail is therefore that of Student's t with `clusters` - 1 degrees of freedom
    at the draws' mean over their standard deviation, if that is smaller; 0 clusters leave it out.
    """
    kept = draws[np.isfinite(draws)]
    if not kept.size:
        return 1.0
    rarer = min(int((kept <= 0).sum()), int((kept >= 0).sum()))
    counted = min(1.0, 2 * (rarer + 1) / (kept.size + 1))
    spread = float(kept.std())
    if rarer or clusters < 2 or spread == 0:
        return counted
    return min(counted, student_tails(abs(float(kept.mean())) / spread, clusters - 1))


def student_tails(t: float, degrees: int) -> float:
    """The chance that Student's t lies beyond t on either side; degrees: 1 or more.

    Source: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
    """
    angle = atan(t / sqrt(degrees))
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cos(angle) ** 2
        total += term
    inside = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return max(0.0, 1 - inside)


def critical_value(level: float, clusters: int) -> float:
    """How many standard errors a difference must lie from 0 for `two_sided` to fall below a level.

    The normal distribution's as far as the draws reach, Student's with `clusters` - 1 degrees of freedom beyond.
    """
    if level >= 2 / (DRAWS + 1) or clusters < 2:
        return NormalDist().inv_cdf(1 - level / 2)
    low, high = 0.0, 1.0
    while student_tails(high, clusters - 1) > level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tails(middle, clusters - 1) > level else (low, middle)
    return high


def detectable_among(seen: float, comparisons: int, clusters: int) -> float:
    """`detectable` after Holm's correction, for the first of so many comparisons to be told apart.

    seen: the same difference without correction.
    """
    power = DETECTABLE_ERRORS - NormalDist().inv_cdf(0.975)
    return seen / DETECTABLE_ERRORS * (critical_value(0.05 / comparisons, clusters) + power)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.zeros(len(p_values))
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return [float(p) for p in adjusted]


def detectable(draws: FloatArray) -> float:
    """The true difference that a test at 5 % would find in four of five such studies."""
    kept = draws[np.isfinite(draws)]
    return float(DETECTABLE_ERRORS * kept.std()) if kept.size else float("nan")
