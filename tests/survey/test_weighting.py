"""A study's targets, the survey raked to them, and every way the two may not fit together."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.errors import InputError
from suffrage.survey import Survey
from suffrage.survey.weighting import WeightingSpec, weighted
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=600, weighted=True)
HALVES = {"north": 0.4, "south": 0.6}
AGES = {"18-34": 30, "35-64": 45, "65+": 25}


def spec(margins: dict[str, Any], **more: Any) -> WeightingSpec:
    return WeightingSpec(margins=margins, source="a census", **more)


def share(survey: Survey, condition: pl.Expr) -> float:
    inside = survey.responses.select(condition.alias("in"))["in"].to_numpy()
    return float(survey.weights[inside].sum() / survey.weights.sum())


def test_the_raked_survey_meets_shares_and_percentages_and_ranges() -> None:
    raked, found = weighted(SURVEY, spec({"region": HALVES, "age": AGES}))
    assert share(raked, pl.col("region") == "north") == pytest.approx(0.4)
    age = pl.col("age").cast(pl.Int64)
    assert share(raked, age <= 34) == pytest.approx(0.30)
    assert share(raked, age >= 65) == pytest.approx(0.25)
    assert found.gap < 1e-6 and found.n_eff[1] <= found.n
    assert found.dissimilarity["region"][1] == pytest.approx(0, abs=1e-6)
    assert raked.provenance.weight_variable == "weight, raked to region, age (a census)"
    assert raked.content_hash != SURVEY.content_hash


def test_joint_cells_are_met() -> None:
    cells = {"north x 18-49": 0.2, "north x 50+": 0.3, "south x 18-49": 0.3, "south x 50+": 0.2}
    raked, _ = weighted(SURVEY, spec({"region x age": cells}))
    old_north = (pl.col("region") == "north") & (pl.col("age").cast(pl.Int64) >= 50)
    assert share(raked, old_north) == pytest.approx(0.3)


def test_who_is_missing_is_told_most_first() -> None:
    _, found = weighted(SURVEY, spec({"region": {"north": 0.9, "south": 0.1}}))
    (most, *rest) = found.missing()
    assert (most.name, rest) == ("north", [])
    assert most.base < most.target == pytest.approx(most.raked)
    plain = SURVEY.responses.filter(pl.col("region") == "north").height / 600
    assert most.sample == pytest.approx(plain)


def test_someone_of_unknown_category_is_an_error_unless_kept() -> None:
    some = pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("region"))
    survey = SURVEY.with_responses(SURVEY.responses.with_columns(some.alias("region")))
    with pytest.raises(InputError, match="7 of 600 respondents have no known category"):
        weighted(survey, spec({"region": HALVES}))
    kept, found = weighted(survey, spec({"region": HALVES}, unknown="keep"))
    np.testing.assert_allclose(kept.weights[:7], survey.weights[:7])
    assert found.gap < 1e-6


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ({"region": {"north": 0.5, "south": 0.4}}, "the shares sum to 0.9; they must sum to 1"),
        ({"region": {"north": 55, "south": 30}}, "the shares sum to 85"),
        ({"region": {"north": 1.0, "south": 0}}, 'the share of "south" is 0'),
        ({"region": {"north": 1.0}}, 'respondents with "south" have no target'),
        ({"region": {**HALVES, "east": 0.0001}}, 'nobody in the sample is "east"'),
        ({"religion": {"yes": 0.5, "no": 0.5}}, "religion is not a demographic column"),
        ({"regoin": HALVES}, 'regoin is not a demographic .* Did you mean "region"'),
        ({"age": {"18-40": 0.5, "50+": 0.5}}, "lies in no category"),
        ({"age": {"18-50": 0.5, "50+": 0.5}}, "50 lies in 2 categories"),
        ({"region x age": {"north": 0.5, "south": 0.5}}, "names 1 categories for 2 columns"),
    ],
)
def test_targets_that_do_not_fit_are_named(margins: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        weighted(SURVEY, spec(margins))


def test_weights_that_explode_are_refused() -> None:
    lone = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("west")).otherwise(pl.col("region"))
    survey = SURVEY.with_responses(SURVEY.responses.with_columns(lone.alias("region")))
    margins = {"region": {"north": 0.3, "south": 0.3, "west": 0.4}}
    with pytest.raises(InputError, match=r"times the mean weight \(region: west\)"):
        weighted(survey, spec(margins))
    with pytest.raises(InputError, match="cannot all be met within bounds"):
        weighted(survey, spec(margins, bounds=(0.2, 5)))


def test_bounds_must_hold_one() -> None:
    with pytest.raises(InputError, match="the first below 1"):
        spec({"region": HALVES}, bounds=(1.5, 2))
