"""An audit: whose answers a model gives, over every question of a survey.

Nothing is trained and nothing is held out. The model is asked as itself, and its answers are
compared with those of each group. Every group has a floor and a ceiling of its own: the best answer
that ignores the question, and one half of the group's people as the model of the other half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from suffrage.arrays import FloatArray
from suffrage.evaluate.fit import ANSWER_MEASURES
from suffrage.evaluate.results import Contrast, share_of_way
from suffrage.evaluate.scorecard import cut_off
from suffrage.evaluate.statistics.fewer_people import loss_with_as_few, loss_with_fewer
from suffrage.evaluate.statistics.figures import contrast_of, holm_corrected
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    Measured,
    bootstrap_estimate,
    make_draws,
    minus,
)
from suffrage.evaluate.statistics.sampled_answers import SAMPLED_REPLICATES, resampled_model_shares
from suffrage.models import ModelAnswer
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import (
    fit,
    jensen_shannon_distance,
    total_variation,
)
from suffrage.survey import Item
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import TrainedAnswers, uniform
from suffrage.training_data.split import item_clusters

_FIT = ANSWER_MEASURES["fit"]
# A model whose answers differ between questions by less than this part of what people's do gives
# one answer to everything.
ONE_ANSWER = 0.25
# Below so many answers that could be read nothing is said of a model.
FEWEST_ANSWERS = 5


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GroupFit(_Row):
    """How near a model's answers are to one group's."""

    group: str
    # As a question to a model would name the group.
    description: str
    # Respondents and their effective number; 0 and None where nobody says.
    people: int
    effective_people: float | None
    questions: int
    # 1 minus the mean Jensen-Shannon distance, with its 95% interval.
    fit: float
    low: float | None
    high: float | None
    # The fit of the best answer that ignores the question: the group's average answer to other
    # questions, or the even answer.
    floor: float
    # The fit of one half of the group's people to the other half; None for a published table.
    ceiling: float | None
    # The fit above the floor, on the same questions; corrected over all groups of the model.
    above_floor: Contrast

    @property
    def way(self) -> float | None:
        """How far the fit is from the floor (0) to the ceiling (1); negative below the floor."""
        return share_of_way(self.fit, self.floor, self.ceiling)


class GroupGap(Contrast):
    """How much nearer a model is to one group than to another, on questions both answered.

    It is what the difference would be if no more people had answered in one group than in the
    other. `group` has the higher fit, and the value can still be below 0.
    """

    group: str
    against: str


class ModelGap(Contrast):
    """How much nearer one model is to a group than another model is."""

    group: str
    model: str
    against: str


class Departure(_Row):
    """A question on which a model is far from the group that it is nearest to."""

    item: str
    question: str
    options: tuple[str, ...]
    # The share of each option.
    model: tuple[float, ...]
    people: tuple[float, ...]
    fit: float


class AuditedModel(_Row):
    """What an audit found about one model."""

    name: str
    # Questions asked, and those with too little probability on the options.
    asked: int
    refused: int
    # The mean probability on the options, and how much the way of asking moves an answer.
    mass: float | None
    order_sensitivity: float | None
    # Whether answers were drawn because the server gives no probabilities.
    drawn: bool
    # Nearest first.
    groups: tuple[GroupFit, ...]
    # Every two groups, corrected together; the nearer one is `group`.
    gaps: tuple[GroupGap, ...]
    # How much the model's answers differ between questions, over how much people's do.
    variation: float | None
    # The fit to the nearest group above that of the model's own average answer.
    own_gain: Contrast | None
    # Where it is farthest from the nearest group.
    departures: tuple[Departure, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether enough answers could be read to say anything."""
        return self.asked - self.refused >= FEWEST_ANSWERS

    @property
    def one_answer(self) -> bool:
        """Whether the model gives nearly the same answer to everything."""
        return self.variation is not None and self.variation < ONE_ANSWER


class MapPoint(_Row):
    """A group or a model on a map; a group has standard errors where they are known."""

    name: str
    is_model: bool
    x: float
    y: float
    x_error: float | None = None
    y_error: float | None = None


class AnswersMap(_Row):
    """Groups and models in the plane: near each other where their answers are alike."""

    points: tuple[MapPoint, ...]
    # The part of the squared distances that the plane shows, 0 to 1.
    shown: float


