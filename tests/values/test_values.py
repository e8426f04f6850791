"""Taxonomies, keys, scores and reliability."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.survey import Codebook, Item, Option, Provenance, Survey
from suffrage.values.circle import priorities
from suffrage.values.item_keys import item_key
from suffrage.values.reliability import cronbach_alpha
from suffrage.values.scores import mean_scores_of_shares, value_scores
from suffrage.values.taxonomies import taxonomy, taxonomy_names

KEY = item_key("PVQ-21")
COUNTS = {"schwartz10": 10, "schwartz19": 19, "rokeach36": 36, "kiesel54": 54}


LIKE_ME = (
    "Very much like me",
    "Like me",
    "Somewhat like me",
    "A little like me",
    "Not like me",
    "Not like me at all",
)


def answers(n: int = 300, seed: int = 0) -> Survey:
    """Made-up answers to the ESS's items: items of one value go together, some are missing."""
    generator = np.random.default_rng(seed)
    options = tuple(Option(code=str(c), text=text) for c, text in enumerate(LIKE_ME))
    columns: dict[str, object] = {
        "respondent": [f"r{i:04d}" for i in range(n)],
        "weight": generator.uniform(0.5, 2, n),
    }
    for items in KEY.items.values():
        lean = generator.normal(0, 1, n)
        for item in items:
            drawn = np.clip(np.round(2.5 + lean + generator.normal(0, 0.7, n)), 0, 5)
            drawn[generator.random(n) < 0.03] = -1
            columns[item] = pl.Series(drawn, dtype=pl.Int16)
    book = Codebook(
        title="Made up",
        items=tuple(Item(id=v, question=f"About {v}?", options=options) for v in KEY.variables),
    )
    return Survey(pl.DataFrame(columns), book, Provenance("made-up", {}, "Made up."))


@pytest.mark.parametrize("name", taxonomy_names())
def test_each_taxonomy_has_as_many_distinct_values_as_its_source(name: str) -> None:
    found = taxonomy(name)
    assert len({value.id for value in found.values}) == len(found.values) == COUNTS[name]
    assert all(value.description and value.higher_order for value in found.values)
    assert found.is_circle == name.startswith("schwartz")


def test_the_human_values_use_each_of_21_items_once_for_ten_values() -> None:
    assert len(KEY.variables) == len(set(KEY.variables)) == 21
    assert set(KEY.items) == {value.id for value in taxonomy("schwartz10").values}
    assert KEY.items["SD"] == ("ipcrtiv", "impfree") and len(KEY.items["UN"]) == 3


def test_scores_are_the_means_of_items_turned_round_less_the_persons_own() -> None:
    survey = answers()
    found = value_scores(survey, KEY)
    rows = survey.responses.rows_by_key("respondent", named=True, unique=True)
    for place in (0, 17):
        row = rows[found.respondents[place]]
        own = {v: 6 - row[v] for v in KEY.variables if row[v] >= 0}
        centre = np.mean(list(own.values()))
        for k, items in enumerate(KEY.items.values()):
            answered = [own[item] for item in items if item in own]
            wanted = np.mean(answered) - centre if answered else math.nan
            assert found.scores[place, k] == pytest.approx(wanted, nan_ok=True)


def test_answer_shares_have_the_mean_scores_of_the_people_who_gave_them() -> None:
    survey = answers(200, 3)
    whole = survey.responses.filter(
        pl.all_horizontal(pl.col(v) >= 0 for v in KEY.variables)
    ).with_columns(weight=pl.lit(1.0))
    survey = survey.with_responses(whole)
    found = value_scores(survey, KEY)
    shares = {
        v: np.bincount(survey.positions(v), minlength=6) / whole.height for v in KEY.variables
    }
    means = mean_scores_of_shares(KEY.items_of(survey.codebook), KEY, shares)
    assert found.set_aside == 0
    np.testing.assert_allclose(
        list(means.values()), found.scores[:, : len(KEY.items)].mean(axis=0), atol=1e-9
    )


