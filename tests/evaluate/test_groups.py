"""What evaluations of groups share: who can be told from whom, and distances freed of noise."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.arrays import FloatArray
from suffrage.evaluate.asking.groups import (
    between_row,
    disjoint,
    rivals,
    scored_items,
    smallest_groups,
)
from suffrage.evaluate.statistics.figures import drawn_figures
from suffrage.evaluate.statistics.intervals import (
    Estimate,
    make_draws,
    resampled_estimate,
    without_interval,
)
from suffrage.population import build_value_set
from suffrage.training_data import ItemSplit
from tests.evaluate.trial import all_held_out, survey, value_sets

SURVEY = survey(600, 6)
SETS = value_sets(SURVEY)


def names(some) -> set[str]:  # type: ignore[no-untyped-def]
    return {value_set.name for value_set in some}


def test_rivals_share_nobody_and_the_whole_has_none() -> None:
    by_name = {v.name: v for v in SETS}
    assert names(rivals(by_name["red"], SETS)) == {"blue", "blue-north", "blue-south", "blue-east"}
    assert rivals(by_name["everyone"], SETS) == []
    assert "red" not in names(rivals(by_name["red-north"], SETS))


def test_overlapping_groups_are_rivals_where_there_are_no_others() -> None:
    red = build_value_set(SURVEY, "red", {"party": "red"}, 1)
    north = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    assert names(rivals(red, [red, north])) == {"north"}


def test_the_smallest_groups_have_no_parts() -> None:
    assert names(smallest_groups(SETS)) == {
        f"{p}-{r}" for p in ("red", "blue") for r in ("north", "south", "east")
    }
    assert names(smallest_groups(SETS[:3])) == {"red", "blue"}


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ({"age": {"max": 30}}, {"age": {"min": 31}}, True),
        ({"age": {"max": 30}}, {"age": {"min": 30}}, False),
        ({"party": ["a", "b"]}, {"party": "b"}, False),
        ({"party": ["a", "b"]}, {"party": "c"}, True),
        ({"party": "a"}, {"region": "b"}, False),
        ({"wave": 1}, {"wave": "1"}, False),
    ],
)
def test_conditions_exclude_each_other(one: dict, other: dict, apart: bool) -> None:  # type: ignore[type-arg]
    assert disjoint(one, other) == disjoint(other, one) == apart


def test_items_held_out_count_alone_and_all_count_where_none_is() -> None:
    split = ItemSplit(("q00", "q01"), ("q02",), {}, {})
    assert scored_items(SETS[0], split) == ["q02"]
    assert len(scored_items(SETS[0], ItemSplit(all_held_out(SURVEY).held_out, (), {}, {}))) == 6


@pytest.mark.slow
def test_distance_between_samples_of_one_population_is_nought_on_average() -> None:
    # Random halves of one population differ by sampling alone: the uncorrected distance is above 0.
    generator = np.random.default_rng(1)
    corrected, plain = [], []
    for _ in range(40):
        half = generator.random(SURVEY.responses.height) < 0.5
        a, b = (
            build_value_set(SURVEY.with_responses(SURVEY.responses.filter(rows)), "half", {}, 1)
            for rows in (half, ~half)
        )
        for item in a.distributions:
            one, two = a.distributions[item], b.distributions[item]
            row = between_row((1, "a", item, item), one, [two], one.shares, [two.shares])
            corrected.append(row.below)
            plain.append(row.point)
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 4 * error
    assert np.mean(plain) > 10 * error


def test_figures_made_elsewhere_are_compared_cluster_by_cluster() -> None:
    names = [f"c{k}" for k in range(9)]
    draws = make_draws(names, ["v"], 1, 1)
    values = np.random.default_rng(0).normal(0.5, 0.1, 9)

    def estimate(by_cluster: FloatArray) -> Estimate:
        under = draws.weights @ by_cluster / draws.weights.sum(axis=1)
        return resampled_estimate(under, np.empty(0), draws, draws.sizes(names), 9)

    found = {
        "a": replace(estimate(values), floor=0.1, ceiling=1.0),
        "b": estimate(values + 0.4),
        "c": without_interval(0.4, draws, 8),
    }
    figures, differences = drawn_figures("x", "m", found, ["b", "a", "c", "absent"])
    assert [f.method for f in figures] == ["b", "a", "c"]
    assert (figures[1].floor, figures[1].ceiling, figures[0].floor) == (0.1, 1.0, None)
    by_pair = {(d.method, d.against): d for d in differences}
    # The same clusters move both, so nothing of them is left in the difference.
    assert by_pair["a", "b"].low == pytest.approx(-0.4) == by_pair["a", "b"].high
    assert by_pair["a", "b"].adjusted is not None and by_pair["a", "b"].adjusted < 0.01
    assert by_pair["c", "a"].low is None and by_pair["c", "a"].p is None
