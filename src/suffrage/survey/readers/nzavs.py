"""New Zealand Attitudes and Values Study: one wave of the panel's wide file, with a codebook.

The data are given on application, and no file of them was at hand. The layout is that of scripts
published by users of the "NZAVS Longitudinal SPSS Base Dataset": a row for each person, the panel's
id in `Questionnaire.Num`, and a question's answers of wave 10 in `SDO01.T10` (of wave 9 in `.T09`).
"""

from __future__ import annotations

import difflib
import string
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from suffrage import settings
from suffrage.errors import InputError
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.codebook_file import CodebookFile
from suffrage.survey.formats.codebook_values import written_code
from suffrage.survey.formats.labelled_table import LabelledTable, read_table
from suffrage.survey.readers import labelled_file
from suffrage.survey.readers.labelled_file import check_columns, files, labelled_survey
from suffrage.survey.reading import NO_WEIGHT, Reader
from suffrage.survey.respondents import with_file_rows
from suffrage.survey.survey import SetAside, Survey

# How many waves are searched for an item's column, to distinguish "not asked" from a typing error.
MOST_WAVES = 40


class Options(labelled_file.Options):
    """As for `labelled_file`; the codebook is made from the template."""

    # The wave, counted from 1.
    wave: int = Field(ge=1, lt=MOST_WAVES)
    # The column of weights, which may contain {wave}, or "none"; default: the codebook's.
    weight: str | None = None


def _codes(given: Any) -> Any:
    return [written_code(code) for code in (given if isinstance(given, list) else [given])]


class TookPart(BaseModel):
    """How to know who took part in a wave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    # Those with one of these codes took part; when left out, those whose cell is not empty.
    codes: Annotated[tuple[str, ...] | None, BeforeValidator(_codes)] = None


def _took_part(given: Any) -> Any:
    return {"column": given} if isinstance(given, str) else given


class PanelCodebook(CodebookFile):
    """A codebook of `labelled_file`, whose columns may contain {wave}."""

    # The column of an item that names none, from its {id} and the {wave} (two digits: {wave:02}).
    column: str = "{id}.T{wave:02}"
    # When left out, those took part who have a cell that is not empty under one of the items.
    took_part: Annotated[TookPart | None, BeforeValidator(_took_part)] = None

    @field_validator("column")
    @classmethod
    def _has_both_parts(cls, pattern: str) -> str:
        if _fields(pattern) != {"id", "wave"}:
            raise ValueError('must contain {id} and {wave}, such as "{id}.T{wave:02}"')
        return pattern

    def of_wave(self, wave: int) -> PanelCodebook:
        """The same with the columns of one wave. Raises ValueError on a brace that is no field."""
        return self.model_copy(
            update={
                "weight": in_wave(self.weight, wave) if self.weight else None,
                "demographics": {
                    name: entry.model_copy(update={"column": in_wave(entry.column, wave)})
                    for name, entry in self.demographics.items()
                },
                "items": tuple(
                    item.model_copy(
                        update={"column": in_wave(item.column or self.column, wave, item.id)}
                    )
                    for item in self.items
                ),
            }
        )


def _fields(pattern: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}


def in_wave(pattern: str, wave: int, item: str = "") -> str:
    """A column's name in a wave: {wave} and {id} filled in. Raises ValueError on other fields."""
    other = sorted(_fields(pattern) - {"wave", "id"})
    if other:
        raise ValueError(f'"{pattern}": {{{other[0]}}} is neither {{wave}} nor {{id}}')
    return pattern.format(wave=wave, id=item)


def read(options: Options, folder: Path) -> Survey:
    """Read those who took part in one wave, under their panel ids.

    Items that the file has in other waves only are set aside, and so are people who did not take
    part. Raises InputError on an item it has in no wave, on bad rows and on unknown codes.
    """
    path, codebook_path = files(options, folder)
    name = codebook_path.name
    panel = settings.validated(PanelCodebook, settings.read_yaml(codebook_path), name)
    if options.weight is not None:
        chosen = None if options.weight == NO_WEIGHT else options.weight
        panel = panel.model_copy(update={"weight": chosen})
    try:
        resolved = panel.of_wave(options.wave)
        took_part = in_wave(panel.took_part.column, options.wave) if panel.took_part else None
    except ValueError as error:
        raise InputError(f"{name}: {error}.") from error
    wanted = {*resolved.columns(), *([took_part] if took_part else [])}
    table = read_table(path, wanted, options.encoding)
    book, elsewhere = _asked(panel, resolved, table, options.wave, path.name, name)
    check_columns(book, table, path.name, name)
    if took_part and took_part not in table.all_columns:
        raise InputError(f'{name}: took_part: {path.name} has no column "{took_part}".')
    frame = with_file_rows(table.frame, table.first_row)
    present = _present(frame, panel, book, took_part)
    if not present.any():
        raise InputError(f"{path.name}: nobody took part in wave {options.wave}.")
    aside = []
    if not present.all():
        absent = int((~present).sum())
        why = f"did not take part in wave {options.wave}"
        aside.append(SetAside("people of other waves", absent, why))
    if elsewhere:
        why = f"items not asked in wave {options.wave}"
        aside.append(SetAside(", ".join(elsewhere), len(elsewhere), why))
    people = frame.filter(present)
    return labelled_survey("nzavs", book, table, people, path, codebook_path, tuple(aside))


def _asked(
    panel: PanelCodebook,
    book: CodebookFile,
    table: LabelledTable,
    wave: int,
    source: str,
    codebook: str,
) -> tuple[CodebookFile, list[str]]:
    """The codebook without the items that other waves have and this one has not, and their ids."""
    columns = set(table.all_columns)
    asked, elsewhere = [], []
    for entry, resolved in zip(panel.items, book.items, strict=True):
        if resolved.source_column in columns:
            asked.append(resolved)
            continue
        pattern = entry.column or panel.column
        others = {in_wave(pattern, other, entry.id) for other in range(1, MOST_WAVES)}
        if not others & columns:
            near = difflib.get_close_matches(resolved.source_column, table.all_columns, 1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise InputError(
                f'{codebook}: item {entry.id}: {source} has no column "{resolved.source_column}", '
                f"and none of another wave.{hint}"
            )
        elsewhere.append(entry.id)
    if not asked:
        raise InputError(f"{codebook}: {source} has none of its items in wave {wave}.")
    return book.model_copy(update={"items": tuple(asked)}), elsewhere


def _present(
    frame: pl.DataFrame, panel: PanelCodebook, book: CodebookFile, took_part: str | None
) -> pl.Series:
    """Who took part in the wave, shape (rows,)."""
    if took_part is None or panel.took_part is None:
        filled = [_filled(frame[item.source_column]) for item in book.items]
        return pl.DataFrame(filled).select(pl.any_horizontal(pl.all())).to_series()
    codes = frame[took_part].cast(pl.String).str.strip_chars()
    if panel.took_part.codes is None:
        return _filled(codes)
    plain = codes.map_elements(plain_code, return_dtype=pl.String)
    return plain.is_in(panel.took_part.codes).fill_null(False)


def _filled(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).str.strip_chars().fill_null("") != ""


READER = Reader("nzavs", Options, read, files)
