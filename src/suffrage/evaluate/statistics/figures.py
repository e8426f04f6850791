"""From measured units to figures: one bootstrap, one correction, one power for every evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import atan, cos, isfinite, pi, sin, sqrt
from statistics import NormalDist
from typing import Any, Protocol, TypeVar

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import (
    ALL,
    LEARNED,
    LEFT_OUT,
    Contrast,
    Figure,
    FigureDifference,
    Readout,
    Side,
)
from suffrage.evaluate.statistics.intervals import (
    DRAWS,
    Draws,
    Estimate,
    Measured,
    bootstrap_estimate,
    difference,
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
AnyContrast = TypeVar("AnyContrast", bound=Contrast)

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
    *,
    side: Side | None = None,
    readout: Readout | None = None,
    draws: Draws | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    breakdown: bool = True,
    pairs_by_value_set: bool = False,
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """Figures over all value sets and seeds, for each of them alone, and paired differences.

    Parameters
    ----------
    units : mapping
        For each measure and method one `Measured` a unit. Units of one cluster are resampled
        together, and respondents' replicates enter where a unit has some.
    methods : sequence of str
        In the study's order.
    seed : int
        Draws the resamples.
    floors, ceilings : mapping, optional
        By measure, rows of the same kind or one number.
    left_out : sequence of str
        Value sets that no method was trained on. They have a mean of their own.
    side, readout : optional
        What the units are about; recorded with each figure.
    draws : Draws, optional
        Resamples to use instead of those over the units' own clusters.
    pairs : sequence of (method, against), optional
        What is compared: by default every method with each one before it.
    breakdown : bool
        Whether to give figures of each value set and seed too.
    pairs_by_value_set : bool
        Whether to compare methods on each mean over value sets too.
    """
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    pairs = [(b, a) for a, b in combinations(methods, 2)] if pairs is None else pairs
    for measure, by_method in units.items():
        every = [row for rows in by_method.values() for row in rows]
        if not every:
            continue
        drawn = resamples(every, seed) if draws is None else draws
        edges = [(floors or {}).get(measure), (ceilings or {}).get(measure)]
        means: dict[str, dict[str, Sequence[Measured]]] = {}
        for method in methods:
            for at_seed, value_set, rows in scopes(by_method.get(method, ()), left_out, every):
                if at_seed is None:
                    means.setdefault(method, {})[value_set or ALL] = rows
                if not breakdown and (at_seed, value_set) != (None, None):
                    continue
                found = bootstrap_estimate(rows, drawn)
                if isfinite(found.value):
                    floor, ceiling = (_edge(edge, rows) for edge in edges)
                    found = replace(found, floor=floor, ceiling=ceiling)
                    place = (evaluation, measure, method, at_seed, value_set)
                    figures.append(drawn_figure(*place, found, side, readout))
        gaps = _paired(means, pairs, drawn, None if pairs_by_value_set else (ALL,))
        differences += _differences(evaluation, measure, side, gaps)
    return tuple(figures), tuple(differences)


def drawn_figure(
    evaluation: str,
    measure: str,
    method: str,
    seed: int | None,
    value_set: str | None,
    found: Estimate,
    side: Side | None = None,
    readout: Readout | None = None,
) -> Figure:
    """A figure from an estimate. seed, value_set: None for one over all of them."""
    return Figure(
        evaluation=evaluation,
        measure=measure,
        method=method,
        seed=ALL if seed is None else seed,
        value_set=value_set or ALL,
        side=side,
        readout=readout,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        floor=found.floor,
        ceiling=found.ceiling,
    )


def drawn_figures(
    evaluation: str,
    measure: str,
    found: Mapping[str, Estimate],
    methods: Sequence[str],
    side: Side | None = None,
    readout: Readout | None = None,
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """As `make_figures`, from one estimate a method over all value sets and seeds.

    For figures that are no mean over units: a correlation, the least of several, a ratio of gains.
    """
    known = [method for method in methods if method in found]
    figures = tuple(
        drawn_figure(evaluation, measure, method, None, None, found[method], side, readout)
        for method in known
    )
    gaps = []
    for earlier, later in combinations(known, 2):
        one, two = found[later], found[earlier]
        drawn = one.draws - two.draws
        kept = drawn[np.isfinite(drawn)]
        whole = one.low is not None and two.low is not None and kept.size > 0
        low, high = np.quantile(kept, [0.025, 0.975]).tolist() if whole else (None, None)
        clusters = min(one.clusters, two.clusters)
        n = min(one.n, two.n)
        gap = Estimate(one.value - two.value, drawn, low, high, n, clusters=clusters)
        gaps.append((later, earlier, ALL, gap))
    return figures, tuple(_differences(evaluation, measure, side, gaps))


def resamples(rows: Sequence[Measured], seed: int) -> Draws:
    """The resamples under which the rows of all methods are compared."""
    return make_draws(
        [row.cluster for row in rows],
        [row.value_set for row in rows],
        max(row.replicates.size for row in rows),
        seed,
    )


def scopes(
    rows: Sequence[Placed], left_out: Sequence[str] = (), among: Sequence[_Place] | None = None
) -> Iterator[tuple[int | None, str | None, Sequence[Placed]]]:
    """The rows a figure is a mean over, with the seed and value set it is given for.

    First all rows, then those of groups trained on and left out, of each value set and of each
    seed, where there are several. A method that speaks for groups left out only, though others
    were trained on, has no mean over all. among: the rows of all methods.
    """
    if not rows:
        return
    among = rows if among is None else among
    learned = [row for row in rows if row.value_set not in left_out]
    apart = [row for row in rows if row.value_set in left_out]
    if learned or all(row.value_set in left_out for row in among):
        yield None, None, rows
    if learned and apart:
        yield None, LEARNED, learned
    if apart and any(row.value_set not in left_out for row in among):
        yield None, LEFT_OUT, apart
    if len({row.value_set for row in among if row.value_set}) > 1:
        for name in dict.fromkeys(row.value_set for row in rows if row.value_set):
            yield None, name, [row for row in rows if row.value_set == name]
    seeds = list(dict.fromkeys(row.seed for row in rows))
    if len(seeds) > 1 and learned:
        for one in seeds:
            yield one, None, [row for row in rows if row.seed == one]


def _edge(edge: Sequence[Measured] | float | None, like: Sequence[Measured]) -> float | None:
    """A floor or ceiling on the same units as the rows it is compared with."""
    if edge is None or isinstance(edge, float | int):
        return None if edge is None else float(edge)
    keys = {row.key for row in like}
    same = [row for row in edge if row.key in keys]
    if not same:
        return None
    below = sum(row.below for row in same)
    return sum(row.point for row in same) / below if below > 0 else None


# (method, against, value set, its difference)
Gap = tuple[str, str, str, Estimate]


def _paired(
    means: Mapping[str, Mapping[str, Sequence[Measured]]],
    pairs: Sequence[tuple[str, str]],
    draws: Draws,
    value_sets: Sequence[str] | None,
) -> Iterator[Gap]:
    """Differences on the units both methods have. value_sets: which means; None for every one."""
    for method, against in pairs:
        one, two = means.get(method, {}), means.get(against, {})
        for value_set in one if value_sets is None else value_sets:
            ours, theirs = one.get(value_set, ()), two.get(value_set, ())
            if {row.key for row in ours} & {row.key for row in theirs}:
                gap = difference(ours, theirs, draws)
                if isfinite(gap.value):
                    yield method, against, value_set, gap


def _differences(
    evaluation: str, measure: str, side: Side | None, gaps: Iterable[Gap]
) -> list[FigureDifference]:
    """All differences of one measure and side, corrected together for each value set."""
    found = [
        FigureDifference(
            evaluation=evaluation,
            measure=measure,
            method=method,
            against=against,
            value_set=value_set,
            side=side,
            **contrast_of(gap),
        )
        for method, against, value_set, gap in gaps
    ]
    return holm_corrected(found, [d.value_set for d in found])


def contrast_of(gap: Estimate) -> dict[str, Any]:
    """The fields of a `Contrast`, before correction; no test where there is no interval."""
    tested = gap.low is not None
    return {
        "value": gap.value,
        "low": gap.low,
        "high": gap.high,
        "n": gap.n,
        "p": two_sided(gap.draws, gap.clusters) if tested else None,
        "detectable": detectable(gap.draws) if tested else None,
    }


def holm_corrected(
    contrasts: Sequence[AnyContrast], families: Sequence[Hashable] | None = None
) -> list[AnyContrast]:
    """The same contrasts with `adjusted`, corrected over all of a family that have a p-value.

    families: one for each contrast; without them all are one family.
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, one in enumerate(contrasts):
        if one.p is not None:
            places[None if families is None else families[place]].append(place)
    found = list(contrasts)
    for family in places.values():
        adjusted = holm([found[place].p or 0.0 for place in family])
        for place, p in zip(family, adjusted, strict=True):
            found[place] = found[place].model_copy(update={"adjusted": p})
    return found


def two_sided(draws: FloatArray, clusters: int = 0) -> float:
    """Twice the share of draws on the rarer side of 0, at least 2/(draws + 1).

    No number of draws reaches the small p-values that a correction for many comparisons needs.
    Where no draw is on the rarer side, the p-value is therefore that of Student's t with
    `clusters` - 1 degrees of freedom at the draws' mean over their standard deviation, if that is
    smaller. With 0 clusters the draws alone are counted.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 4.4.
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
    """The chance that Student's t is beyond t on either side; degrees: 1 or more.

    References
    ----------
    Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    Examples
    --------
    >>> round(student_tails(2.228, 10), 3)
    0.05
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
    """How many standard errors from 0 a difference needs for `two_sided` to fall below a level.

    The normal distribution gives it for levels that the draws reach, Student's t with
    `clusters` - 1 degrees of freedom for smaller ones.
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
    """`detectable` after Holm's correction, for the first of so many comparisons.

    seen: the same difference without correction.
    """
    power = DETECTABLE_ERRORS - NormalDist().inv_cdf(0.975)
    return seen / DETECTABLE_ERRORS * (critical_value(0.05 / comparisons, clusters) + power)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
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