def test_priorities_point_to_the_values_that_matter_most() -> None:
    degrees = {value: 36.0 * place for place, value in enumerate(KEY.items)}
    radians = {value: math.radians(angle) for value, angle in degrees.items()}
    for value, angle in radians.items():
        scores = {other: math.cos(own - angle) for other, own in radians.items()}
        x, y = priorities(scores, degrees)
        assert (x, y) == pytest.approx((math.cos(angle), math.sin(angle))), value
    assert priorities(dict.fromkeys(degrees, 3.0), degrees).tolist() == pytest.approx([0, 0])


@pytest.mark.slow
def test_someone_who_answers_all_alike_or_too_little_is_set_aside() -> None:
    survey = answers(50)
    changed = {
        v: pl.when(pl.int_range(pl.len()) == 0).then(2).otherwise(pl.col(v)).cast(pl.Int16)
        for v in KEY.variables
    }
    alike = survey.with_responses(survey.responses.with_columns(**changed))
    assert "r0000" not in value_scores(alike, KEY).respondents
    silent = {
        v: pl.when(pl.int_range(pl.len()) == 1).then(-1).otherwise(pl.col(v)).cast(pl.Int16)
        for v in KEY.variables[:6]
    }
    less = survey.with_responses(survey.responses.with_columns(**silent))
    found = value_scores(less, KEY)
    assert "r0001" not in found.respondents and found.set_aside >= 1


@pytest.mark.slow
@settings(max_examples=20)  # each takes a third of a second
@given(st.integers(0, 1000), st.floats(0.1, 50))
def test_order_of_rows_and_size_of_weights_change_no_mean(seed: int, factor: float) -> None:
    survey = answers(80, seed)
    means, errors = value_scores(survey, KEY).means()
    moved = survey.responses.sample(fraction=1, shuffle=True, seed=seed)
    other = survey.with_responses(moved.with_columns(pl.col("weight") * factor))
    again, spread = value_scores(other, KEY).means()
    np.testing.assert_allclose(again, means, atol=1e-9)
    np.testing.assert_allclose(spread, errors, atol=1e-9)


def test_alpha_is_the_covariance_form_and_that_of_a_worked_example() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(200, 1)) + generator.normal(size=(200, 4))
    c = np.cov(x.T, bias=True)
    wanted = 4 / 3 * (1 - np.trace(c) / c.sum())
    assert cronbach_alpha(x, np.ones(200)) == pytest.approx(wanted, abs=1e-12)
    same = np.repeat(generator.normal(size=(50, 1)), 3, axis=1)
    assert cronbach_alpha(same, np.ones(50)) == pytest.approx(1)
    assert math.isnan(cronbach_alpha(x[:, :1], np.ones(200)))


@pytest.mark.slow
def test_a_reversed_item_is_named() -> None:
    survey = answers()
    turned = (5 - pl.col("impfree")).cast(pl.Int16)
    kept = pl.when(pl.col("impfree") < 0).then(pl.col("impfree")).otherwise(turned)
    found = value_scores(
        survey.with_responses(survey.responses.with_columns(kept.alias("impfree"))), KEY
    )
    assert "impfree" in found.reversed
    assert value_scores(survey, KEY).reversed == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_centring_makes_no_item_of_unrelated_answers_run_against_its_value(seed: int) -> None:
    survey = answers(1500, seed)
    generator = np.random.default_rng(seed)
    unrelated = {
        v: pl.Series(generator.choice(6, 1500, p=generator.dirichlet(np.ones(6))), dtype=pl.Int16)
        for v in KEY.variables
    }
    drawn = survey.with_responses(survey.responses.with_columns(**unrelated))
    assert value_scores(drawn, KEY).reversed == ()


def test_items_that_are_not_there_are_named() -> None:
    survey = answers(40)
    book = survey.codebook.model_copy(update={"items": survey.codebook.items[1:]})
    less = Survey(survey.responses, book, survey.provenance)
    with pytest.raises(InputError, match="PVQ-21 needs ipcrtiv, which this survey does not have"):
        value_scores(less, KEY)
    with pytest.raises(InputError, match=r'no item key "PVQ-99"; there are .* Did you mean'):
        item_key("PVQ-99")
    with pytest.raises(InputError, match=r'no taxonomy "schwartz11"; .* Did you mean "schwartz'):
        taxonomy("schwartz11")
