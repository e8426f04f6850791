"""How numbers read, in every table and sentence: signs, intervals, shares, durations, counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from suffrage.evaluate.results import LEAST_ROOM

INTERVAL_NAME = "95% interval"
NO_INTERVAL = "too few questions to tell"
# Follows a figure without an interval where a line is too short for the whole, which is said below.
FEW_QUESTIONS = " (too few)"
FEW_NOTE = f"(too few): {NO_INTERVAL} how far off the figure is, so it has no interval."
# Follows the figure of a method that left answers out which others gave.
INCOMPLETE = "†"
INCOMPLETE_NOTE = (
    f"{INCOMPLETE} This method left out answers that others gave. All rows are compared on the "
    "answers that all of them gave, and no comparison counts in its favour."
)
# Follows the figure of a method some of whose answers are not counted, for others left them out.
NARROWED = "‡"
NARROWED_NOTE = (
    f"{NARROWED} Some answers of this method are not counted here, because another method left "
    "them out. Its rank could differ on all of its answers; pairs are compared on the answers that "
    "both gave."
)
NOTHING = "–"
# In place of a share of the way from the floor to the ceiling.
TOO_CLOSE = "too close"


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    """A figure with a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _without_negative_zero(f"{value:.{digits}f}")


def signed(value: float | None, digits: int = 2) -> str:
    """A difference: always with its sign, except when it rounds to zero."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return _without_negative_zero(f"{value:+.{digits}f}")


def _without_negative_zero(text: str) -> str:
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "−")


def interval(
    low: float | None, high: float | None, digits: int = 2, with_sign: bool = False
) -> str:
    """ "0.66 to 0.75", or "too few questions to tell"."""
    if not _is_number(low) or not _is_number(high):
        return NO_INTERVAL
    show = signed if with_sign else number
    return f"{show(low, digits)} to {show(high, digits)}"


class WithInterval(Protocol):
    """A figure with its interval, whatever it is a figure of."""

    @property
    def value(self) -> float:
        """The figure."""

    @property
    def low(self) -> float | None:
        """The lower end; None where there is no interval."""

    @property
    def high(self) -> float | None:
        """The upper end; None where there is no interval."""


def with_interval(
    figure: WithInterval | None, digits: int = 2, missing: str = f" ({NO_INTERVAL})"
) -> str:
    """ "0.71 [0.66, 0.75]"; a dash where there is no figure. missing: follows one without."""
    if figure is None:
        return NOTHING
    value = marked(figure, digits)
    if not _is_number(figure.low) or not _is_number(figure.high):
        return f"{value}{missing}"
    return f"{value} [{number(figure.low, digits)}, {number(figure.high, digits)}]"


class WithValue(Protocol):
    """A figure, whatever it is a figure of."""

    @property
    def value(self) -> float:
        """The figure."""


def marked(figure: WithValue | None, digits: int = 2) -> str:
    """A figure's value with its mark, if it does not count all answers; a dash where there is none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> marked(SimpleNamespace(value=0.8712, missing=12, uncounted=0))
    '0.87†'
    >>> marked(None)
    '–'
    """
    return NOTHING if figure is None else number(figure.value, digits) + incomplete(figure)


def incomplete(figure: object) -> str:
    """The mark of a figure that does not count all answers; empty for others.

    One mark is of answers that this method left out, the other of those that another one did.
    """
    if getattr(figure, "missing", 0):
        return INCOMPLETE
    return NARROWED if getattr(figure, "uncounted", 0) else ""


def percent(share: float | None, digits: int = 0) -> str:
    """A share as "62%"; a dash where there is none."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return f"{number(100 * share, digits)}%"


class _WithWay(Protocol):
    @property
    def floor(self) -> float | None: ...
    @property
    def ceiling(self) -> float | None: ...
    @property
    def way(self) -> float | None: ...


def way_text(figure: _WithWay | None) -> str:
    """How far a figure is from its floor to its ceiling, or that the two are too close to say."""
    if figure is None or figure.floor is None or figure.ceiling is None:
        return NOTHING
    return TOO_CLOSE if figure.way is None else percent(figure.way)


def way_note(figures: Iterable[_WithWay | None]) -> str:
    """What `TOO_CLOSE` means, with a space before it; empty where no figure shows it."""
    if TOO_CLOSE not in (way_text(figure) for figure in figures):
        return ""
    return (
        f" “{TOO_CLOSE.capitalize()}”: the floor and the ceiling are less than {LEAST_ROOM:g} "
        "apart, so the way between them cannot be measured."
    )


def duration(seconds: float | None) -> str:
    """ "45 s", "2 min 10 s", "3 h 05 min"; a dash where nothing ran."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def short_duration(seconds: float | None) -> str:
    """Time in at most six characters: "45 s", "12 min", "3.2 h"."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return duration(seconds)
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def thousands(count: float) -> str:
    """A count with commas between thousands, as in 2,348; a dash where it is not known."""
    return f"{count:,.0f}" if math.isfinite(count) else NOTHING
