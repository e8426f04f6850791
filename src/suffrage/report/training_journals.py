"""How each training went: its loss and its validation, step by step, as small drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suffrage.evaluate.results import Results, TrainingJournal
from suffrage.plurals import plural
from suffrage.report.cells import colours
from suffrage.report.numbers import number

WIDTH, HEIGHT = 300.0, 90.0
# The mean fit of fewer questions moves from one draw of them to another by more than trainings do.
FEW_QUESTIONS = 5


@dataclass(frozen=True)
class Curve:
    """A line of a drawing, with its ends in words."""

    name: str
    points: str  # as SVG has them, in a box of WIDTH by HEIGHT
    begin: str
    end: str


@dataclass(frozen=True)
class JournalTile:
    """One training's drawing."""

    title: str
    style: str
    steps: int
    curves: Sequence[Curve]
    # The step that was kept, in percent of the width; None where it is the last.
    kept: float | None
    kept_step: int | None


def journal_tiles(results: Results) -> list[JournalTile]:
    """A drawing for each training that kept a journal."""
    labels = {method.name: method.label for method in results.methods}
    style = colours(results)
    return [
        _tile(journal, labels.get(journal.method, journal.method), style.get(journal.method, "m1"))
        for journal in results.journals
        if journal.steps
    ]


def _tile(journal: TrainingJournal, label: str, style: str) -> JournalTile:
    last = max(journal.steps[-1], *journal.validation_steps, 1)
    curves = [_curve("loss", journal.steps, journal.losses, last)]
    if len(journal.validation_steps) > 1:
        asked = _held_back(journal.validation_questions)
        curves.append(_curve(asked, journal.validation_steps, journal.validation, last))
    group = f", {journal.group}" if journal.group else ""
    kept = journal.kept_step
    return JournalTile(
        f"{label}, seed {journal.seed}{group}",
        style,
        last,
        curves,
        None if kept is None else round(100 * kept / last, 2),
        kept,
    )


def _held_back(questions: int) -> str:
    """What the fit is of; few questions are a reason to doubt the point that was kept."""
    if not questions:
        return "fit, questions held back"
    few = ", too few to choose well by" if questions < FEW_QUESTIONS else ""
    return f"fit, {plural(questions, 'question')} held back{few}"


def _curve(name: str, steps: Sequence[int], values: Sequence[float], last: int) -> Curve:
    low, high = min(values), max(values)
    room = (high - low) or 1.0
    points = " ".join(
        f"{WIDTH * step / last:.1f},{4 + (HEIGHT - 8) * (high - value) / room:.1f}"
        for step, value in zip(steps, values, strict=True)
    )
    return Curve(name, points, number(values[0]), number(values[-1]))
