"""`equity`: which groups are served least, and whether groups are made into caricatures.

A group's shortfall is the fit of one half of its respondents to the other half (its ceiling), less
the model's fit to the group. Both are what they would be if no more people had answered in the
group than in the smallest one: the fewer people answer, the lower is a ceiling, by more than a fit
that is not near it. Only items held out count, where any are.

It cannot show groups that the survey did not record, or that no value set names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.groups import (
    Shares,
    above_zero,
    between_row,
    denominators,
    drawn_letter_shares,
    half_sample_fit,
    letter_shares,
    order_moves,
    ratio_row,
    read_places,
    refused_letters,
    rivals,
    rivals_read,
    under_replicates,
    unread_notes,
)
from suffrage.evaluate.results import LEARNED, LEFT_OUT, Figure, FigureDifference, Measure
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, Scorecard
from suffrage.evaluate.statistics.extremes import largest, named_largest, spread_between
from suffrage.evaluate.statistics.fewer_people import (
    SAME_NUMBER,
    fewest_answers,
    sampled,
    samples_with_as_few,
)
from suffrage.evaluate.statistics.figures import (
    compared_rows,
    drawn_figure,
    drawn_figures,
    make_figures,
    resamples,
)
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    Measured,
    bootstrap_estimate,
)
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.training_data.average_answer import average_training_distribution, uniform

NAME = "equity"
FLOORS = ("uniform", "average")

MEASURES = (
    Measure(
        name="worst",
        lowest=-1.0,
        highest=1.0,
        label="Shortfall of the group served least",
        explanation="How far the model’s fit to the group it serves least is below the fit of "
        "one half of that group’s respondents to the other, as if no more people had answered in "
        "it than in the smallest group. The interval is valid whichever "
        "group that is. The floor is the smallest shortfall of an answer that does not tell "
        "groups or questions apart: one group’s own answers given to everybody, or an answer "
        "that ignores the question.",
        better="lower",
        unit="groups",
        headline=True,
    ),
    Measure(
        name="spread",
        lowest=0.0,
        highest=2.0,
        label="Spread between groups",
        explanation="The largest shortfall of a group minus the smallest. The interval is "
        "corrected for the "
        "spread that chance alone gives equal groups. A small spread is not good in itself: a "
        "model that serves all groups badly has one too.",
        better="lower",
        unit="groups",
    ),
    Measure(
        name="shortfall",
        lowest=-1.0,
        highest=1.0,
        label="Shortfall",
        explanation="Fit of one half of a group’s respondents to the other half, minus the "
        "model’s fit to "
        "the group, as if no more people had answered in it than in the smallest one; the mean "
        "over groups.",
        better="lower",
        unit="questions",
    ),
    Measure(
        name="intersections",
        lowest=-2.0,
        highest=2.0,
        label="Intersections against their parts",
        explanation="Shortfall of groups formed by two conditions (such as women of one party), "
        "minus the "
        "mean shortfall of the groups of either condition alone: above 0 if the people with both "
        "conditions are served worse.",
        better="nearer 0",
        unit="questions",
    ),
    Measure(
        name="within",
        lowest=0.0,
        label="Variety within groups",
        explanation="Variance of the model’s answers along the scale, divided by that of "
        "people’s, within "
        "groups; ordered questions only, without the part that the order of the options may add. "
        "Near "
        "0 the model makes all members of a group say the same.",
        better="nearer 1",
        unit="questions",
        digits=2,
    ),
    Measure(
        name="between",
        lowest=0.0,
        label="Distance between groups",
        explanation="How far apart the model’s groups are, divided by how far apart people’s are "
        "(squared "
        "differences of shares, corrected for sampling noise). Above 1, with variety within "
        "groups "
        "below 1, groups are made into caricatures; near 0 they are all answered alike.",
        better="nearer 1",
        unit="questions",
        digits=2,
    ),
)


NOT_DRAWN: Shares = {}


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """The figures, who is served least by each method, and each group's shortfall."""
    said = {place: letter_shares(answers) for place, answers in given.answers.items()}
    as_few = _AsFew(given.value_sets)
    units: dict[str, dict[str, list[Measured]]] = {
        name: defaultdict(list) for name in ("shortfall", "intersections", "within", "between")
    }
    for method in given.methods:
        for split_seed in given.splits:
            shares = said[method, split_seed]
            drawn = drawn_letter_shares(given.answers[method, split_seed], method)
            units["shortfall"][method] += _shortfalls(given, split_seed, shares, as_few, drawn)
            units["intersections"][method] += _crossings(given, split_seed, shares, as_few)
            moves = order_moves(given.answers[method, split_seed])
            units["within"][method] += _within(given, split_seed, shares, drawn, moves)
            refused = refused_letters(given.answers[method, split_seed])
            units["between"][method] += _between(given, split_seed, shares, refused)
    floor_rows = _floor_rows(given, as_few)
    notes = unread_notes(given.answers, given.value_sets, given.splits)
    if not above_zero(
        denominators([row for rows in units["between"].values() for row in rows]), seed
    ):
        units["between"] = defaultdict(list)
        notes.append(
            "On these questions the groups do not differ beyond sampling noise, so how far apart "
            "the model puts them is not given."
        )
    if not _parents(given.value_sets):
        notes.append(
            "No value set here is the intersection of two others (a `where` with two keys, "
            "together with value sets of either key alone), so intersections were not measured."
        )
    figures, differences = make_figures(
        NAME,
        units,
        given.methods,
        seed,
        {"shortfall": _better_floor(floor_rows), "within": 0.0, "between": 0.0},
        {"shortfall": 0.0, "intersections": 0.0, "within": 1.0, "between": 1.0},
        given.left_out,
    )
    own_figures, own_differences, details = _served(given, units["shortfall"], floor_rows, seed)
    return Scorecard(
        figures=(*own_figures, *figures),
        figure_differences=(*own_differences, *differences),
        notes=tuple(notes),
        details=details,
    )


