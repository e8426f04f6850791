r"""Text from files for a terminal: control characters are shown, and do nothing.

A terminal obeys some characters: a survey's value "\x1b]0;title\x07" would rename the window, and a
bidirectional mark would turn the rest of the line round. Everything that a command prints goes
through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement

# The first control characters but tab and newline, in caret notation; the others as escapes.
_C0 = {code: f"^{chr(code + 64)}" for code in range(32) if chr(code) not in "\t\n"}
_OTHERS = (0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_MARKS = {**_C0, **{code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _OTHERS}}


def visible(text: str) -> str:
    r"""Return a text with every control and bidirectional character as a visible mark.

    Tabs and newlines stay.

    Examples
    --------
    >>> visible("\x1b[31mred\x07")
    '^[[31mred^G'
    >>> print(visible("z\x9b31m \u202etxt"))
    z\x9b31m \u202etxt
    """
    return text.translate(_MARKS)


class VisiblePage:
    """A page of Rich whose texts show their control characters."""

    def __init__(self, page: RenderableType) -> None:
        self.page = page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self.page, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, self.page)


def shown_on_terminal(text: Any, stream: Any) -> Any:
    """Return what to write to a stream: visible on a terminal, and as it is in a file or pipe."""
    is_terminal = getattr(stream, "isatty", None)
    return visible(str(text)) if is_terminal is not None and is_terminal() else text
