"""How much of a model's answer to mix with the average answer, chosen on questions held back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.statistics.intervals import DRAWS
from suffrage.models import ModelAnswer
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import AverageAnswers, TrainedAnswers, times_average

# The weights of the model that are tried.
WEIGHTS: FloatArray = np.linspace(0, 1, 21)
# An interval needs as many clusters of questions.
FEWEST_CLUSTERS = 4
COVERAGE = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class MixingCell:
    """A question that one population was asked, to choose the weight on."""

    item: str
    # Questions of one cluster are resampled together.
    cluster: str
    people: FloatArray
    model: FloatArray
    # The average answer to the questions trained on, none of which is used to choose the weight.
    average: FloatArray


@dataclass(frozen=True)
class MixingWeight:
    """The weight of a model's answer in a mixture with the average answer."""

    # 0 (only the average answer) to 1 (only the model's).
    weight: float
    # The 95% interval; None with fewer than `FEWEST_CLUSTERS` clusters.
    low: float | None
    high: float | None
    questions: int
    cells: int
    clusters: int
    # Mean fit on the questions that the weight was chosen on: of the mixture, and of its two parts.
    mixed_fit: float
    model_fit: float
    average_fit: float


def mixed_shares(model: FloatArray, average: FloatArray, weight: float) -> FloatArray:
    """w times the model's answer and 1 - w times the average answer, option by option.

    Examples
    --------
    >>> mixed_shares(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0.5).tolist()
    [0.75, 0.25]
    """
    return np.asarray(weight * model + (1 - weight) * average)


def mixing_cells(
    value_set: ValueSet,
    split: ItemSplit,
    answers: Sequence[ModelAnswer],
    questions: Collection[str],
) -> Iterator[MixingCell]:
    """What a model and the average answer say to some questions, and what people do.

    Only what was read from option letters counts.

    Parameters
    ----------
    value_set : ValueSet
        The population. No method may be left out of training on it, or the weight would have
        seen what is evaluated.
    split : ItemSplit
    answers : sequence of ModelAnswer
        The model's, as this population.
    questions : collection of str
        Ids of items that the model was not trained on and that are not evaluated. Whatever the
        split says, none of them is in the average answer.
    """
    chosen = frozenset(questions) - frozenset(split.held_out)
    left = tuple(item for item in split.train if item not in chosen)
    trained = TrainedAnswers(value_set, replace(split, train=left))
    for answer in answers:
        if answer.readout == "letters" and not answer.refused and answer.item_id in chosen:
            yield MixingCell(
                answer.item_id,
                split.clusters[answer.item_id],
                value_set.distributions[answer.item_id].shares,
                answer.shares,
                trained.average_without(answer.item_id),
            )


def mixing_weight(cells: Sequence[MixingCell], seed: int) -> MixingWeight | None:
    """The weight with the best mean fit, from 0 to 1 in steps of 0.05.

    The mean is over questions, and within a question over the populations that were asked. Of
    weights that fit alike the least is chosen. The interval is that of the weights chosen
    on resampled clusters.

    Parameters
    ----------
    cells : sequence of MixingCell
    seed : int
        Of the resamples.

    Returns
    -------
    MixingWeight or None
        None without cells.
    """
    if not cells:
        return None
    fits = _fits(cells)
    names = sorted({cell.cluster for cell in cells})
    place = {name: number for number, name in enumerate(names)}
    at = np.array([place[cell.cluster] for cell in cells])
    # Every question counts once, however many populations were asked, as in the figures.
    asked = Counter(cell.item for cell in cells)
    counted = np.array([1 / asked[cell.item] for cell in cells])
    sums = np.zeros((len(names), WEIGHTS.size))
    np.add.at(sums, at, counted[:, None] * fits)
    sizes = np.bincount(at, counted, minlength=len(names))
    means = sums.sum(axis=0) / sizes.sum()
    # Rounded, so that weights which fit alike are told apart by nothing but their size.
    best = int(means.round(12).argmax())
    low = high = None
    if len(names) >= FEWEST_CLUSTERS:
        generator = np.random.default_rng([seed, 6])
        even = np.full(len(names), 1 / len(names))
        counts = generator.multinomial(len(names), even, size=DRAWS)
        drawn = WEIGHTS[(counts @ sums / (counts @ sizes)[:, None]).argmax(axis=1)]
        low, high = (float(end) for end in np.percentile(drawn, COVERAGE))
    return MixingWeight(
        weight=float(WEIGHTS[best]),
        low=low,
        high=high,
        questions=len(asked),
        cells=len(cells),
        clusters=len(names),
        mixed_fit=float(means[best]),
        model_fit=float(means[-1]),
        average_fit=float(means[0]),
    )


def _fits(cells: Sequence[MixingCell]) -> FloatArray:
    """The fit of each cell's mixture with every weight, (cells, weights)."""
    found = np.zeros((len(cells), WEIGHTS.size))
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, cell in enumerate(cells):
        by_size[cell.people.size].append(number)
    for places in by_size.values():
        people, model, average = (
            np.array([getattr(cells[place], name) for place in places])[:, None]
            for name in ("people", "model", "average")
        )
        mixed = WEIGHTS[:, None] * model + (1 - WEIGHTS[:, None]) * average
        found[places] = fit(people, mixed)
    return found


def mixed_answers(
    value_set: ValueSet, split: ItemSplit, answers: Sequence[ModelAnswer], weight: float
) -> list[ModelAnswer]:
    """A model's answers by option letters as one population, mixed with the average answer."""
    trained = TrainedAnswers(value_set, split)
    return [
        replace(
            answer,
            shares=mixed_shares(answer.shares, trained.average_without(answer.item_id), weight),
        )
        for answer in answers
        if answer.readout == "letters"
    ]


def multiplied_answers(
    population: str, table: AverageAnswers, answers: Sequence[ModelAnswer]
) -> list[ModelAnswer]:
    """A model's answers by option letters as one population, times a table of average answers."""
    return [
        replace(
            answer,
            shares=times_average(answer.shares, table.answer(population, answer.shares.size)),
        )
        for answer in answers
        if answer.readout == "letters"
    ]
