"""Metrics against SciPy and by hand; the properties that make them distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import wasserstein_distance

from suffrage.population.distribution_distances import (
    above_even,
    earth_movers_distance,
    entropy,
    fit,
    jensen_shannon_distance,
    jensen_shannon_divergence,
)
from suffrage.training_data.average_answer import respread

# SciPy's own divergence overflows on numbers near the smallest a float holds.
numbers = st.floats(0, 1).map(lambda x: 0.0 if x < 1e-9 else x)
weights = st.lists(numbers, min_size=5, max_size=5).filter(lambda w: sum(w) > 0.01)


def shares(values: list[float]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values) / sum(values)


@pytest.mark.slow
@given(weights, weights)
def test_metrics_equal_scipys(first: list[float], second: list[float]) -> None:
    p, q = shares(first), shares(second)
    # Near zero the square root blows rounding up, so the divergences are compared.
    assert jensen_shannon_distance(p, q) ** 2 == pytest.approx(
        np.nan_to_num(jensenshannon(p, q, base=2)) ** 2, abs=1e-9
    )
    assert entropy(p) == pytest.approx(scipy_entropy(p, base=2), abs=1e-9)
    places = np.linspace(0, 1, 5)
    assert earth_movers_distance(p, q) == pytest.approx(
        wasserstein_distance(places, places, p, q), abs=1e-9
    )


@pytest.mark.slow
@given(weights, weights)
def test_distances_are_symmetric_and_zero_only_for_equals(a: list[float], b: list[float]) -> None:
    p, q = shares(a), shares(b)
    for distance in (jensen_shannon_divergence, earth_movers_distance):
        assert distance(p, q) == pytest.approx(float(distance(q, p)), abs=1e-12)
        assert distance(p, p) == pytest.approx(0, abs=1e-12)
        assert 0 <= distance(p, q) <= 1 + 1e-12


@pytest.mark.slow
@given(weights, weights, st.permutations(range(5)))
def test_fit_ignores_the_names_of_options(a: list[float], b: list[float], order: list[int]) -> None:
    p, q = shares(a), shares(b)
    # As divergences: near zero the square root blows rounding up.
    one, two = ((1 - float(fit(*pair))) ** 2 for pair in ((p, q), (p[order], q[order])))
    assert one == pytest.approx(two, abs=1e-12)


def test_a_worked_example() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    # Half of each moves two of two steps; JSD = H(1/4,1/2,1/4) - 1 = 0.5.
    assert earth_movers_distance(p, q) == pytest.approx(0.5)
    assert jensen_shannon_divergence(p, q) == pytest.approx(0.5)
    assert fit(p, q) == pytest.approx(1 - np.sqrt(0.5))


def test_opposites_are_as_far_as_can_be() -> None:
    p, q = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert fit(p, q) == pytest.approx(0) and earth_movers_distance(p, q) == pytest.approx(1)


def test_metrics_take_many_at_once() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), (7, 3))
    q = np.random.default_rng(1).dirichlet(np.ones(4), 3)
    many = fit(p, q)
    assert many.shape == (7, 3)
    assert many[2, 1] == pytest.approx(float(fit(p[2, 1], q[1])))


@pytest.mark.slow
@given(weights, st.integers(2, 11))
def test_respreading_keeps_all_mass_and_the_middle(values: list[float], count: int) -> None:
    p = shares(values)
    spread = respread(p, count)
    assert spread.sum() == pytest.approx(1)
    mean = ((np.arange(5) + 0.5) / 5) @ p
    assert ((np.arange(count) + 0.5) / count) @ spread == pytest.approx(
        mean, abs=0.5 / 5 + 0.5 / count
    )
    np.testing.assert_allclose(respread(p, 5), p, atol=1e-12)


@given(st.lists(st.floats(0.05, 1), min_size=3, max_size=3), st.floats(0, 2))
def test_the_slope_of_a_mixture_with_the_even_answer_is_its_weight(
    w: list[float], b: float
) -> None:
    p = np.array(w) / sum(w)
    q = 1 / 3 + b * (p - 1 / 3)
    if above_even(p, p) > 1e-6:
        assert above_even(p, q) / above_even(p, p) == pytest.approx(b, abs=1e-6)
