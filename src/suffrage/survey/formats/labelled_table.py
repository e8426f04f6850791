"""Tables with labels: CSV, Parquet, SPSS and Stata files as text, and what they say of codes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from suffrage.errors import InputError, require
from suffrage.survey.codebook import NonResponse
from suffrage.survey.reading import plain_code, read_csv

_Wanted = Collection[str] | None

# How labels of codes that are no answers are worded, most specific first.
NON_RESPONSE_WORDS = {
    NonResponse.DONT_KNOW: (
        r"\b(don'?t|do not|does not|doesn'?t) know\b|^dk\b|\bunsure\b|^can'?t say"
    ),
    NonResponse.REFUSED: r"\brefus|\bno answer\b|\bprefer not\b|^rather not|\bnot stated\b",
    NonResponse.NOT_APPLICABLE: r"\bnot applicable\b|^ina?p\b|^iap\b|^n/?a$",
    NonResponse.NOT_ASKED: r"\bnot asked\b",
    NonResponse.MISSING: r"^missing\b|\bnot available\b|\bskipped\b|\buncodeable\b",
}


@dataclass(frozen=True)
class LabelledTable:
    """A file's columns as text, with what the file itself says about its codes."""

    # The columns that were wanted.
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

    def declared_missing(self, column: str, codes: Collection[str]) -> dict[str, NonResponse]:
        """Which of the codes the file itself declares missing; the kind is read from the label."""
        labels = self.labels.get(column, {})
        return {
            code: kind_of_label(labels.get(code, "")) or NonResponse.MISSING
            for code in codes
            if any(_within(code, low, high) for low, high in self.missing.get(column, ()))
        }


_ReadTable = Callable[[Path, _Wanted, str | None], LabelledTable]


def kind_of_label(label: str) -> NonResponse | None:
    """The kind of non-response that a label words, None when it reads like an answer."""
    plain = label.lower().replace("’", "'").replace("´", "'").strip(" .()[]")
    return next(
        (kind for kind, pattern in NON_RESPONSE_WORDS.items() if re.search(pattern, plain)), None
    )


def read_table(
    path: Path, wanted: Collection[str] | None = None, encoding: str | None = None
) -> LabelledTable:
    """The columns of a CSV, Parquet, SPSS or Stata file that are wanted (all when None).

    encoding: of a CSV file that is not UTF-8, or of an SPSS or Stata file that misstates its own.
    Raises InputError on another kind of file, and on what cannot be read.
    """
    readers: dict[str, _ReadTable] = {
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
    return reader(path, wanted, encoding)


def _read_text_table(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    frame = read_csv(path, encoding or "utf-8")
    return LabelledTable(frame.select(_present(frame.columns, wanted)), tuple(frame.columns))


def _read_parquet(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    try:
        names = list(pl.read_parquet_schema(path))
        frame = pl.read_parquet(path, columns=_present(names, wanted))
        return LabelledTable(frame.select(pl.all().cast(pl.String)), tuple(names))
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not readable as Parquet ({reason}).") from error


def _read_spss(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    return _read_with_labels(path, wanted, encoding, "read_sav")


def _read_stata(path: Path, wanted: _Wanted, encoding: str | None) -> LabelledTable:
    return _read_with_labels(path, wanted, encoding, "read_dta")


def _read_with_labels(
    path: Path, wanted: _Wanted, encoding: str | None, function: str
) -> LabelledTable:
    pyreadstat = require("pyreadstat", "labelled", f"reading {path.name}")
    # The library that reads these files spells this encoding without the hyphen.
    encoding = "latin1" if encoding == "latin-1" else encoding
    read_file = getattr(pyreadstat, function)
    try:
        _, about = read_file(path, metadataonly=True, encoding=encoding)
        present = _present(about.column_names, wanted)
        content, meta = (
            read_file(
                path, usecols=present, user_missing=True, output_format="dict", encoding=encoding
            )
            if present
            else ({}, about)
        )
    except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
        wrong_text = isinstance(error, UnicodeDecodeError) or "encoding" in str(error)
        mend = " Name its true encoding: `encoding: windows-1252`, for one." if wrong_text else ""
        raise InputError(
            f"{path.name}: not readable as {path.suffix} ({str(error).rstrip('.')}).{mend}"
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

    return pl.Series(name, [text(value) for value in values], dtype=pl.String)


def _within(code: str, low: str, high: str) -> bool:
    if code in (low, high):
        return True
    try:
        return float(low) <= float(code) <= float(high)
    except ValueError:
        return False