class ValuesMap(_Row):
    """Groups and models on axes or a circle that theory gives."""

    points: tuple[MapPoint, ...]
    # Names at the ends of the axes, or around the circle with their degrees.
    ring: tuple[tuple[str, float], ...] = ()
    # Models that are not on it, with the reason.
    missing: tuple[str, ...] = ()


class Audit(_Row):
    """Everything that an audit's report says."""

    title: str
    survey: str
    statement: str
    questions: int
    clusters: int
    models: tuple[AuditedModel, ...]
    model_gaps: tuple[ModelGap, ...]
    answers_map: AnswersMap | None
    cultural_map: ValuesMap | None = None
    values_circle: ValuesMap | None = None
    # Sentences on the endpoints and on what was spent.
    notes: tuple[str, ...] = ()
    terms: str = ""
    # The day of the report, such as 2026-11-30, and the command that makes it again.
    made_on: str = ""
    command: str = ""


@dataclass(frozen=True, eq=False)
class _Compared:
    """A model's rows with one group: its own, and those of what it is compared with."""

    own: Mapping[str, Measured]
    # The group's average answer to other questions, and the even answer.
    average_people: Mapping[str, Measured]
    even: Mapping[str, Measured]
    ceiling: Mapping[str, Measured]
    # The model's own average answer to other questions in place of each of its answers.
    average: Mapping[str, Measured]
    # The group's people, and how much lower its fit would be if fewer had answered.
    people: Mapping[str, AnswerDistribution]
    losses: Mapping[str, FloatArray]

    def with_as_few(self, other: _Compared) -> dict[str, Measured]:
        """Its own rows, if no more people had answered than in another group."""
        found = {}
        for item, row in self.own.items():
            if item in other.own:
                loss = loss_with_as_few(self.losses[item], self.people[item], other.people[item])
                found[item] = replace(row, point=row.point - loss)
        return found