def _floor_rows(given: EvaluationInput, as_few: _AsFew) -> dict[str, list[Measured]]:
    """Shortfalls of what tells no question from another, or no group from another, by name.

    The latter gives one group's own answers to everybody: as many as there are groups.
    """
    one_for_all = [f"as {v.name}" for v in given.value_sets] if len(given.value_sets) > 1 else []
    return {
        name: [
            row
            for split_seed in given.splits
            for row in _shortfalls(
                given, split_seed, _floor_shares(given, split_seed, name), as_few
            )
        ]
        for name in (*FLOORS, *one_for_all)
    }


def _better_floor(floor_rows: Mapping[str, Sequence[Measured]]) -> list[Measured]:
    """The floor that falls less short over all groups."""
    best = min(floor_rows, key=lambda name: float(np.mean([r.point for r in floor_rows[name]])))
    return list(floor_rows[best])


def _floor_shares(given: EvaluationInput, seed: int, floor: str) -> dict[Any, FloatArray]:
    split = given.splits[seed]
    one = {f"as {v.name}": v for v in given.value_sets}.get(floor)
    found = {}
    for v in given.value_sets:
        for item, d in v.distributions.items():
            if floor == "uniform":
                found[v.name, item] = uniform(len(d.item.options))
            elif one is not None and item in one.distributions:
                found[v.name, item] = one.distributions[item].shares
            else:
                found[v.name, item] = average_training_distribution(v, split, item)
    return found


def _shortfalls(
    given: EvaluationInput, seed: int, said: Shares, as_few: _AsFew, drawn: Shares = NOT_DRAWN
) -> list[Measured]:
    """Ceiling less fit; less than a perfect fit where the respondents are not at hand.

    drawn: answers that were drawn from the model, drawn again.
    """
    found = []
    for at, people, shares in read_places(given, seed, said):
        ceiling, samples = as_few.of(at[1], people)
        top = 1.0 if ceiling is None else ceiling

        def short(drawn: FloatArray, shares: FloatArray = shares, top: float = top) -> FloatArray:
            return np.asarray(top - fit(drawn, shares))

        point = float(short(samples).mean())
        again = drawn.get((at[1], at[2]))
        own = None if again is None else top - fit(people.shares, again)
        found.append(Measured(*at, point, under_replicates(people, short), sampled=own))
    return found


class _AsFew:
    """Groups' ceilings and shares, if no more people had answered than in the smallest group.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    """

    def __init__(self, value_sets: Sequence[ValueSet]) -> None:
        self._fewest = fewest_answers(
            {
                item: people.effective_answers
                for item, people in value_set.distributions.items()
                if len(people.first_halves) and people.effective_answers > 0
            }
            for value_set in value_sets
        )
        self._found: dict[tuple[str, str], tuple[float | None, FloatArray]] = {}

    def of(self, value_set: str, people: AnswerDistribution) -> tuple[float | None, FloatArray]:
        """A group's ceiling, and shares of which the mean fit is that of so few people.

        Returns
        -------
        ceiling : float or None
            None where the respondents are not at hand.
        samples : array, shape (samples, options)
            The group's own shares where it has no more people.
        """
        place = (value_set, people.item.id)
        if place not in self._found:
            self._found[place] = self._drawn(people)
        return self._found[place]

    def _drawn(self, people: AnswerDistribution) -> tuple[float | None, FloatArray]:
        item, shares = people.item.id, people.shares
        added = 1 / self._fewest.get(item, np.inf) - 1 / people.effective_answers
        if not len(people.first_halves) or not added > SAME_NUMBER:
            return half_sample_fit(people), shares[None]
        halves = enumerate((people.first_halves, people.second_halves))
        first, second = (sampled(f"{item} {half}", some, 2 * added) for half, some in halves)
        fewest = self._fewest[item]
        samples = samples_with_as_few(item, shares, people.effective_answers, fewest)
        return float(fit(first, second).mean()), samples


def _parents(value_sets: Sequence[ValueSet]) -> dict[str, list[str]]:
    """Of each crossing, the groups that have all its conditions but one; two at least."""
    found = {}
    for crossing in value_sets:
        whole = crossing.where
        above = [
            v.name
            for v in value_sets
            if v.where
            and len(v.where) == len(whole) - 1
            and all(key in whole and whole[key] == wanted for key, wanted in v.where.items())
        ]
        if len(above) >= 2:
            found[crossing.name] = above
    return found


