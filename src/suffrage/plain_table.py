"""Tables for a terminal whose cells are shown as they are: square brackets are no markup."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
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


def _literal(text: RenderableType) -> RenderableType:
    if isinstance(text, Text) and visible(text.plain) != text.plain:
        # Made visible before columns are measured.
        return Text(visible(text.plain), style=text.style)
    return Text(visible(text)) if isinstance(text, str) else text
