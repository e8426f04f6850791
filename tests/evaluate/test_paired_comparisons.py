"""Bradley-Terry with ties, held to the likelihood written plainly and to a case worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from suffrage.evaluate.statistics.paired_comparisons import fit_davidson, win_rates


def plain_loss(x, left, right, counts, models, ridge):  # type: ignore[no-untyped-def]
    """Davidson's likelihood, outcome by outcome."""
    theta, side, log_tie = x[:models], x[models], x[models + 1]
    total = ridge * np.sum(x**2) / 2
    for i, j, (won, lost, tied) in zip(left, right, counts, strict=True):
        a = np.exp(theta[i] + side)
        b = np.exp(theta[j])
        c = np.exp(log_tie) * np.sqrt(a * b)
        total -= won * np.log(a / (a + b + c)) + lost * np.log(b / (a + b + c))
        total -= tied * np.log(c / (a + b + c))
    return total


@pytest.mark.parametrize("seed", [0, 1])
def test_the_fit_is_the_optimum_of_the_plain_likelihood(seed: int) -> None:
    generator = np.random.default_rng(seed)
    left, right = np.array([0, 0, 1, 2, 3, 3]), np.array([1, 2, 2, 3, 0, 1])
    counts = generator.integers(1, 12, (6, 3)).astype(float)
    found = fit_davidson(left, right, counts, 4, ridge=0.1)
    best = minimize(plain_loss, np.zeros(6), (left, right, counts, 4, 0.1), tol=1e-12)
    theta = best.x[:4] - best.x[:4].mean()
    assert found.theta == pytest.approx(theta, abs=1e-4)
    assert (found.side, found.log_tie) == pytest.approx((best.x[4], best.x[5]), abs=1e-4)
    p = np.exp(theta[:, None] - theta[None, :])
    tie = np.exp(best.x[5])
    beats = (p + tie * np.sqrt(p) / 2) / (p + 1 + tie * np.sqrt(p))
    expected = (beats.sum(axis=1) - np.diag(beats)) / 3
    assert found.win_rates == pytest.approx(expected, abs=1e-4)


def test_two_models_without_ties_give_the_log_odds() -> None:
    # Seen both ways round equally often, so there is no side: 30 of 40 won, log odds log(3).
    pairs = np.array([0, 1]), np.array([1, 0])
    counts = np.array([[15.0, 5.0, 0.0], [5.0, 15.0, 0.0]])
    found = fit_davidson(*pairs, counts, 2, ridge=1e-8)
    assert found.theta[0] - found.theta[1] == pytest.approx(np.log(3), abs=1e-6)
    assert found.side == pytest.approx(0, abs=1e-6) and found.log_tie is None
    assert found.win_rates == pytest.approx([0.75, 0.25], abs=1e-6)


def test_a_lean_to_the_left_is_told_apart_from_strength() -> None:
    pairs = np.array([0, 1]), np.array([1, 0])
    found = fit_davidson(*pairs, np.array([[30.0, 10.0, 0.0], [30.0, 10.0, 0.0]]), 2, ridge=1e-8)
    assert found.side == pytest.approx(np.log(3), abs=1e-6)
    assert found.win_rates == pytest.approx([0.5, 0.5], abs=1e-6)


def test_a_model_that_always_wins_stays_finite() -> None:
    found = fit_davidson(np.array([0]), np.array([1]), np.array([[50.0, 0.0, 0.0]]), 2)
    assert np.isfinite(found.theta).all() and found.win_rates[0] > 0.8


@pytest.mark.slow
@given(
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=3, max_size=3), st.permutations(range(3))
)
def test_names_and_order_change_nothing(counts: list[tuple[int, ...]], order: list[int]) -> None:
    left, right = np.array([0, 1, 2]), np.array([1, 2, 0])
    table = np.array(counts, dtype=float)
    found = fit_davidson(left, right, table, 3).win_rates
    at = np.array(order)
    turned = fit_davidson(at[left], at[right], table, 3).win_rates
    assert turned[at] == pytest.approx(found, abs=1e-5)
    assert found.mean() == pytest.approx(0.5)


def test_busy_participants_widen_the_interval() -> None:
    """A hundred comparisons of eight people who never waver say less than one each of a hundred."""
    count = 100
    generator = np.random.default_rng(3)
    outcomes = (generator.random(count) > 0.7).astype(int)
    lefts, rights = ["new"] * count, ["old"] * count
    apart = [f"p{k}" for k in range(count)]
    together = [f"p{int(outcome)}-{k % 4}" for k, outcome in enumerate(outcomes)]
    spread = {}
    for name, people in (("apart", apart), ("together", together)):
        rate = win_rates(lefts, rights, outcomes.tolist(), people, [1.0] * count, 1)[0]
        assert rate.low is not None and rate.high is not None
        spread[name] = rate.high - rate.low
    assert spread["together"] > 2 * spread["apart"]
    (alone, _) = win_rates(lefts, rights, outcomes.tolist(), ["p"] * count, [1.0] * count, 1)
    assert alone.low is None
