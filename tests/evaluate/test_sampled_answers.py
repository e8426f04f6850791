"""The sampling error of answers drawn from a model, as behind an endpoint, is in intervals."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from suffrage.arrays import FloatArray
from suffrage.evaluate import Answers, EvaluationInput, Scorecard, distances, equity
from suffrage.evaluate.compare import Run, compare_results
from suffrage.evaluate.statistics.sampled_answers import resampled_model_shares
from suffrage.models import ModelAnswer
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, split_items
from tests.report.example_results import example_results
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=4000, items=10, seed=3)
SETS = [build_value_set(SURVEY, n, {"region": n}, 1) for n in ("north", "south")]
SPLITS = {1: split_items(SURVEY.codebook.items, HeldOut(share=0.6), 1)}


def given(drawn: int | None) -> EvaluationInput:
    """A model that knows the people but for a lean of its own; read, or drawn so many times."""

    def said(shares: FloatArray) -> FloatArray:
        return np.asarray(0.8 * shares + 0.2 * np.eye(shares.size)[0])

    answers = Answers(
        {
            v.name: [
                ModelAnswer(i, "letters", said(d.shares), 1.0, 0.0, False, 0.0, drawn)
                for i, d in v.distributions.items()
            ]
            for v in SETS
        }
    )
    return EvaluationInput(SETS, SPLITS, {("m", 1): answers}, ["m"], [])


def interval(card: Any, measure: str, value_set: str = "all") -> tuple[float, float]:
    found = next(
        f for f in card.figures if (f.measure, f.method, f.value_set) == (measure, "m", value_set)
    )
    return found.value, found.high - found.low


@cache
def scored(score: Callable[..., Scorecard], drawn: int | None) -> Scorecard:
    return score(given(drawn), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("score", "measure"),
    [
        (distances.EVALUATION.score, "js_similarity"),
        (distances.EVALUATION.score, "total_variation"),
        (distances.EVALUATION.score, "way_wasserstein"),
        (equity.EVALUATION.score, "shortfall"),
        (equity.EVALUATION.score, "worst"),
        (equity.EVALUATION.score, "within"),
    ],
)
def test_fewer_drawn_answers_make_wider_intervals_about_the_same_figure(
    score: Callable[..., Scorecard], measure: str
) -> None:
    read, many, few = (interval(scored(score, n), measure) for n in (None, 200_000, 8))
    assert read[0] == many[0] == few[0]
    assert many[1] == pytest.approx(read[1], rel=0.05)
    assert few[1] > 1.15 * many[1]


def test_the_spread_that_is_added_is_that_of_the_drawn_answers() -> None:
    # One item, two clusters of it, people known to the last: what is left is the model's own error.
    p = np.array([0.5, 0.3, 0.2])
    again = resampled_model_shares("m", "q", "letters", p, 1.0, 50)
    assert again is not None and again.shape == (200, 3)
    assert again.std(axis=0) == pytest.approx(np.sqrt(p * (1 - p) / 50), rel=0.2)
    assert resampled_model_shares("m", "q", "letters", p, 0.0, 50) is None


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["fit", "emd", "entropy_ratio", "slope"])
def test_a_leaderboard_carries_it_too(measure: str) -> None:
    results = example_results()

    def width(drawn: int | None) -> float:
        changed = results.model_copy(
            update={
                "answers": [
                    a.model_copy(update={"drawn": drawn, "mass": 1.0})
                    if a.method == "prompt"
                    else a
                    for a in results.answers
                ]
            }
        )
        (board,) = compare_results([Run("a", changed)], measure).boards
        row = next(s for s in board.standings if s.method == "prompt")
        assert row.low is not None and row.high is not None
        return row.high - row.low

    assert width(1_000_000) == pytest.approx(width(None), rel=0.02)
    assert width(4) > 1.02 * width(None)


def test_one_answer_for_several_groups_is_drawn_anew_alike_in_all() -> None:
    one = given(9)
    itself = one.answers["m", 1].by_value_set["north"]
    same = Answers({v.name: itself for v in SETS})
    found = equity.EVALUATION.score(replace(one, answers={("m", 1): same}), 1)
    alone = [v for v in SETS if v.name == "north"]
    single = equity.EVALUATION.score(
        replace(one, value_sets=alone, answers={("m", 1): Answers({"north": itself})}), 1
    )
    # Two groups do not halve the error of an answer that both share.
    assert interval(found, "within")[1] > 0.75 * interval(single, "within")[1]
