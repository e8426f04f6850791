"""What evaluations of groups share: which groups differ, and what a model answered as each.

Symbols: g, h groups (value sets); i an item; p people's shares, m a model's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.answers import Answers
from suffrage.evaluate.scorecard import EvaluationInput
from suffrage.evaluate.statistics.figures import resamples
from suffrage.evaluate.statistics.intervals import Measured, bootstrap_estimate
from suffrage.evaluate.statistics.sampled_answers import resampled_model_shares
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.training_data import ItemSplit

# (value set, item) -> shares
Shares = Mapping[tuple[str, str], FloatArray]


def scored_items(value_set: ValueSet, split: ItemSplit) -> list[str]:
    """The items held out that this population was asked; all of them where nothing is held out."""
    return [
        item for item in value_set.distributions if not split.held_out or item in split.held_out
    ]


def items_to_score(value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit]) -> list[Item]:
    """The items held out in any of the splits; all of them where nothing is held out."""
    out = {item for split in splits for item in split.held_out}
    items = {i.id: i for v in value_sets for i in v.items if not out or i.id in out}
    return list(items.values())


def letter_shares(answers: Answers) -> dict[tuple[str, str], FloatArray]:
    """What a model answered by letters, wherever it could be read."""
    return {
        (value_set, item): shares
        for value_set in answers.by_value_set
        for item, shares in letter_shares_as(answers, value_set).items()
    }


def letter_shares_as(answers: Answers, value_set: str) -> dict[str, FloatArray]:
    """What a model asked as one value set answered by letters, by item, where it could be read."""
    return {
        answer.item_id: answer.shares
        for answer in answers.of(value_set)
        if answer.readout == "letters" and not answer.refused
    }


def refused_letters(answers: Answers) -> frozenset[tuple[str, str]]:
    """The (value set, item) that a model was asked by letters and could not be read on."""
    return frozenset(
        (value_set, answer.item_id)
        for value_set, some in answers.by_value_set.items()
        for answer in some
        if answer.readout == "letters" and answer.refused
    )


def rivals_read(
    rivals: Sequence[ValueSet], item: str, said: Shares, refused: Collection[tuple[str, str]]
) -> list[ValueSet]:
    """The rivals that a model answered an item as, or none where it refused as one of them.

    A group is compared with all of its rivals. Without those that are hard to tell from it, the
    comparison would be easier.

    Parameters
    ----------
    rivals : sequence of ValueSet
    item : str
    said : mapping
        What the model answered, as `letter_shares` gives it.
    refused : collection of (value set, item)
        As `refused_letters` gives them.
    """
    asked = [rival for rival in rivals if item in rival.distributions]
    if any((rival.name, item) in refused for rival in asked):
        return []
    return [rival for rival in asked if (rival.name, item) in said]


def order_moves(answers: Answers) -> dict[tuple[str, str], float]:
    """How far a model's answers move with the order of the options, 0 to 1, where known.

    The mean total variation of the answer under each order from the mean answer. What comes of the
    order alone is no variety: a model that always names the first option shown gives one option
    under each order.
    """
    return {
        (value_set, answer.item_id): answer.order_sensitivity
        for value_set, some in answers.by_value_set.items()
        for answer in some
        if answer.readout == "letters" and answer.order_sensitivity is not None
    }


def drawn_letter_shares(answers: Answers, method: str) -> dict[tuple[str, str], FloatArray]:
    """The same where answers were drawn, drawn again, (SAMPLED_REPLICATES, options)."""
    return {
        (value_set, answer.item_id): drawn
        for value_set, some in answers.by_value_set.items()
        for answer in some
        if answer.readout == "letters" and not answer.refused
        if (
            drawn := resampled_model_shares(
                *(method, answer.item_id, answer.readout, answer.shares, answer.mass, answer.drawn)
            )
        )
        is not None
    }


def read_places(
    given: EvaluationInput, seed: int, said: Shares
) -> Iterator[tuple[tuple[int, str, str, str], AnswerDistribution, FloatArray]]:
    """Every scored place that a model could be read on: where it is, people's answers, the model's.

    A place is (seed, value set, item, cluster).
    """
    split = given.splits[seed]
    for value_set in given.value_sets:
        for item in scored_items(value_set, split):
            if (value_set.name, item) in said:
                at = (seed, value_set.name, item, split.clusters[item])
                yield at, value_set.distributions[item], said[value_set.name, item]


def unread_notes(
    answers: Mapping[tuple[str, int], Answers],
    value_sets: Sequence[ValueSet],
    splits: Mapping[int, ItemSplit],
) -> list[str]:
    """How many answers on which groups could not be read, a sentence for each such method."""
    counts: dict[str, dict[str, int]] = {}
    wanted: dict[str, dict[str, int]] = {}
    for (method, seed), some in answers.items():
        said = letter_shares(some)
        for value_set in value_sets:
            items = scored_items(value_set, splits[seed])
            missing = sum((value_set.name, item) not in said for item in items)
            for table, count in ((counts, missing), (wanted, len(items))):
                by_group = table.setdefault(method, {})
                by_group[value_set.name] = by_group.get(value_set.name, 0) + count
    return [
        f"{method}: too little probability on the options to be read, so in none of these figures: "
        + ", ".join(
            f"{group} ({count} of {wanted[method][group]} answers)"
            for group, count in by_group.items()
            if count
        )
        + "."
        for method, by_group in counts.items()
        if any(by_group.values())
    ]


def rivals(value_set: ValueSet, among: Sequence[ValueSet]) -> list[ValueSet]:
    """The groups this one can be told from: those with nobody in common, as far as `where` shows.

    Where there is none such, all groups but those it is part of or has as parts: overlapping
    groups, or segments, which share one `where`.
    """
    others = [other for other in among if other.name != value_set.name]
    apart = [other for other in others if disjoint(value_set.where, other.where)]
    return apart or [o for o in others if not _part_of(value_set, o) and not _part_of(o, value_set)]


def smallest_groups(value_sets: Sequence[ValueSet]) -> list[ValueSet]:
    """The value sets that none of the others is a part of."""
    return [v for v in value_sets if not any(_part_of(other, v) for other in value_sets)]


def _part_of(value_set: ValueSet, whole: ValueSet) -> bool:
    """Whether every condition of `whole` holds in the value set, which has more of its own."""
    conditions = value_set.where.items()
    return len(conditions) > len(whole.where) and all(
        key in value_set.where and value_set.where[key] == wanted
        for key, wanted in whole.where.items()
    )


def disjoint(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether nobody can meet both conditions, as far as one column shows it."""
    return any(_apart(one[key], other[key]) for key in one.keys() & other.keys())


