"""Who the rows of a file are: an id for each, and a base weight."""

from __future__ import annotations

import math

import polars as pl

from suffrage.errors import InputError
from suffrage.plurals import plural
from suffrage.survey.non_response_labels import missing_marks
from suffrage.survey.survey import PSU, RESPONDENT, STRATUM, WEIGHT

# The row of the file (the header is row 1) that a row of a frame came from, for messages.
FILE_ROW = "row of the file"
# The row of the first record, below a header in row 1.
FIRST_ROW = 2


def with_file_rows(frame: pl.DataFrame, first: int = FIRST_ROW) -> pl.DataFrame:
    """The frame with a column `FILE_ROW`. first: the row of the file that its first row is."""
    return frame.with_row_index(FILE_ROW, offset=first)


def named_respondents(frame: pl.DataFrame, column: str, source: str) -> pl.Series:
    """Ids from a column of the file.

    frame: made by `with_file_rows`. Raises InputError on an empty id, and on a repeated one.
    """
    ids = frame[column].cast(pl.String).str.strip_chars().alias(RESPONDENT)
    rows = frame[FILE_ROW]
    empty = is_empty(ids)
    if empty.any():
        raise InputError(
            f"{source} row {rows.filter(empty)[0]}: {column} is {_shown_empty(ids, empty)} "
            f"({plural(int(empty.sum()), 'such row')}); every respondent needs an "
            "id, or name no respondent column."
        )
    twice = ids.is_duplicated()
    if twice.any():
        who = ids.filter(twice)[0]
        where = ", ".join(str(row) for row in rows.filter(ids == who).to_list()[:5])
        raise InputError(
            f'{source}: {column} "{who}" stands on rows {where}; {twice.sum()} rows share an id. '
            "Remove the copies, or name the column that tells the respondents apart."
        )
    return ids


def is_empty(texts: pl.Series) -> pl.Series:
    """Whether each cell is empty, or has a mark that programs write for a missing value."""
    blank = texts.is_null() | (texts == "")
    return blank | texts.is_in(missing_marks(texts)).fill_null(False)


def _shown_empty(texts: pl.Series, empty: pl.Series) -> str:
    """What the first empty cell has."""
    return f'"{found}", which is no value' if (found := texts.filter(empty)[0]) else "empty"


def numbered_respondents(frame: pl.DataFrame, prefix: str) -> pl.Series:
    """Ids for a file that has none: "Germany-1", "Germany-2"...

    Numbered in the order of what they answered, not of the rows, so that shuffling the rows of the
    file changes nothing. Respondents who answered everything alike are interchangeable.
    """
    columns = sorted(name for name in frame.columns if name != FILE_ROW)
    ranked = pl.DataFrame([_ranked_by_text(frame[name]) for name in columns])
    order = ranked.select(pl.struct(columns).rank("ordinal").alias("number"))["number"]
    return (prefix + "-" + order.cast(pl.String)).alias(RESPONDENT)


def _ranked_by_text(column: pl.Series) -> pl.Series:
    """A categorical column as the places of its texts in the alphabet; others as they are."""
    if column.dtype != pl.Categorical:
        return column
    # Categories are numbered in the order of the rows, which means nothing.
    texts = column.drop_nulls().unique().cast(pl.String).sort()
    places = pl.Series(range(texts.len()), dtype=pl.UInt32)
    return column.replace_strict(texts, places, default=None, return_dtype=pl.UInt32)


def base_weights(frame: pl.DataFrame, column: str | None, source: str) -> pl.Series:
    """Weights from a column of the file; 1 for everyone without one.

    frame: made by `with_file_rows`. Raises InputError naming the first row whose weight is
    missing, no number or negative.
    """
    if column is None:
        return pl.Series(WEIGHT, [1.0] * frame.height, dtype=pl.Float64)
    texts = frame[column].cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    for fault, wrong in (
        ("empty", texts.is_null() | (texts == "")),
        ("not a number (write 0.9, not 0,9)", ~numbers.fill_null(math.nan).is_finite()),
        ("negative", numbers.fill_null(0) < 0),
    ):
        if wrong.any():
            row, text = frame[FILE_ROW].filter(wrong)[0], texts.filter(wrong)[0]
            shown = f' "{text}" is' if text else " is"
            raise InputError(
                f"{source} row {row}: the weight {column}{shown} {fault} "
                f"({plural(int(wrong.sum()), 'such row')}). Correct the file, or name "
                "another weight."
            )
    return numbers.alias(WEIGHT)


def sampling_design(
    frame: pl.DataFrame, stratum: str | None, psu: str | None, ids: pl.Series, source: str
) -> list[pl.Series]:
    """Return strata and primary sampling units from columns of a file; nothing without either.

    A sampling unit belongs to its stratum, so that two strata may number theirs alike. Without
    strata all units are in one; without units each respondent is one.

    Parameters
    ----------
    frame : DataFrame
        Made by `with_file_rows`.
    stratum, psu : str or None
        The columns.
    ids : Series
        The respondents' ids.
    source : str
        The file's name, for messages.

    Raises
    ------
    InputError
        A cell is empty; the message names its row.
    """
    if stratum is None and psu is None:
        return []
    strata = _filled(frame, stratum, source) if stratum else pl.Series(["all"] * frame.height)
    units = _filled(frame, psu, source) if psu else ids
    return [strata.alias(STRATUM), (strata + "-" + units).alias(PSU)]


def _filled(frame: pl.DataFrame, column: str, source: str) -> pl.Series:
    """A column as text. Raises InputError naming the first row with an empty cell."""
    texts = frame[column].cast(pl.String).str.strip_chars()
    empty = is_empty(texts)
    if empty.any():
        raise InputError(
            f"{source} row {frame[FILE_ROW].filter(empty)[0]}: {column} is "
            f"{_shown_empty(texts, empty)} "
            f"({plural(int(empty.sum()), 'such row')}); every respondent needs a "
            "stratum and a sampling unit, or name neither."
        )
    return texts
