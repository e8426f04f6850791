"""From measured units to figures: one bootstrap, one correction, one power for every evaluation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import isfinite
from typing import Any, Protocol, TypeVar

import numpy as np

from suffrage.evaluate.results import (
    ALL,
    LEARNED,
    LEFT_OUT,
    Contrast,
    Figure,
    FigureDifference,
    SplitSide,
)
from suffrage.evaluate.statistics.common_cells import CommonCells
from suffrage.evaluate.statistics.inference import LEVEL, errors_needed
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    Measured,
    bootstrap_estimate,
    make_draws,
    minus,
)
from suffrage.evaluate.statistics.outcomes import Outcomes, outcomes_of
from suffrage.models.readouts import Readout


class _Place(Protocol):
    @property
    def seed(self) -> int: ...
    @property
    def value_set(self) -> str: ...
    @property
    def key(self) -> tuple[int, str, str]: ...


Placed = TypeVar("Placed", bound=_Place)
AnyContrast = TypeVar("AnyContrast", bound=Contrast)
_Key = TypeVar("_Key", bound=Hashable)

# measure -> method -> rows
Units = Mapping[str, Mapping[str, Sequence[Measured]]]
Edge = Mapping[str, Sequence[Measured] | float]
# The seed and value set that a figure is given for; None for all of them.
_Scope = tuple[int | None, str | None]
# The scopes over several value sets.
POOLED = (None, LEARNED, LEFT_OUT)


def make_figures(
    evaluation: str,
    units: Units,
    methods: Sequence[str],
    seed: int,
    floors: Edge | None = None,
    ceilings: Edge | None = None,
    left_out: Sequence[str] = (),
    *,
    side: SplitSide | None = None,
    readout: Readout | None = None,
    draws: Draws | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    breakdown: bool = True,
    pairs_by_value_set: bool = False,
    elsewhere: Sequence[str] = (),
    questions_once: bool = False,
    apart: Sequence[str] = (),
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """Figures over all value sets and seeds, for each of them alone, and paired differences.

    Figures are over the cells that all methods could answer, differences over those of both.

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
        Recorded with each figure.
    draws : Draws, optional
        By default resamples of the units' own clusters.
    pairs : sequence of (method, against), optional
        By default every method with each one before it.
    breakdown : bool
        Whether to give figures of each value set and seed too.
    pairs_by_value_set : bool
        Whether to compare methods on each mean over value sets too.
    elsewhere : sequence of str
        Methods that speak for some cells only, and do not decide what the others are compared on.
    questions_once : bool
        Whether a figure over several value sets counts every question once.
    apart : sequence of str
        Methods whose differences are corrected as a family of their own.
    """
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    pairs = [(b, a) for a, b in combinations(methods, 2)] if pairs is None else pairs
    for measure, by_method in units.items():
        if not (every := [row for rows in by_method.values() for row in rows]):
            continue
        drawn, outcomes = draws or resamples(every, seed), outcomes_of(every)
        edges = [_Edge((given or {}).get(measure)) for given in (floors, ceilings)]
        means: dict[str, dict[str, Estimate]] = {}
        scoped, cells = compared_rows(by_method, methods, left_out, elsewhere)
        for method, by_scope in scoped.items():
            for (at_seed, value_set), rows in by_scope.items():
                whole = at_seed is None and (value_set is None or pairs_by_value_set)
                if not (whole or breakdown):
                    continue
                once = questions_once and value_set in POOLED
                found = _with_edges(rows, drawn, edges, once, outcomes)
                if whole:
                    means.setdefault(method, {})[value_set or ALL] = found
                if isfinite(found.value) and (breakdown or value_set is None):
                    place = (evaluation, measure, method, at_seed, value_set, found)
                    figures.append(drawn_figure(*place, side, readout, cells[at_seed, value_set]))
        own = _own_rows(by_method, methods, left_out)
        paired = _paired(means, own, pairs, cells, drawn, questions_once, outcomes)
        differences += _differences(evaluation, measure, side, paired, apart)
    return tuple(figures), tuple(differences)


def _with_edges(
    rows: Sequence[Measured],
    draws: Draws,
    edges: Sequence[_Edge],
    pooled: bool,
    outcomes: Outcomes | None,
) -> Estimate:
    """The mean of some rows, with the floor and the ceiling on the same cells."""
    keys = dict.fromkeys(row.key for row in rows)
    floor, ceiling = (edge.on(keys, pooled) for edge in edges)
    found = bootstrap_estimate(once_a_question(rows) if pooled else rows, draws, outcomes)
    return replace(found, floor=floor, ceiling=ceiling)


def once_a_question(rows: Sequence[Measured]) -> Sequence[Measured]:
    """Weigh each row by one over the number of value sets that its question has rows for.

    A question that 26 years of one survey asked then counts as much as one that a single country
    was asked.

    Parameters
    ----------
    rows : sequence of Measured
        Of one method.

    Examples
    --------
    >>> from suffrage.evaluate.statistics.intervals import Measured
    >>> both = [Measured(1, name, "a", "a", 0.5, np.ones(1)) for name in ("north", "south")]
    >>> one = Measured(1, "north", "b", "b", 0.8, np.ones(1))
    >>> [row.below for row in once_a_question([*both, one])]
    [0.5, 0.5, 1.0]
    """
    counts = Counter((row.seed, row.item) for row in rows)
    if len(set(counts.values())) <= 1:
        return rows
    return [row.weighted(1 / counts[row.seed, row.item]) for row in rows]


def compared_rows(
    by_method: Mapping[str, Sequence[Placed]],
    methods: Sequence[str],
    left_out: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
) -> tuple[dict[str, dict[_Scope, Sequence[Placed]]], dict[_Scope, CommonCells]]:
    """Each method's rows in every scope, on the cells that all could answer, and those cells."""
    own = _own_rows(by_method, methods, left_out)
    cells = {
        scope: CommonCells(
            {method: frozenset(row.key for row in rows) for method, rows in found.items()},
            elsewhere,
        )
        for scope, found in own.items()
    }
    scoped: dict[str, dict[_Scope, Sequence[Placed]]] = {}
    for method in methods:
        for scope, found in own.items():
            kept = [row for row in found.get(method, ()) if row.key in cells[scope].compared]
            if kept:
                scoped.setdefault(method, {})[scope] = kept
    return scoped, cells