def _apart(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        lows = [float(span.get("min", -np.inf)) for span in (a, b)]
        highs = [float(span.get("max", np.inf)) for span in (a, b)]
        return max(lows) > min(highs)
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        return False
    first, second = ({str(v) for v in (x if isinstance(x, list) else [x])} for x in (a, b))
    return not first & second


def under_replicates(
    people: AnswerDistribution, figure: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """A figure under resampled respondents, or a single 1 where they are not at hand."""
    return np.asarray(figure(people.replicates)) if len(people.replicates) else np.ones(1)


def ratio_row(
    at: tuple[int, str, str, str],
    figure: Callable[[FloatArray], FloatArray],
    people: AnswerDistribution,
    shares: FloatArray,
    sampled: FloatArray | None = None,
    from_order: float = 0.0,
) -> Measured:
    """A figure of the model's shares over that of people's.

    Parameters
    ----------
    sampled : array, optional
        The model's shares drawn again.
    from_order : float
        The most that the order of the options adds to the model's figure, which is taken off it.
    """
    return Measured(
        *at,
        max(float(figure(shares)) - from_order, 0.0),
        np.ones(1),
        float(figure(people.shares)),
        under_replicates(people, figure),
        sampled=None if sampled is None else np.maximum(figure(sampled) - from_order, 0.0),
    )


def half_sample_fit(people: AnswerDistribution) -> float | None:
    """How well one half of the respondents fits the other; None where they are not at hand."""
    if not len(people.first_halves):
        return None
    return float(fit(people.first_halves, people.second_halves).mean())


def sampling_variance(people: AnswerDistribution) -> float:
    """Of the shares, summed over options; 0 where nothing is known of it."""
    return float(np.nansum(np.square(people.standard_errors)))


def between_row(
    place: tuple[int, str, str, str],
    own: AnswerDistribution,
    others: Sequence[AnswerDistribution],
    said: FloatArray,
    said_of_others: Sequence[FloatArray],
) -> Measured:
    """One group's mean squared distance to others: the model's over the people's.

    Squared differences of shares, summed over options. People's are freed of what sampling adds to
    them on average: the sampling variances of both groups.
    """

    def apart(shares: FloatArray) -> FloatArray:
        return np.asarray(np.mean([np.square(shares - o.shares).sum(-1) for o in others], axis=0))

    noise = sampling_variance(own) + float(np.mean([sampling_variance(o) for o in others]))
    model = float(np.mean([np.square(said - other).sum() for other in said_of_others]))
    # Each pair is in two rows, and in each only one side's respondents are drawn again:
    # twice their effect here makes the whole of it together.
    resampled = under_replicates(own, lambda drawn: 2 * apart(drawn))
    return Measured(
        *place, model, np.ones(1), float(apart(own.shares)) - noise, below_replicates=resampled
    )


def denominators(rows: Sequence[Measured]) -> list[Measured]:
    """The denominators of the rows, as rows of their own."""
    return [
        Measured(
            row.seed,
            row.value_set,
            row.item,
            row.cluster,
            row.below,
            np.ones(1) if row.below_replicates is None else row.below_replicates,
        )
        for row in rows
    ]


def above_zero(rows: Sequence[Measured], seed: int) -> bool:
    """Whether the mean of these rows is above 0 beyond noise: what a ratio may be divided by."""
    if not rows:
        return False
    found = bootstrap_estimate(rows, resamples(rows, seed))
    return found.low is not None and found.low > 0
