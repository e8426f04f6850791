"""`fit`: how near a model's answers are to the population's, on items held out and trained on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar, get_args

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.answers import Answers
from suffrage.evaluate.results import (
    Figure,
    FigureDifference,
    HeldOutRegime,
    Measure,
    ReadoutDisagreement,
    ScoredAnswer,
    SplitSide,
)
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, Scorecard
from suffrage.evaluate.statistics.fewer_people import fewest_answers, samples_with_as_few
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured, make_draws
from suffrage.evaluate.statistics.nearest_question import NearestQuestions
from suffrage.evaluate.statistics.sampled_answers import SAMPLED_REPLICATES, resampled_answer
from suffrage.evaluate.statistics.similar_groups import SimilarGroups, mean_of_groups
from suffrage.models import ModelAnswer
from suffrage.models.readouts import Readout
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import (
    above_even,
    earth_movers_distance,
    entropy,
    fit,
    total_variation,
)
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import TrainedAnswers, uniform

_Key = TypeVar("_Key", bound=Hashable)

NAME = "fit"
UNIFORM = "uniform"
AVERAGE = "average"
CEILING = "ceiling"
OTHERS = "others"
NEAREST = "nearest"
# What the report is told of how much lower a fit would be with fewer people.
AS_FEW = "lower_with_as_few"
SIMILAR = "similar_others"
POPULATION: HeldOutRegime = "population"
FLOORS = (UNIFORM, AVERAGE, NEAREST, OTHERS, SIMILAR)
# Floors for groups left out of training only.
FOR_LEFT_OUT = (OTHERS, SIMILAR)
# What speaks for some cells only, and does not decide what the others are compared on: half of the
# respondents are known where a table says how many there were.
PARTIAL = (*FOR_LEFT_OUT, CEILING)
SIDES: tuple[SplitSide, ...] = get_args(SplitSide)

# seed (or split), value set, item, cluster
Unit = tuple[int, str, str, str]
# Of published shares nobody knows the error: no resample moves them.
UNMOVED = np.ones(1)
# Numbers in the largest array of resampled shares that is computed at a time.
NUMBERS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class AnswerMeasure:
    """A measure of a model's answers q against people's p, as a ratio of means over items."""

    shown: Measure
    above: Callable[[FloatArray, FloatArray], FloatArray]  # of p and q
    below: Callable[[FloatArray], FloatArray] | None = None  # of p; None for a plain mean
    ordered_only: bool = False  # says nothing of items whose options form no scale

    def rows(
        self, units: Sequence[Unit], p: FloatArray, resampled: FloatArray, q: FloatArray
    ) -> list[Measured]:
        """The rows of many answers to items with as many options.

        Parameters
        ----------
        units : sequence of Unit
            One for each answer.
        p, q : array, shape (answers, options)
            People's shares and the model's.
        resampled : array, shape (answers, resamples, options)
            p under resampled respondents; without resamples where nobody knows the error.
        """
        above = self.above(p, q).tolist()
        below = [1.0] * len(units) if self.below is None else self.below(p).tolist()
        if not resampled.shape[1]:
            return [
                Measured(*unit, one, UNMOVED, other)
                for unit, one, other in zip(units, above, below, strict=True)
            ]
        moved = self.above(resampled, q[:, None])
        under = [None] * len(units) if self.below is None else list(self.below(resampled))
        return [
            Measured(*row)
            for row in zip(*zip(*units, strict=True), above, moved, below, under, strict=True)
        ]

    def row(
        self,
        unit: Unit,
        p: FloatArray,
        resampled: FloatArray,
        q: FloatArray,
        drawn: FloatArray | None,
    ) -> Measured:
        """One answer's row. drawn: q under its own sampling error, None where it has none."""
        row = self.rows([unit], p[None], resampled[None], q[None])[0]
        return row if drawn is None else replace(row, sampled=self.above(p, drawn))

    def ceiling(self, unit: Unit, target: AnswerDistribution) -> Measured:
        """One half of the respondents as the model of the other half, the mean over many splits."""
        q, p = target.first_halves, target.second_halves
        below = 1.0 if self.below is None else float(self.below(p).mean())
        return Measured(*unit, float(self.above(p, q).mean()), np.ones(1), below)