class Auditor:
    """Compares models' answers with those of groups, under resamples that all share.

    Parameters
    ----------
    value_sets : sequence of ValueSet
        The groups.
    seed : int
        Of the resamples.
    """

    def __init__(self, value_sets: Sequence[ValueSet], seed: int = 0) -> None:
        self.groups = {value_set.name: value_set for value_set in value_sets}
        items: dict[str, Item] = {i.id: i for v in value_sets for i in v.items}
        self.items = list(items.values())
        self.clusters = item_clusters(self.items)
        replicates = [d.replicates.shape[0] for v in value_sets for d in v.distributions.values()]
        self._draws: Draws = make_draws(
            list(self.clusters.values()), [""], max([*replicates, SAMPLED_REPLICATES]), seed
        )
        everything = ItemSplit(tuple(items), (), self.clusters, {})
        self._averages = {
            name: TrainedAnswers(value_set, everything) for name, value_set in self.groups.items()
        }

    def audit_model(self, name: str, answers: Sequence[ModelAnswer]) -> AuditedModel:
        """Compare one model's answers, given as itself, with every group."""
        read = {answer.item_id: answer for answer in answers if not answer.refused}
        averages = _own_averages(read)
        compared = {
            group: self._compared(name, value_set, read, averages)
            for group, value_set in self.groups.items()
        }
        compared = {group: rows for group, rows in compared.items() if rows.own}
        fits = self._group_fits(compared)
        order = [one.group for one in fits]
        nearest = compared[order[0]] if order else None
        own_gain = None
        if nearest is not None:
            own_gain = Contrast(**_contrast(self._gap(nearest.own, nearest.average)))
        sensitivities = [
            a.order_sensitivity for a in read.values() if a.order_sensitivity is not None
        ]
        return AuditedModel(
            name=name,
            asked=len(answers),
            refused=len(answers) - len(read),
            mass=_mean([answer.mass for answer in answers]),
            order_sensitivity=_mean(sensitivities),
            drawn=any(answer.drawn is not None for answer in answers),
            groups=tuple(fits),
            gaps=tuple(self._group_gaps(order, compared)),
            variation=self._variation(read, averages),
            own_gain=own_gain,
        )

    def model_gaps(self, answers: Mapping[str, Sequence[ModelAnswer]]) -> tuple[ModelGap, ...]:
        """Every two models on every group, corrected together; the nearer one is `model`."""
        rows: dict[str, dict[str, _Compared]] = {}
        for name, given in answers.items():
            read = {answer.item_id: answer for answer in given if not answer.refused}
            averages = _own_averages(read)
            rows[name] = {
                group: self._compared(name, value_set, read, averages)
                for group, value_set in self.groups.items()
            }
        found = []
        for group in self.groups:
            for first, second in combinations(answers, 2):
                a, b = rows[first][group].own, rows[second][group].own
                if not a.keys() & b.keys():
                    continue
                gap = self._gap(a, b)
                if gap.value < 0:
                    first, second, a, b, gap = second, first, b, a, self._gap(b, a)
                found.append(
                    ModelGap(
                        group=group,
                        model=first,
                        against=second,
                        unanswered=len(b.keys() - a.keys()),
                        against_unanswered=len(a.keys() - b.keys()),
                        **_contrast(gap),
                    )
                )
        return tuple(holm_corrected(found))

    def answers_map(self, answers: Mapping[str, Sequence[ModelAnswer]]) -> AnswersMap | None:
        """Models and groups in the plane by their mean distance; None for fewer than three."""
        given: dict[str, dict[str, FloatArray]] = {
            name: {a.item_id: a.shares for a in own if not a.refused}
            for name, own in answers.items()
        }
        given = {name: own for name, own in given.items() if len(own) >= FEWEST_ANSWERS}
        models = set(given)
        for name, value_set in self.groups.items():
            given[_group_key(name, models)] = {
                item: found.shares for item, found in value_set.distributions.items()
            }
        names = list(given)
        distances = np.zeros((len(names), len(names)))
        for i, j in combinations(range(len(names)), 2):
            one, two = given[names[i]], given[names[j]]
            shared = [item for item in one if item in two]
            if not shared:
                return None
            apart = [float(jensen_shannon_distance(one[item], two[item])) for item in shared]
            distances[i, j] = distances[j, i] = np.mean(apart)
        if len(names) < 3:
            return None
        points, shown = classical_scaling(distances)
        return AnswersMap(
            points=tuple(
                MapPoint(name=name.removesuffix("\0"), is_model=name in models, x=x, y=y)
                for name, (x, y) in zip(names, points.tolist(), strict=True)
            ),
            shown=shown,
        )

    def _compared(
        self,
        name: str,
        value_set: ValueSet,
        read: Mapping[str, ModelAnswer],
        averages: Mapping[str, FloatArray],
    ) -> _Compared:
        rows: tuple[dict[str, Measured], ...] = ({}, {}, {}, {}, {})
        own, average_people, even, ceiling, average = rows
        people: dict[str, AnswerDistribution] = {}
        losses: dict[str, FloatArray] = {}
        for item, target in value_set.distributions.items():
            if item not in read:
                continue
            answer, unit = read[item], (0, "", item, self.clusters[item])
            drawn = resampled_model_shares(
                name, item, "letters", answer.shares, answer.mass, answer.drawn
            )
            p, resampled = target.shares, target.replicates
            people[item] = target
            losses[item] = loss_with_fewer(target, partial(fit, q=answer.shares))
            own[item] = _FIT.row(unit, p, resampled, answer.shares, drawn)
            ignoring = self._averages[value_set.name].average_without(item)
            average_people[item] = _FIT.row(unit, p, resampled, ignoring, None)
            even[item] = _FIT.row(unit, p, resampled, uniform(p.size), None)
            average[item] = _FIT.row(unit, p, resampled, averages[item], None)
            if len(target.first_halves):
                ceiling[item] = _FIT.ceiling(unit, target)
        return _Compared(own, average_people, even, ceiling, average, people, losses)

    def _better_floor(self, rows: _Compared) -> Mapping[str, Measured]:
        """Of the two answers that ignore the question, the one that fits the group better."""
        both = (rows.average_people, rows.even)
        return max(both, key=lambda found: self._estimate(found).value)

    def _estimate(self, rows: Mapping[str, Measured]) -> Estimate:
        return bootstrap_estimate(list(rows.values()), self._draws)

    def _gap(self, one: Mapping[str, Measured], two: Mapping[str, Measured]) -> Estimate:
        """The first less the second, on the questions that both have."""
        shared = one.keys() & two.keys()
        return minus(
            self._estimate({k: row for k, row in one.items() if k in shared}),
            self._estimate({k: row for k, row in two.items() if k in shared}),
        )

    def _group_fits(self, compared: Mapping[str, _Compared]) -> list[GroupFit]:
        """Every group, the nearest first."""
        floors = {name: self._better_floor(rows) for name, rows in compared.items()}
        above = holm_corrected(
            [
                Contrast(**_contrast(self._gap(rows.own, floors[name])))
                for name, rows in compared.items()
            ]
        )
        found = []
        for (name, rows), contrast in zip(compared.items(), above, strict=True):
            value_set, estimate = self.groups[name], self._estimate(rows.own)
            known = math.isfinite(value_set.n_eff)
            found.append(
                GroupFit(
                    group=name,
                    description=value_set.description,
                    people=value_set.n,
                    effective_people=value_set.n_eff if known else None,
                    questions=len(rows.own),
                    fit=estimate.value,
                    low=None if estimate.low is None else max(estimate.low, 0.0),
                    high=None if estimate.high is None else min(estimate.high, 1.0),
                    floor=self._estimate(floors[name]).value,
                    ceiling=self._estimate(rows.ceiling).value if rows.ceiling else None,
                    above_floor=contrast,
                )
            )
        return sorted(found, key=lambda one: (-one.fit, one.group))

    def _group_gaps(
        self, order: Sequence[str], compared: Mapping[str, _Compared]
    ) -> list[GroupGap]:
        found = []
        for nearer, farther in combinations(order, 2):
            one, two = compared[nearer], compared[farther]
            if one.own.keys() & two.own.keys():
                gap = _contrast(self._gap(one.with_as_few(two), two.with_as_few(one)))
                found.append(GroupGap(group=nearer, against=farther, **gap))
        return holm_corrected(found)

    def _variation(
        self, read: Mapping[str, ModelAnswer], averages: Mapping[str, FloatArray]
    ) -> float | None:
        """How far answers are from their own average, for the model over the mean of the groups."""
        own, people = [], []
        for item, answer in read.items():
            asked = [name for name, v in self.groups.items() if item in v.distributions]
            own.append(float(total_variation(answer.shares, averages[item])))
            people.append(
                np.mean(
                    [
                        total_variation(
                            self.groups[name].distributions[item].shares,
                            self._averages[name].average_without(item),
                        )
                        for name in asked
                    ]
                )
            )
        if len(own) < FEWEST_ANSWERS or not np.mean(people) > 0:
            return None
        return float(np.mean(own) / np.mean(people))


