"""A survey of your own: a CSV, Parquet, SPSS or Stata file and a codebook in YAML."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.errors import InputError, require
from suffrage.survey.codebook import Codebook, Item, NonResponse
from suffrage.survey.codebook_file import (
    CodebookFile,
    DemographicEntry,
    ItemEntry,
    option_list,
    read_codebook,
)
from suffrage.survey.reading import (
    Reader,
    ReaderOptions,
    existing_file,
    plain_code,
    positions,
    read_csv,
)
from suffrage.survey.respondents import (
    FILE_ROW,
    base_weights,
    named_respondents,
    numbered_respondents,
    with_file_rows,
)
from suffrage.survey.survey import Provenance, SetAside, Survey

# How labels of codes that are no answers are worded, most specific first.
NON_RESPONSE_WORDS = {
    NonResponse.DONT_KNOW: r"\b(don'?t|do not|does not|doesn'?t) know\b|^dk\b|\bunsure\b|^can'?t say",
    NonResponse.REFUSED: r"\brefus|\bno answer\b|\bprefer not\b|^rather not|\bnot stated\b",
    NonResponse.NOT_APPLICABLE: r"\bnot applicable\b|^inap\b|^n/?a$",
    NonResponse.NOT_ASKED: r"\bnot asked\b",
    NonResponse.MISSING: r"^missing\b|\bnot available\b",
}


class Options(ReaderOptions):
    """path: the data, ending in .csv, .parquet, .sav, .zsav or .dta. codebook: a YAML file."""

    path: str
    codebook: str


@dataclass(frozen=True)
class LabelledTable:
    """A file's columns as text, with what it says itself of its codes.

    labels: column to code to label. missing: column to what the file declares user-missing, as
    ranges of numbers (both ends in) or single texts.
    """

    frame: pl.DataFrame
    all_columns: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def declared_missing(self, column: str, codes: Collection[str]) -> dict[str, NonResponse]:
        """Which of the codes the file itself declares missing; the kind is read from the label."""
        labels = self.labels.get(column, {})
        return {
            code: kind_of_label(labels.get(code, "")) or NonResponse.MISSING
            for code in codes
            if any(_within(code, low, high) for low, high in self.missing.get(column, ()))
        }


def files(options: Options, folder: Path) -> list[Path]:
    """The data and its codebook. Raises InputError when one does not exist."""
    return [
        existing_file(folder / options.path, "path"),
        existing_file(folder / options.codebook, "codebook"),
    ]


def read(options: Options, folder: Path) -> Survey:
    """Read the data as its codebook says.

    A code is an option when the item lists it, else what the item's non_response says, else the
    codebook's, else what an SPSS or Stata file declares missing; any other code is an error.
    """
    path, codebook_path = files(options, folder)
    book = read_codebook(codebook_path)
    table = _read_table(path, book.columns())
    _check_columns(book, table, path.name, codebook_path.name)
    items = tuple(
        _item(entry, book, table, f"{codebook_path.name}: items[{i}].options", path.name)
        for i, entry in enumerate(book.items)
    )
    frame = with_file_rows(table.frame)
    columns = [
        named_respondents(frame, book.respondent, path.name)
        if book.respondent
        else numbered_respondents(frame, path.stem),
        base_weights(frame, book.weight, path.name),
        *(
            _demographic(frame, name, entry, book, table, path.name)
            for name, entry in book.demographics.items()
        ),
        *(
            positions(frame[entry.source_column], item, _kinds(entry, item, book, table), path.name)
            for entry, item in zip(book.items, items, strict=True)
        ),
    ]
    unused = [name for name in table.all_columns if name not in book.columns()]
    return Survey(
        pl.DataFrame(columns),
        Codebook(
            title=book.title,
            items=items,
            demographics=tuple(book.demographics),
            citation=book.citation,
            terms=book.terms,
        ),
        Provenance(
            reader="labelled_file",
            files={file.name: storage.file_hash(file) for file in (path, codebook_path)},
            statement=book.statement or _statement(book.weight),
            weight_variable=book.weight,
            set_aside=(SetAside(_listed(unused), len(unused), "not named in the codebook"),)
            if unused
            else (),
        ),
    )


def kind_of_label(label: str) -> NonResponse | None:
    """The kind of non-response that a label words, None when it reads like an answer."""
    plain = label.lower().replace("’", "'").replace("´", "'").strip(" .()[]")
    return next(
        (kind for kind, pattern in NON_RESPONSE_WORDS.items() if re.search(pattern, plain)), None
    )


def _statement(weight: str | None) -> str:
    if weight:
        return f"Weighted by {weight}."
    return (
        "The file carries no weights: the figures stand for the people interviewed, and not "
        "exactly for the population they were drawn from."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _check_columns(book: CodebookFile, table: LabelledTable, source: str, codebook: str) -> None:
    for column, key in book.columns().items():
        if column not in table.all_columns:
            spelled = {name.lower(): name for name in table.all_columns}
            near = difflib.get_close_matches(column.lower(), spelled, 1)
            hint = (
                f'Did you mean "{spelled[near[0]]}"?'
                if near
                else f"It has {_listed([*table.all_columns])}."
            )
            raise InputError(f'{codebook}: {key}: {source} has no column "{column}". {hint}')
    if table.frame.is_empty():
        raise InputError(f"{source} has no rows; is the file complete?")


def _item(
    entry: ItemEntry, book: CodebookFile, table: LabelledTable, key: str, source: str
) -> Item:
    options = entry.options or _options_from_labels(entry, book, table, key, source)
    return Item(
        id=entry.id,
        question=entry.question,
        options=options[::-1] if entry.reversed else options,
        ordered=entry.ordered,
        topic=entry.topic,
        battery=entry.battery,
        note=entry.note,
    )


def _options_from_labels(
    entry: ItemEntry, book: CodebookFile, table: LabelledTable, key: str, source: str
) -> Any:
    column = entry.source_column
    labels = table.labels.get(column, {})
    if not labels:
        raise InputError(
            f"{key}: they are missing, and {source} has no value labels for {column}; write "
            "{code: text, code: text}."
        )
    declared = {*book.non_response, *entry.non_response, *table.declared_missing(column, labels)}
    answers = {code: text for code, text in labels.items() if code not in declared}
    for code, text in answers.items():
        if kind_of_label(text) is not None:
            raise InputError(
                f'{key}: {source} labels {code} "{text}", and nothing says whether that is an '
                "answer; put the code under non_response, or write the options out."
            )
    try:
        return option_list(sorted(answers.items(), key=lambda pair: _number(pair[0])))
    except ValueError as error:
        raise InputError(f"{key}: from the value labels of {source}: {error}.") from error


def _kinds(
    entry: ItemEntry, item: Item, book: CodebookFile, table: LabelledTable
) -> dict[str, NonResponse]:
    column = entry.source_column
    found = [plain_code(code) for code in table.frame[column].unique().drop_nulls().to_list()]
    options = {option.code for option in item.options}
    kinds = {
        **table.declared_missing(column, found),
        **book.non_response,
        **entry.non_response,
    }
    return {code: kind for code, kind in kinds.items() if code not in options}


def _demographic(
    frame: pl.DataFrame,
    name: str,
    entry: DemographicEntry,
    book: CodebookFile,
    table: LabelledTable,
    source: str,
) -> pl.Series:
    """A column as text for people; null where the cell is empty or holds a non-response code."""
    texts = frame[entry.column].str.strip_chars()
    known: dict[str, str | None] = {"": None}
    for text in texts.unique().drop_nulls().to_list():
        code = plain_code(text)
        labels = entry.labels if entry.labels is not None else table.labels.get(entry.column, {})
        label = labels.get(code, code)
        if not text or (entry.labels is not None and code in entry.labels):
            known[text] = label or None
        elif code in book.non_response or table.declared_missing(entry.column, [code]):
            known[text] = None
        elif entry.labels is not None:
            row = frame[FILE_ROW].filter(texts == text)[0]
            raise InputError(
                f'{source} row {row}: {entry.column} is "{text}", which has no label; add it to '
                f"demographics.{name}.labels, or to non_response."
            )
        else:
            known[text] = None if kind_of_label(label) is not None else label
    return texts.replace_strict(known, default=None, return_dtype=pl.String).alias(name)


def _read_table(path: Path, wanted: Collection[str]) -> LabelledTable:
    readers: dict[str, Callable[[Path, Collection[str]], LabelledTable]] = {
        ".csv": _read_text_table,
        ".parquet": _read_parquet,
        ".sav": _read_spss,
        ".zsav": _read_spss,
        ".dta": _read_stata,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f'survey.path: {path.name} ends in "{path.suffix}"; this reader takes '
            f"{', '.join(readers)}."
        )
    return reader(path, wanted)


def _read_text_table(path: Path, wanted: Collection[str]) -> LabelledTable:
    frame = read_csv(path)
    return LabelledTable(frame.select(_present(frame.columns, wanted)), tuple(frame.columns))


def _read_parquet(path: Path, wanted: Collection[str]) -> LabelledTable:
    try:
        names = list(pl.read_parquet_schema(path))
        frame = pl.read_parquet(path, columns=_present(names, wanted))
        return LabelledTable(frame.select(pl.all().cast(pl.String)), tuple(names))
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not readable as Parquet ({reason}).") from error


def _read_spss(path: Path, wanted: Collection[str]) -> LabelledTable:
    return _read_with_labels(path, wanted, "read_sav")


def _read_stata(path: Path, wanted: Collection[str]) -> LabelledTable:
    return _read_with_labels(path, wanted, "read_dta")


def _read_with_labels(path: Path, wanted: Collection[str], function: str) -> LabelledTable:
    pyreadstat = require("pyreadstat", "labelled", f"reading {path.name}")
    read_file = getattr(pyreadstat, function)
    try:
        _, about = read_file(path, metadataonly=True)
        present = _present(about.column_names, wanted)
        content, meta = (
            read_file(path, usecols=present, user_missing=True, output_format="dict")
            if present
            else ({}, about)
        )
    except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not readable as {path.suffix} ({error}).") from error
    frame = pl.DataFrame([_as_text(name, values) for name, values in content.items()])
    return LabelledTable(
        frame,
        tuple(about.column_names),
        labels={
            column: {plain_code(code): str(text).strip() for code, text in labels.items()}
            for column, labels in meta.variable_value_labels.items()
        },
        missing=_declared(meta),
    )


def _declared(meta: Any) -> dict[str, tuple[tuple[str, str], ...]]:
    ranges = {
        column: tuple((plain_code(part["lo"]), plain_code(part["hi"])) for part in parts)
        for column, parts in meta.missing_ranges.items()
    }
    letters = {
        column: tuple((plain_code(code), plain_code(code)) for code in codes)
        for column, codes in meta.missing_user_values.items()
    }
    return {**ranges, **letters}


def _present(columns: Iterable[str], wanted: Collection[str]) -> list[str]:
    return [column for column in columns if column in wanted]


def _as_text(name: str, values: Iterable[Any]) -> pl.Series:
    texts = [
        None
        if value is None or (isinstance(value, float) and math.isnan(value))
        else plain_code(value)
        for value in values
    ]
    return pl.Series(name, texts, dtype=pl.String)


def _number(code: str) -> tuple[float, str]:
    try:
        return float(code), code
    except ValueError:
        return math.inf, code


def _within(code: str, low: str, high: str) -> bool:
    if code in (low, high):
        return True
    try:
        return float(low) <= float(code) <= float(high)
    except ValueError:
        return False


READER = Reader("labelled_file", Options, read, files)
