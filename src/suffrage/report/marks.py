"""What the marks next to figures and verdicts mean, where a result has such figures."""

from __future__ import annotations

from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import Contrast, Results
from suffrage.report.numbers import INCOMPLETE_NOTE, NARROWED_NOTE

CORRECTED_NOTE = (
    "An interval is of one comparison alone, and a verdict is corrected for all of one measure "
    "over the same value sets (Holm), so an interval can leave out 0 next to a difference that "
    "is not told apart."
)


def marks_note(results: Results) -> str:
    """Sentences on the marks that the figures of `fit` have, each after a space; often empty."""
    notes = []
    own = [figure for figure in results.figures if figure.evaluation == FIT]
    if any(figure.missing for figure in own):
        notes.append(INCOMPLETE_NOTE)
    if any(figure.uncounted and not figure.missing for figure in own):
        notes.append(NARROWED_NOTE)
    if any(leaves_out_zero(d) for d in results.figure_differences if d.evaluation == FIT):
        notes.append(CORRECTED_NOTE)
    return "".join(f" {note}" for note in notes)


def leaves_out_zero(contrast: Contrast) -> bool:
    """Whether its interval leaves out 0 though it is not told apart from 0."""
    if contrast.low is None or contrast.high is None:
        return False
    return contrast.verdict == "same" and contrast.low * contrast.high > 0