def classical_scaling(distances: FloatArray) -> tuple[FloatArray, float]:
    """Place objects in the plane so that their distances are kept as well as two axes can.

    Parameters
    ----------
    distances : array, shape (objects, objects)
        Symmetric, 0 on the diagonal.

    Returns
    -------
    points : array, shape (objects, 2)
        Their mean is 0. The signs of the axes mean nothing; the first object is on the right.
    shown : float
        The two largest eigenvalues over the sum of all positive ones, 0 to 1.

    References
    ----------
    Torgerson (1952), Psychometrika 17: 401-419.

    Examples
    --------
    >>> points, shown = classical_scaling(np.array([[0.0, 3, 5], [3, 0, 4], [5, 4, 0]]))
    >>> round(float(np.hypot(*(points[0] - points[2]))), 6), round(shown, 6)
    (5.0, 1.0)
    """
    count = len(distances)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances**2 @ centring)
    largest = np.maximum(values[::-1], 0.0)
    points = vectors[:, ::-1][:, :2] * np.sqrt(largest[:2])
    signs = np.where(points[0] < 0, -1.0, 1.0)
    total = float(largest.sum())
    return points * signs, float(largest[:2].sum()) / total if total > 0 else 1.0


def _own_averages(read: Mapping[str, ModelAnswer]) -> dict[str, FloatArray]:
    """The model's average answer on each item's scale, without the answer to the item itself.

    Of an item that has no other with as many options it is the even answer.
    """
    sums: dict[int, tuple[FloatArray, int]] = {}
    for answer in read.values():
        size = answer.shares.size
        total, count = sums.get(size, (np.zeros(size), 0))
        sums[size] = (total + answer.shares, count + 1)
    found = {}
    for item, answer in read.items():
        total, count = sums[answer.shares.size]
        found[item] = (
            (total - answer.shares) / (count - 1) if count > 1 else uniform(answer.shares.size)
        )
    return found


def _contrast(gap: Estimate) -> dict[str, Any]:
    """The fields of a `Contrast` of two fits, which differ by 1 at most."""
    found = contrast_of(gap)
    low, high = cut_off(found["low"], found["high"], -1.0, 1.0)
    return {**found, "low": low, "high": high}


def _group_key(name: str, models: set[str]) -> str:
    """A group's key next to those of models; a model may have a group's name."""
    return f"{name}\0" if name in models else name


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