def _own_rows(
    by_method: Mapping[str, Sequence[Placed]], methods: Sequence[str], left_out: Sequence[str]
) -> dict[_Scope, dict[str, Sequence[Placed]]]:
    """Every row of each method in every scope."""
    every = [row for rows in by_method.values() for row in rows]
    own: dict[_Scope, dict[str, Sequence[Placed]]] = defaultdict(dict)
    for method in methods:
        for at_seed, value_set, rows in scopes(by_method.get(method, ()), left_out, every):
            own[at_seed, value_set][method] = rows
    return own


def drawn_figure(
    evaluation: str,
    measure: str,
    method: str,
    seed: int | None,
    value_set: str | None,
    found: Estimate,
    side: SplitSide | None = None,
    readout: Readout | None = None,
    cells: CommonCells | None = None,
) -> Figure:
    """A figure from an estimate.

    seed, value_set: None for one over all of them. cells: what each method could answer of what
    the estimate rests on.
    """
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
        missing=0 if cells is None else cells.missing(method),
        uncounted=0 if cells is None else cells.uncounted(method),
    )


def drawn_figures(
    evaluation: str,
    measure: str,
    found: Mapping[str, Estimate],
    methods: Sequence[str],
    side: SplitSide | None = None,
    readout: Readout | None = None,
    cells: CommonCells | None = None,
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...]]:
    """As `make_figures`, from one estimate a method over all value sets and seeds.

    For figures that are no mean over units: a correlation, the least of several, a ratio of gains.
    cells: what each method could answer of what the estimates rest on. Where a third method's
    missing answers keep some of both out, nothing is known of their difference.
    """
    known = [method for method in methods if method in found]
    cells = CommonCells({}) if cells is None else cells
    figures = tuple(
        drawn_figure(
            *(evaluation, measure, method, None, None, found[method], side, readout, cells)
        )
        for method in known
    )
    gaps = [
        (later, earlier, ALL, minus(found[later], found[earlier]), cells)
        for earlier, later in combinations(known, 2)
    ]
    differences = _differences(evaluation, measure, side, gaps)
    return figures, tuple(
        one.model_copy(update={"kept_out": cells.kept_out(one.method, one.against)})
        for one in differences
    )


def resamples(rows: Sequence[Measured], seed: int) -> Draws:
    """The resamples under which the rows of all methods are compared."""
    return make_draws(
        [row.cluster for row in rows],
        [row.value_set for row in rows],
        max(_replicates(row) for row in rows),
        seed,
    )


def _replicates(row: Measured) -> int:
    """How many resamples a row has, of its numerator, its denominator or the model's answer."""
    parts = (row.replicates, row.below_replicates, row.sampled)
    return max(part.size for part in parts if part is not None)


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
    apart_from = frozenset(left_out)
    among = rows if among is None else among
    names = dict.fromkeys(row.value_set for row in among)
    learned = [row for row in rows if row.value_set not in apart_from]
    apart = [row for row in rows if row.value_set in apart_from]
    if learned or all(name in apart_from for name in names):
        yield None, None, rows
    if learned and apart:
        yield None, LEARNED, learned
    if apart and any(name not in apart_from for name in names):
        yield None, LEFT_OUT, apart
    if len([name for name in names if name]) > 1:
        for name, found in _grouped(rows, lambda row: row.value_set).items():
            if name:
                yield None, name, found
    by_seed = _grouped(rows, lambda row: row.seed)
    if len(by_seed) > 1 and learned:
        for one, found in by_seed.items():
            yield one, None, found


