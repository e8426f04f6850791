"""Kish's effective sample size and design effect, by hand."""

import numpy as np
import polars as pl
import pytest

from suffrage.population import build_value_set
from suffrage.survey import design_effect, effective_sample_size
from tests.synthetic import make_survey


def test_kish_by_hand() -> None:
    assert effective_sample_size(np.array([1.0, 1, 2])) == pytest.approx(16 / 6)
    assert design_effect(np.array([1.0, 1, 2])) == pytest.approx(3 * 6 / 16)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_cannot_be_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        effective_sample_size(np.array(weights))


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e308, 5e-324, 0.3, 1.0])
@pytest.mark.filterwarnings("error")
def test_the_scale_of_weights_changes_nothing(size: float) -> None:
    assert effective_sample_size(np.full(1000, size)) == pytest.approx(1000, rel=1e-12)
    if size > 1e-300:
        weights = np.array([0.25, 0.5, 1.0])
        wanted = 1.75**2 / (0.0625 + 0.25 + 1)
        assert effective_sample_size(weights * size) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("size", [1e200, 1e-200])
@pytest.mark.filterwarnings("error")
def test_a_value_set_with_huge_or_tiny_weights_is_that_with_weights_of_one(size: float) -> None:
    survey = make_survey(respondents=240, items=4)
    ones = survey.responses.with_columns(weight=pl.lit(1.0))
    scaled = survey.responses.with_columns(weight=pl.lit(size))
    wanted = build_value_set(survey.with_responses(ones), "all", {}, 1)
    found = build_value_set(survey.with_responses(scaled), "all", {}, 1)
    assert found.n_eff == pytest.approx(240)
    for item, own in wanted.distributions.items():
        again = found.distributions[item]
        np.testing.assert_allclose(again.shares, own.shares)
        np.testing.assert_allclose(again.standard_errors, own.standard_errors)
        assert again.n_eff == pytest.approx(own.n_eff)
