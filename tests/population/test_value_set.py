"""Value sets: built from the right people, read back equal, refused where too few."""

import copy
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.population import ValueSet, build_value_set
from suffrage.population.value_set import ARRAYS, RESAMPLES
from suffrage.population.where import matching
from suffrage.survey import Survey, read_survey
from tests.synthetic import make_survey

SURVEY = make_survey(weighted=True)


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = SURVEY.with_responses(SURVEY.responses.sample(fraction=1, shuffle=True, seed=4))
    one, two = (build_value_set(s, "north", {"region": "north"}, 1) for s in (SURVEY, shuffled))
    assert one.content_hash == two.content_hash
    assert one == two


def test_a_value_set_reads_back_equal(tmp_path: Path) -> None:
    built = build_value_set(SURVEY, "north", {"region": "north", "age": {"max": 60}}, 1, "people")
    built.write(tmp_path / "v")
    again = ValueSet.read(tmp_path / "v")
    assert again == built
    assert again.content_hash == built.content_hash
    assert list(again.distributions) == list(built.distributions)
    again.write(tmp_path / "w")
    for file in ("value_set.json", "shares.parquet", "resamples.parquet"):
        assert (tmp_path / "v" / file).read_bytes() == (tmp_path / "w" / file).read_bytes()


def test_a_value_set_without_resamples_reads_back_equal(tmp_path: Path) -> None:
    built = without_resamples(build_value_set(SURVEY, "north", {"region": "north"}, 1))
    built.write(tmp_path / "v")
    again = ValueSet.read(tmp_path / "v")
    assert again == built
    assert all(d.replicates.shape == (0, d.shares.size) for d in again.distributions.values())


def without_resamples(value_set: ValueSet) -> ValueSet:
    empty = {
        item: replace(d, **dict.fromkeys(RESAMPLES, np.empty((0, d.shares.size))))
        for item, d in value_set.distributions.items()
    }
    return replace(value_set, distributions=empty)


@pytest.mark.parametrize("name", ARRAYS)
def test_the_hash_and_equality_see_every_array(name: str) -> None:
    built = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    d = built.distributions["q3"]
    changed = getattr(d, name).copy()
    changed.flat[-1] += 1e-6
    other = replace(
        built, distributions={**built.distributions, "q3": replace(d, **{name: changed})}
    )
    assert other != built and other.content_hash != built.content_hash


@pytest.mark.parametrize(
    "change",
    [{"description": "people"}, {"n": 7}, {"n_eff": 7.0}, {"set_aside": ("q9",)}, {"where": {}}],
)
def test_the_hash_and_equality_see_every_fact(change: dict[str, object]) -> None:
    built = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    other = replace(built, **change)  # type: ignore[arg-type]
    assert other != built and other.content_hash != built.content_hash
    assert built != "north" and built.distributions["q1"] != "q1"


def test_a_misspelt_item_of_a_value_set_gets_the_nearest_name() -> None:
    value_set = build_value_set(make_survey(items=3), "all")
    known = value_set.items[0].id
    for own in (value_set, copy.deepcopy(value_set), pickle.loads(pickle.dumps(value_set))):
        assert own == value_set and known in own.distributions and "x" not in own.distributions
        with pytest.raises(InputError, match=f'value set all: .*"{known}x".*mean "{known}"'):
            own.distributions[f"{known}x"]
        with pytest.raises(InputError, match="there is no item"):
            own.intervals("nothing like it")
    assert asdict(value_set)["distributions"].keys() == value_set.distributions.keys()


@pytest.mark.parametrize("name", ["", " ", "--"])
def test_a_value_set_has_a_name(name: str) -> None:
    with pytest.raises(InputError, match=r"build_value_set: name is .*; give a name"):
        build_value_set(make_survey(items=3), name)


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


FEW = {"region": "north", "age": [str(age) for age in range(20, 25)]}


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
    for item, d in isle.distributions.items():
        own, rest = small.responses[item].to_numpy()[:25], small.responses[item].to_numpy()[25:]
        own_counts, rest_counts = (
            np.bincount(part[part >= 0], minlength=d.shares.size) for part in (own, rest)
        )
        around = (rest_counts + 1 / d.shares.size) / (rest_counts.sum() + 1)
        assert 0.05 < d.pooled < 0.95
        mixed = (1 - d.pooled) * own_counts / own_counts.sum() + d.pooled * around
        np.testing.assert_allclose(d.shares, mixed, atol=1e-9)
        np.testing.assert_allclose(d.replicates.mean(axis=0), d.shares, atol=0.04)
        np.testing.assert_allclose(d.replicates.std(axis=0), d.standard_errors, rtol=0.3)
        halves = (d.first_halves + d.second_halves).mean(axis=0) / 2
        np.testing.assert_allclose(halves, d.shares, atol=0.02)


