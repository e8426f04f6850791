"""What the groups most like a group left out answered to the same question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit, jensen_shannon_distance
from suffrage.training_data import ItemSplit
from suffrage.training_data.split import near_duplicate_groups

# How many similar groups the answer may be the mean of.
COUNTS = (1, 2, 4, 8, 16, 32)


class SimilarGroups:
    """For a group left out, the mean answer of the most similar groups trained on that were asked.

    How alike two groups are is the mean Jensen-Shannon distance of their answers to the questions
    trained on, without the question asked and what asks nearly the same. Nothing is known of a
    group from its name alone, so this floor assumes that somebody has asked the group other
    questions: it reads those answers, and never the group's answer to the question itself or to
    any question that is held out. How many similar groups count is chosen on the groups trained
    on, each taken as left out in turn.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
    left_out : sequence of str
        Value sets that no method was trained on.
    """

    def __init__(
        self, value_sets: Sequence[ValueSet], split: ItemSplit, left_out: Sequence[str]
    ) -> None:
        self._left_out = frozenset(left_out)
        self._names = [v.name for v in value_sets]
        self._place = {name: place for place, name in enumerate(self._names)}
        # By item: the places of the groups that were asked, and their shares.
        self._asked: dict[str, list[int]] = defaultdict(list)
        self._shares: dict[str, list[FloatArray]] = defaultdict(list)
        items = {item.id: item for value_set in value_sets for item in value_set.items}
        for place, value_set in enumerate(value_sets):
            for item, found in value_set.distributions.items():
                self._asked[item].append(place)
                self._shares[item].append(found.shares)
        self._group = near_duplicate_groups(list(items.values()))
        self._members: dict[str, list[str]] = defaultdict(list)
        for item in items:
            if split.trains_on(item):
                self._members[self._group[item]].append(item)
        shape = (len(self._names), len(self._names))
        self._distance, self._number = np.zeros(shape), np.zeros(shape)
        for item in (item for members in self._members.values() for item in members):
            self._add(item, self._distance, self._number, 1.0)
        self.count = self._chosen(split)

    def _add(self, item: str, distance: FloatArray, number: FloatArray, sign: float) -> None:
        """Add an item's distances between groups to the sums, or take them away."""
        asked, shares = self._asked[item], np.array(self._shares[item])
        between = jensen_shannon_distance(shares[:, None], shares[None])
        distance[np.ix_(asked, asked)] += sign * between
        number[np.ix_(asked, asked)] += sign

    def _distances(self, item_id: str) -> FloatArray:
        """Mean distances between groups without an item; infinite where nothing is known."""
        distance, number = self._distance, self._number
        members = self._members.get(self._group[item_id], ())
        if members:
            distance, number = distance.copy(), number.copy()
            for member in members:
                self._add(member, distance, number, -1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(number > 0.5, distance / number, np.inf)

    def _means(self, item_id: str, wanted: Sequence[int]) -> Mapping[int, FloatArray]:
        """By place, the means of the nearest groups for each count; those that have any."""
        asked = [at for at in self._asked[item_id] if self._names[at] not in self._left_out]
        shares = dict(zip(self._asked[item_id], self._shares[item_id], strict=True))
        distances = self._distances(item_id)
        found = {}
        for place in wanted:
            others = [at for at in asked if at != place and np.isfinite(distances[place, at])]
            others = sorted(others, key=lambda at: distances[place, at])[: max(COUNTS)]
            if others:
                total = np.cumsum([shares[at] for at in others], axis=0)
                counts = [min(count, len(others)) for count in COUNTS]
                found[place] = np.array([total[count - 1] / count for count in counts])
        return found

    def _chosen(self, split: ItemSplit) -> int:
        """The count that fits best on the groups trained on."""
        total = np.zeros(len(COUNTS))
        for members in self._members.values():
            for item in members:
                asked = [at for at in self._asked[item] if self._names[at] not in self._left_out]
                own = dict(zip(self._asked[item], self._shares[item], strict=True))
                for place, means in self._means(item, asked).items():
                    total += fit(own[place], means)
        return COUNTS[int(total.argmax())]

    def answer(self, value_set: str, item_id: str) -> FloatArray | None:
        """The answer for a value set left out, or None where no similar group was asked."""
        place = self._place[value_set]
        found = self._means(item_id, [place]).get(place)
        return None if found is None else np.asarray(found[COUNTS.index(self.count)])


def mean_of_groups(value_sets: Sequence[ValueSet], item_id: str) -> FloatArray:
    """The mean answer to a question of the given groups that were asked it, each counted once.

    For a group left out of training: what can be said of it without telling it from the others.

    Raises
    ------
    ValueError
        None of the groups was asked.
    """
    found = [v.distributions[item_id].shares for v in value_sets if item_id in v.distributions]
    if not found:
        raise ValueError(f"no value set was asked {item_id}")
    return np.asarray(np.mean(found, axis=0))