ANSWER_MEASURES: Mapping[str, AnswerMeasure] = {
    measure.shown.name: measure
    for measure in (
        AnswerMeasure(
            Measure(
                name="fit",
                lowest=0.0,
                highest=1.0,
                label="Fit",
                explanation="1 minus the Jensen-Shannon distance (base 2) between the model's and "
                "the population's answers, on questions held out.",
                better="higher",
                unit="questions",
                headline=True,
            ),
            fit,
        ),
        AnswerMeasure(
            Measure(
                name="emd",
                lowest=0.0,
                highest=1.0,
                label="Earth mover’s distance",
                explanation="How far answers would have to be moved along the scale to turn the "
                "model's into the population's, on ordered questions held out.",
                better="lower",
                unit="questions",
            ),
            earth_movers_distance,
            ordered_only=True,
        ),
        AnswerMeasure(
            Measure(
                name="entropy_ratio",
                lowest=0.0,
                label="Entropy ratio",
                explanation="How spread out the model's answers are over how spread out people's "
                "are.",
                better="nearer 1",
                unit="questions",
            ),
            lambda p, q: entropy(q),
            entropy,
        ),
        AnswerMeasure(
            Measure(
                name="slope",
                label="Proportionality slope",
                explanation="Of the model's shares on people's: above 1 makes majorities larger.",
                better="nearer 1",
                unit="questions",
            ),
            above_even,
            lambda p: above_even(p, p),
        ),
    )
}

