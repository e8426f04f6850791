"""Evaluations: one file each, all giving rows of one scoreboard with intervals."""

from suffrage.evaluate.asking.answers import Answers, Scoring, collect_answers
from suffrage.evaluate.results import Results
from suffrage.evaluate.scorecard import (
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    Place,
    ProbeInput,
    Scorecard,
)

__all__ = [
    "Answers",
    "Evaluation",
    "EvaluationInput",
    "EvaluationOptions",
    "Place",
    "ProbeInput",
    "Results",
    "Scorecard",
    "Scoring",
    "collect_answers",
]
