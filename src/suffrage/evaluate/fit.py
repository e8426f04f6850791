"""`fit`: how near a model's answers come to the population's, on items held out and trained on.

What it cannot show: whether the model acts on the values it states, or answers the same when
asked in other words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import isfinite
from typing import get_args

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.results import (
    LEARNED,
    LEFT_OUT,
    Answer,
    Difference,
    Metric,
    Readout,
    ReadoutDisagreement,
    Score,
    Side,
)
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, Scorecard
from suffrage.evaluate.statistics.figures import detectable, holm, two_sided
from suffrage.evaluate.statistics.floors import (
    average_training_distribution,
    mean_of_groups,
    uniform,
)
from suffrage.evaluate.statistics.intervals import Draws, Measured, difference, estimate, make_draws
from suffrage.evaluate.statistics.sampled_answers import resampled_answer
from suffrage.models import ModelAnswer
from suffrage.population import AnswerDistribution
from suffrage.population.distribution_distances import (
    above_even,
    earth_movers_distance,
    entropy,
    fit,
    total_variation,
)

ALL = "all"
UNIFORM = "uniform"
AVERAGE = "average"
CEILING = "ceiling"
OTHERS = "others"
FLOORS = (UNIFORM, AVERAGE, OTHERS)
METRICS: tuple[Metric, ...] = get_args(Metric)
SIDES: tuple[Side, ...] = ("held_out", "trained")

# method, metric, side, readout -> rows
Rows = dict[tuple[str, Metric, Side, Readout], list[Measured]]


def run(given: EvaluationInput, seed: int) -> Scorecard:
    """Scores, paired differences, every answer, and how far the readouts disagree."""
    answers = list(all_answers(given))
    rows = measured_rows(given, answers)
    names = [value_set.name for value_set in given.value_sets]
    replicates = min(
        distribution.replicates.shape[0]
        for value_set in given.value_sets
        for distribution in value_set.distributions.values()
    )
    draws = {
        side: make_draws(_clusters(given, side), names, max(replicates, 1), seed)
        for side in SIDES
        if _clusters(given, side)
    }
    scores = _with_way(list(_scores(given, rows, draws)))
    return Scorecard(
        tuple(scores),
        corrected(list(_differences(given, rows, draws))),
        tuple(answers),
        tuple(readout_disagreements(answers)),
    )


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


def all_answers(given: EvaluationInput) -> Iterator[Answer]:
    """What every method and floor answered, each held against its target."""
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
) -> Answer:
    read = not answer.refused
    ordered = target.item.ordered
    return Answer(
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


def measured_rows(given: EvaluationInput, answers: Sequence[Answer]) -> Rows:
    """Every usable answer as a row for each metric, and the ceiling's rows beside them."""
    targets = {v.name: v.distributions for v in given.value_sets}
    rows: Rows = defaultdict(list)
    for answer in answers:
        if answer.refused:
            continue
        target = targets[answer.value_set][answer.item]
        cluster = given.splits[answer.seed].clusters[answer.item]
        place = (answer.seed, answer.value_set, answer.item, cluster)
        q = np.array(answer.shares)
        for metric, row in _by_metric(place, target, q, resampled_answer(answer)):
            rows[answer.method, metric, answer.side, answer.readout].append(row)
    for seed, split in given.splits.items():
        for value_set in given.value_sets:
            for item_id, target in value_set.distributions.items():
                place = (seed, value_set.name, item_id, split.clusters[item_id])
                for metric, row in _ceiling(place, target):
                    rows[CEILING, metric, split.side(item_id), "letters"].append(row)
    return rows


