"""The first page tells what came of votes, and takes nothing that learnt only votes for a rival."""

import pytest

from suffrage.evaluate.results import (
    EvaluationFacts,
    Figure,
    FigureDifference,
    MethodFacts,
    Results,
)
from suffrage.report.summary import board_summary
from suffrage.report.votes_in_short import votes_in_short
from tests.report.example_results import example_results

VOTED = MethodFacts(
    name="voted",
    label="Distribution matching (voted)",
    kind="trained",
    explanation="x",
    settings={"records": "votes"},
)
WORDS = VOTED.model_copy(update={"name": "words", "label": "Regression on words", "writes": False})


def figure(method: str, value: float, evaluation: str = "votes") -> Figure:
    return Figure(
        evaluation=evaluation,
        measure="fit",
        method=method,
        seed="all",
        value_set="all",
        side="held_out",
        value=value,
        low=value - 0.1,
        high=value + 0.1,
        n=40,
        readout="letters" if evaluation == "fit" else None,
    )


def difference(method: str, against: str, value: float, p: float) -> FigureDifference:
    return FigureDifference(
        evaluation="votes",
        measure="fit",
        method=method,
        against=against,
        value_set="all",
        side="held_out",
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        n=40,
        p=p,
        adjusted=p,
        detectable=0.01,
    )


def results_with_votes(*differences: FigureDifference, start: str | None = "sft") -> Results:
    plain = example_results()
    votes = EvaluationFacts(
        name="votes",
        question="?",
        cannot_show="x",
        measures=[],
        details={"starts": {"voted": start} if start else {}},
    )
    return plain.model_copy(
        update={
            "methods": [*plain.methods, VOTED, WORDS],
            "evaluations": [*plain.evaluations, votes],
            "figures": [*plain.figures, figure("voted", 0.85), figure("words", 0.99, "fit")],
            "figure_differences": [*plain.figure_differences, *differences],
        }
    )


def test_a_gain_over_the_start_and_none_over_the_average_vote_are_both_said() -> None:
    found = results_with_votes(
        difference("voted", "sft", 0.2, 0.001), difference("voted", "average vote", 0.0, 0.9)
    )
    (sentence, *_) = votes_in_short(found)
    assert "is closer to people’s votes than the model it started from" in sentence
    assert "cannot be told apart from the average vote, which ignores the statement" in sentence
    assert "+0.18 to +0.22" in sentence
    summary = board_summary(found)
    assert summary is not None and sentence in summary.votes


@pytest.mark.parametrize(
    ("value", "p", "words"),
    [
        (-0.2, 0.001, "is further from people’s votes than the untrained model"),
        (0.2, 0.5, "cannot be told apart from the untrained model"),
    ],
)
def test_without_a_start_it_is_compared_with_the_untrained_model(
    value: float, p: float, words: str
) -> None:
    found = results_with_votes(difference("voted", "base", value, p), start=None)
    assert words in votes_in_short(found)[0]


def test_nothing_is_said_where_nothing_learnt_votes() -> None:
    assert votes_in_short(example_results()) == []


def test_what_learnt_only_votes_is_no_rival_in_the_surveys_fit() -> None:
    summary = board_summary(results_with_votes())
    assert summary is not None
    assert "Regression on words" not in str(summary.picture) + " ".join(summary.because)
