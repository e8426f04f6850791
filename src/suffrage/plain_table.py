"""Tables for a terminal whose cells are shown as they are: square brackets are no markup."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

from suffrage.terminal_text import visible


class PlainTable(Table):
    """A table of Rich that takes every text literally.

    Rich reads "[nationality]" in a plain string as markup and leaves it out, and stops at "[/x]".
    Texts of surveys, studies and consultations come from files, so no text here is markup.

    Examples
    --------
    >>> table = PlainTable("question")
    >>> table.add_row("I am not [nationality]")
    >>> [str(cell) for cell in table.columns[0].cells]
    ['I am not [nationality]']
    """

    def add_column(
        self, header: RenderableType = "", footer: RenderableType = "", **options: Any
    ) -> None:
        """Add a column; see `rich.table.Table.add_column`."""
        super().add_column(_literal(header), _literal(footer), **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; see `rich.table.Table.add_row`."""
        super().add_row(*(None if cell is None else _literal(cell) for cell in cells), **options)


# Where a word that is wider than its column may end a line, such as "dpo-proportional".
_JOINT = re.compile(r"(?<=[-_/.:,])(?=\w)")


class _CellText(Text):
    """A text whose long words are broken behind a hyphen or the like, where they have one."""

    def wrap(self, console: Console, width: int, **how: Any) -> Lines:
        """Break the text into lines; see `rich.text.Text.wrap`."""
        if how.get("no_wrap") or self.no_wrap:
            return super().wrap(console, width, **how)
        parts = self.divide(_breaks(self.plain, width))
        return Text("\n").join(parts).wrap(console, width, **how)


def _breaks(text: str, width: int) -> list[int]:
    """The places in words wider than a column at which a line ends."""
    places = []
    for word in re.finditer(r"\S+", text):
        if cell_len(word.group()) <= width:
            continue
        begin = word.start()
        joints = [word.start() + joint.start() for joint in _JOINT.finditer(word.group())]
        for joint, following in pairwise([*joints, word.end()]):
            if cell_len(text[begin:following]) > width:
                places.append(joint)
                begin = joint
    return places


def _literal(text: RenderableType) -> RenderableType:
    if isinstance(text, str):
        return _CellText(visible(text))
    if not isinstance(text, Text):
        return text
    shown = visible(text.plain)  # before columns are measured
    spans = text.spans if shown == text.plain else []
    return _CellText(
        shown,
        style=text.style,
        justify=text.justify,
        overflow=text.overflow,
        no_wrap=text.no_wrap,
        spans=spans,
    )
