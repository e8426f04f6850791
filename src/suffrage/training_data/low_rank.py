"""Answer shares from features of options: ridge regression, and low-rank population factors.

The score of an option is the logarithm of its share, less the mean over the options. For item i,
option k and population g

    score = profile + x_ik b_0 + sum_f u_gf x_ik b_f

`profile` is the mean score at this place among so many options, x_ik the features of the option
less their mean over the item, u_g the population's factors, and every b a ridge regression. The
factors come first, from the scores alone, by alternating least squares; then the features are
regressed on each item's mean score and on its loadings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.population.distribution_distances import fit

# Added to every share, so that the logarithm of none is -infinity.
SMOOTHING = 0.01
# Rounds of alternating least squares.
ROUNDS = 10
# Penalties on an item's mean and loadings, and on a population's factors, in observations.
MEAN_PENALTY, LOADING_PENALTY, FACTOR_PENALTY = 0.05, 1.0, 5.0


@dataclass(frozen=True, eq=False)
class ItemAnswers:
    """What the populations that were asked it answered to one item."""

    # Numbers of the populations, (asked,).
    populations: IntArray
    # Shape (asked, options).
    shares: FloatArray
    # Items of one group ask nearly the same, and are never on both sides of a validation.
    group: str = ""


def scores_of(shares: FloatArray) -> FloatArray:
    """Centred log-ratios of shares, (..., options)."""
    logs = np.log(shares + SMOOTHING)
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True))


def shares_of(scores: FloatArray) -> FloatArray:
    """The shares with these scores, (..., options)."""
    high = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = high / high.sum(axis=-1, keepdims=True)
    size = shares.shape[-1]
    # Without the smoothing again, where that leaves something.
    plain = np.maximum(shares * (1 + size * SMOOTHING) - SMOOTHING, 1e-4)
    return np.asarray(plain / plain.sum(axis=-1, keepdims=True))


def option_profiles(answers: Sequence[ItemAnswers]) -> dict[int, FloatArray]:
    """The mean score of each place, by number of options; every item counts once."""
    found: dict[int, list[FloatArray]] = defaultdict(list)
    for item in answers:
        found[item.shares.shape[1]].append(scores_of(item.shares).mean(axis=0))
    return {size: np.asarray(np.mean(own, axis=0)) for size, own in found.items()}


@dataclass(frozen=True, eq=False)
class Factors:
    """A low-rank description of how populations differ."""

    # Shape (populations, factors), in the order of what they explain; their mean is 0.
    populations: FloatArray
    # Of each item, (options, 1 + factors): the mean score less the profile, and the loadings.
    items: list[FloatArray]


def find_factors(
    answers: Sequence[ItemAnswers],
    profiles: Mapping[int, FloatArray],
    population_count: int,
    rank: int,
    seed: int = 0,
) -> Factors:
    """Describe scores as an item's mean and loadings times population factors.

    Alternating ridge regressions from a random start. A population that was not asked has 0.

    Parameters
    ----------
    answers : sequence of ItemAnswers
    profiles : mapping
        By number of options, what is taken from the scores before.
    population_count : int
    rank : int
        How many factors.
    seed : int
        Of the start.
    """
    rest = [_less_profile(item, profiles) for item in answers]
    factors: FloatArray = np.random.default_rng([seed, 5]).normal(size=(population_count, rank))
    penalty = np.diag([MEAN_PENALTY, *[LOADING_PENALTY] * rank])
    items: list[FloatArray] = []
    for _ in range(ROUNDS if rank else 1):
        squares = np.zeros((population_count, rank, rank))
        products = np.zeros((population_count, rank))
        items = []
        for item, scores in zip(answers, rest, strict=True):
            design = np.column_stack([np.ones(len(scores)), factors[item.populations]])
            solved = np.linalg.solve(design.T @ design + penalty, design.T @ scores)
            items.append(np.asarray(solved.T))
            squares[item.populations] += solved[1:] @ solved[1:].T
            products[item.populations] += (scores - solved[0]) @ solved[1:].T
        if not rank:
            break
        # As much as so many items of the mean population, at the scale of the loadings.
        usual = sum(float((own[:, 1:] ** 2).sum()) for own in items) / (len(items) * rank)
        ridge = FACTOR_PENALTY * usual * np.eye(rank)
        solution = np.linalg.solve(squares + ridge, products[..., None])[..., 0]
        factors = _of_one_size(solution.astype(np.float64))
    return _in_order(factors, items, answers)


def _of_one_size(factors: FloatArray) -> FloatArray:
    """The factors with a mean square of 1 over the populations."""
    return np.asarray(factors / (np.sqrt(np.square(factors).mean(axis=0)) + 1e-12))


def _less_profile(item: ItemAnswers, profiles: Mapping[int, FloatArray]) -> FloatArray:
    size = item.shares.shape[1]
    return np.asarray(scores_of(item.shares) - profiles.get(size, np.zeros(size)))


def _in_order(
    factors: FloatArray, items: list[FloatArray], answers: Sequence[ItemAnswers]
) -> Factors:
    """The same factors turned so that the first explain most, with a mean of 0."""
    if not factors.shape[1]:
        return Factors(factors, items)
    asked = np.bincount(
        np.concatenate([item.populations for item in answers]), minlength=len(factors)
    )
    mean = factors[asked > 0].mean(axis=0)
    centred = np.where(asked[:, None] > 0, factors - mean, 0.0)
    loadings = np.concatenate([own[:, 1:] for own in items])
    means = np.concatenate([own[:, 0] for own in items]) + loadings @ mean
    _, first = np.linalg.qr(centred)
    _, second = np.linalg.qr(loadings)
    left, _, _ = np.linalg.svd(first @ second.T)
    # centred = Q first; the turned factors are Q left, with a variance of 1.
    turn = np.linalg.pinv(first) @ left
    turned = centred @ turn
    scale = np.sqrt(np.square(turned).mean(axis=0)) + 1e-12
    back = np.linalg.pinv(turn).T * scale
    rows = np.column_stack([means, loadings @ back])
    edges = np.cumsum([len(own) for own in items])[:-1]
    return Factors(turned / scale, [np.asarray(own) for own in np.split(rows, edges)])


class Ridge:
    """A weighted ridge regression without intercept, in closed form for any penalty.

    Parameters
    ----------
    features : array, shape (rows, features)
    targets : array, shape (rows, targets)
    weights : array, shape (rows,)
        What each row counts.
    """

    def __init__(self, features: FloatArray, targets: FloatArray, weights: FloatArray) -> None:
        weighted = features * weights[:, None]
        self._values, self._vectors = np.linalg.eigh(features.T @ weighted)
        self._products = self._vectors.T @ (weighted.T @ targets)
        self._rows = float(weights.sum())

    def coefficients(self, penalty: float) -> FloatArray:
        """The coefficients, (features, targets). penalty: a row, so that it fits any number."""
        shrunk = self._products / (self._values[:, None] + penalty * self._rows)
        return np.asarray(self._vectors @ shrunk)


@dataclass(frozen=True)
class FactorSettings:
    """What validation chooses."""

    # Penalties a row of the regressions on the mean score and on the loadings.
    mean_penalty: float
    loading_penalty: float
    # How many factors.
    rank: int
    # Whether the mean score of each place among so many options is taken away first.
    profile: bool


@dataclass(frozen=True, eq=False)
class FactorModel:
    """A fitted model."""

    settings: FactorSettings
    # Shape (populations, rank).
    populations: FloatArray
    # Shape (features, 1 + rank).
    coefficients: FloatArray
    # What each feature was divided by.
    scale: FloatArray
    # By number of options; empty without profiles.
    profiles: Mapping[int, FloatArray]

    def predict(self, features: FloatArray, population: int | None) -> FloatArray:
        """A population's shares of one item's options; None is the mean population.

        features : array, shape (options, features)
        """
        size = len(features)
        parts = centred_features(features) / self.scale @ self.coefficients
        scores = self.profiles.get(size, np.zeros(size)) + parts[:, 0]
        if population is not None:
            scores = scores + parts[:, 1:] @ self.populations[population]
        return shares_of(scores)


def centred_features(features: FloatArray) -> FloatArray:
    """An item's features less their mean over its options: what all share changes no share."""
    return np.asarray(features - features.mean(axis=0))