def _crossings(given: EvaluationInput, seed: int, said: Shares, as_few: _AsFew) -> list[Measured]:
    short = {(r.value_set, r.item): r for r in _shortfalls(given, seed, said, as_few)}
    found = []
    for crossing, above in _parents(given.value_sets).items():
        for (name, item), row in short.items():
            parts = [short[parent, item].point for parent in above if (parent, item) in short]
            if name != crossing or len(parts) < len(above):
                continue
            point = row.point - float(np.mean(parts))
            found.append(Measured(seed, name, item, row.cluster, point, row.replicates))
    return found


def scale_variance(shares: FloatArray) -> FloatArray:
    """Variance of the position on a scale from 0 to 1. shares: (..., options)."""
    scale = np.linspace(0, 1, shares.shape[-1])
    return np.asarray(shares @ scale**2 - (shares @ scale) ** 2)


def _within(
    given: EvaluationInput, seed: int, said: Shares, drawn: Shares, moves: Mapping[Any, float]
) -> list[Measured]:
    """Variances along the scale, without what the order of the options alone can add.

    The mean answer's variance is the mean variance under each order and the variance of their mean
    places. A mean place moves no further than the answer does, by its total variation from the
    mean answer.
    """
    return [
        ratio_row(
            *(at, scale_variance, people, shares, drawn.get((at[1], at[2]))),
            from_order=moves.get((at[1], at[2]), 0.0) ** 2,
        )
        for at, people, shares in read_places(given, seed, said)
        if people.item.ordered
    ]


def _between(
    given: EvaluationInput, seed: int, said: Shares, refused: Collection[tuple[str, str]]
) -> list[Measured]:
    """How far each group is from all of its rivals, where the model could be read as all."""
    by_name = {v.name: v for v in given.value_sets}
    found = []
    for at, people, shares in read_places(given, seed, said):
        _, name, item, _ = at
        others = rivals_read(rivals(by_name[name], given.value_sets), item, said, refused)
        if others:
            targets = [v.distributions[item] for v in others]
            answers = [said[v.name, item] for v in others]
            found.append(between_row(at, people, targets, shares, answers))
    return found


def _served(
    given: EvaluationInput,
    rows: Mapping[str, Sequence[Measured]],
    floor_rows: Mapping[str, Sequence[Measured]],
    seed: int,
) -> tuple[tuple[Figure, ...], tuple[FigureDifference, ...], dict[str, Any]]:
    """Largest shortfall and spread of each method, and who it is that is served least.

    All methods are compared on the answers that all of them gave.
    """
    every = [row for some in rows.values() for row in some]
    if not every:
        return (), (), {}
    draws = resamples(every, seed)
    scoped, by_scope = compared_rows(rows, given.methods)
    cells = by_scope[None, None]
    floor = min(_worst_mean(some, cells.compared) for some in floor_rows.values())
    worst: dict[str, Estimate] = {}
    spread: dict[str, Estimate] = {}
    least = {}
    parts: list[Figure] = []
    for method in given.methods:
        groups = _by_group(given, scoped.get(method, {}).get((None, None), ()), draws)
        if not groups:
            continue
        worst[method] = replace(largest(groups), floor=floor)
        for scope, wanted in ((LEARNED, False), (LEFT_OUT, True)):
            part = {g: one for g, one in groups.items() if (g in given.left_out) == wanted}
            if part and len(part) < len(groups):
                # The floor is of all groups, and these are not all.
                place = (NAME, "worst", method, None, scope)
                parts.append(drawn_figure(*place, largest(part), cells=cells))
        least[method] = named_largest(groups)
        if len(groups) > 1:
            spread[method] = spread_between(groups)
    figures, differences = drawn_figures(NAME, "worst", worst, given.methods, cells=cells)
    figures = (*figures, *parts)
    more, more_differences = drawn_figures(NAME, "spread", spread, given.methods, cells=cells)
    details = {"least": least, "parents": _parents(given.value_sets)}
    return (*figures, *more), (*differences, *more_differences), details


def _worst_mean(rows: Sequence[Measured], compared: Container[Hashable]) -> float:
    """The largest mean of a group, over the answers compared."""
    by_group: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.key in compared:
            by_group[row.value_set].append(row.point)
    return max(float(np.mean(points)) for points in by_group.values())


def _by_group(
    given: EvaluationInput, rows: Sequence[Measured], draws: Draws
) -> dict[str, Estimate]:
    found = {}
    for value_set in given.value_sets:
        own = [row for row in rows if row.value_set == value_set.name]
        if own:
            found[value_set.name] = bootstrap_estimate(own, draws)
    return found


EVALUATION = Evaluation(
    NAME,
    score,
    question="Who is served least, and are groups made into caricatures?",
    cannot_show="How groups are served that the survey did not record or that no value set names, "
    "and whether an answer that fits a group helps or harms it.",
    measures=MEASURES,
)
