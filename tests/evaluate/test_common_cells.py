"""Leaving out what is hard never helps: rows are compared on the answers that all of them gave."""

from collections.abc import Callable

import numpy as np
import pytest

from suffrage.evaluate import Answers, EvaluationInput, distances, equity, fit, structure
from suffrage.evaluate.results import FigureDifference
from suffrage.evaluate.statistics.common_cells import CommonCells
from suffrage.models import ModelAnswer
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, split_items
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=600, items=14, seed=3)
SETS = [build_value_set(SURVEY, n, {"region": n}, 1) for n in ("north", "south")]
SPLITS = {1: split_items(SURVEY.codebook.items, HeldOut(share=0.6), 1)}
HARD = set(sorted(SPLITS[1].held_out)[:3])


def answers(how: Callable, refused: Callable[[str, str], bool]) -> Answers:  # type: ignore[type-arg]
    return Answers(
        {
            v.name: [
                ModelAnswer(i, "letters", how(i, d.shares), 1.0, 0.0, refused(v.name, i))
                for i, d in v.distributions.items()
            ]
            for v in SETS
        }
    )


def good_but_for_hard(item: str, p: np.ndarray) -> np.ndarray:
    return np.eye(p.size)[p.argmin()] if item in HARD else 0.9 * p + 0.1 / p.size


def middling(item: str, p: np.ndarray) -> np.ndarray:
    return 0.5 * p + 0.5 / p.size


CASES = {
    "questions": lambda value_set, item: item in HARD,
    "group": lambda value_set, item: value_set == "south",
}


def given(refused: Callable[[str, str], bool]) -> EvaluationInput:
    said = {
        ("plain", 1): answers(middling, lambda v, i: False),
        ("refuser", 1): answers(good_but_for_hard, refused),
    }
    return EvaluationInput(SETS, SPLITS, said, ["plain", "refuser"], [])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("evaluation", [fit, distances, equity, structure])
def test_one_that_refuses_is_marked_and_never_better(case: str, evaluation) -> None:  # type: ignore[no-untyped-def]
    card = evaluation.EVALUATION.scored(given(CASES[case]), 1)
    better = {m.name: m.better for m in evaluation.EVALUATION.measures}
    pairs = [
        d
        for d in card.figure_differences
        if {d.method, d.against} == {"plain", "refuser"} and d.value_set == "all"
        if d.side in (None, "held_out")
    ]
    assert pairs or evaluation is structure
    for d in pairs:
        own = d if d.method == "refuser" else d.turned(method=d.against, against=d.method)
        if own.unanswered == 0:
            continue
        wanted = "lower" if better[d.measure] == "lower" else "higher"
        assert own.verdict not in (wanted, "same"), d.measure
    figures = {
        f.method: f
        for f in card.figures
        if (f.measure, f.value_set, f.seed, f.side) == ("fit", "all", "all", "held_out")
    }
    if figures:
        assert figures["plain"].missing == 0 < figures["refuser"].missing
        assert figures["plain"].n == figures["refuser"].n


@pytest.mark.slow
def test_without_the_protection_refusing_would_win() -> None:
    """The case is one where refusing would help: on all answers it is worse, on the rest better."""

    def value(refused: Callable[[str, str], bool]) -> float:
        card = fit.score(given(refused), 1)
        return next(
            d.value
            for d in card.figure_differences
            if (d.method, d.against, d.measure, d.side, d.value_set)
            == ("refuser", "plain", "fit", "held_out", "all")
        )

    assert value(lambda v, i: False) < 0 < value(CASES["questions"])


