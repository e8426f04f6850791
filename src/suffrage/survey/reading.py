"""What every reader shares: the contract, files, and codes turned into positions."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from suffrage import registry, settings
from suffrage.errors import InputError
from suffrage.survey.codebook import Item, NonResponse
from suffrage.survey.group_differences import with_cautions
from suffrage.survey.survey import POSITION, Survey

# Encodings of a CSV file. SPSS and Stata files name their own, sometimes wrongly.
Encoding = Literal["utf-8", "latin-1", "windows-1252"]
# What a study says for `weight:` where everyone is to count the same.
NO_WEIGHT = "none"
# How many rows with an unknown code a message names.
ROWS_NAMED = 5


class ReaderOptions(BaseModel):
    """What a study's `survey:` may say to a reader; each reader adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Reader:
    """A survey reader: validated options in, `Survey` out."""

    name: str
    options: type[ReaderOptions]
    # Reads the survey. Relative paths in the options are relative to the folder given.
    read: Callable[[Any, Path], Survey]
    # The files that `read` will read, for the cache key.
    files: Callable[[Any, Path], list[Path]]


def existing_file(path: Path, key: str) -> Path:
    """The path, if it is a file. Raises InputError naming the key that holds it."""
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise InputError(f"survey.{key}: {path} {kind}.")
    return path


def existing_path(path: Path, key: str) -> Path:
    """The path, if a file or folder is there. Raises InputError naming the key that holds it."""
    if not path.exists():
        raise InputError(f"survey.{key}: {path} does not exist.")
    return path