def test_the_ceiling_of_a_small_group_is_drawn_along_with_it() -> None:
    group = build_value_set(make_survey(respondents=900, seed=2), "few", FEW, 1)
    for d in group.distributions.values():
        assert d.pooled > 0
        apart = np.abs(d.first_halves - d.second_halves)
        # Of halves of a handful of respondents, drawn nowhere, no share lies above 1 - pooled.
        assert apart.max() <= 1 - d.pooled + 1e-9
        np.testing.assert_allclose(d.first_halves.sum(axis=1), 1)


def test_a_group_that_is_its_whole_parent_stands_for_itself() -> None:
    alone = build_value_set(few(30), "all", {}, 1)
    assert all(d.pooled == 0 for d in alone.distributions.values())
    for d in alone.distributions.values():
        np.testing.assert_allclose(d.replicates.std(axis=0), d.standard_errors, rtol=0.3)


def test_an_item_that_too_few_answered_is_set_aside() -> None:
    silent = pl.int_range(pl.len()) >= 9
    sparse = SURVEY.with_responses(
        SURVEY.responses.with_columns(
            q2=pl.when(silent).then(pl.lit(-3, pl.Int16)).otherwise(pl.lit(1, pl.Int16)),
            q4=pl.lit(-4, pl.Int16),
        )
    )
    everyone = build_value_set(sparse, "everyone", {}, 1)
    assert everyone.set_aside == (
        "q2 (answered by 9, too few to say anything of everyone)",
        "q4 (not asked for all of everyone)",
    )
    assert set(everyone.distributions) == set(SURVEY.codebook.item_ids) - {"q2", "q4"}


def test_a_population_that_answered_nothing_is_refused() -> None:
    silent = {item: pl.lit(-1, pl.Int16) for item in SURVEY.codebook.item_ids}
    with pytest.raises(InputError, match="no item has 10 effective answers"):
        build_value_set(SURVEY.with_responses(SURVEY.responses.with_columns(**silent)), "x", {}, 1)


def test_non_response_is_told_apart_and_adds_up() -> None:
    built = build_value_set(SURVEY, "north", {"region": "north"}, 1)
    north = SURVEY.responses.filter(region="north")
    for item, d in built.distributions.items():
        silent = north.filter(pl.col(item) == -1)["weight"].sum() / north["weight"].sum()
        assert dict(d.non_response) == ({"don't know": pytest.approx(silent)} if silent else {})


def test_the_spread_of_replicates_is_the_standard_error() -> None:
    for d in build_value_set(SURVEY, "north", {"region": "north"}, 1).distributions.values():
        np.testing.assert_allclose(d.replicates.std(axis=0), d.standard_errors, rtol=0.25)
        np.testing.assert_allclose(
            (d.first_halves + d.second_halves).mean(axis=0) / 2, d.shares, atol=0.01
        )


def test_the_replicates_of_items_are_drawn_together() -> None:
    twin = SURVEY.with_responses(SURVEY.responses.with_columns(q3=pl.col("q0")))
    built = build_value_set(twin, "north", {"region": "north"}, 1)
    a, b = built.distributions["q0"], built.distributions["q3"]
    np.testing.assert_array_equal(a.replicates, b.replicates)


def test_fewer_than_ten_effective_respondents_are_refused() -> None:
    with pytest.raises(InputError, match=r"8 respondents, 8.0 effective; below 10"):
        build_value_set(few(8), "x", {}, 1)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"regin": "north"}, 'Did you mean "region"'),
        ({"region": "west"}, 'nobody has region "west"; the values are north, south'),
        ({"region": "north", "age": {"min": 300}}, "no respondent meets all of where"),
        ({"age": {"above": 3}}, "may say min and max, not above"),
        ({"age": {}}, "may say min and max, not nothing"),
        ({"age": {"min": "old"}}, "where.age.min is 'old', not a number"),
        ({"age": {"max": True}}, "where.age.max is True, not a number"),
        ({"region": "nord"}, 'Did you mean "north"'),
        ({"region": False}, "put the value in quotes"),
        ({"region": []}, "where.region lists no value"),
        ("north", "where is 'north'; give a mapping of conditions"),
        (["region"], "where is of type list; give a mapping of conditions"),
        ({"region": {"min": 3}}, "holds no numbers"),
    ],
)
def test_a_where_that_cannot_be_names_the_key(where: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_value_set(SURVEY, "x", where, 1)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("north", "where is 'north'; write a column and what it must be"),
        (["region"], "where is .'region'.; write a column and what it must be"),
    ],
)
def test_conditions_that_are_no_mapping_are_shown_one(where: Any, message: str) -> None:
    """Below the verb, where studies' own conditions arrive."""
    with pytest.raises(InputError, match=message):
        matching(SURVEY, where, "x")


