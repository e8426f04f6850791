"""People's answers joined with a model's: the formula, what it gains, coverage of intervals."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from suffrage.population.design import Design
from suffrage.population.rectify import (
    Others,
    Rectified,
    Sample,
    chosen_options,
    people_needed,
    rectify,
    student_critical_point,
)

pytestmark = pytest.mark.slow

Array = npt.NDArray[np.float64]
CELLS, OPTIONS = 8, 3


def world(generator: np.random.Generator, useful: float) -> tuple[Array, Array, Array]:
    """Cell shares, what each cell answers, and what a model says of it: the truth, or anything."""
    truth = generator.dirichlet(np.full(OPTIONS, 1.5), size=CELLS)
    anything = generator.dirichlet(np.full(OPTIONS, 1.5), size=CELLS)
    return (
        generator.dirichlet(np.full(CELLS, 4.0)),
        truth,
        useful * truth + (1 - useful) * anything,
    )


def draw(
    generator: np.random.Generator, cells: Array, truth: Array, n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    cell = generator.choice(CELLS, size=n, p=cells)
    answer = (generator.random(n)[:, None] > np.cumsum(truth[cell], axis=1)).sum(axis=1)
    return cell, answer


def sample_of(
    generator: np.random.Generator, n: int, useful: float, others: int | None = None
) -> tuple[Rectified, Array]:
    cells, truth, said = world(generator, useful)
    cell, answer = draw(generator, cells, truth, n)
    asked = Sample(chosen_options(answer, OPTIONS), said[cell], np.ones(n))
    if others is None:
        return rectify(asked, cells @ said), cells @ truth
    there, _ = draw(generator, cells, truth, others)
    return rectify(asked, Others(said[there], np.ones(others))), cells @ truth


def test_with_plain_numbers_it_is_the_formula_of_the_papers() -> None:
    generator = np.random.default_rng(5)
    cells, truth, said = world(generator, 0.7)
    (cell, answer), (there, _) = (draw(generator, cells, truth, n) for n in (120, 700))
    y, f, g = chosen_options(answer, OPTIONS), said[cell], said[there]
    n, big = len(y), len(g)
    # Angelopoulos et al. (2023), the mean: lambda = 1.
    plain = rectify(Sample(y, f, np.ones(n)), Others(g, np.ones(big)), tuning=1.0)
    assert plain.rectified.values == pytest.approx(g.mean(axis=0) + (y - f).mean(axis=0))
    variance = (y - f).var(axis=0, ddof=1) / n + g.var(axis=0, ddof=1) / big
    assert plain.rectified.errors == pytest.approx(np.sqrt(variance))
    # PPI++: lambda minimises the sum of the variances over options, as one lambda serves all.
    tuned = rectify(Sample(y, f, np.ones(n)), Others(g, np.ones(big)))
    covariance = ((y - y.mean(0)) * (f - f.mean(0))).sum() / (n - 1)
    spread = f.var(axis=0, ddof=1).sum() / n + g.var(axis=0, ddof=1).sum() / big
    assert tuned.tuning == pytest.approx(covariance / n / spread)
    others = [
        rectify(Sample(y, f, np.ones(n)), Others(g, np.ones(big)), tuning=at).rectified.errors
        for at in np.linspace(0, 1.5, 31)
    ]
    # The degree of freedom that choosing lambda cost is taken off again.
    least = np.square(tuned.rectified.errors).sum() * (n - 2) / (n - 1)
    assert all(least <= np.square(errors).sum() + 1e-12 for errors in others)


def test_without_a_model_it_is_the_weighted_share_with_its_linearised_error() -> None:
    generator = np.random.default_rng(2)
    weights = generator.gamma(2.0, size=80)
    y = chosen_options(generator.integers(OPTIONS, size=80), OPTIONS)
    found = rectify(Sample(y, np.full(y.shape, 1 / 3), weights), np.full(OPTIONS, 1 / 3))
    p = weights @ y / weights.sum()
    z = weights[:, None] * (y - p) / weights.sum()
    assert found.classical.values == pytest.approx(p)
    assert found.classical.errors == pytest.approx(np.sqrt(80 / 79 * np.square(z).sum(axis=0)))
    assert found.tuning == 0.0 and not found.helps and found.gain == 0.0
    assert found.rectified.values == pytest.approx(p)


@pytest.mark.parametrize(
    "n", [50, pytest.param(100, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("useful", [0.0, 1.0])
@pytest.mark.parametrize("others", [None, 400])
def test_intervals_hold_the_truth_as_often_as_they_say(
    n: int, useful: float, others: int | None
) -> None:
    generator = np.random.default_rng([n, int(useful), others or 0])
    held = []
    for _ in range(700):
        found, truth = sample_of(generator, n, useful, others)
        held.append((found.rectified.low <= truth) & (truth <= found.rectified.high))
    # 2,100 intervals, three a draw and tied: three of their standard errors as if each were alone.
    error = np.sqrt(0.95 * 0.05 / 700)
    assert np.mean(held) == pytest.approx(0.95, abs=3 * error)


@pytest.mark.slow
def test_a_model_that_knows_the_groups_is_worth_people_and_one_that_does_not_is_worth_none() -> (
    None
):
    generator = np.random.default_rng(11)
    for useful, at_least, at_most in ((1.0, 1.1, 1.6), (0.0, 0.97, 1.06)):
        off = np.zeros(2)
        worth = []
        for _ in range(1500):
            found, truth = sample_of(generator, 100, useful)
            off += [
                np.square(estimated.values - truth).sum()
                for estimated in (found.classical, found.rectified)
            ]
            worth.append(found.worth / found.n)
        assert at_least < off[0] / off[1] < at_most
        # What it says of itself is what it is worth.
        assert np.mean(worth) == pytest.approx(off[0] / off[1], abs=0.06)


@pytest.mark.slow
def test_lambda_goes_to_0_and_help_is_rarely_claimed_where_answers_ignore_the_groups() -> None:
    generator = np.random.default_rng(3)
    cells, _, said = world(generator, 0.0)
    truth = np.tile([0.5, 0.3, 0.2], (CELLS, 1))
    tuned: dict[int, list[float]] = {50: [], 5000: []}
    claimed = 0
    for _ in range(600):
        for n, found in tuned.items():
            cell, answer = draw(generator, cells, truth, n)
            one = rectify(
                Sample(chosen_options(answer, OPTIONS), said[cell], np.ones(n)), cells @ said
            )
            found.append(one.tuning)
            claimed += one.helps
    assert np.mean(tuned[5000]) < 0.15 * np.mean(tuned[50]) + 0.01
    assert claimed / 1200 == pytest.approx(0.025, abs=3 * np.sqrt(0.025 * 0.975 / 1200))


@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_the_scale_of_weights_and_the_order_of_people_change_nothing(
    seed: int, scale: float
) -> None:
    generator = np.random.default_rng(seed)
    cells, truth, said = world(generator, 0.5)
    cell, answer = draw(generator, cells, truth, 40)
    weights = generator.gamma(3.0, size=40)
    y, f = chosen_options(answer, OPTIONS), said[cell]
    order = generator.permutation(40)
    one = rectify(Sample(y, f, weights), cells @ said)
    two = rectify(Sample(y[order], f[order], scale * weights[order]), cells @ said)
    assert one.rectified.values == pytest.approx(two.rectified.values, abs=1e-9)
    assert one.rectified.errors == pytest.approx(two.rectified.errors, abs=1e-9)
    assert one.rectified.values.sum() == pytest.approx(1)
    assert (one.rectified.low >= 0).all() and (one.rectified.high <= 1).all()


def test_people_drawn_in_clusters_count_as_clusters() -> None:
    """Every person ten times over, as a cluster: the error is that of the persons drawn."""
    generator = np.random.default_rng(9)
    cells, truth, said = world(generator, 0.8)
    cell, answer = draw(generator, cells, truth, 60)
    y, f = chosen_options(answer, OPTIONS), said[cell]
    once = rectify(Sample(y, f, np.ones(60)), cells @ said, tuning=0.7)
    copies = np.repeat(np.arange(60), 10)
    design = Design(copies, np.zeros(60, dtype=np.int64))
    tenfold = rectify(Sample(y[copies], f[copies], np.ones(600)), cells @ said, design, tuning=0.7)
    assert tenfold.rectified.values == pytest.approx(once.rectified.values)
    assert tenfold.rectified.errors == pytest.approx(once.rectified.errors)
    assert rectify(Sample(y, f, np.ones(60)), cells @ said).tuning == pytest.approx(
        rectify(Sample(y[copies], f[copies], np.ones(600)), cells @ said, design).tuning
    )


def test_a_mean_is_rectified_like_a_share() -> None:
    generator = np.random.default_rng(21)
    cells, truth, said = world(generator, 1.0)
    steps = np.linspace(0, 1, OPTIONS)
    cell, answer = draw(generator, cells, truth, 150)
    found = rectify(
        Sample(steps[answer][:, None], (said @ steps)[cell][:, None], np.ones(150)),
        np.atleast_1d(cells @ said @ steps),
        shares=False,
    )
    y, x = steps[answer], (said @ steps)[cell]
    slope = np.cov(y, x)[0, 1] / x.var(ddof=1)
    by_hand = y.mean() + slope * (cells @ said @ steps - x.mean())
    assert found.rectified.values[0] == pytest.approx(by_hand)  # the regression estimator


def test_weighting_to_the_cells_is_worth_what_its_variance_says() -> None:
    generator = np.random.default_rng(8)
    cells, truth, said = world(generator, 1.0)
    theta, off, worth = cells @ truth, np.zeros(2), []
    for _ in range(800):
        cell, answer = draw(generator, cells, truth, 400)
        y = chosen_options(answer, OPTIONS)
        found = rectify(Sample(y, said[cell], np.ones(400)), cells @ said, cells=(cell, cells))
        means = np.array([y[cell == c].mean(axis=0) for c in range(CELLS)])
        off += [np.square(y.mean(axis=0) - theta).sum(), np.square(cells @ means - theta).sum()]
        worth.append((found.cells_worth or 0.0) / 400)
    assert np.mean(worth) == pytest.approx(off[0] / off[1], rel=0.08)


def test_a_question_that_splits_a_public_in_half_needs_a_thousand_people_for_three_points() -> None:
    y = chosen_options(np.tile([0, 1], 200), 2)
    nothing = np.full(y.shape, 0.5)
    for fraction in (
        0.0,
        0.5,
    ):  # the sample may be half of a small population: people are drawn anew
        found = rectify(Sample(y, nothing, np.ones(400), fraction), np.full(2, 0.5))
        assert people_needed(found, 0.03)[0] == pytest.approx(1.96**2 / 4 / 0.03**2, rel=0.01)
        assert people_needed(found, 0.03) == (people_needed(found, 0.03)[0],) * 2


@pytest.mark.parametrize("degrees", [4, 8, 30, 100, 1e6])
def test_the_quantile_is_students(degrees: float) -> None:
    assert student_critical_point(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=6e-3)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="three people"):
        rectify(Sample(np.eye(2), np.eye(2), np.ones(2)), np.full(2, 0.5))