def _grouped(rows: Sequence[Placed], what: Callable[[Placed], _Key]) -> dict[_Key, list[Placed]]:
    found: dict[_Key, list[Placed]] = defaultdict(list)
    for row in rows:
        found[what(row)].append(row)
    return found


class _Edge:
    """A floor or ceiling, on whatever units figures are compared with it."""

    def __init__(self, given: Sequence[Measured] | float | None) -> None:
        self._number = float(given) if isinstance(given, float | int) else None
        rows = () if given is None or isinstance(given, float | int) else given
        self._rows: dict[tuple[int, str, str], list[Measured]] = _grouped(rows, lambda r: r.key)

    def on(self, keys: Collection[tuple[int, str, str]], pooled: bool) -> float | None:
        """The mean over the units with these keys; None where there are none.

        pooled: whether every question counts once.
        """
        if self._number is not None:
            return self._number
        same: Sequence[Measured] = [row for key in keys for row in self._rows.get(key, ())]
        if pooled:
            same = once_a_question(same)
        below = sum(row.below for row in same)
        return sum(row.point for row in same) / below if below > 0 else None


# (method, against, value set, its difference, what each could answer)
_Gap = tuple[str, str, str, Estimate, CommonCells]


def _paired(
    means: Mapping[str, Mapping[str, Estimate]],
    own: Mapping[_Scope, Mapping[str, Sequence[Measured]]],
    pairs: Sequence[tuple[str, str]],
    cells: Mapping[_Scope, CommonCells],
    draws: Draws,
    questions_once: bool,
    outcomes: Outcomes | None,
) -> Iterator[_Gap]:
    """Differences on the units both methods have, for each mean over value sets."""
    for method, against in pairs:
        for value_set, one in means.get(method, {}).items():
            two = means.get(against, {}).get(value_set)
            if two is None:
                continue
            scope = (None, None if value_set == ALL else value_set)
            ours, theirs = own[scope][method], own[scope][against]
            keys = [{row.key for row in rows} for rows in (ours, theirs)]
            shared = keys[0] & keys[1]
            if not shared:
                continue
            pooled = questions_once and scope[1] in POOLED
            compared = cells[scope].compared
            gap = minus(
                *(
                    # The figure itself, where it is over these cells.
                    whole
                    if known & compared == shared
                    else _estimate_on(shared, rows, draws, pooled, outcomes)
                    for whole, known, rows in zip((one, two), keys, (ours, theirs), strict=True)
                )
            )
            if isfinite(gap.value):
                yield method, against, value_set, gap, cells[scope]


def _estimate_on(
    keys: Collection[tuple[int, str, str]],
    rows: Sequence[Measured],
    draws: Draws,
    pooled: bool,
    outcomes: Outcomes | None,
) -> Estimate:
    """The estimate over the rows with these keys."""
    own: Sequence[Measured] = [row for row in rows if row.key in keys]
    return bootstrap_estimate(once_a_question(own) if pooled else own, draws, outcomes)


def _differences(
    evaluation: str,
    measure: str,
    side: SplitSide | None,
    gaps: Iterable[_Gap],
    apart: Sequence[str] = (),
) -> list[FigureDifference]:
    """All differences of one measure and side, corrected together for each value set.

    Those of the methods in `apart` are corrected together by themselves.
    """
    found = [
        FigureDifference(
            evaluation=evaluation,
            measure=measure,
            method=method,
            against=against,
            value_set=value_set,
            side=side,
            unanswered=cells.unanswered(method, against),
            against_unanswered=cells.unanswered(against, method),
            **contrast_of(gap),
        )
        for method, against, value_set, gap, cells in gaps
    ]
    return holm_corrected(found, [(d.value_set, d.method in apart) for d in found])


def contrast_of(gap: Estimate) -> dict[str, Any]:
    """The fields of a `Contrast`, before correction; no test where there is no interval."""
    found = gap.inference
    return {
        "value": gap.value,
        "low": gap.low,
        "high": gap.high,
        "n": gap.n,
        "p": found.p_value(),
        "detectable": found.detectable,
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


def detectable_among(seen: float, comparisons: int, clusters: int) -> float:
    """`detectable` after Holm's correction, for the first of so many comparisons.

    seen: the same difference without correction.
    """
    alone, corrected = (errors_needed((1 - LEVEL) / count, clusters) for count in (1, comparisons))
    return seen / alone * corrected


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
