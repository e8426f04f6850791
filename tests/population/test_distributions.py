"""Weighted shares and their errors against the formulas written plainly, and by resampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.population.distribution_distances import entropy
from suffrage.population.distributions import (
    grouped_shares,
    share_intervals,
)

answers = st.lists(st.integers(-2, 3), min_size=4, max_size=40).filter(
    lambda a: sum(x >= 0 for x in a) > 2
)


def sample(answered: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    weights = np.random.default_rng(seed).uniform(0.2, 3, len(answered))
    return np.array(answered, dtype=np.int16), weights


def one_group(column: np.ndarray, weights: np.ndarray):  # type: ignore[no-untyped-def,type-arg]
    found = grouped_shares([column], [4], weights, np.zeros(column.size, dtype=np.int64), 1)
    return found.shares[0, 0], found.standard_errors[0, 0], found.n[0, 0], found.n_eff[0, 0]


@pytest.mark.slow
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


@pytest.mark.slow
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
    column = np.array([0] * 30 + [1] * 70, dtype=np.int16)
    _, errors, _, n_eff = one_group(column, np.ones(100))
    assert errors[0] == pytest.approx(np.sqrt(0.3 * 0.7 / 99))
    assert n_eff == pytest.approx(100)


def test_a_person_split_in_two_leaves_the_shares() -> None:
    column, weights = sample([0, 1, 2, 3, 1, -1])
    doubled = np.concatenate([column, column[:1]])
    halved = np.concatenate([weights, weights[:1] / 2])
    halved[0] /= 2
    np.testing.assert_allclose(one_group(column, weights)[0], one_group(doubled, halved)[0])


def test_shares_and_errors_are_those_of_samplics() -> None:
    """`TaylorEstimator(PopParam.prop)` of samplics 0.6.1, run once on these 40 respondents."""
    answered = "0021112010121010222121011120201202112221"
    weights = [
        *(0.647, 0.469, 1.218, 0.715, 0.383, 0.666, 0.792, 0.551, 0.474, 1.018),
        *(1.566, 0.89, 0.689, 1.212, 1.431, 0.861, 1.313, 1.684, 0.902, 0.666),
        *(1.19, 1.132, 1.732, 0.526, 0.718, 0.658, 0.42, 1.065, 1.302, 0.691),
        *(1.999, 1.508, 1.368, 1.222, 1.613, 0.514, 1.359, 1.352, 0.413, 1.189),
    ]
    column = np.array([int(digit) for digit in answered], dtype=np.int16)
    shares, errors, *_ = one_group(column, np.array(weights))
    wanted = [0.23964305299366867, 0.3723764893563986, 0.38798045764993266, 0]
    np.testing.assert_allclose(shares, wanted, rtol=1e-12)
    wanted = [0.07262915387505643, 0.08388810862452735, 0.08533700488804913, 0]
    np.testing.assert_allclose(errors, wanted, rtol=1e-12)


def test_an_error_near_certainty_keeps_its_digits() -> None:
    column = np.zeros(100_000, dtype=np.int16)
    column[0] = 1
    _, errors, *_ = one_group(column, np.ones(column.size))
    p = 1 / column.size
    np.testing.assert_allclose(errors[:2], np.sqrt(p * (1 - p) / (column.size - 1)), rtol=1e-9)


def test_every_kind_of_non_response_is_left_out_of_its_own_group_only() -> None:
    column = np.array([0, 1, -1, -2, -3, -4, -5, -9, 1, 0], dtype=np.int16)
    found = grouped_shares([column], [2], np.ones(10), np.array([0, 0, *[1] * 6, 1, 2]), 4)
    np.testing.assert_array_equal(found.n, [[2, 1, 1, 0]])
    np.testing.assert_array_equal(found.shares[0, :3], [[0.5, 0.5], [0, 1], [1, 0]])
    assert np.isnan(found.standard_errors[0, 1:]).all() and np.isnan(found.shares[0, 3]).all()
    np.testing.assert_array_equal(found.n_eff, [[2, 1, 1, 0]])


def test_items_with_unlike_options_come_out_as_they_do_alone() -> None:
    generator = np.random.default_rng(2)
    options = [2, 5, 3]
    columns = [generator.integers(-2, k, 50).astype(np.int16) for k in options]
    weights, groups = generator.uniform(0.5, 2, 50), generator.integers(0, 2, 50)
    together = grouped_shares(columns, options, weights, groups, 2)
    for j, (column, k) in enumerate(zip(columns, options, strict=True)):
        alone = grouped_shares([column], [k], weights, groups, 2)
        np.testing.assert_array_equal(together.shares[j, :, :k], alone.shares[0])
        np.testing.assert_array_equal(together.standard_errors[j, :, :k], alone.standard_errors[0])
        assert (together.shares[j, :, k:] == 0).all()
        np.testing.assert_allclose(together.shares[j].sum(axis=1), 1)


def test_intervals_are_wilsons_and_say_something_of_options_nobody_chose() -> None:
    from scipy.stats import binomtest

    for chose in (0, 1, 30, 99, 100):
        shares = np.array([chose, 100 - chose]) / 100
        # The errors of a plain sample, with n instead of n-1, so that n is what they stand for.
        low, high = share_intervals(shares, np.sqrt(shares * (1 - shares) / 100), 100.0)
        wanted = binomtest(chose, 100).proportion_ci(method="wilson")
        assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), abs=1e-7)


def test_entropy_counts_bits() -> None:
    assert entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(1)
    assert entropy(np.array([1.0, 0.0])) == 0


def test_groups_are_told_apart_and_outsiders_left_out() -> None:
    column, weights = sample([0, 1, 2, 3, 1, 1, 0, 2, 3, 3])
    groups = np.array([0, 0, 0, 1, 1, 1, -1, -1, 0, 1])
    both = grouped_shares([column], [4], weights, groups, 2)
    for g in (0, 1):
        alone = one_group(column[groups == g], weights[groups == g])
        np.testing.assert_allclose(both.shares[0, g], alone[0])
        np.testing.assert_allclose(both.standard_errors[0, g], alone[1], atol=1e-9)
