"""Published answers: a row for each question and group, in CSV, JSON lines or Parquet."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from suffrage import storage
from suffrage.errors import InputError, unreadable_json
from suffrage.survey.formats.separated_text import read_csv
from suffrage.survey.published_table import PublishedAnswer, PublishedTable, build_table
from suffrage.survey.reading import Reader, ReaderOptions, existing_file

# What a column may be called in the file.
SPELLINGS = {
    "question": ("question", "text"),
    "options": ("options",),
    "option": ("option", "answer"),
    "group": ("group", "population", "country"),
    "shares": ("shares", "share", "distribution"),
    "counts": ("counts", "count"),
    "item": ("item", "key", "variable"),
    "survey": ("survey", "source"),
    "topic": ("topic",),
    "battery": ("battery",),
    "ordered": ("ordered",),
    "year": ("year",),
    "n": ("n", "respondents"),
}


class TableOptions(ReaderOptions):
    """What `survey:` may say to readers of published tables."""

    # The table: CSV, JSON, JSON lines or Parquet.
    path: Path
    # Other names for populations, such as {S. Korea: South Korea}, so that sources agree.
    rename: dict[str, str] = Field(default_factory=dict)
    # Only these populations, as the file spells them; default: all.
    populations: tuple[str, ...] = ()
    # Rows of fewer people are left out, where the file says how many there were.
    min_n: float = Field(default=0, ge=0)


class Options(TableOptions):
    """What `survey:` may say to `published_table`."""

    # What reports call the table.
    title: str | None = None
    # How a question to a model names a population.
    description: str = "people of {population}"
    # What the shares are, in one sentence, for the report.
    weighting: str = "as published; how they were weighted is not stated"
    # How to cite the table.
    citation: str | None = None
    # Who may use the table.
    terms: str | None = None
    # Whether the year is part of a population's name.
    by_year: bool = False


def read(options: Options, folder: Path) -> PublishedTable:
    """Read the table. Raises InputError naming the row of whatever is wrong."""
    path = existing_file(folder / options.path, "path")
    answers = [
        answer for answer in table_answers(path, options.by_year) if _wanted(answer, options)
    ]
    if not answers:
        raise InputError(f"{path.name}: no row is left; see survey.populations and survey.min_n.")
    table = build_table(
        answers,
        title=options.title or path.stem,
        reader=READER.name,
        files={path.name: storage.file_hash(path)},
        weighting=options.weighting,
        description=options.description,
        citation=options.citation,
        terms=options.terms,
        strict=path.name,
    )
    return table.renamed(options.rename)


def _wanted(answer: PublishedAnswer, options: TableOptions) -> bool:
    if options.populations and answer.population not in options.populations:
        return False
    return answer.n is None or answer.n >= options.min_n


def files(options: TableOptions, folder: Path) -> list[Path]:
    """The table."""
    return [existing_file(folder / options.path, "path")]


READER = Reader("published_table", Options, read, files, respondents=False)


def table_answers(path: Path, by_year: bool = False) -> Iterator[PublishedAnswer]:
    """The rows of a table, whatever its format, with a row for each option or each question.

    Raises InputError naming the row and the column of whatever is wrong.
    """
    rows = list(_rows(path))
    if not rows:
        raise InputError(f"{path.name} has no rows.")
    if "option" in rows[0][1] and "options" not in rows[0][1]:
        yield from _from_long_rows(rows, path.name, by_year)
        return
    for place, row in rows:
        shares, n = _shares_and_n(row, f"{path.name} {place}")
        yield _answer(row, tuple(row["options"]), shares, n, place, path.name, by_year)


def _from_long_rows(
    rows: list[tuple[str, dict[str, Any]]], source: str, by_year: bool
) -> Iterator[PublishedAnswer]:
    """Rows of one option each, put together by question and group in the order of the file."""
    together: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for place, row in rows:
        key = tuple(str(row.get(name)) for name in ("survey", "item", "question", "group", "year"))
        together[key].append((place, row))
    for found in together.values():
        place, first = found[0]
        listed = [name for name in ("shares", "counts") if name in first]
        whole: dict[str, Any] = {**first, **{n: [row[n] for _, row in found] for n in listed}}
        shares, n = _shares_and_n(whole, f"{source} {place}")
        texts = tuple(str(row["option"]) for _, row in found)
        yield _answer(first, texts, shares, n, place, source, by_year)


def _answer(
    row: Mapping[str, Any],
    options: tuple[Any, ...],
    shares: tuple[float, ...],
    n: float | None,
    place: str,
    source: str,
    by_year: bool,
) -> PublishedAnswer:
    group, question = (str(row.get(name) or "").strip() for name in ("group", "question"))
    if by_year:
        if row.get("year") in (None, ""):
            raise InputError(f"{source} {place}: year is empty, and survey.by_year needs it.")
        group = f"{group}, {row['year']}"
    return PublishedAnswer(
        population=group,
        question=question,
        options=tuple(str(option) for option in options),
        shares=shares,
        n=n,
        key=_text(row.get("item")),
        ordered=_yes_or_no(row.get("ordered"), f"{source} {place}"),
        topic=_text(row.get("topic")),
        battery=_text(row.get("battery")),
        place=place,
    )


def _text(cell: Any) -> str | None:
    return None if cell is None or str(cell).strip() == "" else str(cell).strip()


def _yes_or_no(cell: Any, where: str) -> bool | None:
    if cell is None or cell == "":
        return None
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = words.get(str(cell).strip().lower())
    if found is None:
        raise InputError(f'{where}: ordered is "{cell}"; say true or false.')
    return found


def _shares_and_n(row: Mapping[str, Any], where: str) -> tuple[tuple[float, ...], float | None]:
    """The shares of the options and how many were asked, from shares or from counts."""
    n = _number(row.get("n"), where, "n")
    if row.get("counts") is not None:
        counts = _numbers(row["counts"], where, "counts")
        total = sum(counts)
        if total <= 0 or min(counts) < 0:
            raise InputError(f"{where}: counts must be 0 or more, and not all 0.")
        return tuple(count / total for count in counts), total
    if row.get("shares") is None:
        raise InputError(f"{where}: there are neither shares nor counts.")
    return _numbers(row["shares"], where, "shares"), n


def _numbers(cell: Any, where: str, column: str) -> tuple[float, ...]:
    if not isinstance(cell, list):
        raise InputError(f"{where}: {column} must be a list of numbers, one an option.")
    found = [_number(number, where, column) for number in cell]
    return tuple(math.nan if number is None else number for number in found)


def _number(cell: Any, where: str, column: str) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise InputError(f'{where}: {column} is "{cell}", which is not a number.') from None


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row by our names for its columns, with where it is."""
    name = path.name.removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson", ".json")):
        raw, where = _json_rows(path), "record"
    elif name.endswith(".parquet"):
        raw, where = pl.read_parquet(path).to_dicts(), "row"
    elif name.endswith((".csv", ".tsv", ".txt")):
        raw, where = read_csv(path).to_dicts(), "row"
    else:
        raise InputError(f"{path.name}: must be .csv, .jsonl, .json or .parquet.")
    if not raw:
        return
    columns = _columns({name: None for row in raw for name in row}, path.name)
    for number, row in enumerate(raw, start=2 if name.endswith((".csv", ".tsv", ".txt")) else 1):
        place = f"{where} {number}"
        found = {ours: row.get(theirs) for ours, theirs in columns.items()}
        for listed in ("options", "shares", "counts"):
            cell = found.get(listed)
            if isinstance(cell, str) and "option" not in found:
                found[listed] = _listed(cell, listed, path.name, place)
        if found.get("options") is not None and not isinstance(found["options"], list):
            raise InputError(f"{path.name} {place}: options must be a list.")
        yield place, found


