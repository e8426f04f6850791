"""Raking against iterative proportional fitting written plainly, and what must always hold."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.survey.raking import Margin, largest_gap, margin_shares, rake
from tests.synthetic import make_survey

# Where margins contradict each other, some weights go to 0, and only their size is known.
VANISHING = 1e-11


def people(n: int, seed: int) -> tuple[np.ndarray, list[Margin]]:
    """Base weights and three margins whose targets a population of the same cells has."""
    generator = np.random.default_rng(seed)
    margins = []
    for name, k in (("sex", 2), ("age", 4), ("region", 3)):
        codes = generator.choice(k, n, p=generator.dirichlet(np.full(k, 5.0)))
        codes[:k] = range(k)
        names = tuple(f"{name}{c}" for c in range(k))
        margins.append(Margin(name, names, codes, generator.dirichlet(np.full(k, 8.0))))
    return generator.uniform(0.5, 2, n), margins


def plain_ipf(base: np.ndarray, margins: list[Margin], rounds: int = 2000) -> np.ndarray:
    w = base.copy()
    for _ in range(rounds):
        for margin in margins:
            for category, target in enumerate(margin.targets):
                inside = margin.codes == category
                w[inside] *= target * base.sum() / w[inside].sum()
    return w


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_raking_is_iterative_proportional_fitting_to_the_end(seed: int) -> None:
    base, margins = people(400, seed)
    found = rake(base, margins)
    assert found.converged and found.gap < 1e-8
    np.testing.assert_allclose(found.weights, plain_ipf(base, margins), rtol=1e-6)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_scaling_and_permuting_respondents_change_nothing_else(seed: int, factor: float) -> None:
    base, margins = people(120, seed)
    found = rake(base, margins)
    np.testing.assert_allclose(
        rake(base * factor, margins).weights, found.weights * factor, atol=VANISHING * factor
    )
    order = np.random.default_rng(seed).permutation(120)
    moved = [Margin(m.name, m.categories, m.codes[order], m.targets) for m in margins]
    np.testing.assert_allclose(
        rake(base[order], moved).weights, found.weights[order], rtol=1e-6, atol=VANISHING
    )
    assert found.weights.sum() == pytest.approx(base.sum())


def test_margins_that_hold_already_change_no_weight() -> None:
    base, margins = people(300, 1)
    held = [Margin(m.name, m.categories, m.codes, margin_shares(base, m)) for m in margins]
    np.testing.assert_allclose(rake(base, held).weights, base, rtol=1e-9)


def test_one_margin_is_post_stratification() -> None:
    base, (margin, *_) = people(200, 2)
    w = rake(base, [margin]).weights
    for category, target in enumerate(margin.targets):
        inside = margin.codes == category
        np.testing.assert_allclose(
            w[inside], base[inside] * target * base.sum() / base[inside].sum()
        )


def test_joint_cells_are_a_margin_over_their_product() -> None:
    base, (sex, age, _) = people(500, 3)
    cells = Margin(
        "sex x age",
        tuple(f"{s} x {a}" for s in sex.categories for a in age.categories),
        sex.codes * 4 + age.codes,
        np.random.default_rng(0).dirichlet(np.full(8, 9.0)),
    )
    found = rake(base, [cells])
    np.testing.assert_allclose(margin_shares(found.weights, cells), cells.targets, atol=1e-9)


@pytest.mark.parametrize("bounds", [(0.4, 2.5), (0.6, 1.8)])
def test_bounds_are_kept_and_margins_met(bounds: tuple[float, float]) -> None:
    base, margins = people(2000, 4)
    near = [
        Margin(m.name, m.categories, m.codes, 0.7 * margin_shares(base, m) + 0.3 * m.targets)
        for m in margins
    ]
    found = rake(base, near, bounds)
    ratio = found.weights / base
    assert bounds[0] <= ratio.min() and ratio.max() <= bounds[1]
    assert found.gap < 1e-8
    # The logit form is a function of the categories alone: same cell, same ratio.
    cell = near[0].codes * 12 + near[1].codes * 3 + near[2].codes
    for c in np.unique(cell):
        assert np.ptp(ratio[cell == c]) < 1e-9


def test_wide_bounds_come_near_plain_raking() -> None:
    base, margins = people(500, 5)
    bounded = rake(base, margins, (1e-3, 1e3)).weights
    np.testing.assert_allclose(bounded, rake(base, margins).weights, rtol=0.02)


def test_bounds_that_cannot_be_kept_are_told_by_the_gap() -> None:
    base, margins = people(300, 6)
    found = rake(base, margins, (0.99, 1.01))
    assert not found.converged and found.gap == largest_gap(found.weights, margins) > 0.001


def test_trimming_holds_the_cap_and_the_margins() -> None:
    base, margins = people(3000, 7)
    loose = rake(base, margins).weights
    limit = float(np.quantile(loose / loose.mean(), 0.99))
    found = rake(base, margins, trim=limit)
    assert found.weights.max() <= limit * found.weights.mean() * (1 + 1e-6)
    assert found.trimmed > 0 and found.gap < 1e-6
    assert found.weights.sum() == pytest.approx(base.sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bounds", "trim"),
    [((0.4, 1.7), 2), ((0.4, 2.2), 2.5), ((0.4, 2.6), 2.4), ((0.3, 2.5), 2.5), ((0.4, 2.5), 3)],
)
def test_limits_hold_exactly_where_a_linear_programme_finds_weights_within_them(
    bounds: tuple[float, float], trim: float
) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    survey = make_survey(weighted=True)
    base = survey.weights
    north = (survey.responses["region"] == "north").to_numpy()
    age = survey.responses["age"].cast(pl.Int64).to_numpy()
    margins = [
        Margin("region", ("north", "south"), np.where(north, 0, 1), np.array([0.7, 0.3])),
        Margin("age", ("a", "b", "c"), np.digitize(age, [35, 55]), np.array([0.3, 0.4, 0.3])),
    ]
    highest = np.minimum(bounds[1] * base, trim * base.mean())
    possible = optimize.linprog(
        np.zeros(base.size),
        A_eq=np.concatenate([np.eye(m.targets.size)[:, m.codes] for m in margins]),
        b_eq=np.concatenate([m.targets for m in margins]) * base.sum(),
        bounds=list(zip(bounds[0] * base, highest, strict=True)),
    )
    found = rake(base, margins, bounds, trim)
    assert found.converged == possible.success
    assert (found.weights >= bounds[0] * base - 1e-9).all()
    assert (found.weights <= highest + 1e-9).all()


def test_someone_of_unknown_category_keeps_the_share_they_have() -> None:
    base, margins = people(400, 8)
    (sex, *_) = margins
    sex.codes[10:30] = -1
    found = rake(base, [sex])
    np.testing.assert_allclose(found.weights[10:30], base[10:30])
    assert found.converged


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_svy(seed: int) -> None:
    svy = pytest.importorskip("svy")
    base, margins = people(400, seed)
    columns = {m.name: np.array(m.categories)[m.codes] for m in margins}
    peer = svy.Sample(pl.DataFrame({**columns, "base": base}), svy.Design(wgt="base"))
    shares = {m.name: dict(zip(m.categories, m.targets.tolist(), strict=True)) for m in margins}
    raked = peer.weighting.rake(shares=shares, wgt_name="raked", tol=1e-12, max_iter=2000)
    theirs = raked.data["raked"].to_numpy()
    np.testing.assert_allclose(rake(base, margins).weights, theirs, rtol=1e-8)