def fit_factors(
    features: Sequence[FloatArray],
    answers: Sequence[ItemAnswers],
    population_count: int,
    settings: FactorSettings,
    seed: int = 0,
) -> FactorModel:
    """Fit a model with given settings.

    Parameters
    ----------
    features : sequence of array, shape (options, features)
        One an item.
    answers : sequence of ItemAnswers
    population_count : int
    settings : FactorSettings
    seed : int
        Of the factors' start.
    """
    profiles = option_profiles(answers) if settings.profile else {}
    factors = find_factors(answers, profiles, population_count, settings.rank, seed)
    parts = _regressed(features, answers, factors)
    return FactorModel(
        settings,
        factors.populations,
        _coefficients(parts.ridge, settings),
        parts.scale,
        profiles,
    )


@dataclass(frozen=True, eq=False)
class _Regressed:
    ridge: Ridge
    scale: FloatArray


def _regressed(
    features: Sequence[FloatArray], answers: Sequence[ItemAnswers], factors: Factors
) -> _Regressed:
    rows = np.concatenate([centred_features(own) for own in features])
    scale = feature_scale(rows)
    # An item answered by many populations is known better, but it is still one item.
    weights = np.concatenate(
        [np.full(own.shares.shape[1], np.sqrt(len(own.populations))) for own in answers]
    )
    targets = np.concatenate(factors.items)
    return _Regressed(Ridge(rows / scale, targets, weights / weights.mean()), scale)


