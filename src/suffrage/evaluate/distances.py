"""`distances`: the same answers as `fit`, under every distance the field reports.

A model may be near people by one distance and not by another: the mean can match where the spread
does not, the commonest answer where the shares do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.evaluate.fit import AVERAGE, FOR_LEFT_OUT, NEAREST, SIDES, UNIFORM, all_answers
from suffrage.evaluate.results import Figure, FigureDifference, Measure, ScoredAnswer
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, EvaluationOptions, Scorecard
from suffrage.evaluate.statistics.figures import Units, make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.evaluate.statistics.sampled_answers import resampled_answer
from suffrage.evaluate.statistics.summed import (
    Statistic,
    Summed,
    calibration_error,
    correlation,
    pair_sums,
    resolution,
    share_sums,
    summed_figures,
)
from suffrage.plurals import by_count, plural
from suffrage.population import AnswerDistribution
from suffrage.population.distribution_distances import (
    LOWEST_FIT_NATURAL,
    earth_movers_distance,
    fit,
    fit_natural,
    jensen_shannon_divergence,
    modes_shared,
    ordinal_earth_movers_distance,
    total_variation,
)
from suffrage.survey import Item
from suffrage.survey.non_response_labels import points_of_scale

NAME = "distances"
# Of one seed: method -> item -> value set -> mean position of (people, model, people resampled).
Means = dict[str, dict[str, dict[str, tuple[float, float, FloatArray]]]]


class Options(EvaluationOptions):
    """What a study may say to `distances`."""

    # For each item, the value of each option on its scale, and -1 for an option that is not a point
    # of it. Use it for items without a scale in the codebook, and for scales with uneven steps.
    ordinal: dict[str, tuple[float, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One distance or similarity."""

    # Of item, p, q and options; NaN for items it says nothing of.
    between: Callable[[Item, FloatArray, FloatArray, Options], FloatArray]
    higher: bool  # more is nearer
    counted: bool = False  # yes or no on an item, so that resampling respondents says nothing


def _ordered(item: Item, p: FloatArray, q: FloatArray, options: Options) -> FloatArray:
    return earth_movers_distance(p, q) if item.ordered else _nothing(p, q)


def _by_code(item: Item, p: FloatArray, q: FloatArray, options: Options) -> FloatArray:
    values = code_values(item)
    if not item.ordered or values is None:
        return _nothing(p, q)
    return ordinal_earth_movers_distance(p, q, values)


def _by_value(item: Item, p: FloatArray, q: FloatArray, options: Options) -> FloatArray:
    values = scale_values(item, options.ordinal.get(item.id))
    return (
        _nothing(p, q) if values is None else ordinal_earth_movers_distance(p, q, np.array(values))
    )


def _nothing(p: FloatArray, q: FloatArray) -> FloatArray:
    return np.full(np.broadcast_shapes(p.shape, q.shape)[:-1], np.nan)


def code_values(item: Item) -> FloatArray | None:
    """The options' codes as numbers, None unless all are and they only rise, or only fall."""
    try:
        values = np.array([float(option.code) for option in item.options])
    except ValueError:
        return None
    steps = np.diff(values)
    return values if (steps > 0).all() or (steps < 0).all() else None


def scale_values(item: Item, given: tuple[float, ...] | None) -> FloatArray | None:
    """Each option's value on its scale, NaN for one outside it; None for an item without a scale.

    given: by the study, -1 for outside. Otherwise an ordered item's options have equal steps, but
    for those that word a non-response ("not sure", "don't know").

    Raises
    ------
    InputError
        The values given are not one for each option.
    """
    if given is not None:
        if len(given) != len(item.options):
            raise InputError(
                f"evaluate: distances: ordinal.{item.id} has {len(given)} values for "
                f"{len(item.options)} options; give one for each, -1 for none."
            )
        values = np.array(given, dtype=np.float64)
        return np.where(values == -1, np.nan, values)
    if not item.ordered:
        return None
    inside = points_of_scale(item.texts)
    values = np.cumsum(inside).astype(np.float64)
    return np.where(inside, values, np.nan)


