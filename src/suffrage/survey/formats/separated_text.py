"""Files of separated values: read column by column, with every row as long as the header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from suffrage.errors import InputError

# How many bytes of a file are looked at in one go.
BLOCK = 1_000_000
# A mark of UTF-32 begins like one of UTF-16.
_WIDE_MARKS = (
    ((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    ((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
)
_QUOTE, _LINE_END = ord('"'), ord("\n")


def read_csv(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    """A CSV file with every column as text; commas, semicolons, tabs or bars between the columns.

    Raises InputError on bytes that are not of the encoding (naming the first and its line), on an
    empty file, on a column name that appears twice and on a row with too few or too many cells.
    """
    return read_csv_and_row(path, encoding)[0]


def read_csv_and_row(path: Path, encoding: str = "utf-8") -> tuple[pl.DataFrame, int]:
    """A CSV file as `read_csv` reads it, and the row of the file that its first record is."""
    frame, _, first_row = read_coded_csv(path, encoding)
    return frame.with_columns(pl.all().cast(pl.String)), first_row


def read_coded_csv(
    path: Path, encoding: str = "utf-8", wanted: Collection[str] | None = None
) -> tuple[pl.DataFrame, list[str], int]:
    """Read the wanted columns of a CSV file (all when None), with the names of all its columns.

    Names are without blanks around them.

    The number is the row of the file that the first record is: 2, or 3 below a first line "sep=".

    The columns are categorical: each distinct text is kept once, and every row has a number. A
    survey's columns have few distinct texts, so a million respondents need four bytes a cell.
    Raises InputError as `read_csv` does.
    """
    raw = _as_utf8(path, encoding)
    if not raw or raw.isspace():
        raise InputError(f"{path.name} is empty; it must contain a header and rows.")
    raw, stated = _without_separator_line(raw)
    header_row = 1 if stated is None else 2
    separator = stated or _separator(raw)
    written = next(_records(raw, separator, path.name))
    names = [name.strip() for name in written]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        alike = [name for name, plain in zip(written, names, strict=True) if plain == twice[0]]
        how = " (but for blanks around it)" if len(set(alike)) > 1 else ""
        raise InputError(
            f"{path.name}: column {twice[0]!r} appears twice{how}; rename one of the two."
        )
    if len(names) > 1:
        raw = _without_empty_end(raw)
    present = [name for name in names if wanted is None or name in wanted]
    as_written = dict(zip(names, written, strict=True))
    try:
        frame = pl.read_csv(
            raw,
            columns=[as_written[name] for name in present or names[:1]],
            schema=dict.fromkeys(written, pl.Categorical),
            separator=separator,
        ).rename(str.strip)
    except pl.exceptions.PolarsError as error:
        _check_row_lengths(raw, separator, len(names), path.name, header_row)
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not readable as CSV ({reason}).") from error
    # Polars fills up a row that is cut short.
    if len(names) > 1 and not _all_rows_have(len(names), raw, separator):
        _check_row_lengths(raw, separator, len(names), path.name, header_row)
    return frame.select(present), names, header_row + 1


def _as_utf8(path: Path, encoding: str) -> bytes:
    """The file's text in UTF-8, without a byte order mark."""
    raw = path.read_bytes()
    encoding = _wide_encoding(raw, path.name) or encoding
    try:
        if encoding != "utf-8":
            raw = raw.decode(encoding).encode()
        else:
            _check_utf8(raw)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        wrong = f"{path.name} line {line}: byte 0x{raw[error.start]:02x} is not"
        if encoding != "utf-8":
            raise InputError(f"{wrong} {encoding}; name the file's true encoding.") from error
        raise InputError(
            f"{wrong} UTF-8; save the file as UTF-8 (from Latin-1: iconv -f LATIN1 -t UTF-8 "
            f"{path.name} > utf8.csv)."
        ) from error
    raw = raw.removeprefix(codecs.BOM_UTF8)
    # Old programs of the Macintosh end lines with a carriage return only.
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _wide_encoding(raw: bytes, source: str) -> str | None:
    """UTF-16 or UTF-32 where the file begins with its mark, as Excel's "Unicode text" does.

    Raises InputError on a text of two bytes a character without the mark.
    """
    for marks, encoding in _WIDE_MARKS:
        if raw.startswith(marks):
            return encoding
    head = raw[:1000]
    places = [place for place, byte in enumerate(head) if byte == 0]
    if len(places) > len(head) / 4:
        order = "LE" if sum(place % 2 for place in places) * 2 > len(places) else "BE"
        raise InputError(
            f"{source} looks like UTF-16 without a byte order mark; save the file as UTF-8 (iconv "
            f"-f UTF-16{order} -t UTF-8 {source} > utf8.csv)."
        )
    return None