def feature_scale(rows: FloatArray) -> FloatArray:
    """What features are divided by: their spread, and at least the mean spread of all.

    A feature that hardly varies among the items fitted on may vary in new ones. Blown up to the
    size of the others it would decide their answers.
    """
    spread = rows.std(axis=0)
    return np.asarray(np.maximum(spread, spread.mean()) + 1e-300)


def _coefficients(ridge: Ridge, settings: FactorSettings) -> FloatArray:
    mean = ridge.coefficients(settings.mean_penalty)[:, :1]
    loadings = ridge.coefficients(settings.loading_penalty)[:, 1 : 1 + settings.rank]
    return np.concatenate([mean, loadings], axis=1)


# What validation chooses among.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RANKS = (0, 1, 2, 4, 8)
# Parts that the training items are cut into; each is predicted from the others.
FOLDS = 4


@dataclass(frozen=True)
class Validated:
    """Settings, and the mean fit of the answers that they give to items not fitted on."""

    settings: FactorSettings
    fit: float


class FactorValidation:
    """Settings compared on training items that are left out in turn, near-duplicates together.

    Parameters
    ----------
    answers : sequence of ItemAnswers
    population_count : int
    seed : int
        Of the parts, and of the factors' start.
    """

    def __init__(
        self, answers: Sequence[ItemAnswers], population_count: int, seed: int = 0
    ) -> None:
        self._answers = answers
        names = sorted({item.group for item in answers})
        part = np.random.default_rng([seed, 6]).permutation(len(names)) % FOLDS
        place = dict(zip(names, part.tolist(), strict=True))
        parts = np.array([place[item.group] for item in answers])
        self._folds = []
        for number in range(FOLDS):
            inside = [at for at in range(len(answers)) if parts[at] != number]
            outside = [at for at in range(len(answers)) if parts[at] == number]
            if not inside or not outside:
                continue
            kept = [answers[at] for at in inside]
            for profile in (True, False):
                profiles = option_profiles(kept) if profile else {}
                factors = find_factors(kept, profiles, population_count, max(RANKS), seed)
                self._folds.append(_Fold(inside, outside, profile, profiles, factors))

    def best(self, features: Sequence[FloatArray]) -> Validated:
        """The best settings for these features of the options of each item.

        First the profile and the penalty on the mean score, without factors; then, with these, the
        number of factors and the penalty on the loadings.
        """
        first: dict[FactorSettings, float] = defaultdict(float)
        second: dict[FactorSettings, float] = defaultdict(float)
        outcomes = [self._outcome(fold, features) for fold in self._folds]
        for fold, outcome in zip(self._folds, outcomes, strict=True):
            for mean in PENALTIES:
                plain = FactorSettings(mean, mean, 0, fold.profile)
                first[plain] += outcome.total_fit(plain)
        start = max(first, key=lambda one: first[one])
        for fold, outcome in zip(self._folds, outcomes, strict=True):
            if fold.profile != start.profile:
                continue
            second[start] += outcome.total_fit(start)
            for rank in RANKS[1:]:
                for loading in PENALTIES:
                    one = FactorSettings(start.mean_penalty, loading, rank, start.profile)
                    second[one] += outcome.total_fit(one)
        found = max(second, key=lambda one: second[one])
        return Validated(found, second[found] / sum(len(a.populations) for a in self._answers))

    def _outcome(self, fold: _Fold, features: Sequence[FloatArray]) -> _Outcome:
        kept = [self._answers[at] for at in fold.inside]
        parts = _regressed([features[at] for at in fold.inside], kept, fold.factors)
        rows = [centred_features(features[at]) / parts.scale for at in fold.outside]
        return _Outcome(
            [self._answers[at] for at in fold.outside], fold, parts.ridge, np.concatenate(rows)
        )