# (side, readout, measure) -> method -> rows
Rows = Mapping[tuple[SplitSide, Readout, str], Mapping[str, Sequence[Measured]]]


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Figures, paired differences, every answer, and how far the readouts disagree.

    Answers read from the option letters have figures for each value set and seed, and paired
    differences. Other readouts have their figures over all of them only.
    """
    answers = list(all_answers(given))
    rows = measured_rows(given, answers)
    readings = [reading.name for reading in given.readings]
    methods = [*FLOORS, *given.methods, *readings, CEILING]
    pairs = [(method, floor) for method in given.methods for floor in FLOORS]
    pairs += [(NEAREST, AVERAGE), (SIMILAR, OTHERS)]
    pairs += [(later, earlier) for earlier, later in combinations(given.methods, 2)]
    pairs += [(own.name, bar) for own in given.readings for bar in (AVERAGE, own.method)]
    replicates = max(
        distribution.replicates.shape[0]
        for value_set in given.value_sets
        for distribution in value_set.distributions.values()
    )
    names = [value_set.name for value_set in given.value_sets]
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    for side in SIDES:
        clusters = _clusters(given, side)
        if not clusters:
            continue
        draws = make_draws(clusters, names, max(replicates, SAMPLED_REPLICATES), seed)
        floors, ceilings = (
            {name: rows[side, "letters", name].get(edge, ()) for name in ANSWER_MEASURES}
            for edge in (AVERAGE, CEILING)
        )
        for readout in get_args(Readout):
            letters = readout == "letters"
            made = make_figures(
                NAME,
                {name: rows[side, readout, name] for name in ANSWER_MEASURES},
                methods,
                seed,
                floors,
                ceilings,
                given.left_out,
                side=side,
                readout=readout,
                draws=draws,
                pairs=pairs if letters else (),
                breakdown=letters,
                pairs_by_value_set=letters,
                elsewhere=PARTIAL,
                questions_once=True,
                apart=readings,
            )
            figures += made[0]
            differences += made[1]
    new = _regime_figures(given, rows, methods, pairs, replicates, seed)
    figures += new[0]
    differences += new[1]
    return Scorecard(
        figures=tuple(figures),
        figure_differences=tuple(differences),
        answers=tuple(answers),
        readouts=tuple(readout_disagreements(answers)),
        details={AS_FEW: _lower_with_as_few(given, answers)},
    )


def _lower_with_as_few(
    given: EvaluationInput, answers: Sequence[ScoredAnswer]
) -> dict[str, dict[str, dict[str, float]]]:
    """How much lower each value set's mean fit would be, if no more people had answered.

    By side, method and value set. On each item as many answer as in the value set with the fewest.
    Of published tables that do not say how many answered, nothing is known, and nothing given.
    """
    people = {
        value_set.name: {
            item: one for item, one in value_set.distributions.items() if one.effective_answers > 0
        }
        for value_set in given.value_sets
    }
    fewest = fewest_answers(
        {item: one.effective_answers for item, one in own.items()} for own in people.values()
    )
    samples: dict[tuple[str, str], FloatArray] = {}
    lower: dict[tuple[SplitSide, str, str], list[float]] = {}
    for answer in answers:
        known = people[answer.value_set].get(answer.item)
        if known is None or answer.fit is None or answer.readout != "letters":
            continue
        if answer.method in FLOORS:
            continue
        place = (answer.value_set, answer.item)
        if place not in samples:
            samples[place] = samples_with_as_few(
                answer.item, known.shares, known.effective_answers, fewest[answer.item]
            )
        shares = np.array(answer.shares)
        less = float(fit(known.shares, shares)) - float(fit(samples[place], shares).mean())
        lower.setdefault((answer.side, answer.method, answer.value_set), []).append(less)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (side, method, value_set), each in sorted(lower.items()):
        found.setdefault(side, {}).setdefault(method, {})[value_set] = float(np.mean(each))
    return found


def _regime_figures(
    given: EvaluationInput,
    rows: Rows,
    methods: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    replicates: int,
    seed: int,
) -> tuple[list[Figure], list[FigureDifference]]:
    """Figures and paired differences for each thing that is new to the models."""
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    names = [value_set.name for value_set in given.value_sets]
    for regime, own in _rows_by_regime(given, rows).items():
        every = [row for by_method in own.values() for found in by_method.values() for row in found]
        clusters = sorted({row.cluster for row in every})
        made = make_figures(
            NAME,
            own,
            methods,
            seed,
            {name: by_method.get(AVERAGE, ()) for name, by_method in own.items()},
            {name: by_method.get(CEILING, ()) for name, by_method in own.items()},
            side="trained" if regime == POPULATION else "held_out",
            readout="letters",
            draws=make_draws(clusters, names, max(replicates, SAMPLED_REPLICATES), seed),
            pairs=pairs,
            breakdown=False,
            elsewhere=PARTIAL,
            questions_once=True,
            apart=[reading.name for reading in given.readings],
        )
        figures += [row.model_copy(update={"regime": regime}) for row in made[0]]
        differences += [row.model_copy(update={"regime": regime}) for row in made[1]]
    return figures, differences


def _rows_by_regime(
    given: EvaluationInput, rows: Rows
) -> dict[HeldOutRegime, dict[str, dict[str, list[Measured]]]]:
    """The rows read from letters, by what is new to the model: regime, measure, method.

    A question, topic or survey is new to populations that were trained on. A population is new
    with questions that were trained on.
    """
    found: dict[HeldOutRegime, dict[str, dict[str, list[Measured]]]] = {}
    for (side, readout, measure), by_method in rows.items():
        if readout != "letters":
            continue
        for method, own in by_method.items():
            for row in own:
                left_out = row.value_set in given.left_out
                regime: HeldOutRegime | None = given.splits[row.seed].regimes.get(row.item)
                if side == "trained":
                    regime = POPULATION if left_out and given.splits[row.seed].combines else None
                elif left_out:
                    regime = None
                if regime is not None:
                    by_measure = found.setdefault(regime, {}).setdefault(measure, {})
                    by_measure.setdefault(method, []).append(row)
    return found


def _clusters(given: EvaluationInput, side: SplitSide) -> list[str]:
    """The clusters with an item on this side in any seed: what is resampled there."""
    return sorted(
        {
            cluster
            for split in given.splits.values()
            for item, cluster in split.clusters.items()
            if split.side(item) == side
        }
    )


@dataclass(frozen=True)
class _Given:
    """What a method or floor answered to one item as one value set."""

    method: str
    seed: int
    value_set: str
    side: SplitSide
    answer: ModelAnswer
    target: AnswerDistribution


def all_answers(given: EvaluationInput) -> Iterator[ScoredAnswer]:
    """What every method and floor answered, each compared with its target."""
    every = list(_answers_given(given))
    fits, distances = np.full(len(every), np.nan), np.full(len(every), np.nan)
    for places in _alike([one.target.shares.size for one in every]).values():
        p = np.array([every[place].target.shares for place in places])
        q = np.array([every[place].answer.shares for place in places])
        fits[places], distances[places] = fit(p, q), earth_movers_distance(p, q)
    for one, near, moved in zip(every, fits.tolist(), distances.tolist(), strict=True):
        yield _scored(one, near, moved)


class _Floors:
    """The answers that need no model, under one split."""

    def __init__(self, given: EvaluationInput, split: ItemSplit) -> None:
        self._knows_trained = not given.trains_on_none
        self._averages = {v.name: TrainedAnswers(v, split) for v in given.value_sets}
        self._nearest = NearestQuestions(given.value_sets, split, given.left_out)
        self._learned = [v for v in given.value_sets if v.name not in given.left_out]
        self._left_out = frozenset(given.left_out)
        self._similar = (
            SimilarGroups(given.value_sets, split, given.left_out) if given.left_out else None
        )

    def answers(self, value_set: ValueSet, item_id: str) -> Iterator[tuple[str, FloatArray]]:
        """Each floor's answer to an item that the value set was asked."""
        name = value_set.name
        yield UNIFORM, uniform(value_set.distributions[item_id].shares.size)
        if self._knows_trained:
            yield AVERAGE, self._averages[name].average_without(item_id)
            yield NEAREST, self._nearest.answer(name, item_id)
        if self._similar is None or name not in self._left_out:
            return
        if any(item_id in v.distributions for v in self._learned):
            yield OTHERS, mean_of_groups(self._learned, item_id)
            similar = self._similar.answer(name, item_id)
            if similar is not None:
                yield SIMILAR, similar


