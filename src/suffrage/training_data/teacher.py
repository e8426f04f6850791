"""A teacher for `distribution`: what can be predicted of an answer from the question's words.

What one question's people answer is mostly particular to it. A step of a few questions pulls a
model toward all of that, and what is common to many questions is lost in it. The teacher is a
kernel ridge regression on the words of questions and options with low-rank population factors, and
its prediction for a question comes from other questions only. It holds what is common and little
else, so that a small model learns from it in fewer steps.

Source: Hinton, Vinyals and Dean (2015), Distilling the knowledge in a neural network; here with
predictions made out of fold, as in stacking (Wolpert 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.training_data.low_rank import (
    ItemAnswers,
    find_factors,
    option_profiles,
    shares_of,
)
from suffrage.training_data.records import trained_items
from suffrage.training_data.split import ItemSplit, near_duplicate_groups
from suffrage.training_data.word_kernel import KernelRidge, option_kernel

# Parts that the questions are cut into; each is predicted from the others.
PARTS = 8
# What is chosen among: penalties of the regression, and how many population factors.
PENALTIES = (0.1, 0.3, 1.0, 3.0)
RANKS = (0, 2, 4, 8)
# Options, over all questions, that are related to each other at a time; more are cut into shares
# that know nothing of each other. The kernel of so many takes 1 GB, and so do its inverse and the
# work on it.
MOST_OPTIONS = 15_000
# Options on which the settings are chosen, a random part of the questions.
OPTIONS_TO_CHOOSE_ON = 4_000


@dataclass(frozen=True)
class TeacherSettings:
    """What is chosen on questions that are left out in turn."""

    penalty: float
    # How many population factors.
    rank: int


@dataclass(frozen=True, eq=False)
class Teacher:
    """Predictions of answers to questions trained on, each made without that question."""

    # By item, the shares that each value set is predicted to have, (value sets, options).
    shares: dict[str, FloatArray]
    # The place of each value set, by name.
    value_sets: dict[str, int]
    settings: TeacherSettings
    # The fit of the predictions to what people answered.
    fit: float

    def prediction(self, value_set: str, item: str) -> FloatArray:
        """The predicted share of each option, in the item's own order."""
        return np.asarray(self.shares[item][self.value_sets[value_set]])


@dataclass(frozen=True, eq=False)
class _Asked:
    """An item, and what the populations that were asked it answered."""

    item: Item
    answers: ItemAnswers


def fit_teacher(value_sets: Sequence[ValueSet], split: ItemSplit, seed: int) -> Teacher:
    """Fit a teacher on the items that a split trains on, and predict each of these.

    Items that ask nearly the same are left out together.

    Parameters
    ----------
    value_sets : sequence of ValueSet
    split : ItemSplit
        Nothing but its items to train on is read.
    seed : int
        Of the parts and of the factors' start.

    Returns
    -------
    Teacher
    """
    items = list(trained_items(value_sets, split).values())
    groups = near_duplicate_groups(items)
    asked = [_Asked(item, _answers(value_sets, item, groups[item.id])) for item in items]
    count = len(value_sets)
    settings = _chosen(_blocks(asked, OPTIONS_TO_CHOOSE_ON, seed)[0], count, seed)
    shares: dict[str, FloatArray] = {}
    for block in _blocks(asked, MOST_OPTIONS, seed):
        parts = _Parts(block, count, seed)
        shares |= parts.predictions(settings.penalty, settings.rank)
    found = np.concatenate([_fits(one, shares[one.item.id]) for one in asked])
    names = {value_set.name: place for place, value_set in enumerate(value_sets)}
    return Teacher(shares, names, settings, float(found.mean()))


def _answers(value_sets: Sequence[ValueSet], item: Item, group: str) -> ItemAnswers:
    asked = [place for place, v in enumerate(value_sets) if item.id in v.distributions]
    shares = [value_sets[place].distributions[item.id].shares for place in asked]
    return ItemAnswers(np.array(asked), np.array(shares), group)


def _fits(one: _Asked, shares: FloatArray) -> FloatArray:
    """The fit of each population's own prediction, (asked,)."""
    return np.asarray(fit(one.answers.shares, shares[one.answers.populations]))


