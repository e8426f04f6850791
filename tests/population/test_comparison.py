"""Where two populations differ: found when it is there, and not when it is noise."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.population import ValueSet, build_value_set
from suffrage.population.comparison import (
    benjamini_hochberg,
    chi_squared_tail,
    compare_value_sets,
    equality_p_value,
    respondents_worth,
)
from suffrage.survey import Codebook, Provenance, Survey
from tests.population.test_value_set import without_resamples
from tests.synthetic import make_item, make_survey


def two_groups(first: list[int], second: list[int], options: int, **more: object) -> list[ValueSet]:
    """One item; first, second: how many of each group chose each option."""
    answers = [k for counts in (first, second) for k, n in enumerate(counts) for _ in range(n)]
    groups = ["a"] * sum(first) + ["b"] * sum(second)
    book = Codebook(
        title="Two groups",
        items=(make_item(1, options, **more),),
        demographics=("group",),  # type: ignore[arg-type]
    )
    frame = pl.DataFrame(
        {
            "respondent": [f"r{i}" for i in range(len(answers))],
            "weight": 1.0,
            "group": groups,
            "q1": pl.Series(answers, dtype=pl.Int16),
        }
    )
    survey = Survey(frame, book, Provenance("made-up", {}, "Made up."))
    return [build_value_set(survey, group, {"group": group}, 1) for group in ("a", "b")]


def test_distances_are_the_formulas() -> None:
    from scipy.spatial.distance import jensenshannon

    a, b = two_groups([60, 30, 10], [20, 30, 50], 3)
    (row,) = compare_value_sets(a, b)
    assert row.total_variation == pytest.approx(0.4)
    assert row.mean_difference == pytest.approx(0.25 - 0.65)
    assert row.jensen_shannon == pytest.approx(jensenshannon([6, 3, 1], [2, 3, 5], base=2))
    assert row.low is not None and row.high is not None and row.low < 0.4 < row.high
    variance = (np.array([60, 30, 10]) @ [0, 0.25, 1] / 100 - 0.0625) / 99
    variance += (np.array([20, 30, 50]) @ [0, 0.25, 1] / 100 - 0.65**2) / 99
    assert row.standard_error == pytest.approx(np.sqrt(variance), rel=0.15)
    assert row.mean_low is not None and row.mean_high is not None
    assert row.mean_high - row.mean_low == pytest.approx(3.92 * np.sqrt(variance), rel=0.2)


def test_the_test_of_an_unweighted_table_is_pearsons() -> None:
    from scipy.stats import chi2_contingency

    a, b = two_groups([60, 50, 40, 50], [50, 70, 45, 35], 4)
    wanted = chi2_contingency([[60, 50, 40, 50], [50, 70, 45, 35]], correction=False).pvalue
    # n-1 against n in the standard errors is all that lies between.
    assert equality_p_value(a.distributions["q1"], b.distributions["q1"]) == pytest.approx(
        wanted, rel=0.05
    )
    assert respondents_worth(a.distributions["q1"]) == pytest.approx(199)


def test_unanimous_groups_that_disagree_differ_clearly() -> None:
    (row,) = compare_value_sets(*two_groups([80, 0], [0, 80], 2))
    assert row.clear and row.total_variation == 1 and row.p_value < 1e-20
    (row,) = compare_value_sets(*two_groups([80, 0], [80, 0], 2))
    assert not row.clear and row.total_variation == 0 and row.p_value == 1


@pytest.mark.slow
def test_equal_populations_seldom_differ_also_with_many_rare_options() -> None:
    generator = np.random.default_rng(4)
    shares = np.array([0.4, 0.3, 0.15, 0.06, 0.04, 0.02, 0.01, 0.01, 0.01])
    rows = []
    for _ in range(150):
        counts = (generator.multinomial(n, shares).tolist() for n in (60, 300))
        rows += compare_value_sets(*two_groups(*counts, options=9))
    # One item each, so that clear is the test at 5%; the bound is 3 standard errors above it.
    assert np.mean([row.clear for row in rows]) < 0.10
    assert np.mean([row.low > 0 for row in rows if row.low is not None]) < 0.15


def test_nominal_items_have_no_mean() -> None:
    (row,) = compare_value_sets(*two_groups([30, 30, 40], [60, 20, 20], 3, ordered=False))
    assert row.mean_difference is row.standard_error is row.mean_low is row.mean_high is None


def test_without_resamples_the_distance_and_the_test_remain() -> None:
    a, b = two_groups([60, 30, 10], [20, 30, 50], 3)
    (full,) = compare_value_sets(a, b)
    (row,) = compare_value_sets(without_resamples(a), without_resamples(b))
    assert row.low is row.high is row.standard_error is row.mean_low is None
    assert row == replace(
        full, low=None, high=None, standard_error=None, mean_low=None, mean_high=None
    )


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = two_groups([60, 30, 10], [20, 30, 50], 3)
    other = replace(
        b, distributions={"q1": two_groups([60, 40], [40, 60], 2)[1].distributions["q1"]}
    )
    with pytest.raises(InputError, match="item q1 has other options in value set a than in b"):
        compare_value_sets(a, other)
    with pytest.raises(InputError, match="have no item in common"):
        compare_value_sets(a, replace(b, distributions={"q7": b.distributions["q1"]}))


def test_a_comparison_finds_the_difference_that_is_there_and_no_other() -> None:
    survey = make_survey(respondents=2000, items=6, seed=2)
    coin = np.random.default_rng(0).choice(["heads", "tails"], 2000)
    tossed = survey.with_responses(survey.responses.with_columns(age=pl.Series(coin)))
    heads, tails = (build_value_set(tossed, c, {"age": c}, 1) for c in ("heads", "tails"))
    assert not any(row.clear for row in compare_value_sets(heads, tails))
    north, south = (build_value_set(survey, r, {"region": r}, 1) for r in ("north", "south"))
    rows = compare_value_sets(north, south)
    assert all(row.clear for row in rows if row.total_variation > 0.15)
    assert [r.total_variation for r in rows] == sorted(
        (r.total_variation for r in rows), reverse=True
    )
    back = {row.item_id: row for row in compare_value_sets(south, north)}
    for row in rows:
        assert row.total_variation == pytest.approx(back[row.item_id].total_variation)
        assert row.mean_difference == pytest.approx(-(back[row.item_id].mean_difference or 0))


def test_the_chi_squared_tail_and_the_step_up_rule_equal_scipys() -> None:
    from scipy.stats import chi2, false_discovery_control

    for degrees in range(1, 11):
        for statistic in (0.1, 1.0, 7.3, 40.0, 200.0):
            wanted = chi2.sf(statistic, degrees)
            assert chi_squared_tail(statistic, degrees) == pytest.approx(
                wanted, rel=1e-9, abs=1e-300
            )
    p = np.random.default_rng(3).uniform(0, 0.2, 30) ** 2
    np.testing.assert_array_equal(benjamini_hochberg(p, 0.05), false_discovery_control(p) <= 0.05)
