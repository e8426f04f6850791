"""Weighted shares and their errors against the formulas written plainly, and by resampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.population.distributions import (
    bootstrap_weights,
    design_effect,
    effective_sample_size,
    grouped_shares,
    half_sample_weights,
    resampled_shares,
    shrunk_toward,
)

answers = st.lists(st.integers(-2, 3), min_size=4, max_size=40).filter(
    lambda a: sum(x >= 0 for x in a) > 2
)


def sample(answered: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    weights = np.random.default_rng(seed).uniform(0.2, 3, len(answered))
    return np.array(answered, dtype=np.int8), weights


def one_group(column: np.ndarray, weights: np.ndarray):  # type: ignore[no-untyped-def,type-arg]
    found = grouped_shares([column], [4], weights, np.zeros(column.size, dtype=np.int64), 1)
    return found.shares[0, 0], found.standard_errors[0, 0], found.n[0, 0], found.n_eff[0, 0]


@given(answers)
def test_shares_and_errors_are_the_formulas_written_plainly(answered: list[int]) -> None:
    column, weights = sample(answered)
    shares, errors, n, n_eff = one_group(column, weights)
    real = column >= 0
    w, y = weights[real], column[real]
    for k in range(4):
        p = (w * (y == k)).sum() / w.sum()
        variance = len(w) / (len(w) - 1) * ((w * ((y == k) - p)) ** 2).sum() / w.sum() ** 2
        assert shares[k] == pytest.approx(p)
        assert errors[k] == pytest.approx(np.sqrt(variance), abs=1e-7)
    assert n == len(w)
    assert n_eff == pytest.approx(w.sum() ** 2 / (w**2).sum())


@given(answers, st.floats(0.01, 100), st.randoms())
def test_order_and_scale_of_the_weights_change_nothing(answered, factor, random) -> None:  # type: ignore[no-untyped-def]
    column, weights = sample(answered)
    order = list(range(len(answered)))
    random.shuffle(order)
    one = one_group(column, weights)
    two = one_group(column[order], factor * weights[order])
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_without_weights_the_error_is_the_textbooks() -> None:
    column = np.array([0] * 30 + [1] * 70, dtype=np.int8)
    _, errors, _, n_eff = one_group(column, np.ones(100))
    assert errors[0] == pytest.approx(np.sqrt(0.3 * 0.7 / 99))
    assert n_eff == pytest.approx(100)


def test_a_person_split_in_two_leaves_the_shares() -> None:
    column, weights = sample([0, 1, 2, 3, 1, -1])
    doubled = np.concatenate([column, column[:1]])
    halved = np.concatenate([weights, weights[:1] / 2])
    halved[0] /= 2
    np.testing.assert_allclose(one_group(column, weights)[0], one_group(doubled, halved)[0])


def test_groups_are_told_apart_and_outsiders_left_out() -> None:
    column, weights = sample([0, 1, 2, 3, 1, 1, 0, 2, 3, 3])
    groups = np.array([0, 0, 0, 1, 1, 1, -1, -1, 0, 1])
    both = grouped_shares([column], [4], weights, groups, 2)
    for g in (0, 1):
        alone = one_group(column[groups == g], weights[groups == g])
        np.testing.assert_allclose(both.shares[0, g], alone[0])
        np.testing.assert_allclose(both.standard_errors[0, g], alone[1], atol=1e-9)


def test_the_bootstrap_agrees_with_the_linearised_error() -> None:
    generator = np.random.default_rng(1)
    column = generator.integers(0, 4, 400).astype(np.int8)
    weights = generator.uniform(0.5, 2, 400)
    (drawn,) = resampled_shares([column], [4], bootstrap_weights(weights, 4000, generator))
    np.testing.assert_allclose(drawn.std(axis=0), one_group(column, weights)[1], rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), one_group(column, weights)[0], atol=0.003)


@given(st.integers(2, 30), st.integers(0, 99))
def test_halves_share_nobody_and_leave_nobody_out(count: int, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 2, count)
    first, second = half_sample_weights(weights, 7, np.random.default_rng(seed))
    np.testing.assert_allclose(first + second, np.tile(weights, (7, 1)))
    assert (first * second == 0).all()
    assert (np.abs((first > 0).sum(axis=1) - (second > 0).sum(axis=1)) <= 1).all()


def test_kish_by_hand() -> None:
    assert effective_sample_size(np.array([1.0, 1, 2])) == pytest.approx(16 / 6)
    assert design_effect(np.array([1.0, 1, 2])) == pytest.approx(3 * 6 / 16)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_cannot_be_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        effective_sample_size(np.array(weights))


def test_shrinkage_is_the_dirichlet_posterior_mean() -> None:
    shares, parent = np.array([0.5, 0.5]), np.array([0.2, 0.8])
    counts, prior = 20 * shares, 30 * parent
    found = shrunk_toward(shares, parent, 20, 30)
    np.testing.assert_allclose(found, (counts + prior) / (counts + prior).sum())
