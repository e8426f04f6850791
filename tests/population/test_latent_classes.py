"""Latent classes against published results, a peer library, and what must always hold."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.population.latent_classes import (
    LatentClasses,
    adjusted_rand_index,
    fit_latent_classes,
    matched_overlap,
    one_hot,
)

# Seven pathologists' ratings of 118 slides, by pattern (Agresti 2002, Categorical Data Analysis,
# table 13.1, from Landis and Koch 1977).
CARCINOMA = {
    "0000000": 34, "0000100": 2, "0100000": 6, "0100001": 1, "0100100": 4, "0100101": 5,
    "1000000": 2, "1010101": 1, "1100000": 2, "1100001": 1, "1100100": 2, "1100101": 7,
    "1100111": 1, "1101001": 1, "1101101": 2, "1101111": 3, "1110101": 13, "1110111": 5,
    "1111101": 10, "1111111": 16,
}  # fmt: skip


assert sum(CARCINOMA.values()) == 118 and len(CARCINOMA) == 20


def carcinoma() -> list[np.ndarray]:
    rows = [list(map(int, pattern)) for pattern, n in CARCINOMA.items() for _ in range(n)]
    return list(np.array(rows, dtype=np.int16).T)


def fit(
    columns: list[np.ndarray], options: list[int], classes: int, **more: object
) -> LatentClasses:
    weights = more.pop("weights", np.ones(columns[0].size))
    return fit_latent_classes(
        columns,
        options,
        weights,
        classes,
        np.random.default_rng(3),
        **more,  # type: ignore[arg-type]
    )


def made_up(
    n: int, generator: np.random.Generator, missing: float = 0.1
) -> tuple[list[np.ndarray], list[int], np.ndarray]:
    """Two classes that answer five items differently."""
    options = [2, 3, 4, 3, 2]
    truth = (generator.random(n) < 0.35).astype(int)
    columns = []
    for k in options:
        profiles = np.array([np.linspace(1, 4, k) ** 2, np.linspace(4, 1, k) ** 2])
        profiles /= profiles.sum(axis=1, keepdims=True)
        column = np.array([generator.choice(k, p=profiles[c]) for c in truth], dtype=np.int16)
        column[generator.random(n) < missing] = -1
        columns.append(column)
    return columns, options, truth


# Log-likelihoods that poLCA documents for these data (Linzer & Lewis 2011, section 5.1, and the
# help page of poLCA.entropy).
@pytest.mark.parametrize(
    ("classes", "log_likelihood", "bic"),
    [(2, -317.2568, 706.0739), (3, -293.705, 697.1357), (4, -289.2858, 726.4629)],
)
def test_the_carcinoma_data_give_polcas_published_fit(
    classes: int, log_likelihood: float, bic: float
) -> None:
    found = fit(carcinoma(), [2] * 7, classes, starts=60)
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=1e-4)
    assert found.bic == pytest.approx(bic, abs=1e-3)


def test_the_carcinoma_classes_are_the_published_ones() -> None:
    found = fit(carcinoma(), [2] * 7, 3)
    np.testing.assert_allclose(found.shares, [0.4447, 0.3736, 0.1817], atol=1e-4)
    positive = np.array([profile[:, 1] for profile in found.profiles]).T
    published = [
        [1.0000, 0.9809, 0.8575, 0.5862, 1.0000, 0.4764, 1.0000],
        [0.0573, 0.1379, 0.0000, 0.0000, 0.0551, 0.0000, 0.0000],
        [0.5128, 1.0000, 0.0000, 0.0576, 0.7506, 0.0000, 0.6307],
    ]
    np.testing.assert_allclose(positive, published, atol=2e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weighted_fits_with_missing_answers_agree_with_stepmix() -> None:
    stepmix = pytest.importorskip("stepmix")
    generator = np.random.default_rng(5)
    columns, options, _ = made_up(600, generator)
    weights = generator.uniform(0.3, 3, 600)
    table = np.array(columns, dtype=float).T
    table[table < 0] = np.nan
    peer = stepmix.StepMix(
        n_components=2, measurement="categorical_nan", n_init=5, max_iter=3000,
        abs_tol=1e-12, rel_tol=1e-12, random_state=1, progress_bar=0, verbose=0,
    )  # fmt: skip
    peer.fit(table, sample_weight=weights)
    ours = fit(columns, options, 2, weights=weights)
    mine, other = ours.memberships(columns), peer.predict_proba(table)
    theirs = np.sort(weights @ other / weights.sum())[::-1]
    np.testing.assert_allclose(ours.shares, theirs, atol=1e-4)
    gap = min(np.abs(mine - other[:, list(order)]).max() for order in permutations(range(2)))
    assert gap < 1e-3


def test_equal_weights_of_any_size_and_the_order_of_rows_change_nothing() -> None:
    columns, options, _ = made_up(300, np.random.default_rng(2))
    one = fit(columns, options, 2)
    same = fit(columns, options, 2, weights=np.full(300, 7.3))
    shuffle = np.random.default_rng(0).permutation(300)
    moved = fit([column[shuffle] for column in columns], options, 2)
    for other in (same, moved):
        assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-5)
        np.testing.assert_allclose(other.shares, one.shares, atol=1e-4)


def test_one_class_is_the_weighted_distribution_of_each_item() -> None:
    generator = np.random.default_rng(4)
    columns, options, _ = made_up(200, generator)
    weights = generator.uniform(0.5, 2, 200)
    found = fit(columns, options, 1, weights=weights)
    for column, k, profile in zip(columns, options, found.profiles, strict=True):
        counts = [weights[column == option].sum() for option in range(k)]
        np.testing.assert_allclose(profile[0], np.array(counts) / np.sum(counts), atol=1e-12)
    assert found.separation == 1.0


def test_a_weight_of_two_is_a_respondent_twice_in_the_classes() -> None:
    columns, options, _ = made_up(150, np.random.default_rng(6), missing=0)
    twice = [np.concatenate([column, column[:50]]) for column in columns]
    weights = np.ones(150)
    weights[:50] = 2
    one, other = fit(twice, options, 2), fit(columns, options, 2, weights=weights)
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-3)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_memberships_shares_and_profiles_are_probabilities(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    columns, options, _ = made_up(120, generator, missing=0.4)
    found = fit(columns, options, classes, starts=4)
    np.testing.assert_allclose(found.shares.sum(), 1)
    for profile in found.profiles:
        np.testing.assert_allclose(profile.sum(axis=1), 1, atol=1e-9)
    members = found.memberships(columns)
    np.testing.assert_allclose(members.sum(axis=1), 1)
    assert 0 <= found.separation <= 1 + 1e-12 and found.entropy >= 0


def test_many_items_have_a_column_for_every_option() -> None:
    generator = np.random.default_rng(0)
    columns = [generator.integers(-1, 10, 30).astype(np.int16) for _ in range(40)]
    table = one_hot(columns, [10] * 40)
    for j, column in enumerate(columns):
        part = table[:, 10 * j : 10 * j + 10]
        np.testing.assert_array_equal(part.sum(axis=1), column >= 0)
        np.testing.assert_array_equal(part.argmax(axis=1)[column >= 0], column[column >= 0])


def test_someone_who_answered_nothing_gets_the_shares_of_the_classes() -> None:
    columns, options, _ = made_up(300, np.random.default_rng(8))
    found = fit(columns, options, 2)
    nobody = [np.array([-1], dtype=np.int16) for _ in options]
    np.testing.assert_allclose(found.memberships(nobody)[0], found.shares, atol=1e-12)


@pytest.mark.slow
def test_true_classes_are_found_again() -> None:
    columns, options, truth = made_up(2000, np.random.default_rng(9))
    found = fit(columns, options, 2)
    hard = found.memberships(columns).argmax(axis=1)
    assert adjusted_rand_index(truth, hard, np.ones(2000)) > 0.5
    np.testing.assert_allclose(found.shares, [0.65, 0.35], atol=0.05)


def test_more_classes_than_the_respondents_hold_empty_and_say_so() -> None:
    columns = [np.array([0, 0, 1, 1], dtype=np.int16)] * 3
    with pytest.raises(InputError, match="Ask for fewer"):
        fit(columns, [2, 2, 2], 5, starts=5)


def test_the_adjusted_rand_index_is_scikit_learns_with_equal_weights() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(1)
    first, second = generator.integers(0, 3, (2, 100)).astype(np.int16)
    ours = adjusted_rand_index(first, second, np.full(100, 2.5))
    assert ours == pytest.approx(metrics.adjusted_rand_score(first, second), abs=1e-12)
    assert adjusted_rand_index(first, (first + 1) % 3, np.ones(100)) == pytest.approx(1)


def test_overlap_is_the_jaccard_index_with_the_likest_class() -> None:
    first = np.array([0, 0, 0, 1, 1], dtype=np.int16)
    second = np.array([1, 1, 0, 0, 0], dtype=np.int16)
    np.testing.assert_allclose(matched_overlap(first, second, np.ones(5)), [2 / 3, 2 / 3])
