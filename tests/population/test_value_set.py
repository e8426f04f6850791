"""Value sets: built from the right people, read back equal, refused where too few."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.population import ValueSet, build_value_set
from suffrage.population.comparison import benjamini_hochberg, chi_squared_tail, compare
from suffrage.survey import Survey, read_survey
from tests.synthetic import make_survey

SURVEY = make_survey(weighted=True)


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = SURVEY.with_responses(SURVEY.responses.sample(fraction=1, shuffle=True, seed=4))
    one, two = (build_value_set(s, "north", {"region": "north"}, 1) for s in (SURVEY, shuffled))
    assert one.content_hash == two.content_hash
    for item, d in one.distributions.items():
        np.testing.assert_allclose(d.replicates, two.distributions[item].replicates)
        np.testing.assert_allclose(d.first_halves, two.distributions[item].first_halves)


def test_a_value_set_reads_back_equal(tmp_path: Path) -> None:
    built = build_value_set(SURVEY, "north", {"region": "north", "age": {"max": 60}}, 1, "people")
    built.write(tmp_path / "v")
    again = ValueSet.read(tmp_path / "v")
    assert again.content_hash == built.content_hash
    for item, d in built.distributions.items():
        for field in ("shares", "standard_errors", "replicates", "first_halves", "second_halves"):
            np.testing.assert_array_equal(
                getattr(d, field), getattr(again.distributions[item], field)
            )


def test_another_value_set_changes_no_other() -> None:
    alone = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    build_value_set(SURVEY, "south", {"region": "south"}, 1)
    assert (
        build_value_set(SURVEY, "north", {"region": "north"}, 1).content_hash == alone.content_hash
    )
    assert (
        build_value_set(SURVEY, "north", {"region": "north"}, 2).content_hash != alone.content_hash
    )


def test_where_takes_values_lists_and_ranges() -> None:
    ages = SURVEY.responses["age"].cast(pl.Int64)
    region = SURVEY.responses["region"]
    ranged = build_value_set(SURVEY, "x", {"age": {"min": 30, "max": 50}}, 1)
    assert ranged.n == int(((ages >= 30) & (ages <= 50)).sum())
    both = build_value_set(SURVEY, "x", {"region": ["north", "south"]}, 1)
    assert both.n == SURVEY.responses.height
    mixed = build_value_set(SURVEY, "x", {"region": "north", "age": {"min": 40}}, 1)
    assert mixed.n == int(((ages >= 40) & (region == "north")).sum())


def few(count: int) -> Survey:
    return SURVEY.with_responses(SURVEY.responses.head(count).with_columns(weight=pl.lit(1.0)))


def test_small_groups_are_drawn_toward_everyone_and_say_so() -> None:
    small = SURVEY.with_responses(
        SURVEY.responses.with_columns(
            region=pl.when(pl.int_range(pl.len()) < 25).then(pl.lit("isle")).otherwise("region"),
            weight=pl.lit(1.0),
        )
    )
    isle = build_value_set(small, "isle", {"region": "isle"}, 1)
    everyone = build_value_set(small, "everyone", {}, 1)
    for item, d in isle.distributions.items():
        own = small.responses.head(25)[item].to_numpy()
        own_shares = np.bincount(own[own >= 0], minlength=d.shares.size) / (own >= 0).sum()
        assert d.pooled == pytest.approx((50 - d.n_eff) / 50)
        mixed = (1 - d.pooled) * own_shares + d.pooled * everyone.distributions[item].shares
        np.testing.assert_allclose(d.shares, mixed, atol=1e-9)


def test_fewer_than_ten_effective_respondents_are_refused() -> None:
    with pytest.raises(InputError, match=r"8 respondents, 8.0 effective; below 10"):
        build_value_set(few(8), "x", {}, 1)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"regin": "north"}, 'Did you mean "region"'),
        ({"region": "west"}, 'nobody has region "west"; the values are north, south'),
        ({"region": "north", "age": {"min": 300}}, "no respondent meets all of where"),
        ({"age": {"above": 3}}, "may say min and max"),
        ({"region": {"min": 3}}, "holds no numbers"),
    ],
)
def test_a_where_that_cannot_be_names_the_key(where: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_value_set(SURVEY, "x", where, 1)


def test_a_group_of_weight_zero_is_refused() -> None:
    weightless = SURVEY.with_responses(
        SURVEY.responses.with_columns(
            weight=pl.when(pl.col("region") == "north").then(0.0).otherwise(1.0)
        )
    )
    with pytest.raises(InputError, match="every respondent in it has weight 0"):
        build_value_set(weightless, "x", {"region": "north"}, 1)


def test_a_comparison_finds_the_difference_that_is_there_and_no_other() -> None:
    survey = make_survey(respondents=2000, items=6, seed=2)
    coin = np.random.default_rng(0).choice(["heads", "tails"], 2000)
    tossed = survey.with_responses(survey.responses.with_columns(age=pl.Series(coin)))
    heads, tails = (build_value_set(tossed, c, {"age": c}, 1) for c in ("heads", "tails"))
    assert not any(row.clear for row in compare(heads, tails))
    north, south = (build_value_set(survey, r, {"region": r}, 1) for r in ("north", "south"))
    rows = compare(north, south)
    assert all(row.clear for row in rows if row.total_variation > 0.15)
    assert [r.total_variation for r in rows] == sorted(
        (r.total_variation for r in rows), reverse=True
    )
    back = {row.item_id: row for row in compare(south, north)}
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


def test_real_countries_keep_their_numbers(shared_data: Path) -> None:
    folder = shared_data / "wvs7"
    survey = read_survey(
        {
            "reader": "wvs7",
            "path": [str(folder / "Germany.csv"), str(folder / "Iraq.csv")],
            "codebook": str(folder / "codebook.json"),
        },
        Path(),
    )
    germany = build_value_set(survey, "de", {"country": "Germany"}, 1)
    iraq = build_value_set(survey, "iq", {"country": "Iraq"}, 1)
    assert (germany.n, iraq.n) == (1528, 1200)
    assert "Q36" not in iraq.distributions and any("Q36" in s for s in iraq.set_aside)
    lines = (folder / "Germany.csv").read_text().splitlines()
    place = lines[0].split(",").index("Q29")
    plain = [int(v) for v in (line.split(",")[place] for line in lines[1:1529])]
    wanted = np.array([plain.count(k) for k in (1, 2, 3, 4)])
    np.testing.assert_allclose(germany.distributions["Q29"].shares, wanted / wanted.sum())