KINDS: Mapping[str, Kind] = {
    "js_similarity": Kind(lambda i, p, q, o: fit(p, q), True),
    "js_similarity_divergence": Kind(lambda i, p, q, o: 1 - jensen_shannon_divergence(p, q), True),
    "js_similarity_natural": Kind(lambda i, p, q, o: fit_natural(p, q), True),
    "wasserstein": Kind(_ordered, False),
    "wasserstein_codes": Kind(_by_code, False),
    "wasserstein_scale": Kind(_by_value, False),
    "total_variation": Kind(lambda i, p, q, o: total_variation(p, q), False),
    "mode_accuracy": Kind(lambda i, p, q, o: modes_shared(p, q), True, counted=True),
}
# Distances shown as the share of the way from the average answer to half the people.
CORRECTED = ("js_similarity", "wasserstein", "total_variation")
SUMMED: Mapping[str, tuple[Statistic, float | None, float | None]] = {
    "correlation_items": (correlation, 0.0, 1.0),
    "correlation_groups": (correlation, 0.0, 1.0),
    "calibration_error": (calibration_error, None, 0.0),
    "resolution": (resolution, 0.0, 1.0),
}


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Every distance on the held-out items, and on those trained on."""
    options = given.options or Options()
    notes = _notes(given, options)
    letters = [
        answer
        for answer in all_answers(given)
        if answer.readout == "letters" and answer.method not in FOR_LEFT_OUT
    ]
    answers = [answer for answer in letters if not answer.refused]
    refused = {(answer.method, answer.seed, answer.item) for answer in letters if answer.refused}
    methods = [UNIFORM, AVERAGE, NEAREST, *given.methods]
    figures: list[Figure] = []
    differences: list[FigureDifference] = []
    for side in SIDES:
        chosen = [answer for answer in answers if answer.side == side]
        units, ceilings = _distances(given, chosen, options)
        floors: dict[str, Any] = {
            name: 0.0 if name.startswith("way_") else by_method.get(UNIFORM, ())
            for name, by_method in units.items()
        }
        made = make_figures(
            NAME,
            units,
            methods,
            seed,
            floors,
            ceilings,
            given.left_out,
            side=side,
            questions_once=True,
        )
        figures += made[0]
        differences += made[1]
        for name, by_method in _summed(given, chosen, refused).items():
            statistic, floor, ceiling = SUMMED[name]
            edges = (floor, ceiling, given.left_out)
            more = summed_figures(
                NAME, name, statistic, by_method, methods, seed, *edges, side=side
            )
            figures += more[0]
            differences += more[1]
    kept = [row for row in differences if row.method in given.methods]
    return Scorecard(figures=tuple(figures), figure_differences=tuple(kept), notes=notes)


def _notes(given: EvaluationInput, options: Options) -> tuple[str, ...]:
    items = {item.id: item for value_set in given.value_sets for item in value_set.items}
    nominal = sum(not item.ordered for item in items.values())
    unknown = sorted(set(options.ordinal) - set(items))
    if unknown:
        raise InputError(
            f"evaluate: distances: ordinal: there is no item {unknown[0]} in the study's survey."
        )
    found = []
    if nominal:
        found.append(
            f"{nominal} of {plural(len(items), 'item')} {by_count(nominal, 'has', 'have')} "
            "options that do not form a scale: earth mover's distances and correlations leave "
            f"{by_count(nominal, 'it', 'them')} out."
        )
    if len(given.value_sets) < 2:
        found.append("One value set only: there is no correlation across groups.")
    return tuple(found)


def _distances(
    given: EvaluationInput, answers: list[ScoredAnswer], options: Options
) -> tuple[Units, dict[str, Any]]:
    """For each distance its rows by method, and the rows or number at its ceiling."""
    targets = {v.name: v.distributions for v in given.value_sets}
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    ceilings: dict[str, Any] = defaultdict(list)
    averages = {
        (a.seed, a.value_set, a.item): np.array(a.shares) for a in answers if a.method == AVERAGE
    }
    seen = set()
    tops: dict[tuple[str, str, str], float | None] = {}
    lows: dict[tuple[str, tuple[int, str, str, str]], tuple[float, FloatArray]] = {}
    for answer in answers:
        target = targets[answer.value_set][answer.item]
        cluster = given.splits[answer.seed].clusters[answer.item]
        place = (answer.seed, answer.value_set, answer.item, cluster)
        q = np.array(answer.shares)
        drawn = resampled_answer(answer)
        average = averages.get(place[:3])
        for name, kind in KINDS.items():
            point, resampled = _values(kind, target, q, options)
            if not np.isfinite(point):
                continue
            own = (
                None if drawn is None else kind.between(target.item, target.shares, drawn, options)
            )
            units[name][answer.method].append(Measured(*place, point, resampled, sampled=own))
            # Neither of these depends on the method.
            if (name, *place[1:3]) not in tops:
                tops[name, *place[1:3]] = _halves(kind, target, options)
            top = tops[name, *place[1:3]]
            if top is None:
                continue
            if (name, place) not in seen:
                seen.add((name, place))
                ceilings[name].append(Measured(*place, top, np.ones(1)))
            if name in CORRECTED and average is not None:
                if (name, place) not in lows:
                    lows[name, place] = _values(kind, target, average, options)
                low, low_resampled = lows[name, place]
                sign = 1 if kind.higher else -1
                units[f"way_{name}"][answer.method].append(
                    Measured(
                        *place,
                        sign * (point - low),
                        sign * (resampled - low_resampled),
                        sign * (top - low),
                        sampled=None if own is None else sign * (own - low),
                    )
                )
    ceilings |= {f"way_{name}": 1.0 for name in CORRECTED}
    return units, ceilings


def _values(
    kind: Kind, target: AnswerDistribution, q: FloatArray, options: Options
) -> tuple[float, FloatArray]:
    point = float(kind.between(target.item, target.shares, q, options))
    if kind.counted or not len(target.replicates):
        return point, np.full(1, point)
    return point, kind.between(target.item, target.replicates, q, options)


def _halves(kind: Kind, target: AnswerDistribution, options: Options) -> float | None:
    """One half of the respondents against the other, the mean over many splits."""
    if not len(target.first_halves):
        return None
    found = kind.between(target.item, target.first_halves, target.second_halves, options)
    return float(np.mean(found))


def _summed(
    given: EvaluationInput,
    answers: list[ScoredAnswer],
    refused: Container[tuple[str, int, str]],
) -> dict[str, dict[str, list[Summed]]]:
    """Rows of the figures that are no mean over items, by measure and method.

    refused: method, seed and item wherever a method could not be read as one of the groups.
    """
    targets = {v.name: v.distributions for v in given.value_sets}
    found: dict[str, dict[str, list[Summed]]] = {name: defaultdict(list) for name in SUMMED}
    means: dict[int, Means] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for a in answers:
        target = targets[a.value_set][a.item]
        q = np.array(a.shares)
        place = (a.seed, a.value_set, a.item, given.splits[a.seed].clusters[a.item])
        resampled = target.replicates
        some = Summed(
            *place,
            str(a.seed),
            share_sums(target.shares, q),
            partial(share_sums, resampled, q) if len(resampled) else None,
        )
        for name in ("calibration_error", "resolution"):
            found[name][a.method].append(some)
        if target.item.ordered:
            scale = np.linspace(0, 1, q.size)
            x, y, moved = target.mean_position, float(q @ scale), resampled @ scale
            pair = Summed(
                *place,
                f"{a.seed} {a.value_set}",
                pair_sums(x, y),
                partial(pair_sums, moved, y) if len(moved) else None,
            )
            found["correlation_items"][a.method].append(pair)
            means[a.seed][a.method][a.item][a.value_set] = (x, y, moved)
    for method, unit in _across_groups(given, means, refused):
        found["correlation_groups"][method].append(unit)
    return found


def _across_groups(
    given: EvaluationInput, means: dict[int, Means], refused: Container[tuple[str, int, str]]
) -> Iterator[tuple[str, Summed]]:
    """Each group's mean counted from that of all groups on the item, people's and the model's.

    An item that a method refused as one of the groups is left out of the method's: the mean of the
    rest would be another one.
    """
    for seed, by_method in means.items():
        for method, by_item in by_method.items():
            for item, by_group in by_item.items():
                if len(by_group) < 2 or (method, seed, item) in refused:
                    continue
                middle = np.mean([(x, y) for x, y, _ in by_group.values()], axis=0)
                count = min(len(moved) for _, _, moved in by_group.values())
                between = np.mean([moved[:count] for _, _, moved in by_group.values()], axis=0)
                cluster = given.splits[seed].clusters[item]
                for group, (x, y, moved) in by_group.items():
                    yield (
                        method,
                        Summed(
                            *(seed, group, item, cluster, str(seed)),
                            pair_sums(x - middle[0], y - middle[1]),
                            partial(pair_sums, moved[:count] - between, y - middle[1])
                            if count
                            else None,
                        ),
                    )


_HALVES = "The ceiling is one half of the people against the other, the floor the even answer."
MEASURES = (
    Measure(
        name="js_similarity",
        lowest=0.0,
        highest=1.0,
        label="1 - JS distance, base 2",
        explanation="Fit as elsewhere on this page: 1 minus the Jensen-Shannon distance, the "
        "square "
        f"root of the divergence with logarithms to base 2, from 0 to 1. {_HALVES}",
        better="higher",
        unit="items",
    ),
    Measure(
        name="js_similarity_divergence",
        lowest=0.0,
        highest=1.0,
        label="1 - JS divergence, base 2",
        explanation="1 minus the divergence itself, without the root, from 0 to 1: the same order "
        "of models on one item, with small gaps made smaller.",
        better="higher",
        unit="items",
    ),
    Measure(
        name="js_similarity_natural",
        lowest=LOWEST_FIT_NATURAL,
        highest=1.0,
        label="1 - JS distance, natural log",
        explanation="GlobalOpinionQA's similarity (Durmus et al. 2023) with natural logarithms, "
        "which the common implementation uses when no base is given; it cannot fall below 0.167. "
        "A figure in this base cannot be compared with one in base 2.",
        better="higher",
        unit="items",
    ),
    Measure(
        name="wasserstein",
        lowest=0.0,
        highest=1.0,
        label="Earth mover's distance, equal steps",
        explanation="How far answers would have to move along the scale, from 0 to 1 (all from end "
        "to end), options at equal steps.",
        better="lower",
        unit="items",
    ),
    Measure(
        name="wasserstein_codes",
        lowest=0.0,
        label="Earth mover's distance, by code",
        explanation="WorldValuesBench's (Zhao et al. 2024): options are placed by their codes, "
        "rescaled to 0 to 1.",
        better="lower",
        unit="items",
    ),
    Measure(
        name="wasserstein_scale",
        lowest=0.0,
        highest=1.0,
        label="Earth mover's distance, scale options only",
        explanation="SubPOP's (Suh et al. 2025): options that are not a point of the scale, such "
        'as "not sure", are left out, and the shares of the others are rescaled to sum to 1 on '
        "both sides.",
        better="lower",
        unit="items",
    ),
    Measure(
        name="total_variation",
        lowest=0.0,
        highest=1.0,
        label="Total variation",
        explanation="The share of the answers that would have to change; needs no scale.",
        better="lower",
        unit="items",
    ),
    Measure(
        name="mode_accuracy",
        lowest=0.0,
        highest=1.0,
        label="Commonest answer named",
        explanation="How often the model's likeliest option is the people's commonest answer; ties "
        "count for their chance. It says nothing about the shares: a model that repeats the "
        "majority scores 1. "
        "The interval resamples items.",
        better="higher",
        unit="items",
    ),
    Measure(
        name="correlation_items",
        lowest=-1.0,
        highest=1.0,
        label="Correlation across items",
        explanation="Pearson's correlation of the mean answer, model with people, over the ordered "
        "items of a value set; the mean over value sets and seeds. The interval resamples items.",
        better="higher",
        unit="items",
    ),
    Measure(
        name="correlation_groups",
        lowest=-1.0,
        highest=1.0,
        label="Correlation across groups",
        explanation="The same over groups: does the model place a group above or below the others "
        "on an item where people do? Each group's mean is counted from the mean of all groups on "
        "that item. 0 for a model that answers alike for every group.",
        better="higher",
        unit="items",
    ),
    Measure(
        name="calibration_error",
        lowest=0.0,
        highest=1.0,
        label="Calibration error of shares",
        explanation="Options are sorted into ten bins by the share the model gives them; in each "
        "bin the model's mean share is compared with the people's, and the gaps are averaged by "
        "the number of options. 0 is calibrated, as the even answer is too: read it with the next "
        "figure.",
        better="lower",
        unit="items",
    ),
    Measure(
        name="resolution",
        lowest=0.0,
        highest=1.0,
        label="Resolution of shares",
        explanation="How much of the spread of people's shares around the even answer the same "
        "bins explain: 0 for an even answer, 1 for all of it; the direction does not matter, so "
        "a model that reverses everything explains as much.",
        better="higher",
        unit="items",
    ),
    *(
        Measure(
            name=f"way_{name}",
            label=f"Way to the ceiling, {label}",
            explanation=f"{what}, corrected for noise: 0 at the average answer, 1 at the "
            "distance of one half of the people from the other half. The whole sample, which is "
            "less noisy than its halves, is above 1.",
            better="higher",
            unit="items",
            headline=name == "wasserstein",
            digits=2,
        )
        for name, label, what in (
            ("js_similarity", "JS distance", "1 - Jensen-Shannon distance"),
            ("wasserstein", "earth mover's", "Earth mover's distance at equal steps"),
            ("total_variation", "total variation", "Total variation"),
        )
    ),
)
EVALUATION = Evaluation(
    NAME,
    score,
    question="Is it near these people by every measure, or only by the one that was chosen?",
    cannot_show="Which of these distances matters for a use of the model. Nor can it show what "
    "fit cannot show, because both use the same answers.",
    measures=MEASURES,
    options=Options,
)
