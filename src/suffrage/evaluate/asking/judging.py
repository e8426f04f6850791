"""A judge that says which course a free answer takes, and how far it can be relied on.

The judge is a language model that is asked, or an entailment model, which says whether a course
follows from the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from suffrage import settings
from suffrage.arrays import IntArray
from suffrage.evaluate.asking.scenarios import DATA, Scenario
from suffrage.models import Answerer, EntailmentModel, ItemProbe, read_letters
from suffrage.survey import Item, Option

LABELLED = DATA / "labelled_answers.yaml"
NEITHER = "Neither, or it cannot be told."

# A course that follows with less probability than this is not taken to be meant.
ENTAILED = 0.5


class LabelledAnswer(BaseModel):
    """A free answer to a scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    course: int = Field(ge=0, le=2)
    """1 the first course, 2 the second, 0 neither."""
    answer: str = Field(min_length=1)


class _LabelledFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: tuple[LabelledAnswer, ...] = Field(min_length=1)


def labelled_answers() -> tuple[LabelledAnswer, ...]:
    """The labelled sample that ships."""
    return settings.validated(_LabelledFile, settings.read_yaml(LABELLED), LABELLED.name).answers


def judging_item(scenario: Scenario, answer: str) -> Item:
    """What the judge is asked about one answer: first course, second course, neither."""
    first, second = (course.text for course in scenario.courses)
    return Item(
        id=scenario.id,
        question=f"Somebody was asked what to do:\n\n{scenario.situation}\n\nThe answer was:\n\n"
        f'"{" ".join(answer.split())}"\n\nWhich of these does the answer mean?',
        options=tuple(
            Option(code=code, text=text)
            for code, text in (("1", first), ("2", second), ("0", NEITHER))
        ),
        ordered=False,
    )


def verdicts(judge: Answerer, pairs: Sequence[tuple[Scenario, str]]) -> IntArray:
    """1, 2 or 0 for each (scenario, answer): what the judge finds likeliest over all orders."""
    asked = [ItemProbe(judging_item(scenario, answer), None) for scenario, answer in pairs]
    codes = np.array([1, 2, 0])
    return np.array([codes[a.shares.argmax()] for a in read_letters(judge, asked, 0.0)], dtype=int)


def entailments(
    model: EntailmentModel, pairs: Sequence[tuple[Scenario, str]]
) -> npt.NDArray[np.float64]:
    """The probability that each course of action follows from each answer, (pairs, 2).

    The premise is the situation and the answer, since answers leave out what was asked.
    """
    texts = [
        (f"{scenario.situation} {' '.join(answer.split())}", f"What is meant: {course.text}")
        for scenario, answer in pairs
        for course in scenario.courses
    ]
    return model.probabilities(texts).reshape(-1, 2)


def entailed_courses(found: npt.NDArray[np.float64]) -> IntArray:
    """1 or 2, the course that follows more surely.

    0 where neither follows with `ENTAILED`, or both follow equally.
    """
    first, second = found.T
    surer = np.where(first > second, 1, 2)
    return np.where((found.max(axis=1) < ENTAILED) | (first == second), 0, surer)


def accuracy(labels: IntArray, found: IntArray) -> float:
    """The share of verdicts that are the label."""
    return float(np.mean(labels == found))


def cohen_kappa(labels: IntArray, found: IntArray) -> float:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e), at most 1; 0 for a constant verdict.

    p_e: how often two such raters would agree by chance, from how often each gives each verdict.
    Source: Cohen (1960), Educational and Psychological Measurement 20, 37-46.
    """
    kinds = np.union1d(labels, found)
    by_chance = sum(float(np.mean(labels == k)) * float(np.mean(found == k)) for k in kinds)
    if by_chance >= 1.0:
        return 0.0  # both say one thing only: nothing shows that the judge can tell
    return (accuracy(labels, found) - by_chance) / (1 - by_chance)