def test_a_range_over_words_is_refused_not_half_read() -> None:
    age = pl.when(pl.col("age") == "89").then(pl.lit("89 or older")).otherwise("age")
    worded = SURVEY.with_responses(SURVEY.responses.with_columns(age.alias("age")))
    with pytest.raises(InputError, match=r'age is not a number for .* [(]such as "89 or older"[)]'):
        build_value_set(worded, "x", {"age": {"min": 65}}, 1)


def test_people_of_unknown_age_are_in_no_age_group() -> None:
    age = pl.when(pl.int_range(pl.len()) < 40).then(None).otherwise("age")
    unknown = SURVEY.with_responses(SURVEY.responses.with_columns(age.alias("age")))
    assert build_value_set(unknown, "x", {"age": {"min": 0}}, 1).n == 260


def test_a_group_of_weight_zero_is_refused() -> None:
    weightless = SURVEY.with_responses(
        SURVEY.responses.with_columns(
            weight=pl.when(pl.col("region") == "north").then(0.0).otherwise(1.0)
        )
    )
    with pytest.raises(InputError, match="every respondent in it has weight 0"):
        build_value_set(weightless, "x", {"region": "north"}, 1)


@pytest.mark.slow
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


def test_a_small_group_is_drawn_toward_its_own_parent() -> None:
    survey = make_survey(respondents=900, seed=2)
    group = build_value_set(survey, "few", FEW, 1, parent={"region": "north"})
    alone = build_value_set(survey, "few", FEW, 1)
    inside = (pl.col("region") == "north") & pl.col("age").is_in(FEW["age"])
    others = survey.responses.filter((pl.col("region") == "north") & ~inside)
    for item_id, d in group.distributions.items():
        own, rest = (
            np.bincount(column[column >= 0], minlength=d.shares.size)
            for column in (
                frame[item_id].to_numpy() for frame in (survey.responses.filter(inside), others)
            )
        )
        around = (rest + 1 / rest.size) / (rest.sum() + 1)
        mixed = (1 - d.pooled) * own / own.sum() + d.pooled * around
        np.testing.assert_allclose(d.shares, mixed, atol=1e-9)
    # The south answers otherwise, so the whole survey is a worse guide to a part of the north.
    weights = [
        np.mean([d.pooled for d in value_set.distributions.values()])
        for value_set in (group, alone)
    ]
    assert weights[0] > weights[1] > 0


def test_a_small_segment_is_drawn_toward_those_who_are_not_in_it() -> None:
    survey = make_survey(respondents=200, seed=3)
    membership = np.where(np.arange(200) < 30, 0.9, 0.001)
    members = survey.with_responses(survey.responses.with_columns(weight=membership))
    segment = build_value_set(members, "part", {}, 1, whole=survey)
    alone = build_value_set(members, "part", {}, 1)
    assert all(0 < d.pooled < 1 for d in segment.distributions.values())
    assert all(d.pooled == 0 for d in alone.distributions.values())
    d = segment.distributions["q0"]
    column = survey.responses["q0"].to_numpy()
    own, rest = (
        np.array([w[column == k].sum() for k in range(3)]) for w in (membership, 1 - membership)
    )
    answered = (1 - membership)[column >= 0]
    m = answered.sum() ** 2 / np.square(answered).sum()
    around = (m * rest / rest.sum() + 1 / 3) / (m + 1)
    np.testing.assert_allclose(d.shares, (1 - d.pooled) * own / own.sum() + d.pooled * around)


def test_the_order_of_rows_changes_nothing_for_a_small_group_either() -> None:
    survey = make_survey(respondents=900, seed=2, weighted=True)
    turned = survey.with_responses(survey.responses.reverse())
    one, two = (build_value_set(s, "few", FEW, 1) for s in (survey, turned))
    assert all(d.pooled for d in one.distributions.values())
    assert one.content_hash == two.content_hash


def test_a_small_group_without_answers_elsewhere_stands_for_itself_on_that_item() -> None:
    survey = make_survey(respondents=900, seed=2)
    inside = (pl.col("region") == "north") & pl.col("age").is_in(FEW["age"])
    unasked = pl.when(inside).then("q2").otherwise(pl.lit(-4, pl.Int16)).alias("q2")
    group = build_value_set(
        survey.with_responses(survey.responses.with_columns(unasked)), "few", FEW, 1
    )
    assert [item for item, d in group.distributions.items() if not d.pooled] == ["q2"]
