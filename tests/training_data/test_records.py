"""Records: what is trained on, and that nothing held out is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.errors import SuffrageError
from suffrage.population import ValueSet, build_value_set
from suffrage.training_data import (
    HeldOut,
    ItemSplit,
    Records,
    RecordSettings,
    check_nothing_held_out,
    split_items,
)
from suffrage.training_data.binary import BUILDER as BINARY
from suffrage.training_data.demonstrations import BUILDER as DEMONSTRATIONS
from suffrage.training_data.demonstrations import systematic_draws
from suffrage.training_data.distribution_records import BUILDER as DISTRIBUTIONS
from suffrage.training_data.held_back_records import build_with_held_back
from suffrage.training_data.preference_pairs import BUILDER as PREFERENCES
from suffrage.training_data.records import RecordBuilder, ValidationSample
from tests.synthetic import make_survey

SURVEY = make_survey()
BUILDERS = [DEMONSTRATIONS, DISTRIBUTIONS, PREFERENCES, BINARY]


def given_sets() -> tuple[list[ValueSet], ItemSplit]:
    sets = [
        build_value_set(SURVEY, name, {"region": name}, 1, f"people in the {name}")
        for name in ("north", "south")
    ]
    return sets, split_items(SURVEY.codebook.items, HeldOut(share=0.25), 1)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda b: b.kind)
def test_records_hold_no_held_out_item(builder) -> None:  # type: ignore[no-untyped-def]
    sets, split = given_sets()
    records = builder.build(sets, split, 200, np.random.default_rng(1), RecordSettings())
    assert set(records.frame["item"]) == set(split.train)
    check_nothing_held_out(records, SURVEY.codebook.items, split)


@pytest.mark.parametrize("builder", [DEMONSTRATIONS, PREFERENCES, BINARY], ids=lambda b: b.kind)
def test_items_held_back_are_asked_with_the_peoples_shares_and_not_learnt(
    builder: RecordBuilder,
) -> None:
    sets, split = given_sets()
    settings = RecordSettings(validation=ValidationSample(0.2))
    generator = np.random.default_rng(1)
    records = build_with_held_back(builder.build, sets, split, 200, generator, settings)
    back = set(records.made_from["validation"])
    rows = records.frame.to_dicts()
    assert back and back < set(split.train)
    assert {row["item"] for row in rows if not row["validation"]} == set(split.train) - back
    asked = [row for row in rows if row["validation"]]
    assert {row["item"] for row in asked} == back
    shares = {(v.name, i): d.shares for v in sets for i, d in v.distributions.items()}
    for row in asked:
        assert row["target"] == shares[row["value_set"], row["item"]].tolist()


def test_a_leaked_question_stops_the_build() -> None:
    sets, split = given_sets()
    records = DISTRIBUTIONS.build(sets, split, 20, np.random.default_rng(1), RecordSettings())
    hidden = SURVEY.codebook[split.held_out[0]]
    leaky = records.frame.with_columns(
        pl.when(pl.col("id") == "000007")
        .then(pl.lit(f"By the way: {hidden.question.upper()} Well?"))
        .otherwise(pl.col("user"))
        .alias("user")
    )
    with pytest.raises(SuffrageError, match=f"record 000007 holds the text of {hidden.id}"):
        check_nothing_held_out(Records("distribution", leaky, {}), SURVEY.codebook.items, split)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda b: b.kind)
def test_records_read_back_equal(builder, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    sets, split = given_sets()
    records = builder.build(sets, split, 50, np.random.default_rng(1), RecordSettings())
    records.write(tmp_path / "records")
    again = Records.read(tmp_path / "records")
    assert again.content_hash == records.content_hash and again.kind == records.kind


def test_records_with_other_line_ends_in_their_texts_read_back_equal(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": ["one\u2028two", "three\x85four"], "completion": ["A", "B"]})
    Records("sft", rows, {}).write(tmp_path / "records")
    assert Records.read(tmp_path / "records").frame.equals(rows)


def test_the_target_follows_the_labels_not_the_places() -> None:
    sets, split = given_sets()
    records = DISTRIBUTIONS.build(sets, split, 300, np.random.default_rng(1), RecordSettings())
    shares = {(v.name, i): d.shares for v in sets for i, d in v.distributions.items()}
    orders = set()
    for row in records.frame.to_dicts():
        item = SURVEY.codebook[row["item"]]
        np.testing.assert_allclose(row["target"], shares[row["value_set"], row["item"]])
        for label, option in zip(row["answers"], item.texts, strict=True):
            assert f"{label}. {option}\n" in row["user"]
        orders.add(tuple(row["answers"]))
    assert len(orders) > 4


def test_demonstrations_give_each_answer_as_often_as_the_population() -> None:
    sets, split = given_sets()
    records = DEMONSTRATIONS.build(sets, split, 6000, np.random.default_rng(1), RecordSettings())
    rows = records.frame.filter(
        (pl.col("value_set") == "north") & (pl.col("item") == split.train[0])
    )
    item = SURVEY.codebook[split.train[0]]
    chosen = [
        next(i for i, text in enumerate(item.texts) if f"{r['completion']}. {text}\n" in r["user"])
        for r in rows.to_dicts()
    ]
    found = np.bincount(chosen, minlength=len(item.options)) / len(chosen)
    np.testing.assert_allclose(found, sets[0].distributions[item.id].shares, atol=1 / len(chosen))


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    st.integers(1, 50),
    st.floats(0, 1, exclude_max=True),
)
def test_systematic_draws_stay_within_one_of_the_expected_count(
    weights: list[float], count: int, start: float
) -> None:
    shares = np.array(weights) / sum(weights)
    drawn = np.bincount(systematic_draws(shares, count, start), minlength=shares.size)
    assert (np.abs(drawn - count * shares) < 1 + 1e-9).all()
    assert drawn.sum() == count


def test_every_pair_is_visited_both_ways_round_before_any_is_visited_again() -> None:
    sets, split = given_sets()
    pairs = 2 * len(split.train)
    frame = DISTRIBUTIONS.build(
        sets, split, 2 * pairs, np.random.default_rng(1), RecordSettings()
    ).frame
    visits = frame.gather_every(2)
    assert visits.select("value_set", "item").n_unique() == pairs
    for first, second in zip(visits.to_dicts(), frame.gather_every(2, 1).to_dicts(), strict=True):
        assert (first["value_set"], first["item"]) == (second["value_set"], second["item"])
        assert first["answers"] == second["answers"][::-1] and first["user"] != second["user"]
