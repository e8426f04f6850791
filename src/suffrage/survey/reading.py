"""What every reader shares: the contract, files, and codes turned into positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from suffrage import registry, settings
from suffrage.arguments import MAPPING, PATH, TEXT, takes
from suffrage.errors import InputError, naming_file, near_files
from suffrage.plurals import plural
from suffrage.survey.codebook import Item, NonResponse
from suffrage.survey.codes import plain_code
from suffrage.survey.group_differences import with_cautions
from suffrage.survey.published_table import PublishedTable
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
    # Reads respondents, or a table of published shares. Relative paths in the options are relative
    # to the folder given.
    read: Callable[[Any, Path], Survey | PublishedTable]
    # The files that `read` will read, for the cache key.
    files: Callable[[Any, Path], list[Path]]
    # Whether it reads respondents; else it reads a table of published shares.
    respondents: bool = True


def existing_file(path: Path, key: str) -> Path:
    """The path, if it is a file. Raises InputError naming the key that holds it."""
    if path.is_dir():
        raise InputError(f"survey.{key}: {path} is a folder, not a file.")
    return existing_path(path, key)


def existing_path(path: Path, key: str) -> Path:
    """The path, if a file or folder is there. Raises InputError naming the key that holds it."""
    if not path.exists():
        raise InputError(f"survey.{key}: {path} does not exist.{near_files(path)}")
    return path


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
    texts = column if column.dtype in (pl.String, pl.Categorical) else column.cast(pl.String)
    stripped = {text: text.strip() for text in texts.unique().drop_nulls().to_list()}
    distinct = {*stripped.values()} - {""}
    missing = int(NonResponse.MISSING)
    table: dict[str, int] = {option.code: i for i, option in enumerate(item.options)}
    known = {**table, **{code: int(kind) for code, kind in non_response.items()}}
    mapping = {code: known[plain_code(code)] for code in distinct if plain_code(code) in known}
    unknown = [code for code in distinct if code not in mapping]
    if unknown:
        codes = texts.cast(pl.String).str.strip_chars()
        found = unknown_codes(codes, item.id, unknown, source, rows)
        first = found[0]
        allowed = ", ".join(option.code for option in item.options)
        named = item.id if first.column == item.id else f"{item.id} (column {first.column})"
        list_or_refuse(
            found,
            f'{source} row {first.rows[0]}: {named} is "{first.code}", which is not in its '
            f"codebook (options {allowed}; "
            f"{plural(sum(code.count for code in found), 'such row')}). Add the code to the "
            "codebook, as an option or as a kind of non-response.",
        )
        mapping |= dict.fromkeys(unknown, missing)
    by_text = {text: mapping.get(code, missing) for text, code in stripped.items()}
    found_positions = texts.replace_strict(by_text, default=missing, return_dtype=POSITION)
    return found_positions.fill_null(missing).alias(item.id)


@takes(
    reader=TEXT.but_say('the name of a reader, such as "labelled_file",')
    | MAPPING.but_say("what a study has under `survey:`"),
    folder=PATH,
)
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
        A row for each respondent. Answers are positions from 0 among an item's options, or negative
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
    options = {name: _path_as_text(value) for name, value in options.items()}
    if isinstance(reader, str):
        with naming_keys_after(f'read_survey("{reader}")'):
            found = read_survey_or_table({"reader": reader, **options}, Path(folder))
    else:
        found = read_survey_or_table({**reader, **options}, Path(folder))
    if isinstance(found, PublishedTable):
        raise InputError(
            f"survey: {found.provenance.reader} reads a table of published shares, and this needs "
            "respondents' answers."
        )
    return found


def _path_as_text(value: Any) -> Any:
    """A path as a study would have it, also within a list of paths; anything else as it is."""
    if isinstance(value, list | tuple):
        return [_path_as_text(one) for one in value]
    return fspath(value) if isinstance(value, PathLike) else value


@contextmanager
def naming_keys_after(place: str) -> Iterator[None]:
    """Within the block, errors about a key of `survey:` begin with what the user wrote instead.

    place: such as `read_survey("ess")`, where there is no study and so no `survey:`.
    """
    try:
        yield
    except InputError as error:
        said = str(error)
        if not said.startswith("survey."):
            raise
        raise type(error)(f"{place}: {said.removeprefix('survey.')}") from error


def read_survey_or_table(section: Mapping[str, Any], folder: Path) -> Survey | PublishedTable:
    """Read what a `survey:` section names: respondents' answers, or a table of published shares.

    Raises InputError as `read_survey` does.
    """
    reader, options = _reader(section)
    found = reader.read(options, folder)
    return with_cautions(found) if isinstance(found, Survey) else found


def reads_respondents(section: Mapping[str, Any]) -> bool:
    """Whether a `survey:` section names respondents' answers, and no table of published shares."""
    return _reader(section)[0].respondents


def survey_files(section: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files that `read_survey` would read. Raises InputError when one does not exist."""
    reader, options = _reader(section)
    return reader.files(options, folder)


def _reader(section: Mapping[str, Any]) -> tuple[Reader, ReaderOptions]:
    given = dict(section)
    known = ", ".join(registry.names("readers"))
    if "reader" not in given:
        raise InputError(f"survey.reader is missing; there are {known}.")
    with naming_file("survey.reader"):
        reader: Reader = registry.load("readers", str(given.pop("reader")))
    return reader, settings.validated(reader.options, given, "", "survey")
