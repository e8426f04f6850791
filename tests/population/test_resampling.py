"""The bootstrap and random halves: who is drawn, against the distributions they are defined by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from suffrage.population import resampling
from suffrage.population.design import Design, design_bootstrap_shares
from suffrage.population.distributions import grouped_shares
from suffrage.population.resampling import bootstrap_shares, half_sample_shares

pytestmark = pytest.mark.slow

BLOCKS = pytest.mark.parametrize("block", [pytest.param(3, marks=pytest.mark.slow), 8192])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(resampling, "BLOCK", block)


def each_their_own(people: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """An item whose options are the respondents, so that shares say who was drawn."""
    return [np.arange(people, dtype=np.int16)]


@BLOCKS
@pytest.mark.usefixtures("small_blocks")
def test_times_drawn_are_multinomial() -> None:
    """Counts, variances and covariances of n-1 draws from n, in all blocks and between them."""
    n, replicates = 7, 40_000
    generator = np.random.default_rng(5)
    (shares,) = bootstrap_shares(each_their_own(n), [n], np.ones(n), replicates, generator)
    times = shares * (n - 1)
    np.testing.assert_allclose(times, times.round(), atol=1e-9)
    np.testing.assert_allclose(times.sum(axis=1), n - 1)
    covariance = (n - 1) * (np.eye(n) / n - 1 / n**2)
    np.testing.assert_allclose(np.cov(times.T), covariance, atol=0.02)
    found = np.bincount(times[:, -1].round().astype(int), minlength=n)
    expected = stats.binom.pmf(np.arange(n), n - 1, 1 / n) * replicates
    assert stats.chisquare([*found[:4], found[4:].sum()], [*expected[:4], expected[4:].sum()])[
        1
    ] > (0.001)


@BLOCKS
@pytest.mark.usefixtures("small_blocks")
def test_every_half_is_as_likely_as_any_other() -> None:
    n, splits = 6, 40_000
    generator = np.random.default_rng(6)
    (first,), (second,) = half_sample_shares(each_their_own(n), [n], np.ones(n), splits, generator)
    inside = first > 0
    assert (inside.sum(axis=1) == 3).all() and ((second > 0) == ~inside).all()
    halves = inside @ (1 << np.arange(n))
    _, found = np.unique(halves, return_counts=True)
    assert found.size == 20
    assert stats.chisquare(found).pvalue > 0.001


@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 99))
def test_halves_share_nobody_and_leave_nobody_out(count: int, block: int, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 2, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "BLOCK", block)
        (first,), (second,) = half_sample_shares(
            each_their_own(count), [count], weights, 7, np.random.default_rng(seed)
        )
    assert ((first > 0) != (second > 0)).all()
    assert (np.abs((first > 0).sum(axis=1) - (second > 0).sum(axis=1)) <= 1).all()
    for half in (first, second):
        inside = half > 0
        np.testing.assert_allclose(half, inside * weights / (inside @ weights)[:, None])


@BLOCKS
@pytest.mark.usefixtures("small_blocks")
def test_the_bootstrap_agrees_with_the_linearised_error() -> None:
    generator = np.random.default_rng(1)
    columns = [generator.integers(-1, k, 400).astype(np.int16) for k in (4, 2)]
    weights = generator.uniform(0.5, 2, 400)
    drawn = bootstrap_shares(columns, [4, 2], weights, 4000, generator)
    plain = grouped_shares(columns, [4, 2], weights, np.zeros(400, dtype=np.int64), 1)
    for j, (shares, k) in enumerate(zip(drawn, (4, 2), strict=True)):
        assert shares.shape == (4000, k)
        np.testing.assert_allclose(shares.std(axis=0), plain.standard_errors[j, 0, :k], rtol=0.06)
        np.testing.assert_allclose(shares.mean(axis=0), plain.shares[j, 0, :k], atol=0.003)


def test_the_bootstrap_of_few_respondents_is_not_too_small() -> None:
    """With n draws instead of n-1 the error of 8 respondents would come out 6% too small."""
    column, weights = np.array([0, 0, 0, 1, 1, 1, 1, 1], dtype=np.int16), np.ones(8)
    (drawn,) = bootstrap_shares([column], [2], weights, 60_000, np.random.default_rng(5))
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(3 / 8 * 5 / 8 / 7), rel=0.01)


def test_one_respondent_alone_is_always_drawn_and_nobody_is_not_a_number() -> None:
    generator = np.random.default_rng(0)
    answered, silent = np.array([1], dtype=np.int16), np.array([-1], dtype=np.int16)
    one, none = bootstrap_shares([answered, silent], [2, 2], np.array([2.0]), 3, generator)
    assert one.tolist() == [[0.0, 1.0]] * 3
    assert np.isnan(none).all()


def test_units_drawn_in_blocks_of_replicates_have_the_same_spread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from suffrage.population import design as design_module

    generator = np.random.default_rng(2)
    design = Design(np.repeat(np.arange(20), 5), np.repeat([0, 1], 10))
    column = generator.integers(-1, 3, 100).astype(np.int16)
    weights = generator.uniform(0.5, 2, 100)
    wanted = design_module.design_standard_errors(column, 3, weights, design)
    for factors in (30, 8_000_000):
        monkeypatch.setattr(design_module, "FACTORS", factors)
        (drawn,) = design_bootstrap_shares([column], [3], weights, design, 3000, generator)
        assert drawn.shape == (3000, 3)
        np.testing.assert_allclose(drawn.std(axis=0), wanted, rtol=0.06)
