"""Files as text with what they say of codes: CSV, Parquet, SPSS, Stata and SAS."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from suffrage.errors import InputError, require
from suffrage.survey.codebook import NonResponse
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.separated_text import read_coded_csv
from suffrage.survey.non_response_labels import (
    MISSING_MARKS,
    LabelReading,
    doubtful_kind,
    kind_of_label,
    label_uses,
    missing_marks,
    names_places,
    read_labels,
)
from suffrage.survey.respondents import FIRST_ROW

_Wanted = Collection[str] | None
_NO_ANSWERS = "has lists, groups of fields, bytes or lengths of time in its cells"

# Which function of pyreadstat reads a file.
_LABELLED = {
    ".sav": "read_sav",
    ".zsav": "read_sav",
    ".por": "read_por",
    ".dta": "read_dta",
    ".sas7bdat": "read_sas7bdat",
    ".xpt": "read_xport",
}
# How to convert a file that is not read.
_R_LOADS = (
    ' Convert it in R: e <- new.env(); load("{name}", e); haven::write_sav(e[[ls(e)[1]]], '
    '"{stem}.sav")'
)
_EXCEL = " Save the sheet as CSV (File, Save as, CSV UTF-8)."
_CONVERSIONS = {
    ".rds": ' Convert it in R: haven::write_sav(readRDS("{name}"), "{stem}.sav")',
    ".rda": _R_LOADS,
    ".rdata": _R_LOADS,
    ".xlsx": _EXCEL,
    ".xls": _EXCEL,
    ".ods": _EXCEL,
}


@dataclass(frozen=True)
class LabelledTable:
    """A file's columns as text, with what the file itself says about its codes."""

    # The columns that were wanted, categorical: each distinct text once, a number for each row.
    frame: pl.DataFrame
    # The names of all columns of the file.
    all_columns: tuple[str, ...]
    # Column to code to label.
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Column to what the file declares user-missing: ranges of numbers, both ends included, or
    # single texts (a range from the text to itself).
    missing: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    # Column to its variable label.
    wording: Mapping[str, str] = field(default_factory=dict)
    # Column to how many of its dates no calendar has; they are read as missing.
    out_of_range: Mapping[str, int] = field(default_factory=dict)
    # Column to why its cells cannot be codes; such columns are not in the frame.
    unreadable: Mapping[str, str] = field(default_factory=dict)
    # Why the codes in `missing` are no answers, in words.
    why_missing: str = "the file declares it missing"
    # The row of the file that the first row of the frame came from.
    first_row: int = FIRST_ROW

    def declared_missing(self, column: str, codes: Collection[str]) -> dict[str, NonResponse]:
        """Which of the codes the file itself declares missing; the kind is read from the label.

        A label in doubt counts here, because the file says that the code is no answer.
        """
        labels = self.labels.get(column, {})
        return {
            code: kind_of_label(labels.get(code, ""))
            or doubtful_kind(labels.get(code, ""))
            or NonResponse.MISSING
            for code in codes
            if any(_within(code, low, high) for low, high in self.missing.get(column, ()))
        }

    def label_readings(
        self, column: str, codes: Collection[str], name: str = ""
    ) -> dict[str, LabelReading]:
        """Return what the labels of a column's codes say; a text without a label is its own.

        Parameters
        ----------
        column : str
        codes : collection of str
            All codes of the column, because one label explains another.
        name : str
            What the codebook calls the column, where that says that it holds countries.
        """
        labels = self.labels.get(column, {})
        # Marks such as "NA" are left to `missing`, which knows Namibia.
        texts = {
            code: labels.get(code, "" if code in MISSING_MARKS else code)
            for code in [*codes, *labels]
        }
        places = names_places(column) or names_places(name)
        uses = label_uses(self.frame[column], texts) if column in self.frame.columns else None
        read = read_labels(texts.values(), places=places, uses=uses)
        return {code: read[text] for code, text in texts.items()}


_ReadTable = Callable[[Path, _Wanted, str | None], LabelledTable]


def read_table(
    path: Path, wanted: Collection[str] | None = None, encoding: str | None = None
) -> LabelledTable:
    """The columns of a CSV, Parquet, SPSS, Stata or SAS file that are wanted (all when None).

    encoding: of a CSV file that is not UTF-8, or of a labelled file that misstates its own.
    Raises InputError on another kind of file, with the command that converts it where there is
    one, and on what cannot be read.
    """
    readers: dict[str, _ReadTable] = {
        **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), _read_text_table),
        ".parquet": _read_parquet,
        **{suffix: _labelled_reader(function) for suffix, function in _LABELLED.items()},
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        advice = _CONVERSIONS.get(suffix, "").format(name=path.name, stem=path.stem)
        raise InputError(
            f'survey.path: {path.name} ends in "{path.suffix}"; this reader takes '
            f"{', '.join(readers)}.{advice}"
        )
    return readers[suffix](path, wanted, encoding)


