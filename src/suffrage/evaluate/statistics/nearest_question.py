"""The answers to the most similar questions trained on: a floor that reads texts, and no model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.text_overlap import only_words
from suffrage.text_vectors import WordWeights
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import TrainedAnswers
from suffrage.training_data.split import near_duplicate_groups

# How many similar questions the answer may be the mean of.
COUNTS = (1, 2, 3, 5, 8, 12, 20, 40)


@dataclass(frozen=True)
class NearestChoice:
    """How the answer is made of similar questions, and what that was chosen on."""

    # How many of the most similar questions it is the mean of.
    count: int
    # Whether options with the same texts are matched where two questions list them in other orders.
    by_text: bool
    # The mean fit on the questions trained on, each answered from the others.
    fit: float


class NearestQuestions:
    """What each population answered to the questions trained on that are most like another one.

    Similar are questions with as many options, by the TF-IDF cosine of question and option texts.
    The question itself and what asks nearly the same never count, so that the questions trained on
    can serve to choose `choice`. Where a population was not asked any other question with as many
    options, its average answer is used. A population that is left out of training is
    given the mean answers of the others: its own are not read.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
    left_out : sequence of str
        Value sets that no method was trained on.
    """

    def __init__(
        self, value_sets: Sequence[ValueSet], split: ItemSplit, left_out: Sequence[str] = ()
    ) -> None:
        items = {item.id: item for value_set in value_sets for item in value_set.items}
        self._groups = near_duplicate_groups(list(items.values()))
        self._split = split
        blocks = _blocks(list(items.values()), self._groups, split)
        known = {v.name: _shares(v) for v in value_sets if v.name not in left_out}
        everyone = _mean_shares(list(known.values()))
        # By value set and item: the answer for each way of matching and each count.
        self._found: dict[tuple[str, str], FloatArray] = {}
        for value_set in value_sets:
            for block in blocks:
                asked = [
                    place
                    for place, item in enumerate(block.items)
                    if item.id in value_set.distributions
                ]
                own = known.get(value_set.name, everyone)
                for place, answers in zip(asked, block.answers(asked, own), strict=True):
                    self._found[value_set.name, block.items[place].id] = answers
        self.choice = self._chosen([v for v in value_sets if v.name not in left_out])
        self._averages = {v.name: TrainedAnswers(v, split) for v in value_sets}

    def answer(self, value_set: str, item_id: str) -> FloatArray:
        """The answer of a value set to an item that it was asked."""
        found = self._found[value_set, item_id]
        if not found.size:
            return self._averages[value_set].average_without(item_id)
        return np.asarray(found[int(self.choice.by_text), COUNTS.index(self.choice.count)])

    def _chosen(self, value_sets: Sequence[ValueSet]) -> NearestChoice:
        """What fits best on the questions trained on."""
        pairs: dict[int, list[tuple[FloatArray, FloatArray]]] = defaultdict(list)
        for value_set in value_sets:
            for item_id, target in value_set.distributions.items():
                found = self._found[value_set.name, item_id]
                if found.size and self._split.trains_on(item_id):
                    pairs[target.shares.size].append((target.shares, found))
        if not pairs:
            return NearestChoice(1, False, math.nan)
        total, cells = np.zeros((2, len(COUNTS))), 0
        for alike in pairs.values():
            p = np.array([shares for shares, _ in alike])
            q = np.array([found for _, found in alike])
            total += fit(p[:, None, None], q).sum(axis=0)
            cells += len(alike)
        by_text, place = np.unravel_index(int(total.argmax()), total.shape)
        return NearestChoice(COUNTS[place], bool(by_text), float(total.max() / cells))


def _shares(value_set: ValueSet) -> dict[str, FloatArray]:
    return {item: found.shares for item, found in value_set.distributions.items()}


def _mean_shares(known: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    """The mean answer to each item of all that were asked it."""
    found: dict[str, list[FloatArray]] = defaultdict(list)
    for own in known:
        for item, shares in own.items():
            found[item].append(shares)
    return {item: np.asarray(np.mean(some, axis=0)) for item, some in found.items()}


@dataclass(frozen=True, eq=False)
class _Block:
    """Items with as many options, and how like each is to those of them that are trained on."""

    items: Sequence[Item]
    # The places of those trained on.
    trained: IntArray
    # Shape (items, trained); -1 for the item itself and what asks nearly the same.
    similarity: FloatArray
    # Shape (items, options): one number for each text of an option.
    texts: IntArray

    def answers(self, asked: Sequence[int], own: Mapping[str, FloatArray]) -> list[FloatArray]:
        """For each item asked, (ways of matching, counts, options); empty where there is none."""
        columns = [
            column for column, place in enumerate(self.trained) if self.items[place].id in own
        ]
        if not columns or not asked:
            return [np.empty(0) for _ in asked]
        known = np.array([own[self.items[self.trained[column]].id] for column in columns])
        similarity = self.similarity[np.ix_(asked, columns)]
        most = min(max(COUNTS), len(columns))
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
        usable = np.take_along_axis(similarity, order, axis=1) >= 0
        in_order = known[order]
        theirs = self.texts[self.trained[columns]][order]
        by_text = _matched(in_order, theirs, self.texts[asked])
        found = np.stack([_means(one, usable) for one in (in_order, by_text)], axis=1)
        return [row if some else np.empty(0) for row, some in zip(found, usable[:, 0], strict=True)]


def _matched(shares: FloatArray, theirs: IntArray, own: IntArray) -> FloatArray:
    """Shares in the order of one's own options, where the texts of the options are the same.

    Parameters
    ----------
    shares, theirs : array, shape (items, similar, options)
        The answers to similar questions, and the texts of their options.
    own : array, shape (items, options)
    """
    to_sorted = np.argsort(theirs, axis=-1, kind="stable")
    own_sorted = np.argsort(own, axis=-1, kind="stable")
    from_sorted = np.argsort(own_sorted, axis=-1, kind="stable")
    same = (
        np.take_along_axis(theirs, to_sorted, axis=-1)
        == np.take_along_axis(own, own_sorted, axis=-1)[:, None]
    ).all(axis=-1)
    moved = np.take_along_axis(shares, to_sorted, axis=-1)
    back = np.broadcast_to(from_sorted[:, None], moved.shape)
    return np.where(same[..., None], np.take_along_axis(moved, back, axis=-1), shares)


def _means(shares: FloatArray, usable: BoolArray) -> FloatArray:
    """The mean of the first so many that are usable, (items, counts, options)."""
    weight = usable.astype(np.float64)
    total = np.cumsum(shares * weight[..., None], axis=1)
    number = np.maximum(np.cumsum(weight, axis=1), 1.0)
    places = [min(count, shares.shape[1]) - 1 for count in COUNTS]
    return np.asarray(total[:, places] / number[:, places, None])


def _blocks(items: Sequence[Item], groups: Mapping[str, str], split: ItemSplit) -> list[_Block]:
    texts = [" ".join((item.question, *item.texts)) for item in items]
    vectors = WordWeights.of(texts).vectors(texts)
    numbers: dict[str, int] = {}
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        by_size[len(item.options)].append(place)
    found = []
    for places in by_size.values():
        own = [items[place] for place in places]
        trained = np.array([at for at, one in enumerate(own) if split.trains_on(one.id)], dtype=int)
        mine = vectors[places]
        similarity = mine @ mine[trained].T
        group = np.array([_number_of(groups[one.id], numbers) for one in own])
        similarity[group[:, None] == group[trained][None]] = -1.0
        options = np.array(
            [[_number_of(only_words(text) or text, numbers) for text in one.texts] for one in own]
        )
        found.append(_Block(own, trained, similarity, options))
    return found


def _number_of(text: str, numbers: dict[str, int]) -> int:
    """A number for each text, the same for the same text."""
    return numbers.setdefault(text, len(numbers))
