"""Evaluations: one file each, all giving rows of one scoreboard with intervals."""

from suffrage.evaluate.asking.answers import Answers, Scoring, collect_answers
from suffrage.evaluate.results import Results
from suffrage.evaluate.scorecard import (
    Asking,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    Place,
    Scorecard,
)

__all__ = [
    "Answers",
    "Asking",
    "Evaluation",
    "EvaluationInput",
    "EvaluationOptions",
    "Place",
    "Results",
    "Scorecard",
    "Scoring",
    "collect_answers",
]
