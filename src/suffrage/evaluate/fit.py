"""`fit`: how near a model's answers are to the population's, on items held out and trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import (
    Figure,
    FigureDifference,
    HeldOutRegime,
    Measure,
    Readout,
    ReadoutDisagreement,
    ScoredAnswer,
    Side,
)
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, Scorecard
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.floors import (
    average_training_distribution,
    mean_of_groups,
    uniform,
)
from suffrage.evaluate.statistics.intervals import Measured, make_draws
from suffrage.evaluate.statistics.sampled_answers import SAMPLED_REPLICATES, resampled_answer
from suffrage.models import ModelAnswer
from suffrage.population import AnswerDistribution
from suffrage.population.distribution_distances import (
    above_even,
    earth_movers_distance,
    entropy,
    fit,
    total_variation,
)

NAME = "fit"
UNIFORM = "uniform"
AVERAGE = "average"
CEILING = "ceiling"
OTHERS = "others"
POPULATION: HeldOutRegime = "population"
FLOORS = (UNIFORM, AVERAGE, OTHERS)
SIDES: tuple[Side, ...] = get_args(Side)

# seed (or split), value set, item, cluster
Unit = tuple[int, str, str, str]


@dataclass(frozen=True)
class AnswerMeasure:
    """A measure of a model's answers q against people's p, as a ratio of means over items."""

    shown: Measure
    above: Callable[[FloatArray, FloatArray], FloatArray]  # of p and q
    below: Callable[[FloatArray], FloatArray] | None = None  # of p; None for a plain mean
    ordered_only: bool = False  # says nothing of items whose options form no scale

    def row(
        self,
        unit: Unit,
        p: FloatArray,
        resampled: FloatArray,
        q: FloatArray,
        drawn: FloatArray | None = None,
    ) -> Measured:
        """One answer's row.

        resampled: p under resampled respondents. drawn: q under its own sampling error, None where
        it has none.
        """
        if not len(resampled):  # of published shares nobody knows the error
            resampled = p[None]
        return Measured(
            *unit,
            float(self.above(p, q)),
            np.atleast_1d(self.above(resampled, q)),
            1.0 if self.below is None else float(self.below(p)),
            None if self.below is None else np.atleast_1d(self.below(resampled)),
            None if drawn is None else self.above(p, drawn),
        )

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
Rows = Mapping[tuple[Side, Readout, str], Mapping[str, Sequence[Measured]]]


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Figures, paired differences, every answer, and how far the readouts disagree.

    Answers read from the option letters have figures for each value set and seed, and paired
    differences. Other readouts have their figures over all of them only.
    """
    answers = list(all_answers(given))
    rows = measured_rows(given, answers)
    methods = [*FLOORS, *given.methods, CEILING]
    pairs = [(method, floor) for method in given.methods for floor in FLOORS]
    pairs += [(later, earlier) for earlier, later in combinations(given.methods, 2)]
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
                elsewhere=(OTHERS,),
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
    )


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
            elsewhere=(OTHERS,),
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


def _clusters(given: EvaluationInput, side: Side) -> list[str]:
    """The clusters with an item on this side in any seed: what is resampled there."""
    return sorted(
        {
            cluster
            for split in given.splits.values()
            for item, cluster in split.clusters.items()
            if split.side(item) == side
        }
    )


def all_answers(given: EvaluationInput) -> Iterator[ScoredAnswer]:
    """What every method and floor answered, each compared with its target."""
    for seed, split in given.splits.items():
        for value_set in given.value_sets:
            for item_id, target in value_set.distributions.items():
                side = split.side(item_id)
                count = target.shares.size
                floors = {
                    UNIFORM: uniform(count),
                    AVERAGE: average_training_distribution(value_set, split, item_id),
                }
                learned = [v for v in given.value_sets if v.name not in given.left_out]
                if value_set.name in given.left_out and any(
                    item_id in v.distributions for v in learned
                ):
                    floors[OTHERS] = mean_of_groups(learned, item_id)
                for name, shares in floors.items():
                    answer = ModelAnswer(item_id, "letters", shares, 1.0, None, False)
                    yield _answer(name, seed, value_set.name, side, answer, target)
            for method in given.methods:
                for answer in given.answers[method, seed].by_value_set[value_set.name]:
                    side = split.side(answer.item_id)
                    if answer.readout != "letters" and side != "held_out":
                        continue
                    target = value_set.distributions[answer.item_id]
                    yield _answer(method, seed, value_set.name, side, answer, target)


def _answer(
    method: str,
    seed: int,
    value_set: str,
    side: Side,
    answer: ModelAnswer,
    target: AnswerDistribution,
) -> ScoredAnswer:
    read = not answer.refused
    ordered = target.item.ordered
    return ScoredAnswer(
        method=method,
        seed=seed,
        value_set=value_set,
        item=answer.item_id,
        side=side,
        readout=answer.readout,
        shares=answer.shares.tolist(),
        mass=answer.mass,
        order_sensitivity=answer.order_sensitivity,
        refused=answer.refused,
        fit=float(fit(target.shares, answer.shares)) if read else None,
        emd=float(earth_movers_distance(target.shares, answer.shares))
        if read and ordered
        else None,
        unseen=answer.unseen,
        drawn=answer.drawn,
        declined=answer.declined,
    )


def measured_rows(given: EvaluationInput, answers: Sequence[ScoredAnswer]) -> Rows:
    """Every usable answer as a row for each measure, and the ceiling's rows next to them."""
    targets = {v.name: v.distributions for v in given.value_sets}
    rows: dict[tuple[Side, Readout, str], dict[str, list[Measured]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for answer in answers:
        if answer.refused:
            continue
        target = targets[answer.value_set][answer.item]
        cluster = given.splits[answer.seed].clusters[answer.item]
        unit = (answer.seed, answer.value_set, answer.item, cluster)
        q, drawn = np.array(answer.shares), resampled_answer(answer)
        for name, measure in _measures_of(target):
            row = measure.row(unit, target.shares, target.replicates, q, drawn)
            rows[answer.side, answer.readout, name][answer.method].append(row)
    for seed, split in given.splits.items():
        for value_set in given.value_sets:
            for item_id, target in value_set.distributions.items():
                unit = (seed, value_set.name, item_id, split.clusters[item_id])
                if not len(target.first_halves):  # of published shares there are no halves
                    continue
                for name, measure in _measures_of(target):
                    row = measure.ceiling(unit, target)
                    rows[split.side(item_id), "letters", name][CEILING].append(row)
    return rows


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
    question="Does it answer the survey as these people did, also questions it never saw?",
    cannot_show="Whether the model acts on the values it states, or answers the same when asked in "
    "other words.",
    measures=tuple(measure.shown for measure in ANSWER_MEASURES.values()),
)
