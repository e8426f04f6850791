"""Figures that are no means: p-values with few clusters, and the people's sampling error."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from suffrage.evaluate.statistics.figures import drawn_figures
from suffrage.evaluate.statistics.intervals import (
    make_draws,
    minus,
    resampled_estimate,
    without_interval,
)
from suffrage.evaluate.statistics.summed import (
    Summed,
    calibration_error,
    correlation,
    pair_sums,
    resolution,
    share_sums,
    summed_figures,
)


@pytest.mark.parametrize("clusters", [4, 12])
def test_a_difference_of_figures_has_the_error_of_leaving_out_one_cluster_at_a_time(
    clusters: int,
) -> None:
    generator = np.random.default_rng(clusters)
    names = [f"c{k}" for k in range(clusters)]
    draws = make_draws(names, ["v"], 1, 1)
    tables = generator.normal(2.0, 0.1, (2, clusters))
    found = {
        name: resampled_estimate(
            draws.weights @ table / draws.weights.sum(axis=1),
            np.empty(0), draws, draws.sizes(names), clusters,
        )
        for name, table in zip(("one", "two"), tables, strict=True)
    }  # fmt: skip
    _, (gap,) = drawn_figures("e", "m", found, ["one", "two"])
    apart = tables[1] - tables[0]
    t = abs(apart.mean()) / (apart.std(ddof=1) / np.sqrt(clusters))
    plain = 2 * stats.t.sf(t, clusters - 1)
    # The bootstrap may stretch it, and skewness, half the degrees of freedom and a longer standard
    # error allow for long tails: it never claims more than Student.
    assert gap.p is not None and plain < gap.p
    inference = minus(found["two"], found["one"]).inference
    assert inference.error == pytest.approx(apart.std(ddof=1) / np.sqrt(clusters))
    stretch = inference.stretch_low if apart.mean() > 0 else inference.stretch_high
    tail = max(0.0, -np.sign(apart.mean()) * float(stats.skew(apart)))
    tail *= min(1, 3.5 / np.sqrt(clusters))
    longer = stretch * (1 + tail) * (1 + 0.4 / np.sqrt(clusters))
    expected = 2 * stats.t.sf(t / longer, max(2, clusters // 2 - 1))
    assert gap.p == pytest.approx(min(1.0, expected))


def test_estimates_under_different_resamples_are_not_combined() -> None:
    one, two = (
        without_interval(1.0, make_draws(["a", "b", "c", "d"], ["v"], 1, seed), 4)
        for seed in (1, 2)
    )
    with pytest.raises(ValueError, match="different resamples"):
        minus(one, two)


def test_sums_of_resampled_people_are_those_of_each_resample() -> None:
    generator = np.random.default_rng(0)
    people, model = generator.dirichlet(np.ones(4), size=7), generator.dirichlet(np.ones(4))
    together = share_sums(people, model)
    assert together == pytest.approx(np.array([share_sums(row, model) for row in people]))
    n, q, p = (together[0][k * 10 : (k + 1) * 10] for k in range(3))
    assert n.sum() == 4 and q.sum() == pytest.approx(1) and p.sum() == pytest.approx(1)
    x = people[:, 0]
    assert pair_sums(x, 0.3) == pytest.approx(np.array([pair_sums(float(one), 0.3) for one in x]))


def units(people: int, items: int = 12, seed: int = 4) -> list[Summed]:
    """Items of a group of so many people; the model knows their true places, with some noise."""
    generator = np.random.default_rng(seed)
    found = []
    for k in range(items):
        truth = generator.dirichlet(np.ones(5))
        model = 0.7 * truth + 0.3 * generator.dirichlet(np.ones(5))
        scale = np.linspace(0, 1, 5)
        again = np.random.default_rng([seed, k])
        drawn_again = again.multinomial(people, truth, size=200) / people
        found.append(
            Summed(
                1, "all", f"q{k}", f"c{k}", "1",
                pair_sums(float(truth @ scale), float(model @ scale)),
                partial(pair_sums, drawn_again @ scale, float(model @ scale)),
            )
        )  # fmt: skip
    return found


def width(rows: list[Summed], name: str = "a") -> float:
    (figure,), _ = summed_figures("e", "m", correlation, {name: rows}, [name], 1)
    assert figure.low is not None and figure.high is not None
    return figure.high - figure.low


def test_few_people_make_wider_intervals_of_a_correlation_than_many_or_none_resampled() -> None:
    few, many = units(20), units(100_000)
    alone = [Summed(*(u.seed, u.value_set, u.item, u.cluster, u.within), u.sums) for u in few]
    assert width(few) > 1.1 * width(alone)
    assert width(many) == pytest.approx(width(alone), rel=0.02)


def test_where_items_cannot_vary_the_interval_is_that_of_the_people_alone() -> None:
    # Four clusters with the same items: whichever is left out, the figure is the same.
    one = units(30, items=6)
    rows = [
        Summed(u.seed, u.value_set, f"{u.item}{k}", f"c{k}", u.within, u.sums, u.resampled)
        for u in one
        for k in range(4)
    ]
    (figure,), _ = summed_figures("e", "m", correlation, {"a": rows}, ["a"], 1)
    whole = sum(u.resampled() for u in rows)  # type: ignore[misc]
    reach = stats.t.ppf(0.975, 3) * np.asarray(correlation(whole)).std()
    expected = [figure.value - reach, figure.value + reach]
    assert [figure.low, figure.high] == pytest.approx(expected, rel=0.05)


def test_methods_are_seen_under_the_same_people() -> None:
    rows = units(25)
    (one, two), (gap,) = summed_figures(
        "e", "m", correlation, {"a": rows, "b": list(rows)}, ["a", "b"], 1
    )
    assert (one.low, one.high) == (two.low, two.high)
    assert gap.value == 0 and gap.low == pytest.approx(0) and gap.high == pytest.approx(0)


def test_calibration_and_resolution_take_resampled_people_too() -> None:
    generator = np.random.default_rng(2)
    rows: dict[bool, list[Summed]] = {True: [], False: []}
    for k in range(10):
        truth, model = generator.dirichlet(np.ones(3)), generator.dirichlet(np.ones(3))
        again = generator.multinomial(15, truth, size=200) / 15
        for resampled in rows:
            rows[resampled].append(
                Summed(
                    1, "all", f"q{k}", f"c{k}", "1", share_sums(truth, model),
                    partial(share_sums, again, model) if resampled else None,
                )
            )  # fmt: skip
    for statistic in (calibration_error, resolution):
        (wide,), _ = summed_figures("e", "m", statistic, {"a": rows[True]}, ["a"], 1)
        (narrow,), _ = summed_figures("e", "m", statistic, {"a": rows[False]}, ["a"], 1)
        assert wide.value == narrow.value
        assert wide.high - wide.low > narrow.high - narrow.low  # type: ignore[operator]
