"""CSV files of a consultation: read as text, and written so that no spreadsheet runs a cell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from suffrage.errors import InputError, near_files

_FORMULA = re.compile(r"'*[=+\-@\t\r\0]")


def neutralised(text: str) -> str:
    """Return the text with an apostrophe in front where a spreadsheet would run it as a formula.

    Examples
    --------
    >>> neutralised("=1+1")
    "'=1+1"
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """Return the text that `neutralised` was given.

    Examples
    --------
    >>> restored(neutralised("=1+1"))
    '=1+1'
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def read_csv_as_text(path: Path) -> pl.DataFrame:
    """Read a CSV file with every column as text.

    Raises
    ------
    InputError
        The file cannot be read as CSV in UTF-8.
    """
    try:
        return pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.{near_files(path)}") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows, the header first, with line ends as RFC 4180 has them.

    With a line end of "\\n" alone a text that contains a bare "\\r" would not be quoted.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    # Bytes, so that no platform changes a line break inside a text.
    path.write_bytes(text.getvalue().encode())