def _check_utf8(raw: bytes) -> None:
    """Raise UnicodeDecodeError where the bytes are not UTF-8, without a copy of them all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(raw), BLOCK):
            decoder.decode(raw[start : start + BLOCK], final=start + BLOCK >= len(raw))
    except UnicodeDecodeError:
        # Only the whole text says where the first wrong byte is.
        raw.decode("utf-8")
        raise


def _without_empty_end(raw: bytes) -> bytes:
    """The same without empty lines at its end."""
    if raw.endswith((b"\n\n", b"\n\r\n")):
        return raw.rstrip(b"\r\n") + b"\n"
    return raw


def _without_separator_line(raw: bytes) -> tuple[bytes, str | None]:
    """The text without the first line that Excel writes ("sep=,"), and the separator it states."""
    found = re.match(rb'"?sep=(.)"?\r?\n', raw, flags=re.IGNORECASE)
    if found is None:
        return raw, None
    return raw[found.end() :], found[1].decode()


def _separator(raw: bytes) -> str:
    first_line = raw[: raw.find(b"\n") if b"\n" in raw else None]
    header = re.sub(r'"[^"]*"', "", first_line.decode())
    return max(",;\t|", key=header.count)


def _records(raw: bytes, separator: str, source: str) -> Iterator[list[str]]:
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="")
    try:
        yield from csv.reader(text, delimiter=separator)
    except csv.Error as error:
        raise InputError(
            f"{source}: not readable as CSV ({error}); is a quotation mark left open?"
        ) from error


def _all_rows_have(columns: int, raw: bytes, separator: str) -> bool:
    """Whether separators and line ends outside quotation marks give every row so many cells.

    A text with a quotation mark in the middle of a cell can be refused although it is complete;
    nothing incomplete is passed as complete.
    """
    outside = 0  # How many quotation marks there are before the block.
    in_row = 0  # How many separators the row that a block cuts in two has before it.
    for start in range(0, len(raw), BLOCK):
        block = np.frombuffer(raw, np.uint8, min(BLOCK, len(raw) - start), start)
        marks = np.flatnonzero((block == ord(separator)) | (block == _LINE_END))
        quotes = np.flatnonzero(block == _QUOTE)
        if quotes.size or outside % 2:
            before = outside + np.searchsorted(quotes, marks)
            marks = marks[before % 2 == 0]
            outside += quotes.size
        ends = np.flatnonzero(block[marks] == _LINE_END)
        if ends.size:
            cells = np.diff(ends, prepend=-1 - in_row)
            if (cells != columns).any():
                return False
            in_row = int(marks.size - ends[-1] - 1)
        else:
            in_row += int(marks.size)
    ends_in_a_row = raw[-1] != _LINE_END
    return outside % 2 == 0 and (not ends_in_a_row or in_row == columns - 1)


def _check_row_lengths(
    raw: bytes, separator: str, columns: int, source: str, header_row: int
) -> None:
    for row, cells in enumerate(_records(raw, separator, source), start=header_row):
        if len(cells) != columns:
            raise InputError(
                f"{source} row {row} has {len(cells)} cells where the header has {columns}; is "
                "the file complete, and every text that holds a separator in quotes?"
            )
