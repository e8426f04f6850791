"""A figure over several groups counts every question once, however many groups answered it."""

from collections import defaultdict

import numpy as np
import pytest

from suffrage.evaluate.results import ALL, Figure
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured

GROUPS = [f"year {k}" for k in range(20)]
QUESTIONS = [f"q{k}" for k in range(9)]


def asked(question: str) -> list[str]:
    """Every group was asked the first question; the others were asked of a few."""
    return GROUPS if question == "q0" else GROUPS[: 1 + int(question[1:]) % 3]


def rows(generator: np.random.Generator, lost: frozenset[str] = frozenset()) -> list[Measured]:
    return [
        Measured(1, group, question, question, generator.normal(0.5, 0.1), np.ones(1))
        for question in QUESTIONS
        for group in asked(question)
        if question not in lost
    ]


def question_means(given: list[Measured]) -> dict[str, float]:
    by_question = defaultdict(list)
    for row in given:
        by_question[row.item].append(row.point)
    return {question: float(np.mean(points)) for question, points in by_question.items()}


def one(figures: tuple[Figure, ...], method: str, value_set: str) -> Figure:
    (found,) = [f for f in figures if (f.method, f.value_set) == (method, value_set)]
    return found


def test_a_figure_is_the_mean_over_questions_of_means_over_groups() -> None:
    generator = np.random.default_rng(1)
    units = {"m": {"a": rows(generator), "b": rows(generator)}}
    floor = {"m": rows(generator)}
    figures, (gap,) = make_figures("e", units, ["a", "b"], 1, floor, questions_once=True)
    means = {method: question_means(own) for method, own in units["m"].items()}
    for method, own in means.items():
        figure = one(figures, method, ALL)
        assert figure.value == pytest.approx(np.mean(list(own.values())))
        assert figure.floor == pytest.approx(np.mean(list(question_means(floor["m"]).values())))
    apart = np.array(list(means["b"].values())) - np.array(list(means["a"].values()))
    assert gap.value == pytest.approx(apart.mean())
    # Nine questions of one size each: the error of a plain mean of their differences, with
    # Student's reach for all nine.
    narrowest = 2.306 * apart.std(ddof=1) / 3
    assert gap.low is not None and gap.value - gap.low >= narrowest * 0.999
    # The figure of one group counts each of its questions as it is.
    own = [row.point for row in units["m"]["a"] if row.value_set == "year 0"]
    assert one(figures, "a", "year 0").value == pytest.approx(np.mean(own))


def test_a_pair_is_compared_on_the_questions_both_have_each_counted_once() -> None:
    generator = np.random.default_rng(2)
    lost = frozenset({"q0", "q4"})
    units = {"m": {"a": rows(generator), "b": rows(generator, lost)}}
    _, (gap,) = make_figures("e", units, ["a", "b"], 1, elsewhere=["b"], questions_once=True)
    a, b = (question_means(own) for own in units["m"].values())
    assert gap.value == pytest.approx(np.mean([b[q] - a[q] for q in b]))


def test_where_all_groups_answered_everything_nothing_changes() -> None:
    generator = np.random.default_rng(3)
    units = {
        "m": {
            name: [
                Measured(1, g, q, q, generator.normal(), generator.normal(size=5))
                for q in QUESTIONS
                for g in GROUPS
            ]
            for name in "ab"
        }
    }
    made = [make_figures("e", units, ["a", "b"], 1, questions_once=once) for once in (True, False)]
    assert made[0] == made[1]


def test_respondents_move_a_question_as_much_as_it_counts() -> None:
    generator = np.random.default_rng(4)
    units = {
        "m": {
            "a": [
                Measured(1, g, q, q, 0.5, 0.5 + generator.normal(0, 0.1, 200))
                for q in QUESTIONS
                for g in asked(q)
            ]
        }
    }
    figures, _ = make_figures("e", units, ["a"], 1, questions_once=True)
    figure = one(figures, "a", ALL)
    # Independent groups: the variance of a mean over questions of means over groups.
    error = 0.1 * np.sqrt(sum(1 / len(asked(q)) for q in QUESTIONS)) / len(QUESTIONS)
    assert figure.low is not None and figure.high is not None
    assert (figure.high - figure.low) / (2 * 2.306) == pytest.approx(error, rel=0.15)
