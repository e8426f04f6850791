"""`factors`: the arithmetic against a peer and a planted truth, and the method from end to end."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as PeerRidge

from suffrage.population.distribution_distances import fit
from suffrage.training_data.low_rank import (
    FactorSettings,
    FactorValidation,
    ItemAnswers,
    Ridge,
    find_factors,
    fit_factors,
    option_profiles,
    scores_of,
    shares_of,
)


@pytest.mark.parametrize("penalty", [0.001, 0.3])
def test_the_ridge_is_scikit_learns(penalty: float) -> None:
    generator = np.random.default_rng(0)
    features, targets = generator.normal(size=(60, 9)), generator.normal(size=(60, 3))
    weights = generator.uniform(0.5, 2, 60)
    peer = PeerRidge(alpha=penalty * weights.sum(), fit_intercept=False)
    peer.fit(features, targets, sample_weight=weights)
    found = Ridge(features, targets, weights).coefficients(penalty)
    assert found == pytest.approx(peer.coef_.T)


def test_scores_give_their_shares_back() -> None:
    shares = np.random.default_rng(1).dirichlet(np.ones(4), 50)
    assert shares_of(scores_of(shares)) == pytest.approx(shares, abs=2e-3)


POPULATIONS, WIDTH, RANK = 24, 12, 2


def planted(items: int, seed: int = 0) -> tuple[list[np.ndarray], list[ItemAnswers], np.ndarray]:
    """Features, answers made of them with two factors, and the factors."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(POPULATIONS, RANK))
    mean = generator.normal(size=WIDTH) / 2
    loadings = generator.normal(size=(WIDTH, RANK)) / 3
    features, answers = [], []
    for number in range(items):
        options = 3 + number % 3
        own = generator.normal(size=(options, WIDTH))
        asked = np.sort(generator.choice(POPULATIONS, 10, replace=False))
        scores = own @ mean + factors[asked] @ (own @ loadings).T
        scores += generator.normal(0, 0.1, scores.shape)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        features.append(own)
        answers.append(ItemAnswers(asked, shares, f"g{number}"))
    return features, answers, factors


def test_planted_factors_are_found_up_to_a_rotation() -> None:
    _, answers, truth = planted(300)
    found = find_factors(answers, option_profiles(answers), POPULATIONS, RANK).populations
    truth = truth - truth.mean(axis=0)
    turned, *_ = np.linalg.lstsq(found, truth, rcond=None)
    rest = truth - found @ turned
    assert 1 - np.square(rest).sum() / np.square(truth).sum() > 0.97


@pytest.mark.slow
def test_validation_finds_the_planted_rank_and_new_questions_are_answered_better_by_name() -> None:
    features, answers, _ = planted(300)
    kept, new = slice(0, 240), slice(240, 300)
    found = FactorValidation(answers[kept], POPULATIONS).best(features[kept])
    assert found.settings.rank >= RANK
    model = fit_factors(features[kept], answers[kept], POPULATIONS, found.settings)
    own, mean, even = [], [], []
    for x, item in zip(features[new], answers[new], strict=True):
        for population, shares in zip(item.populations, item.shares, strict=True):
            own.append(fit(shares, model.predict(x, population)))
            mean.append(fit(shares, model.predict(x, None)))
            even.append(fit(shares, np.full(shares.size, 1 / shares.size)))
    assert np.mean(own) > np.mean(mean) + 0.05 > np.mean(even) + 0.1
    # What validation said of questions left out is what new questions get.
    assert found.fit == pytest.approx(np.mean(own), abs=0.02)


@pytest.mark.slow
def test_without_anything_in_the_features_validation_gives_the_profile() -> None:
    generator = np.random.default_rng(4)
    profile = np.array([0.5, 0.3, 0.2])
    answers = [
        ItemAnswers(np.arange(6), generator.dirichlet(20 * profile, 6), f"g{number}")
        for number in range(80)
    ]
    features = [generator.normal(size=(3, 40)) for _ in answers]
    found = FactorValidation(answers, 6).best(features)
    assert found.settings.profile and found.settings.mean_penalty >= 0.3
    model = fit_factors(features, answers, 6, found.settings)
    assert model.predict(generator.normal(size=(3, 40)), None) == pytest.approx(profile, abs=0.05)


@pytest.mark.slow
def test_near_duplicates_are_never_on_both_sides_of_a_validation() -> None:
    """Noise that only a near-duplicate knows must not look like skill."""
    generator = np.random.default_rng(5)
    features, answers = [], []
    for number in range(40):
        x = 3 * generator.normal(size=(3, 200))
        shares = generator.dirichlet(np.ones(3), 4)
        for _ in range(2):
            features.append(x + 0.01 * generator.normal(size=x.shape))
            answers.append(ItemAnswers(np.arange(4), shares, f"g{number}"))
    apart = [ItemAnswers(a.populations, a.shares, str(k)) for k, a in enumerate(answers)]
    honest = FactorValidation(answers, 4).best(features).fit
    fooled = FactorValidation(apart, 4).best(features).fit
    assert fooled > honest + 0.1


def test_settings_of_no_factors_give_every_population_one_answer() -> None:
    features, answers, _ = planted(60)
    model = fit_factors(features, answers, POPULATIONS, FactorSettings(0.01, 0.01, 0, True))
    assert model.predict(features[0], 3) == pytest.approx(model.predict(features[0], None))


def test_a_feature_that_hardly_varied_decides_no_new_answer() -> None:
    features, answers, _ = planted(80)
    generator = np.random.default_rng(6)
    dead = [np.column_stack([x, 1e-12 * generator.normal(size=len(x))]) for x in features]
    settings = FactorSettings(0.01, 0.01, RANK, True)
    model = fit_factors(dead, answers, POPULATIONS, settings)
    new = np.column_stack([features[0], generator.normal(size=len(features[0]))])
    assert model.predict(new, 3) == pytest.approx(model.predict(dead[0], 3), abs=1e-3)