def read_csv(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    """A CSV file with every column as text; commas, semicolons, tabs or bars between the columns.

    Raises InputError on bytes that are not of the encoding (naming the first and its line), on an
    empty file, on a column name that appears twice and on a row with too few or too many cells.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        if encoding != "utf-8":
            raise InputError(
                f"{path.name} line {line}: byte 0x{raw[error.start]:02x} is not {encoding}; name "
                "the file's true encoding."
            ) from error
        raise InputError(
            f"{path.name} line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file "
            f"as UTF-8 (from Latin-1: iconv -f LATIN1 -t UTF-8 {path.name} > utf8.csv)."
        ) from error
    if not text.strip():
        raise InputError(f"{path.name} is empty; it must hold a header and rows.")
    separator = _separator(text)
    names = next(_records(text, separator, path.name))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path.name}: column {twice[0]!r} stands twice; rename one of the two.")
    if len(names) > 1:
        text = text.rstrip("\r\n") + "\n"
    try:
        frame = pl.read_csv(text.encode(), infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        _check_row_lengths(text, separator, len(names), path.name)
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not readable as CSV ({reason}).") from error
    # Polars fills up a row that is cut short. Its last cell is then empty, so only files with an
    # empty last cell are searched.
    if len(names) > 1 and frame.height and frame[frame.columns[-1]].null_count():
        _check_row_lengths(text, separator, len(names), path.name)
    return frame


def _separator(text: str) -> str:
    header = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    return max(",;\t|", key=header.count)


def _records(text: str, separator: str, source: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text), delimiter=separator)
    except csv.Error as error:
        raise InputError(
            f"{source}: not readable as CSV ({error}); is a quotation mark left open?"
        ) from error


def _check_row_lengths(text: str, separator: str, columns: int, source: str) -> None:
    for row, cells in enumerate(_records(text, separator, source), start=1):
        if len(cells) != columns:
            raise InputError(
                f"{source} row {row} has {len(cells)} cells where the header has {columns}; is "
                "the file complete, and every text that holds a separator in quotes?"
            )


def plain_code(code: Any) -> str:
    """A code as a codebook writes it: "1" for 1, 1.0 and "1.0"; texts stripped."""
    text = str(code).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def code_order(code: str) -> tuple[float, str]:
    """A key that sorts codes by their number, and texts after all numbers."""
    try:
        return float(code), code
    except ValueError:
        return math.inf, code


def first_names(names: Sequence[str]) -> str:
    """The first twelve names and how many more there are, for a message."""
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


@dataclass(frozen=True)
class UnknownCode:
    """A code of a file that its codebook does not know."""

    # The file's name.
    source: str
    item: str
    column: str
    code: str
    # The first `ROWS_NAMED` rows of the file that have it (the header is row 1).
    rows: tuple[int, ...]
    # How many rows have it.
    count: int


_listed: ContextVar[list[UnknownCode] | None] = ContextVar("unknown codes", default=None)


@contextmanager
def unknown_codes_listed() -> Iterator[list[UnknownCode]]:
    """Within the block unknown codes are listed, and read as missing; elsewhere they are errors."""
    found: list[UnknownCode] = []
    token = _listed.set(found)
    try:
        yield found
    finally:
        _listed.reset(token)


def unknown_codes(
    column: pl.Series, item_id: str, codes: Sequence[str], source: str, rows: pl.Series | None
) -> list[UnknownCode]:
    """Where each of the codes is in a column, in the order of the file.

    rows: the file's row number of each value; when None, the values are the file's, from row 2.
    """
    found = []
    for code in codes:
        where = (column == code).fill_null(False).arg_true()
        at = (where + 2 if rows is None else rows.gather(where)).to_list()
        named = tuple(int(row) for row in at[:ROWS_NAMED])
        found.append(UnknownCode(source, item_id, column.name or item_id, code, named, len(at)))
    return sorted(found, key=lambda unknown: unknown.rows)


def list_or_refuse(unknown: Sequence[UnknownCode], message: str) -> None:
    """List the codes within `unknown_codes_listed`, else raise InputError with the message."""
    listed = _listed.get()
    if listed is None:
        raise InputError(message)
    listed.extend(unknown)


def positions(
    column: pl.Series,
    item: Item,
    non_response: Mapping[str, NonResponse],
    source: str,
    rows: pl.Series | None = None,
) -> pl.Series:
    """A column of codes as option positions and `NonResponse` numbers (`POSITION`).

    Empty cells are `MISSING`. rows: the file's row number of each value, for messages; when None,
    the values are the file's, from row 2.
    Raises InputError naming the file, row, column and code of the first unknown code, except
    within `unknown_codes_listed`.
    """
    codes = column.cast(pl.String).str.strip_chars()
    distinct = [code for code in codes.unique().to_list() if code not in (None, "")]
    table: dict[str, int] = {option.code: i for i, option in enumerate(item.options)}
    known = {**table, **{code: int(kind) for code, kind in non_response.items()}}
    mapping = {code: known[plain_code(code)] for code in distinct if plain_code(code) in known}
    unknown = [code for code in distinct if code not in mapping]
    if unknown:
        found = unknown_codes(codes, item.id, unknown, source, rows)
        first = found[0]
        allowed = ", ".join(option.code for option in item.options)
        named = item.id if first.column == item.id else f"{item.id} (column {first.column})"
        list_or_refuse(
            found,
            f'{source} row {first.rows[0]}: {named} is "{first.code}", which is not in its '
            f"codebook (options {allowed}; {sum(code.count for code in found)} such rows). Add the "
            "code to the codebook, as an option or as a kind of non-response.",
        )
        mapping |= dict.fromkeys(unknown, int(NonResponse.MISSING))
    mapping[""] = int(NonResponse.MISSING)
    return codes.fill_null("").replace_strict(mapping, return_dtype=POSITION).alias(item.id)


def read_survey(
    reader: str | Mapping[str, Any], folder: str | Path = ".", **options: Any
) -> Survey:
    """Read a survey's files into one coding, with codebook, weights and provenance.

    Parameters
    ----------
    reader : str or mapping
        The name of a survey reader, such as "labelled_file", "wvs7" or "ess", or the whole section
        that a study has under `survey:`, with the reader's name under `reader`.
    folder : str or Path
        The folder that relative paths in the options start from.
    **options
        What the reader needs to know, such as `path` and `codebook`, as docs/surveys.md lists it.

    Returns
    -------
    Survey
        One row a respondent. Answers are positions from 0 among an item's options, or negative
        numbers for kinds of non-response.

    Raises
    ------
    InputError
        There is no such reader or option, or a file is missing, incomplete or not as its codebook
        says.

    Examples
    --------
    >>> survey = read_survey("labelled_file", path="town.csv", codebook="town.yaml")
    >>> survey.responses.height
    120
    >>> survey.codebook["roads"].texts
    ('Too little', 'About right', 'Too much')
    """
    given = {"reader": reader} if isinstance(reader, str) else reader
    found, settled = _reader({**given, **options})
    return with_cautions(found.read(settled, Path(folder)))


def survey_files(section: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files that `read_survey` would read. Raises InputError when one does not exist."""
    reader, options = _reader(section)
    return reader.files(options, folder)


def _reader(section: Mapping[str, Any]) -> tuple[Reader, ReaderOptions]:
    given = dict(section)
    known = ", ".join(registry.names("readers"))
    if "reader" not in given:
        raise InputError(f"survey.reader is missing; there are {known}.")
    reader: Reader = registry.load("readers", str(given.pop("reader")))
    return reader, settings.validated(reader.options, given, "the study", "survey")
