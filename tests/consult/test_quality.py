"""Signs of inattention: who trips them, and who must not."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from suffrage.consult.made_up_public import MadeUpPublicSettings, TasksEach, make_public, take_part
from suffrage.consult.pairing import PairDesign
from suffrage.consult.quality import (
    INSTRUCTED,
    REPEATS,
    SIDE,
    SPEED,
    STRAIGHT,
    _two_sided,
    left_rate,
    quality,
)


@pytest.mark.slow
def test_careless_people_are_flagged_and_hardly_anybody_else() -> None:
    generator = np.random.default_rng(4)
    public = make_public(120, 20, 6, generator, MadeUpPublicSettings(careless=0.2))
    design = PairDesign(repeats=2)
    made = take_part(public, generator, TasksEach(votes=20, pairs=14), design=design)
    found = quality(made.participants["participant"], made.votes, made.comparisons)
    careless = {f"p{i}" for i, m in enumerate(public.manner) if m == "careless"}
    assert len(careless) == 24
    for name in (STRAIGHT, INSTRUCTED, SIDE):
        flagged = {person for person, q in found.items() if name in q.flags}
        assert careless <= flagged, name
        assert len(flagged - careless) <= 5, name
    # Both sides swapped, both times left: the other answer is chosen each time.
    assert all(REPEATS in found[p].flags for p in careless if found[p].repeats == 2)
    once = [p for p, q in found.items() if q.contradicted == 1]
    assert once and not any(REPEATS in found[p].flags for p in once)


def test_speed_is_compared_with_the_median_person() -> None:
    votes = pl.DataFrame(
        schema={
            "participant": pl.String,
            "statement": pl.String,
            "vote": pl.Int8,
            "order": pl.Int32,
        }
    )
    made = take_part(make_public(3, 2, 1, np.random.default_rng(0)), np.random.default_rng(0))
    found = quality(["a", "b", "c"], votes, made.comparisons[:0], {"a": 1.0, "b": 6.0, "c": 7.0})
    assert found["a"].flags == (SPEED,) and not found["b"].flags and not found["c"].flags
    assert found["a"].same is None and found["a"].left is None


@pytest.mark.parametrize(("count", "of"), [(0, 8), (3, 10), (10, 10), (7, 14), (9, 12)])
def test_the_chance_of_a_side_is_the_exact_binomial(count: int, of: int) -> None:
    assert _two_sided(count, of) == pytest.approx(binomtest(count, of).pvalue)


@pytest.mark.slow
def test_the_left_rate_finds_a_bias_that_was_put_in_and_none_where_none_is() -> None:
    for lean, biased in ((0.0, False), (0.8, True)):
        generator = np.random.default_rng(3)
        public = make_public(150, 4, 6, generator, MadeUpPublicSettings(left=lean))
        comparisons = take_part(public, generator, TasksEach(votes=2, pairs=10)).comparisons
        rate = left_rate(comparisons)
        assert rate is not None and (rate[1] > 0.5) == biased
        chosen = comparisons.filter(pl.col("check").is_null())["outcome"].to_list()
        left, right = chosen.count("left"), chosen.count("right")
        interval = binomtest(left, left + right).proportion_ci(method="wilson")
        expected = (left / (left + right), interval.low, interval.high)
        assert rate == pytest.approx(expected, abs=1e-6)
    assert left_rate(comparisons[:0]) is None
