"""What is new to the models, kind by kind, and what a good fit there would show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from suffrage.evaluate.fit import AVERAGE, NAME, OTHERS, UNIFORM
from suffrage.evaluate.results import FigureDifference, HeldOutRegime, MethodFacts, Results
from suffrage.report.cells import (
    VERDICT_NAMES,
    Cell,
    Table,
    difference_cell,
    figure_cell,
    in_sentence,
    make_table,
    verdict_name,
)
from suffrage.report.marks import is_for_missing_answers, left_out_words, stricter_note
from suffrage.report.numbers import NOTHING, interval, marked, signed
from suffrage.report.tables import by_kind

REGIMES: tuple[HeldOutRegime, ...] = get_args(HeldOutRegime)
# What a regime is called, and what a fit above the floor shows there.
WORDS: dict[HeldOutRegime, tuple[str, str]] = {
    "question": (
        "New questions",
        "it can answer a new question that stands next to known ones in a questionnaire",
    ),
    "topic": ("New topics", "it can answer questions on a subject that it was never trained on"),
    "population": (
        "New populations",
        "it can answer for a population whose answers nobody gave it, on questions that it knows",
    ),
    "survey": ("Another survey", "what it learnt holds in a survey that it was never trained on"),
}


@dataclass(frozen=True)
class RegimePart:
    """One thing that is new to the models."""

    title: str
    sentence: str
    table: Table


def regime_parts(results: Results) -> list[RegimePart]:
    """One part for each regime that the study holds out; none where it names no regimes."""
    return [
        _part(results, regime)
        for regime in REGIMES
        if any(figure.regime == regime for figure in results.figures)
    ]


def _floor(results: Results, regime: HeldOutRegime) -> str:
    """What a method has to beat: of a new population, what other populations answer.

    Without a question trained on there is no average answer, and the even one is the floor.
    """
    floors = (OTHERS, AVERAGE) if regime == "population" else (AVERAGE,)
    found = (name for name in floors if results.figure(NAME, "fit", name, regime=regime))
    return next(found, UNIFORM)


def _part(results: Results, regime: HeldOutRegime) -> RegimePart:
    floor = _floor(results, regime)
    labels = {method.name: method.label for method in results.methods}
    rows, shown = [], []
    for method in by_kind(results):
        figure = results.figure(NAME, "fit", method.name, regime=regime)
        if figure is None:
            continue
        found = _against(results, method.name, floor, regime)
        verdict = NOTHING if found is None else verdict_name(found, VERDICT_NAMES)
        shown += [] if found is None else [found]
        rows.append(
            [Cell(method.label), figure_cell(figure), difference_cell(found), Cell(verdict)]
        )
    columns = [
        ("Method", False),
        ("Fit", True),
        (f"Against {in_sentence(labels[floor])}", True),
        ("Verdict", False),
    ]
    title, _ = WORDS[regime]
    return RegimePart(
        title,
        _sentence(results, regime, floor, labels),
        make_table(
            f"{title}: all value sets and seeds together", columns, rows, stricter_note(shown)
        ),
    )


def _against(
    results: Results, method: str, floor: str, regime: HeldOutRegime
) -> FigureDifference | None:
    if method == floor:
        return None
    return results.difference(NAME, "fit", method, floor, regime=regime)


def _sentence(results: Results, regime: HeldOutRegime, floor: str, labels: dict[str, str]) -> str:
    """What the best trained method shows, or that none was trained."""
    title, claim = WORDS[regime]
    read = [
        (figure, method)
        for method in results.methods
        if method.kind == "trained"
        and (figure := results.figure(NAME, "fit", method.name, regime=regime)) is not None
    ]
    if not read:
        return f"{title}: no trained method could be read on them."
    trained = [(figure.value, method) for figure, method in read if not figure.missing]
    if not trained:
        return (
            f"{title}: every trained method left out answers that others gave, so none is called "
            "the best."
        )
    best: MethodFacts = max(trained, key=lambda pair: (pair[0], pair[1].name))[1]
    figure = results.figure(NAME, "fit", best.name, regime=regime)
    found = results.difference(NAME, "fit", best.name, floor, regime=regime)
    assert figure is not None
    count = f"{figure.n} question{'s' if figure.n != 1 else ''}"
    start = f"{title} ({count}): {in_sentence(best.label)} fits to {marked(figure, 3)}"
    if found is not None and is_for_missing_answers(found):
        return f"{start}. It {left_out_words(found, in_sentence(labels[floor]))}."
    if found is None or found.verdict == "unknown":
        return f"{start}; there are too few questions to tell it from {in_sentence(labels[floor])}."
    span = interval(found.low, found.high, 3, with_sign=True)
    gap = f"{signed(found.value, 3)} {span} against {in_sentence(labels[floor])}"
    if found.verdict == "higher":
        return f"{start}, {gap}. So {claim}, by that much."
    if found.verdict == "lower":
        return f"{start}, {gap}: worse than an answer that needs no model."
    return f"{start}, {gap}, which cannot be told apart. Nothing here shows that {claim}."