@dataclass(frozen=True, eq=False)
class _Fold:
    """One part of the items left out."""

    inside: Sequence[int]
    outside: Sequence[int]
    profile: bool
    profiles: Mapping[int, FloatArray]
    factors: Factors


class _Outcome:
    """How well the items left out are predicted under any settings."""

    def __init__(
        self, answers: Sequence[ItemAnswers], fold: _Fold, ridge: Ridge, rows: FloatArray
    ) -> None:
        self._factors = fold.factors.populations
        # For each penalty the mean scores and loadings of every option left out.
        self._parts = {penalty: rows @ ridge.coefficients(penalty) for penalty in PENALTIES}
        self._blocks = _cell_blocks(answers, fold.profiles)

    def total_fit(self, settings: FactorSettings) -> float:
        """The sum of the fits of all answers."""
        mean = self._parts[settings.mean_penalty][:, 0]
        loadings = self._parts[settings.loading_penalty][:, 1 : 1 + settings.rank]
        total = 0.0
        for block in self._blocks:
            scores = block.profile + mean[block.rows]
            if settings.rank:
                own = self._factors[block.populations, : settings.rank]
                scores = scores + np.einsum("nkf,nf->nk", loadings[block.rows], own)
            total += float(fit(block.shares, shares_of(scores)).sum())
        return total


@dataclass(frozen=True, eq=False)
class _CellBlock:
    """All answers to items with as many options."""

    profile: FloatArray
    # Shape (answers, options): the rows of the options' features.
    rows: IntArray
    populations: IntArray
    shares: FloatArray


def _cell_blocks(
    answers: Sequence[ItemAnswers], profiles: Mapping[int, FloatArray]
) -> list[_CellBlock]:
    rows: dict[int, list[IntArray]] = defaultdict(list)
    own: dict[int, list[ItemAnswers]] = defaultdict(list)
    start = 0
    for item in answers:
        asked, size = item.shares.shape
        rows[size].append(np.tile(np.arange(start, start + size), (asked, 1)))
        own[size].append(item)
        start += size
    return [
        _CellBlock(
            profiles.get(size, np.zeros(size)),
            np.concatenate(rows[size]),
            np.concatenate([item.populations for item in some]),
            np.concatenate([item.shares for item in some]),
        )
        for size, some in own.items()
    ]
