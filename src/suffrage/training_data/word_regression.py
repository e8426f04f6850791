"""Answers predicted from the words of questions and options, by kernel ridge regression.

As in `low_rank`, the score of an option is a profile of places, a mean score, and loadings times
the populations' factors. Mean scores and loadings are regressed with the kernel of `word_kernel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.population.distribution_distances import fit
from suffrage.survey import Item
from suffrage.training_data.low_rank import (
    FactorModel,
    Factors,
    FactorSettings,
    ItemAnswers,
    Validated,
    find_factors,
    option_profiles,
    shares_of,
)
from suffrage.training_data.word_kernel import KernelRidge, WordKernel

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


@dataclass(frozen=True, eq=False)
class AskedItem:
    """An item, and what the populations that were asked it answered."""

    item: Item
    answers: ItemAnswers


def choose_settings(asked: Sequence[AskedItem], populations: int, seed: int) -> Validated:
    """The settings whose predictions of questions left out fit best.

    Parameters
    ----------
    asked : sequence of AskedItem
    populations : int
        How many there are.
    seed : int
        Of the parts and of the factors' start.
    """
    some = _shares_of_items(asked, OPTIONS_TO_CHOOSE_ON, seed)[0]
    parts = _Parts(some, populations, seed)
    tried: list[Validated] = []
    for penalty in PENALTIES:
        scores = parts.scores(penalty)
        for rank in RANKS:
            settings = FactorSettings(penalty, penalty, rank, True)
            tried.append(Validated(settings, fit_of_predictions(some, parts.shares(scores, rank))))
    return max(tried, key=lambda one: one.fit)


def fit_of_predictions(asked: Sequence[AskedItem], shares: Mapping[str, FloatArray]) -> float:
    """The mean fit of predictions to what people answered, over all answers."""
    fits = [fit(one.answers.shares, shares[one.item.id][one.answers.populations]) for one in asked]
    return float(np.concatenate(fits).mean())


def predict_each(
    asked: Sequence[AskedItem], populations: int, settings: FactorSettings, seed: int
) -> dict[str, FloatArray]:
    """By item, the shares that all populations are predicted to have, without that item.

    Items that ask nearly the same are left out together.

    Returns
    -------
    dict of arrays, shape (populations, options)
    """
    found: dict[str, FloatArray] = {}
    for block in _shares_of_items(asked, MOST_OPTIONS, seed):
        parts = _Parts(block, populations, seed)
        found |= parts.shares(parts.scores(settings.mean_penalty), settings.rank)
    return found


def fit_words(
    asked: Sequence[AskedItem], populations: int, settings: FactorSettings, seed: int
) -> tuple[list[list[Item]], FactorModel]:
    """Fit on all items.

    Returns
    -------
    known : list of list of Item
        The items that new ones are compared with, by the kernels of `word_features`.
    model : FactorModel
        Its features are those of `word_features`.
    """
    answers = [one.answers for one in asked]
    profiles = option_profiles(answers)
    factors = find_factors(answers, profiles, populations, settings.rank, seed)
    targets = {one.item.id: own for one, own in zip(asked, factors.items, strict=True)}
    blocks = _shares_of_items(asked, MOST_OPTIONS, seed)
    coefficients = []
    for block in blocks:
        ridge = KernelRidge(
            WordKernel([one.item for one in block]).own(),
            _row_weights(block),
            settings.mean_penalty,
        )
        own = np.concatenate([targets[one.item.id] for one in block])
        # Shares of the items that know nothing of each other predict the mean of what each does.
        coefficients.append(ridge.coefficients(own) / len(blocks))
    every = np.concatenate(coefficients)
    model = FactorModel(settings, factors.populations, every, np.ones(len(every)), profiles)
    return [[one.item for one in block] for block in blocks], model


def word_features(kernels: Sequence[WordKernel], items: Sequence[Item]) -> list[FloatArray]:
    """Of each item, how alike its options are to the known, (options, known options)."""
    each = [kernel.features(items) for kernel in kernels]
    return [np.column_stack(own) for own in zip(*each, strict=True)]


def _shares_of_items(asked: Sequence[AskedItem], most: int, seed: int) -> list[list[AskedItem]]:
    """The items in random shares of about `most` options at most, groups whole."""
    options = sum(len(one.item.texts) for one in asked)
    place = _places(asked, -(-options // most), seed)
    return [
        [one for one, own in zip(asked, place, strict=True) if own == number]
        for number in range(max(place) + 1)
    ]


def _places(asked: Sequence[AskedItem], count: int, seed: int) -> list[int]:
    """Each item's place among `count` random shares; items of one group are in one share."""
    names = sorted({one.answers.group for one in asked})
    count = min(count, len(names))
    drawn = np.random.default_rng([seed, 8, count]).permutation(len(names)) % count
    place = dict(zip(names, drawn.tolist(), strict=True))
    return [place[one.answers.group] for one in asked]


def _row_weights(asked: Sequence[AskedItem]) -> FloatArray:
    """What each option counts: an item answered by many is known better, but is still one item."""
    sizes = [len(one.item.texts) for one in asked]
    known = np.repeat([np.sqrt(len(one.answers.populations)) for one in asked], sizes)
    return np.asarray(known / known.mean())


class _Parts:
    """Items that are predicted part by part, each from the other parts."""

    def __init__(self, asked: Sequence[AskedItem], populations: int, seed: int) -> None:
        self._asked = asked
        self._kernel = WordKernel([one.item for one in asked]).own()
        self._weights = _row_weights(asked)
        self._item_of = np.repeat(np.arange(len(asked)), [len(one.item.texts) for one in asked])
        self._part = np.array(_places(asked, PARTS, seed))
        self._known: list[tuple[Mapping[int, FloatArray], Factors, FloatArray]] = []
        for number in range(self._part.max() + 1):
            inside = self._inside(number)
            answers = [asked[at].answers for at in inside]
            profiles = option_profiles(answers)
            factors = find_factors(answers, profiles, populations, max(RANKS), seed)
            # With few populations there are fewer factors.
            own = np.concatenate(factors.items)
            targets = np.zeros((len(self._item_of), own.shape[1]))
            targets[np.isin(self._item_of, inside)] = own
            self._known.append((profiles, factors, targets))

    def _inside(self, number: int) -> IntArray:
        """The items that a part is predicted from; a single part is predicted from itself."""
        alone = self._part.max() == 0
        return np.arange(len(self._asked)) if alone else np.flatnonzero(self._part != number)

    def scores(self, penalty: float) -> FloatArray:
        """Each option's mean score and loadings, less its place's, (options, 1 + factors)."""
        ridge = KernelRidge(self._kernel, self._weights, penalty)
        found = np.zeros((len(self._item_of), self._known[0][2].shape[1]))
        for number, (_, _, targets) in enumerate(self._known):
            out = np.flatnonzero(np.isin(self._item_of, np.flatnonzero(self._part == number)))
            found[out] = ridge.left_out(targets, out)
        return found

    def shares(self, scores: FloatArray, rank: int) -> dict[str, FloatArray]:
        """By item, every population's predicted shares, (populations, options)."""
        found = {}
        edges = np.flatnonzero(np.diff(self._item_of)) + 1
        for place, (one, own) in enumerate(zip(self._asked, np.split(scores, edges), strict=True)):
            profiles, factors, _ = self._known[self._part[place]]
            mean = profiles.get(len(own), np.zeros(len(own))) + own[:, 0]
            of_populations = factors.populations[:, :rank]
            loadings = own[:, 1 : 1 + of_populations.shape[1]]
            found[one.item.id] = shares_of(mean + of_populations @ loadings.T)
        return found