def _answers_given(given: EvaluationInput) -> Iterator[_Given]:
    for seed, split in given.splits.items():
        floors = _Floors(given, split)
        for value_set in given.value_sets:
            for item_id, target in value_set.distributions.items():
                side = split.side(item_id)
                if side == "held_back" or not given.compares(seed, value_set.name, item_id):
                    continue
                for name, shares in floors.answers(value_set, item_id):
                    answer = ModelAnswer(item_id, "letters", shares, 1.0, None, False)
                    yield _Given(name, seed, value_set.name, side, answer, target)
            for method, said in _said(given, seed):
                for answer in said.of(value_set.name):
                    side = split.side(answer.item_id)
                    if side == "held_back" or (answer.readout != "letters" and side != "held_out"):
                        continue
                    if not given.compares(seed, value_set.name, answer.item_id):
                        continue
                    target = value_set.distributions[answer.item_id]
                    yield _Given(method, seed, value_set.name, side, answer, target)


def _said(given: EvaluationInput, seed: int) -> Iterator[tuple[str, Answers]]:
    """What every method answered at one seed, and its readings together with a floor."""
    for method in given.methods:
        yield method, given.answers[method, seed]
    for reading in given.readings:
        yield reading.name, reading.answers[seed]


def _scored(one: _Given, near: float, moved: float) -> ScoredAnswer:
    """An answer with its fit and its earth mover's distance, which only read answers have."""
    answer, read = one.answer, not one.answer.refused
    return ScoredAnswer(
        method=one.method,
        seed=one.seed,
        value_set=one.value_set,
        item=answer.item_id,
        side=one.side,
        readout=answer.readout,
        shares=answer.shares.tolist(),
        mass=answer.mass,
        order_sensitivity=answer.order_sensitivity,
        refused=answer.refused,
        fit=near if read else None,
        emd=moved if read and one.target.item.ordered else None,
        unseen=answer.unseen,
        drawn=answer.drawn,
        declined=answer.declined,
    )


def _alike(sizes: Sequence[_Key]) -> dict[_Key, list[int]]:
    """The places of each size, so that arrays of one shape can be computed together."""
    found: dict[_Key, list[int]] = defaultdict(list)
    for place, size in enumerate(sizes):
        found[size].append(place)
    return found