def _columns(row: Mapping[str, Any], source: str) -> dict[str, str]:
    """Our name for each column that is there, to the file's."""
    found = {ours: name for ours, names in SPELLINGS.items() for name in names[::-1] if name in row}
    for needed in (("question",), ("group",), ("options", "option"), ("shares", "counts")):
        if not any(name in found for name in needed):
            wanted = " or ".join(spelling for name in needed for spelling in SPELLINGS[name])
            raise InputError(
                f"{source} has no column {wanted}; it has {', '.join(row)}. docs/surveys.md shows "
                "the columns of a published table."
            )
    return found


def _listed(text: str, column: str, source: str, place: str) -> Any:
    """A list from a cell of text: JSON, or parts between bars."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            raise InputError(
                f"{source} {place}: {column} is not a list as JSON writes it; with bars between "
                "its parts (Good | Bad) it needs no quotes."
            ) from None
    return [part.strip() for part in text.split("|")]


def _json_rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON list, or of JSON lines."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path.name}: not a whole gzip file ({error}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: {unreadable_json(error)}.") from error
    if text.lstrip().startswith("["):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path.name}: {unreadable_json(error)}.") from error
        if not all(isinstance(record, dict) for record in content):
            raise InputError(f"{path.name}: must be a list of records.")
        return list(content)
    found = []
    for number, line in storage.json_lines(text):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, RecursionError, TypeError):
            raise InputError(f"{path.name} line {number}: not a record in JSON.") from None
    return found