def _read_text_table(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    return _unlabelled(*read_coded_csv(path, encoding or "utf-8", wanted))


def _unlabelled(
    frame: pl.DataFrame, names: Collection[str], first_row: int = FIRST_ROW
) -> LabelledTable:
    """A table of texts from a file that says nothing about them. names: the file's columns."""
    marks = {name: missing_marks(frame[name]) for name in frame.columns}
    return LabelledTable(
        frame,
        tuple(names),
        missing={name: tuple((m, m) for m in found) for name, found in marks.items() if found},
        why_missing="the mark that programs write for a missing value",
        first_row=first_row,
    )


def _read_parquet(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    try:
        names = list(pl.read_parquet_schema(path))
        frame = pl.read_parquet(path, columns=_present(names, wanted))
        nested = {
            name: _NO_ANSWERS
            for name, kind in frame.schema.items()
            if kind.is_nested() or kind in (pl.Binary, pl.Duration)
        }
        if nested and wanted is not None:
            raise InputError(
                f"{path.name}: column {next(iter(nested))} {_NO_ANSWERS}; make a column of "
                "each part, or leave the column out of the codebook."
            )
        # One column after another, so that only one is there as texts at a time.
        flat = [name for name in frame.columns if name not in nested]
        coded = [_coded(frame.drop_in_place(name)) for name in flat]
        return replace(_unlabelled(pl.DataFrame(coded), names), unreadable=nested)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not readable as Parquet ({reason}).") from error


def _coded(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).cast(pl.Categorical)


def _labelled_reader(function: str) -> _ReadTable:
    return lambda path, wanted, encoding: _read_with_labels(path, wanted, encoding, function)


def _read_with_labels(
    path: Path, wanted: _Wanted, encoding: str | None, function: str
) -> LabelledTable:
    pyreadstat = require("pyreadstat", "labelled", f"reading {path.name}")
    read_file = getattr(pyreadstat, function)
    options: dict[str, Any] = {"output_format": "dict"}
    if function not in ("read_por", "read_xport"):
        options["user_missing"] = True
    # Portable files are always in the one encoding that they state.
    if function != "read_por":
        # The library that reads these files spells this encoding without the hyphen.
        options["encoding"] = "latin1" if encoding == "latin-1" else encoding
    out_of_range: dict[str, int] = {}
    try:
        about_options = {key: value for key, value in options.items() if key == "encoding"}
        _, about = read_file(path, metadataonly=True, **about_options)
        present = _present(about.column_names, wanted)
        if not present:
            content, meta = {}, about
        else:
            try:
                content, meta = read_file(path, usecols=present, **options)
            except OverflowError:
                content, meta, out_of_range = _with_dates_out_of_range(
                    lambda **more: read_file(path, **options, **more), present, function
                )
    except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
        wrong_text = isinstance(error, UnicodeDecodeError) or "encoding" in str(error)
        advice = " Name its true encoding: `encoding: windows-1252`, for one." if wrong_text else ""
        raise InputError(
            f"{path.name}: not readable as {path.suffix} ({str(error).rstrip('.')}).{advice}"
        ) from error
    frame = pl.DataFrame([_as_text(name, values) for name, values in content.items()])
    return LabelledTable(
        frame,
        tuple(about.column_names),
        labels={
            column: {plain_code(code): str(text).strip() for code, text in labels.items()}
            for column, labels in meta.variable_value_labels.items()
        },
        missing=_declared(meta),
        wording={
            column: text.strip()
            for column, text in about.column_names_to_labels.items()
            if text and text.strip()
        },
        out_of_range=out_of_range,
    )


def _with_dates_out_of_range(
    read_file: Callable[..., tuple[Any, Any]], present: list[str], function: str
) -> tuple[dict[str, list[Any]], Any, dict[str, int]]:
    """A file with dates that no calendar has: those are missing, and are counted by column.

    read_file: takes the options `usecols` and `disable_datetime_conversion` of pyreadstat.
    """
    content, meta = read_file(usecols=present, disable_datetime_conversion=True)
    out_of_range = {}
    for column in present:
        try:
            content[column] = read_file(usecols=[column])[0][column]
        except OverflowError:
            written_as = str(meta.original_variable_types[column]).upper()
            dates = {None: None}
            for number in set(content[column]) - {None}:
                dates[number] = _as_date(number, function, written_as)
            found = [dates[number] for number in content[column]]
            lost = [
                number is not None and date is None
                for number, date in zip(content[column], found, strict=True)
            ]
            out_of_range[column], content[column] = sum(lost), found
    return dict(content), meta, out_of_range


def _as_date(number: Any, function: str, written_as: str) -> Any:
    """A date as these programs count it, None when no calendar has it.

    SPSS counts seconds from the calendar's reform in 1582; Stata and SAS count days from 1960,
    and for a time of day milliseconds and seconds.
    """
    if isinstance(number, str) or not math.isfinite(number):
        return number
    with_time = "DATETIME" in written_as or "YMDHMS" in written_as or written_as[:3] == "%TC"
    spss = function in ("read_sav", "read_por")
    start = datetime.datetime(1582, 10, 14) if spss else datetime.datetime(1960, 1, 1)
    if spss:
        seconds = float(number)
    elif with_time:
        seconds = float(number) / (1000 if function == "read_dta" else 1)
    else:
        seconds = 86400.0 * float(number)
    try:
        found = start + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None
    return found if with_time else found.date()


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


def _present(columns: Iterable[str], wanted: _Wanted) -> list[str]:
    return [column for column in columns if wanted is None or column in wanted]


def _as_text(name: str, values: Iterable[Any]) -> pl.Series:
    """The codes as text; each distinct code is spelled once, a column has few."""
    spelled: dict[Any, str | None] = {None: None}

    def text(value: Any) -> str | None:
        if value not in spelled:
            is_nan = isinstance(value, float) and math.isnan(value)
            spelled[value] = None if is_nan else plain_code(value)
        return spelled[value]

    return _coded(pl.Series(name, [text(value) for value in values], dtype=pl.String))


def _within(code: str, low: str, high: str) -> bool:
    if code in (low, high):
        return True
    try:
        return float(low) <= float(code) <= float(high)
    except ValueError:
        return False