def measured_rows(given: EvaluationInput, answers: Sequence[ScoredAnswer]) -> Rows:
    """Every usable answer as a row for each measure, and the ceiling's rows next to them."""
    by_set = {v.name: v.distributions for v in given.value_sets}
    read = [answer for answer in answers if not answer.refused]
    targets = [by_set[answer.value_set][answer.item] for answer in read]
    made = {
        name: _rows_of_measure(given, measure, read, targets)
        for name, measure in ANSWER_MEASURES.items()
    }
    rows: dict[tuple[SplitSide, Readout, str], dict[str, list[Measured]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name, found in made.items():
        for place, row in sorted(found.items()):
            answer = read[place]
            rows[answer.side, answer.readout, name][answer.method].append(row)
    for seed, split in given.splits.items():
        for value_set in given.value_sets:
            for item_id, target in value_set.distributions.items():
                unit = (seed, value_set.name, item_id, split.clusters[item_id])
                side = split.side(item_id)
                # Of published shares there are no halves.
                if side == "held_back" or not len(target.first_halves):
                    continue
                if not given.compares(seed, value_set.name, item_id):
                    continue
                for name, measure in _measures_of(target):
                    row = measure.ceiling(unit, target)
                    rows[side, "letters", name][CEILING].append(row)
    return rows


def _rows_of_measure(
    given: EvaluationInput,
    measure: AnswerMeasure,
    answers: Sequence[ScoredAnswer],
    targets: Sequence[AnswerDistribution],
) -> dict[int, Measured]:
    """The rows of one measure, by the places of the answers that it applies to."""
    shapes = [target.replicates.shape for target in targets]
    found: dict[int, Measured] = {}
    for shape, alike in _alike(shapes).items():
        chosen = [
            place for place in alike if targets[place].item.ordered or not measure.ordered_only
        ]
        size = max(1, NUMBERS_AT_ONCE // max(1, math.prod(shape)))
        for start in range(0, len(chosen), size):
            places = chosen[start : start + size]
            units = [
                (a.seed, a.value_set, a.item, given.splits[a.seed].clusters[a.item])
                for a in (answers[place] for place in places)
            ]
            p = np.array([targets[place].shares for place in places])
            q = np.array([answers[place].shares for place in places])
            resampled = np.array([targets[place].replicates for place in places])
            found.update(zip(places, measure.rows(units, p, resampled, q), strict=True))
    for place, answer in enumerate(answers):
        if answer.drawn is None or place not in found:
            continue
        if (drawn := resampled_answer(answer)) is not None:
            moved = measure.above(targets[place].shares, drawn)
            found[place] = replace(found[place], sampled=moved)
    return found


def _measures_of(target: AnswerDistribution) -> list[tuple[str, AnswerMeasure]]:
    return [
        (name, measure)
        for name, measure in ANSWER_MEASURES.items()
        if target.item.ordered or not measure.ordered_only
    ]


def readout_disagreements(answers: Sequence[ScoredAnswer]) -> Iterator[ReadoutDisagreement]:
    """Mean total variation between each two readouts of a method, where both could be read."""
    by_place: dict[tuple[str, int, str, str], dict[Readout, ScoredAnswer]] = defaultdict(dict)
    for answer in answers:
        if not answer.refused and answer.method not in FLOORS:
            place = (answer.method, answer.seed, answer.value_set, answer.item)
            by_place[place][answer.readout] = answer
    found: dict[tuple[str, Readout, Readout], list[tuple[str, float]]] = defaultdict(list)
    for (method, _, _, item), readouts in by_place.items():
        for first, second in combinations(readouts.values(), 2):
            distance = float(total_variation(np.array(first.shares), np.array(second.shares)))
            found[method, first.readout, second.readout].append((item, distance))
    for (method, first_readout, second_readout), distances in found.items():
        yield ReadoutDisagreement(
            method=method,
            first=first_readout,
            second=second_readout,
            total_variation=float(np.mean([distance for _, distance in distances])),
            items=len({item for item, _ in distances}),
        )


EVALUATION = Evaluation(
    NAME,
    score,
    question="Does it answer the survey as these people did, even questions it never saw?",
    cannot_show="Whether the model acts on the values it states, or answers the same when asked in "
    "other words.",
    measures=tuple(measure.shown for measure in ANSWER_MEASURES.values()),
)