def _by_metric(
    place: tuple[int, str, str, str],
    target: AnswerDistribution,
    q: FloatArray,
    drawn: FloatArray | None,
) -> Iterator[tuple[Metric, Measured]]:
    """drawn: the model's answer under its own sampling error; None where it has none."""
    p, resampled = target.shares, target.replicates

    def own(metric: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray | None:
        return None if drawn is None else metric(p, drawn)

    yield "fit_jsd", Measured(*place, float(fit(p, q)), fit(resampled, q), sampled=own(fit))
    if target.item.ordered:
        yield (
            "emd",
            Measured(
                *place,
                float(earth_movers_distance(p, q)),
                earth_movers_distance(resampled, q),
                sampled=own(earth_movers_distance),
            ),
        )
    yield (
        "entropy_ratio",
        Measured(
            *place,
            float(entropy(q)),
            np.ones(1),
            float(entropy(p)),
            np.asarray(entropy(resampled)),
            sampled=own(lambda _, said: entropy(said)),
        ),
    )
    yield (
        "slope",
        Measured(
            *place,
            float(above_even(p, q)),
            above_even(resampled, q),
            float(above_even(p, p)),
            above_even(resampled, resampled),
            sampled=own(above_even),
        ),
    )


def _ceiling(
    place: tuple[int, str, str, str], target: AnswerDistribution
) -> Iterator[tuple[Metric, Measured]]:
    """Half of the respondents as the model of the other half, the mean over many splits."""
    first, second = target.first_halves, target.second_halves
    yield "fit_jsd", Measured(*place, float(fit(first, second).mean()), np.ones(1))
    if target.item.ordered:
        distance = float(earth_movers_distance(first, second).mean())
        yield "emd", Measured(*place, distance, np.ones(1))
    above, below = float(entropy(first).mean()), float(entropy(second).mean())
    yield "entropy_ratio", Measured(*place, above, np.ones(1), below)
    together = float(above_even(second, first).mean())
    yield "slope", Measured(*place, together, np.ones(1), float(above_even(second, second).mean()))


def _scopes(given: EvaluationInput) -> dict[str, frozenset[str]]:
    """The value sets a figure is a mean over, by what that mean is called."""
    names = [value_set.name for value_set in given.value_sets]
    scopes = {ALL: frozenset(names)}
    if given.left_out:
        scopes[LEFT_OUT] = frozenset(given.left_out)
        scopes[LEARNED] = frozenset(names) - scopes[LEFT_OUT]
    if len(names) > 1:
        scopes |= {name: frozenset([name]) for name in names}
    return scopes


def _speaks_for(method: str, scope: str) -> bool:
    """The mean answer of the groups trained on is given for left-out groups, and for no mean over all."""
    return method != OTHERS or scope not in (ALL, LEARNED)


def _scores(given: EvaluationInput, rows: Rows, draws: dict[Side, Draws]) -> Iterator[Score]:
    by_name = _scopes(given)
    seeds = list(given.splits)
    scopes: list[tuple[int | None, str]] = [(None, name) for name in by_name]
    if len(seeds) > 1:
        scopes += [(seed, ALL) for seed in seeds]
    for (method, metric, side, readout), found in rows.items():
        for seed, value_set in scopes if readout == "letters" else scopes[:1]:
            chosen = [
                row
                for row in found
                if (seed is None or row.seed == seed) and row.value_set in by_name[value_set]
            ]
            if not chosen or not _speaks_for(method, value_set):
                continue
            figure = estimate(chosen, draws[side])
            if not isfinite(figure.value):
                continue  # an entropy ratio has no value where all people agree on everything
            yield Score(
                method=method,
                seed="all" if seed is None else seed,
                value_set=value_set,
                side=side,
                readout=readout,
                metric=metric,
                value=figure.value,
                low=figure.low,
                high=figure.high,
                items=figure.items,
            )


def _with_way(scores: list[Score]) -> list[Score]:
    """Adds the share of the way from the average-training floor (0) to the ceiling (1)."""
    known = {
        (score.method, score.seed, score.value_set, score.side): score.value
        for score in scores
        if score.metric == "fit_jsd" and score.readout == "letters"
    }
    result = []
    for score in scores:
        place = (score.seed, score.value_set, score.side)
        floor, ceiling = known.get((AVERAGE, *place)), known.get((CEILING, *place))
        if (
            score.metric == "fit_jsd"
            and floor is not None
            and ceiling is not None
            and ceiling - floor > 1e-9
        ):
            score = score.model_copy(update={"way": (score.value - floor) / (ceiling - floor)})
        result.append(score)
    return result


def _differences(
    given: EvaluationInput, rows: Rows, draws: dict[Side, Draws]
) -> Iterator[Difference]:
    """Every method against every floor and every method before it in the study."""
    pairs = [(method, floor) for method in given.methods for floor in FLOORS]
    pairs += [(later, earlier) for earlier, later in combinations(given.methods, 2)]
    for method, against in pairs:
        for side in SIDES:
            for metric in METRICS:
                one = rows.get((method, metric, side, "letters"), [])
                two = rows.get((against, metric, side, "letters"), [])
                for value_set, names in _scopes(given).items():
                    a = [r for r in one if r.value_set in names]
                    b = [r for r in two if r.value_set in names]
                    if not _speaks_for(against, value_set) or not (
                        {r.key for r in a} & {r.key for r in b}
                    ):
                        continue
                    figure = difference(a, b, draws[side])
                    if not isfinite(figure.value):
                        continue
                    yield Difference(
                        method=method,
                        against=against,
                        value_set=value_set,
                        side=side,
                        metric=metric,
                        value=figure.value,
                        low=figure.low,
                        high=figure.high,
                        items=figure.items,
                        p=None if figure.low is None else two_sided(figure.draws, figure.clusters),
                        detectable=None if figure.low is None else detectable(figure.draws),
                    )


def corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """With Holm's correction, for all differences of one metric, side and value set together."""
    families: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, d in enumerate(differences):
        if d.p is not None:
            families[d.metric, d.side, d.value_set].append(place)
    found = list(differences)
    for places in families.values():
        adjusted = holm([differences[place].p or 0.0 for place in places])
        for place, p in zip(places, adjusted, strict=True):
            found[place] = found[place].model_copy(update={"adjusted": p})
    return tuple(found)


def readout_disagreements(answers: Sequence[Answer]) -> Iterator[ReadoutDisagreement]:
    """Mean total variation between each two readouts of a method, where both could be read."""
    by_place: dict[tuple[str, int, str, str], dict[Readout, Answer]] = defaultdict(dict)
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
    "fit",
    run,
    question="Does it answer the survey as these people did, also questions it never saw?",
    cannot_show="Whether the model acts on the values it states, or answers the same when asked in "
    "other words.",
)
