"""US General Social Survey: one year of the cumulative file, as SPSS or Stata (or CSV)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from suffrage.errors import InputError
from suffrage.survey.formats.archive import (
    Archive,
    ArchiveOptions,
    archive_files,
    build_survey,
    chosen_weight,
    open_archive,
    read_book,
)
from suffrage.survey.reading import Reader, plain_code
from suffrage.survey.respondents import base_weights, named_respondents
from suffrage.survey.survey import PSU, STRATUM, Survey

YEAR, PERSON, VSTRAT, VPSU = "year", "id", "vstrat", "vpsu"
# The first of these with a weight for every respondent of the year; not all years have all.
WEIGHTS = ("wtssnrps", "wtssps", "wtssnr", "wtssall")
LABELLED = {
    "sex": ("sex", {"1": "male", "2": "female"}),
    "age": ("age", {}),
    "race": ("race", {"1": "white", "2": "Black", "3": "other"}),
    "degree": ("degree", {}),
    "party": ("partyid", {}),
    "region": ("region", {}),
}


class Options(ArchiveOptions):
    """What a study may say to the reader."""

    # Of the cumulative file; may be left out when the file has only one year.
    year: int | None = None


def read(options: Options, folder: Path) -> Survey:
    """Read one year. Raises InputError on bad rows, unknown codes, and several years unchosen."""
    book = read_book("gss.yaml")
    archive = open_archive(
        options,
        folder,
        [
            *(YEAR, PERSON, VSTRAT, VPSU, *WEIGHTS, *book.items()),
            *([options.weight] if options.weight else []),
            *(variable for variable, _ in LABELLED.values()),
        ],
    )
    archive.needed([YEAR, PERSON])
    archive = _one_year(options, archive)
    source = archive.path.name
    filled = [w for w in WEIGHTS if archive.has(w) and _numbers(archive.column(w)).all()]
    weight = chosen_weight(options, archive, filled or WEIGHTS)
    demographics = [
        archive.words(variable, name, labels)
        for name, (variable, labels) in LABELLED.items()
        if archive.has(variable)
    ]
    return build_survey(
        "gss",
        options,
        book,
        archive,
        [
            named_respondents(archive.frame, archive.spelled[PERSON], source),
            base_weights(archive.frame, weight, source),
            *_design(archive),
            *demographics,
        ],
        [column.name for column in demographics],
        weight,
    )


def _one_year(options: Options, archive: Archive) -> Archive:
    column = archive.column(YEAR)
    source = archive.path.name
    archive.filled([YEAR], "every respondent needs one.")
    years = sorted({plain_code(year) for year in column.to_list()})
    if options.year is None and len(years) > 1:
        raise InputError(
            f"{source} holds {len(years)} years, {years[0]} to {years[-1]}; name one with `year:`."
        )
    year = years[0] if options.year is None else str(options.year)
    if year not in years:
        raise InputError(f"survey.year: {year} is not in {source}; it has {', '.join(years)}.")
    return archive.where(column == year)


def _numbers(column: pl.Series) -> pl.Series:
    """Which cells hold a number of 0 or above; a year without a weight has codes of missing."""
    return (column.cast(pl.Float64, strict=False) >= 0).fill_null(False)


def _design(archive: Archive) -> list[pl.Series]:
    """Stratum and PSU where the year has them for everyone; PSUs are numbered within strata."""
    if not (archive.has(VSTRAT) and archive.has(VPSU)):
        return []
    stratum, psu = archive.column(VSTRAT), archive.column(VPSU)
    if not (_numbers(stratum).all() and _numbers(psu).all()):
        return []
    return [stratum.alias(STRATUM), (stratum + "-" + psu).alias(PSU)]


READER = Reader("gss", Options, read, archive_files)
