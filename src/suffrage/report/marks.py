"""What the marks next to figures and verdicts mean, where a result has such figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import Contrast, FigureDifference, Results
from suffrage.models.readouts import Readout
from suffrage.plurals import plural
from suffrage.report.numbers import (
    INCOMPLETE_NOTE,
    INTERVAL_NAME,
    NARROWED_NOTE,
    NO_INTERVAL,
    interval,
    percent,
    signed,
)

STRICTER_NOTE = (
    "Here an interval excludes 0, although the verdict is that the two cannot be told apart. The "
    "interval is for one comparison only. The verdict is corrected for all comparisons of one "
    "measure (Holm) and allows for skewed differences and for few questions."
)


# The readouts of the scoreboard and of the first page.
_SCOREBOARD: tuple[Readout, ...] = ("letters", "sentence")


def marks_note(results: Results, readouts: Collection[Readout] = _SCOREBOARD) -> str:
    """Sentences on the marks that the figures of `fit` have, each after a space; often empty.

    readouts: those whose figures stand next to the note.
    """
    notes = []
    own = [f for f in results.figures if f.evaluation == FIT and f.readout in readouts]
    if any(figure.missing for figure in own):
        notes.append(INCOMPLETE_NOTE)
    if any(figure.uncounted and not figure.missing for figure in own):
        notes.append(NARROWED_NOTE)
    return "".join(f" {note}" for note in notes)


def stricter_note(shown: Iterable[Contrast]) -> str:
    """A sentence where one of the differences shown is not told apart and its interval says so.

    Empty where there is none. Give it the differences that stand next to it, and no others.
    """
    return STRICTER_NOTE if any(leaves_out_zero(contrast) for contrast in shown) else ""


def per_measure_note(results: Results) -> str:
    """What a verdict's correction covers, and what this means for a report with many measures.

    Empty where there is no verdict.
    """
    measures = {(d.evaluation, d.measure) for d in results.figure_differences if d.p is not None}
    if not measures:
        return ""
    rule = (
        "A verdict is corrected for all comparisons of its measure, and not over measures: where "
        "methods are truly equal, about 1 study in 20 or fewer has a false verdict on a given "
        "measure."
    )
    if len(measures) == 1:
        return rule
    return (
        f"{rule} This report has verdicts on {len(measures)} measures, so the chance that at least "
        "one of its verdicts is false is larger. Doubt a single difference that no related "
        "measure shows."
    )


def is_for_missing_answers(contrast: Contrast) -> bool:
    """Whether answers that one of the two left out are why nothing can be said."""
    left_out = contrast.unanswered or contrast.against_unanswered
    return bool(left_out) and contrast.low is not None and contrast.verdict == "unknown"


def no_answer_counts(results: Results) -> str | None:
    """Why no model of a study has a fit, in two sentences; None where an answer of one counts.

    Fit is about chosen labels; other ways of reading an answer have figures of their own.
    """
    models = {m.name for m in results.methods if m.kind in ("untrained", "trained")}
    answers = [a for a in results.answers if a.method in models and a.readout == "letters"]
    if not answers or not all(answer.refused for answer in answers):
        return None
    mass = percent(sum(answer.mass for answer in answers) / len(answers))
    return (
        "No answer of the model counts: on average, the answers to choose from had "
        f"{mass} of its probability, and that is too little. "
        "Take a model that follows instructions."
    )


def left_out_words(contrast: Contrast, other: str = "the other") -> str:
    """Who of the two left answers out, as what is said of the first; `other` is the second."""
    if contrast.unanswered:
        count = plural(contrast.unanswered, "answer")
        return f"left out {count} that {other} gave, so nothing is said in its favour"
    count = plural(contrast.against_unanswered, "answer")
    return f"can't be compared with {other}, which left out {count} that it gave"


def leaves_out_zero(contrast: Contrast) -> bool:
    """Whether its interval leaves out 0 though it is not told apart from 0."""
    if contrast.low is None or contrast.high is None:
        return False
    return contrast.verdict == "same" and contrast.low * contrast.high > 0


def change_words(difference: FigureDifference) -> str:
    """A difference and its interval, with what it is."""
    return f"difference {short_change(difference)}"


def short_change(difference: FigureDifference) -> str:
    """A difference and its interval."""
    change = signed(difference.value)
    if difference.low is None:
        return f"{change}, {NO_INTERVAL}"
    span = interval(difference.low, difference.high, with_sign=True)
    return f"{change}, {INTERVAL_NAME} {span}"
