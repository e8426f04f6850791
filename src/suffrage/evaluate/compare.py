"""Runs compared with one another, from their `results.json`.

Two runs can be compared where the same populations were asked the same questions, and the same
questions were held out. A unit is one held-out question of one value set under one split of the
items; a run's answer to it is the mean over its seeds with that split. Clusters of questions are
resampled, the same for every run, and so are the respondents. A result has only the shares and
standard errors of the respondents' answers, so these are drawn from the Dirichlet distribution
with that mean and that mean squared error, independently for each question. Answers that were
sampled from a model are sampled again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from suffrage.arguments import written
from suffrage.arrays import FloatArray
from suffrage.evaluate.fit import ANSWER_MEASURES, CEILING, NAME, AnswerMeasure
from suffrage.evaluate.results import ALL, Contrast, Measure, Results, Target
from suffrage.evaluate.scorecard import cut_off
from suffrage.evaluate.statistics.common_cells import CommonCells, wholly_answered
from suffrage.evaluate.statistics.figures import contrast_of, holm_corrected
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    Measured,
    bootstrap_estimate,
    combined,
    make_draws,
)
from suffrage.evaluate.statistics.outcomes import Outcomes, outcomes_of
from suffrage.evaluate.statistics.sampled_answers import resampled_answer

REPLICATES = 200
SHARES_AGREE = 1e-6
# Answers nearer than this come from one model, asked in batches of another size.
ANSWERS_AGREE = 1e-3
StandingKind = Literal["floor", "untrained", "trained"]
Split = frozenset[str]


@dataclass(frozen=True, eq=False)
class Run:
    """One run."""

    name: str  # different from the names of the runs it is compared with
    results: Results

    @property
    def splits(self) -> dict[int, Split]:
        """The items held out, by seed."""
        return {
            seed: frozenset(i.id for i in self.results.items if i.side.get(seed) == "held_out")
            for seed in self.results.study.seeds
        }


@dataclass(frozen=True, eq=False)
class Standing:
    """One method of one run, or of several runs whose answers are the same to the third digit."""

    runs: tuple[str, ...]
    method: str
    label: str
    kind: StandingKind
    value: float
    low: float | None
    high: float | None
    n: int
    unread: int  # units that could not be read
    missing: int = 0  # units that it could not be read on and another row could
    uncounted: int = 0  # units that it could be read on and another row could not


class StandingDifference(Contrast):
    """How much better `first` is than `second`, both places in the standings; negative: worse.

    For measures that should be near 1, how much nearer it is. Holm's correction goes over all
    pairs.
    """

    first: int
    second: int


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Runs that can be compared, best first."""

    measure: Measure
    runs: tuple[Run, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[StandingDifference, ...]
    paired: bool  # whether differences between runs could be worked out; else pairs are within runs
    questions: int
    splits: int
    ceiling: float | None  # the figure of one half of the respondents against the other
    notes: tuple[str, ...]  # what a reader must know of this table

    def pair(self, first: int, second: int) -> StandingDifference | None:
        """The pair of two places, turned round when it is stored the other way."""
        for found in self.pairs:
            if (found.first, found.second) == (first, second):
                return found
            if (found.second, found.first) == (first, second):
                return found.turned(first=first, second=second)
        return None


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Every leaderboard the runs allow, and why they are not one."""

    boards: tuple[Leaderboard, ...]
    apart: tuple[str, ...]


def measures_of(runs: Sequence[Run]) -> dict[str, Measure]:
    """What runs can be compared by: the measures of `fit`, then "evaluation.measure" of others."""
    found = {name: measure.shown for name, measure in ANSWER_MEASURES.items()}
    for run in runs:
        given = {(f.evaluation, f.measure) for f in run.results.figures}
        for facts in run.results.evaluations:
            for measure in facts.measures:
                if facts.name != NAME and (facts.name, measure.name) in given:
                    found.setdefault(f"{facts.name}.{measure.name}", measure)
    return found


def compare_results(
    runs: Sequence[Run], measure: str = "fit", across_models: bool = False
) -> RunComparison:
    """Leaderboards of the runs that can be compared with one another.

    Parameters
    ----------
    runs : sequence of Run
        Each with a name of its own.
    measure : str
        A key of `measures_of`. Those of `fit` are worked out from the answers, so that differences
        between runs are paired.
    across_models : bool
        Whether runs of different models may share a table.
    """
    tables: list[list[Run]] = []
    apart: list[str] = []
    for run in runs:
        reasons = []
        for table in tables:
            why = next(
                (w for other in table if (w := difference_of(run, other, across_models))), None
            )
            if why is None and not _shared_splits([*table, run]):
                why = "no split of the items is common to all of them"
            if why is None:
                table.append(run)
                break
            reasons.append(f"{run.name} is not compared with {table[0].name}: {why}.")
        else:
            tables.append([run])
            apart += reasons
    what = measures_of(runs)[measure]
    boards = [
        _from_answers(table, ANSWER_MEASURES[measure])
        if measure in ANSWER_MEASURES
        else _from_figures(table, measure, what)
        for table in tables
    ]
    return RunComparison(tuple(board for board in boards if board.standings), tuple(apart))


# --- What may be compared ----------------------------------------------------------------------


def difference_of(run: Run, other: Run, across_models: bool = False) -> str | None:
    """Why two runs cannot share a table, in words that follow a colon; None when they can."""
    one, two = run.results, other.results
    files = [sorted(h for s in r.surveys for h in s.files.values()) for r in (one, two)]
    if files[0] != files[1]:
        return f"their survey files differ ({one.survey_title}; {two.survey_title})"
    for key, what in (
        (lambda r: {i.id: (i.question, i.options, i.ordered) for i in r.items}, "questions"),
        (lambda r: {v.name: (v.description, v.left_out) for v in r.value_sets}, "value sets"),
        (lambda r: {i.id: i.cluster for i in r.items}, "clusters of questions"),
    ):
        differ = _differing(key(one), key(two))
        if differ:
            return f"their {what} differ ({_few(differ)})"
    places = [_targets(results) for results in (one, two)]
    differ = sorted(
        {
            place[0]
            for place in places[0].keys() | places[1].keys()
            if not _same_shares(places[0].get(place), places[1].get(place))
        }
    )
    if differ:
        return f"what people answered differs, by weights or selection ({_few(differ)})"
    if not across_models and one.study.model != two.study.model:
        return (
            f"their models differ ({one.study.model}; {two.study.model}); "
            f"{written('across_models')} puts them in one table"
        )
    if not set(run.splits.values()) & set(other.splits.values()):
        return "they hold different items out in every seed"
    return None


def _differing(one: Mapping[str, object], two: Mapping[str, object]) -> list[str]:
    return sorted(k for k in one.keys() | two.keys() if one.get(k) != two.get(k))


def _few(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _targets(results: Results) -> dict[tuple[str, str], Target]:
    return {(t.value_set, t.item): t for t in results.targets}


def _same_shares(one: Target | None, two: Target | None) -> bool:
    if one is None or two is None or len(one.shares) != len(two.shares):
        return False
    return bool(np.allclose(one.shares, two.shares, atol=SHARES_AGREE, rtol=0))


def _shared_splits(runs: Sequence[Run]) -> list[Split]:
    """The splits every run has, in an order that no run's place decides."""
    shared = set.intersection(*(set(run.splits.values()) for run in runs))
    return sorted((split for split in shared if split), key=sorted)


# --- From answers ------------------------------------------------------------------------------


def _from_answers(runs: Sequence[Run], measure: AnswerMeasure) -> Leaderboard:
    splits = _shared_splits(runs)
    entries = _merged([entry for run in runs for entry in _entries(run, splits, measure)])
    entries = [entry for entry in entries if entry.rows]
    every = [row for entry in entries for row in entry.rows]
    shown = measure.shown
    if not every:
        return Leaderboard(shown, tuple(runs), (), (), True, 0, len(splits), None, ())
    names = [row.value_set for row in every]
    draws = make_draws([row.cluster for row in every], names, REPLICATES, 0)
    cells = CommonCells(
        {str(k): frozenset(row.key for row in entry.rows) for k, entry in enumerate(entries)}
    )
    entries = [
        replace(
            entry,
            rows=tuple(row for row in entry.rows if row.key in cells.compared),
            every=entry.rows,
            missing=cells.missing(str(k)),
            uncounted=cells.uncounted(str(k)),
        )
        for k, entry in enumerate(entries)
    ]
    outcomes = outcomes_of(every)
    found = [(e, bootstrap_estimate(e.rows, draws, outcomes)) for e in entries if e.rows]
    good = _goodness(shown)
    # A row with answers missing is never first, whatever its figure on what it answered.
    found.sort(
        key=lambda pair: (
            pair[0].missing > 0,
            -good(np.array(pair[1].value)),
            pair[0].label,
            pair[0].runs,
        )
    )
    standings = tuple(
        Standing(
            *(e.runs, e.method, e.label, e.kind, f.value),
            *cut_off(f.low, f.high, shown.lowest, shown.highest),
            *(f.n, e.unread, e.missing, e.uncounted),
        )
        for e, f in found
    )
    notes = _notes(runs, splits)
    if any(standing.unread for standing in standings):
        notes.append(
            "Some answers could not be read. All rows are compared on the answers that all of "
            "them gave; a row without an answer that others gave comes after the others. A pair is "
            "compared on the answers that both of them gave."
        )
    return Leaderboard(
        shown,
        tuple(runs),
        standings,
        _pairs(found, draws, good, shown),
        True,
        len({row.item for row in every}),
        len(splits),
        _ceiling(runs[0], splits, shown.name),
        tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Entry:
    runs: tuple[str, ...]
    method: str
    label: str
    kind: StandingKind
    rows: tuple[Measured, ...]
    unread: int
    said: Mapping[tuple[int, str, str, int], FloatArray]  # split, value set, item, seed's place
    every: tuple[Measured, ...] = ()  # all units it could be read on
    missing: int = 0  # units that others could be read on and this one could not
    uncounted: int = 0  # units it could be read on and others could not


def _entries(run: Run, splits: Sequence[Split], measure: AnswerMeasure) -> list[_Entry]:
    results = run.results
    at = {seed: splits.index(split) for seed, split in run.splits.items() if split in splits}
    items = {item.id: item for item in results.items}
    resampled = {place: _resampled(target) for place, target in _targets(results).items()}
    targets = _targets(results)
    rows: dict[str, list[tuple[tuple[int, str, str], Measured | None]]] = defaultdict(list)
    said: dict[str, dict[tuple[int, str, str, int], FloatArray]] = defaultdict(dict)
    unread: dict[str, int] = defaultdict(int)
    for answer in results.answers:
        if answer.seed not in at or (answer.side, answer.readout) != ("held_out", "letters"):
            continue
        place = (answer.value_set, answer.item)
        seed_place = results.study.seeds.index(answer.seed)
        said[answer.method][at[answer.seed], *place, seed_place] = np.array(answer.shares)
        unread[answer.method] += answer.refused
        item = items[answer.item]
        if measure.ordered_only and not item.ordered:
            continue
        if answer.refused:
            rows[answer.method].append(((at[answer.seed], *place), None))
            continue
        unit = (at[answer.seed], *place, item.cluster)
        p, q = np.array(targets[place].shares), np.array(answer.shares)
        row = measure.row(unit, p, resampled[place], q, resampled_answer(answer))
        rows[answer.method].append((row.key, row))
    return [
        _Entry(
            (run.name,),
            facts.name,
            facts.label,
            facts.kind,
            tuple(_mean_row(same) for _, same in sorted(wholly_answered(rows[facts.name]).items())),
            unread[facts.name],
            said[facts.name],
        )
        for facts in results.methods
        if facts.kind != "ceiling" and facts.kind != "reading" and facts.name in rows
    ]


def _mean_row(rows: Sequence[Measured]) -> Measured:
    """The mean over seeds that split the items alike, in all of which it could be read."""
    first = rows[0]
    sampled = [row.sampled for row in rows if row.sampled is not None]
    below = [np.ones(1) if r.below_replicates is None else r.below_replicates for r in rows]
    return replace(
        first,
        point=float(np.mean([row.point for row in rows])),
        replicates=np.mean([row.replicates for row in rows], axis=0),
        below=float(np.mean([row.below for row in rows])),
        below_replicates=None if first.below_replicates is None else np.mean(below, axis=0),
        sampled=np.mean(sampled, axis=0) if sampled else None,
    )


def _resampled(target: Target) -> FloatArray:
    """(REPLICATES, options): Dirichlet with the target's mean and mean squared error.

    A Dirichlet of concentration m has variances p(1-p)/(m+1). One row, the shares themselves,
    where no error is known.
    """
    p, errors = np.array(target.shares), np.array(target.standard_errors)
    squared = float(np.square(errors).sum())
    if not np.isfinite(squared) or squared <= 0:
        return p[None, :]
    m = max(float((p * (1 - p)).sum()) / squared - 1, 1.0)
    seed = [ord(letter) for letter in f"{target.value_set}\n{target.item}"]
    drawn = np.random.default_rng(seed).standard_gamma(m * p, size=(REPLICATES, p.size))
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def _merged(entries: Sequence[_Entry]) -> list[_Entry]:
    """Entries whose answers are all the same become one, so that it is not compared with itself."""
    found: list[_Entry] = []
    for entry in entries:
        place = next((k for k, other in enumerate(found) if _same_answers(entry, other)), None)
        if place is None:
            found.append(entry)
        else:
            found[place] = replace(found[place], runs=(*found[place].runs, *entry.runs))
    return found


def _same_answers(one: _Entry, two: _Entry) -> bool:
    return (
        (one.method, one.kind) == (two.method, two.kind)
        and one.said.keys() == two.said.keys()
        and all(
            np.allclose(shares, two.said[place], atol=ANSWERS_AGREE, rtol=0, equal_nan=True)
            for place, shares in one.said.items()
        )
    )


def _goodness(measure: Measure) -> Callable[[FloatArray], FloatArray]:
    """Figures turned so that more is better."""
    if measure.better == "lower":
        return lambda values: -values
    if measure.better in ("nearer 0", "nearer 1"):
        wanted = float(measure.better[-1])
        return lambda values: -np.abs(values - wanted)
    return lambda values: values


def _pairs(
    found: Sequence[tuple[_Entry, Estimate]],
    draws: Draws,
    good: Callable[[FloatArray], FloatArray],
    shown: Measure,
) -> tuple[StandingDifference, ...]:
    """Every pair with a model in it, floors included."""
    known_ends = shown.lowest is not None and shown.highest is not None
    span = (shown.highest or 0.0) - (shown.lowest or 0.0) if known_ends else math.inf
    pairs: list[StandingDifference] = []
    for first, second in combinations(range(len(found)), 2):
        (a, one), (b, two) = found[first], found[second]
        if a.kind == b.kind == "floor":
            continue
        known, others = ({row.key for row in entry.every} for entry in (a, b))
        shared = known & others
        if not shared:
            continue
        # Both are compared on all that both could be read on, whatever a third row was.
        if len(a.rows) != len(shared) or len(b.rows) != len(shared):
            outcomes = one.outcomes
            one, two = (
                bootstrap_estimate(
                    [row for row in entry.every if row.key in shared], draws, outcomes
                )
                for entry in (a, b)
            )
        gap = combined(lambda x, y: good(x) - good(y), one, two, n=one.n, outcomes=_apart(one, two))
        contrast = contrast_of(gap)
        contrast["low"], contrast["high"] = cut_off(contrast["low"], contrast["high"], -span, span)
        pairs.append(
            StandingDifference(
                first=first,
                second=second,
                unanswered=len(others - known),
                against_unanswered=len(known - others),
                **contrast,
            )
        )
    return tuple(holm_corrected(pairs))


def _apart(one: Estimate, two: Estimate) -> Outcomes | None:
    """What a unit's difference can be, in either direction."""
    first, second = one.outcomes, two.outcomes
    return None if first is None or second is None else first.minus(second)


def _ceiling(run: Run, splits: Sequence[Split], measure: str) -> float | None:
    """The mean ceiling over the seeds compared, from the run's own figures."""
    seeds = [seed for seed, split in run.splits.items() if split in splits]

    def values(*wanted: int | Literal["all"]) -> list[float]:
        found = (
            run.results.figure(NAME, measure, CEILING, seed=seed, side="held_out")
            for seed in wanted
        )
        return [figure.value for figure in found if figure]

    over_all = values(ALL) if len(seeds) == len(run.splits) else []
    known = over_all or values(*seeds)
    return float(np.mean(known)) if known else None


def _notes(runs: Sequence[Run], splits: Sequence[Split]) -> list[str]:
    notes = []
    for run in runs:
        left = [seed for seed, split in run.splits.items() if split not in splits]
        if left:
            notes.append(
                f"{run.name}: seeds {', '.join(map(str, left))} are left out; not every run of "
                "this table has their held-out items."
            )
    counts = {run.name: sum(s in splits for s in run.splits.values()) for run in runs}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        notes.append(
            f"A figure is a mean over a run's seeds, of which there are: {said}. With one seed, "
            "chance in training matters more than the interval shows."
        )
    versions = {run.name: run.results.study.versions.get("suffrage") for run in runs}
    if len(set(versions.values())) > 1:
        said = ", ".join(f"{name} {version}" for name, version in versions.items())
        notes.append(f"The runs were made with different versions of Suffrage: {said}.")
    models = sorted({run.results.study.model for run in runs})
    if len(models) > 1:
        notes.append(f"This table compares different models: {', '.join(models)}.")
    return notes


# --- From other evaluations' figures ------------------------------------------------------------


def _from_figures(runs: Sequence[Run], name: str, measure: Measure) -> Leaderboard:
    """A measure of which runs have only figures: intervals side by side, pairs within runs."""
    evaluation, own = name.split(".", 1)
    good = _goodness(measure)
    found = []
    for run in runs:
        for facts in run.results.methods:
            f = run.results.figure(evaluation, own, facts.name, side="held_out")
            if f is not None and facts.kind != "ceiling" and facts.kind != "reading":
                figures = (f.value, f.low, f.high, f.n, f.missing, f.missing, f.uncounted)
                found.append(Standing((run.name,), facts.name, facts.label, facts.kind, *figures))
    found.sort(key=lambda s: (s.missing > 0, -float(good(np.array(s.value))), s.label, s.runs))
    at = {(standing.runs[0], standing.method): place for place, standing in enumerate(found)}
    pairs = []
    for run in runs:
        for d in run.results.differences_of(evaluation, own, side="held_out"):
            first, second = at.get((run.name, d.method)), at.get((run.name, d.against))
            if first is not None and second is not None:
                better = d.as_gain() if measure.better == "lower" else d
                gap = better.model_dump(include=set(Contrast.model_fields), exclude={"adjusted"})
                pairs.append(StandingDifference(first=first, second=second, **gap))
    notes = _notes(runs, _shared_splits(runs))
    if len(runs) > 1:
        notes.append(
            "A run keeps this measure's figures but not its units, so differences between runs "
            "are not tested. Figures whose intervals overlap may still differ."
        )
    # A signed difference does not say which of two is nearer to a point between them.
    kept = () if measure.better in ("nearer 0", "nearer 1") else tuple(holm_corrected(pairs))
    n = max((standing.n for standing in found), default=0)
    splits = len(_shared_splits(runs))
    return Leaderboard(
        measure, tuple(runs), tuple(found), kept, False, n, splits, None, tuple(notes)
    )
