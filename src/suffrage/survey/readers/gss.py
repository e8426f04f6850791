"""US General Social Survey: years of the cumulative file, as SPSS or Stata (or CSV)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from suffrage.survey.formats.archive import (
    Archive,
    ArchiveBook,
    ArchiveOptions,
    ChosenWaves,
    archive_files,
    build_survey,
    by_wave,
    chosen_weight,
    open_archives,
    read_book,
)
from suffrage.survey.joining import joined
from suffrage.survey.reading import Reader
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

    # One or several years of the cumulative file, or "all"; may be left out if it has only one
    # year.
    year: ChosenWaves = None


def read(options: Options, folder: Path) -> Survey:
    """Read one year or several.

    Raises InputError on bad rows, unknown codes, and several years of which none was chosen.
    """
    book = read_book("gss.yaml")
    archives = open_archives(
        options,
        folder,
        [
            *(YEAR, PERSON, VSTRAT, VPSU, *WEIGHTS, *book.items()),
            *([options.weight] if options.weight else []),
            *(variable for variable, _ in LABELLED.values()),
        ],
    )
    for archive in archives:
        archive.needed([YEAR, PERSON])
    years = by_wave(archives, YEAR, options.year, "year")
    return joined(
        {year: _one_year(options, book, archive) for year, archive in years.items()}, "year"
    )


def _one_year(options: Options, book: ArchiveBook, archive: Archive) -> Survey:
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