def test_a_method_that_answers_hardly_anything_leaves_the_others_their_cells() -> None:
    every = frozenset(range(10))
    cells = CommonCells({"a": every, "b": every - {1}, "c": frozenset({3})})
    assert cells.compared == every - {1}
    assert [cells.missing(m) for m in "abc"] == [0, 1, 9]
    assert (cells.unanswered("b", "a"), cells.unanswered("a", "b")) == (1, 0)
    assert [cells.uncounted(m) for m in "abc"] == [1, 0, 0]
    assert (cells.kept_out("a", "b"), cells.kept_out("a", "c")) == (0, 0)
    third = CommonCells({"a": every, "b": every, "c": every - {1, 2}})
    assert (third.kept_out("a", "b"), third.kept_out("a", "c")) == (2, 0)


def strong(items: set[str]) -> Callable[[str, np.ndarray], np.ndarray]:
    """Answers that are near people's on these questions, and far on the others."""
    return lambda item, p: (
        (0.95 if item in items else 0.6) * p + (0.05 if item in items else 0.4) / p.size
    )


def of_two(evaluation, measure: str, refused: Callable[[str, str], bool]):  # type: ignore[no-untyped-def]
    """The comparison of two methods next to a third one, and the figures of the two."""
    held_out = sorted(SPLITS[1].held_out)
    easy = set(held_out[: len(held_out) // 2])
    said = {
        ("one", 1): answers(strong(easy), lambda v, i: False),
        ("two", 1): answers(strong(set(held_out) - easy), lambda v, i: False),
        ("third", 1): answers(middling, lambda v, i: i in easy and refused(v, i)),
    }
    methods = ["one", "two", "third"]
    card = evaluation.EVALUATION.scored(EvaluationInput(SETS, SPLITS, said, methods, []), 1)
    gaps = [
        d
        for d in card.figure_differences
        if {d.method, d.against} == {"one", "two"} and d.value_set == "all"
        if d.measure == measure and d.side in (None, "held_out")
    ]
    figures = {
        f.method: f
        for f in card.figures
        if (f.measure, f.value_set, f.seed) == (measure, "all", "all")
        if f.side in (None, "held_out")
    }
    return gaps, figures


@pytest.mark.slow
def test_a_third_methods_refusals_do_not_decide_between_two_others() -> None:
    (whole,), before = of_two(fit, "fit", lambda v, i: False)
    (gap,), after = of_two(fit, "fit", lambda v, i: True)
    assert (gap.value, gap.low, gap.high, gap.p, gap.n) == pytest.approx(
        (whole.value, whole.low, whole.high, whole.p, whole.n)
    )
    assert gap.kept_out == 0 and not any(f.uncounted for f in before.values())
    # Their own figures are over the answers of all three, and say so.
    assert after["one"].value != pytest.approx(before["one"].value)
    assert after["one"].uncounted == after["two"].uncounted == after["third"].missing > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("evaluation", "measure"), [(equity, "worst"), (distances, "calibration_error")]
)
def test_a_figure_that_is_no_mean_gives_no_verdict_on_what_a_third_left_over(  # type: ignore[no-untyped-def]
    evaluation, measure: str
) -> None:
    gaps, figures = of_two(evaluation, measure, lambda v, i: True)
    assert gaps and all(d.kept_out > 0 and d.verdict == "unknown" for d in gaps)
    assert figures["one"].uncounted > 0


@pytest.mark.parametrize(("better", "value"), [("higher", 0.2), ("lower", -0.2)])
def test_a_verdict_is_known_only_against_the_one_that_left_answers_out(
    better: str, value: float
) -> None:
    ends = sorted([value * 0.5, value * 1.5])
    d = FigureDifference(
        evaluation="e", measure="m", method="one", against="two", value=value, low=ends[0],
        high=ends[1], n=9, p=0.001, adjusted=0.001, better=better,  # type: ignore[arg-type]
    )  # fmt: skip
    seen = d.verdict
    assert seen == better
    assert d.model_copy(update={"unanswered": 2}).verdict == "unknown"
    assert d.model_copy(update={"against_unanswered": 2}).verdict == seen
    turned = d.model_copy(update={"unanswered": 2}).turned()
    assert turned.verdict == "unknown" and turned.against_unanswered == 2