def _blocks(asked: Sequence[_Asked], most: int, seed: int) -> list[list[_Asked]]:
    """The items in random shares of at most about `most` options, groups whole."""
    options = sum(len(one.item.texts) for one in asked)
    place = _places(asked, -(-options // most), seed)
    return [
        [one for one, own in zip(asked, place, strict=True) if own == number]
        for number in range(max(place) + 1)
    ]


def _places(asked: Sequence[_Asked], count: int, seed: int) -> list[int]:
    """Each item's place among `count` random shares; items of one group are in one share."""
    names = sorted({one.answers.group for one in asked})
    count = min(count, len(names))
    drawn = np.random.default_rng([seed, 8, count]).permutation(len(names)) % count
    place = dict(zip(names, drawn.tolist(), strict=True))
    return [place[one.answers.group] for one in asked]


def _chosen(asked: Sequence[_Asked], count: int, seed: int) -> TeacherSettings:
    """The settings whose predictions of questions left out fit best."""
    parts = _Parts(asked, count, seed)
    best, chosen = -1.0, TeacherSettings(PENALTIES[0], RANKS[0])
    for penalty in PENALTIES:
        scores = parts.scores(penalty)
        for rank in RANKS:
            shares = parts.shares(scores, rank)
            found = float(np.concatenate([_fits(one, shares[one.item.id]) for one in asked]).mean())
            if found > best:
                best, chosen = found, TeacherSettings(penalty, rank)
    return chosen


class _Parts:
    """Items that are predicted part by part, each from the other parts."""

    def __init__(self, asked: Sequence[_Asked], count: int, seed: int) -> None:
        self._asked = asked
        self._kernel = option_kernel([one.item for one in asked])
        sizes = [len(one.item.texts) for one in asked]
        self._row_of = np.repeat(np.arange(len(asked)), sizes)
        known = np.array([np.sqrt(len(one.answers.populations)) for one in asked])[self._row_of]
        self._weights = known / known.mean()
        self._part = np.array(_places(asked, PARTS, seed))
        self._known = []
        for number in range(self._part.max() + 1):
            inside = self._inside(number)
            answers = [asked[at].answers for at in inside]
            profiles = option_profiles(answers)
            factors = find_factors(answers, profiles, count, max(RANKS), seed)
            # With few populations there are fewer factors.
            own = np.concatenate(factors.items)
            targets = np.zeros((len(self._row_of), 1 + max(RANKS)))
            targets[np.isin(self._row_of, inside), : own.shape[1]] = own
            self._known.append((profiles, factors.populations, targets))

    def _inside(self, number: int) -> IntArray:
        """The items that a part is predicted from; a single part is predicted from itself."""
        alone = self._part.max() == 0
        return np.arange(len(self._asked)) if alone else np.flatnonzero(self._part != number)

    def scores(self, penalty: float) -> FloatArray:
        """Each option's mean score and loadings, less its place's, (options, 1 + factors)."""
        ridge = KernelRidge(self._kernel, self._weights, penalty)
        found = np.zeros((len(self._row_of), 1 + max(RANKS)))
        for number, (_, _, targets) in enumerate(self._known):
            out = np.flatnonzero(np.isin(self._row_of, np.flatnonzero(self._part == number)))
            found[out] = ridge.left_out(targets, out)
        return found

    def shares(self, scores: FloatArray, rank: int) -> dict[str, FloatArray]:
        """By item, every population's predicted shares, (populations, options)."""
        found = {}
        for place, one in enumerate(self._asked):
            profiles, populations, _ = self._known[self._part[place]]
            own = scores[self._row_of == place]
            size = len(own)
            mean = profiles.get(size, np.zeros(size)) + own[:, 0]
            used = slice(0, min(rank, populations.shape[1]))
            loadings = own[:, 1:][:, used]
            found[one.item.id] = shares_of(mean + populations[:, used] @ loadings.T)
        return found

    def predictions(self, penalty: float, rank: int) -> dict[str, FloatArray]:
        """By item, the shares that its part is predicted to have."""
        return self.shares(self.scores(penalty), rank)
