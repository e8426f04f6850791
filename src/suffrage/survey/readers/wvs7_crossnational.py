"""World Values Survey, wave 7, the cross-national file as the archive hands it out (v5, v6).

CSV, SPSS or Stata, with a codebook of our own wording. `wvs7` reads country files and files of
other distributions with WorldValuesBench's codebook.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from suffrage.errors import InputError
from suffrage.survey.formats.archive import (
    ArchiveOptions,
    archive_files,
    build_survey,
    chosen_weight,
    open_archive,
    read_book,
)
from suffrage.survey.formats.wvs7_codebook import REPEATED_INTERVIEW
from suffrage.survey.reading import Reader
from suffrage.survey.respondents import base_weights, named_respondents
from suffrage.survey.survey import SetAside, Survey

COUNTRY, ALPHA, YEAR, INTERVIEW = "B_COUNTRY", "B_COUNTRY_ALPHA", "A_YEAR", "D_INTERVIEW"
# W_WEIGHT weights within a country, S018 gives each country 1,000, PWGHT its population.
WEIGHTS = ("W_WEIGHT", "S018", "PWGHT")
SEX = {"1": "male", "2": "female"}
LABELLED = {
    "sex": ("Q260", SEX),
    "age": ("Q262", {}),
    "education": ("Q275", {}),
    "education_level": ("Q275R", {"1": "lower", "2": "middle", "3": "higher"}),
    "marital_status": ("Q273", {}),
    "employment": ("Q279", {}),
    "social_class": ("Q287", {}),
    "income": ("Q288", {}),
    "religion": ("Q289", {}),
    "settlement": ("H_URBRURAL", {"1": "urban", "2": "rural"}),
}


class Options(ArchiveOptions):
    """What a study may say to the reader."""

    # Only these countries, by their three letters.
    countries: tuple[str, ...] | None = None


def read(options: Options, folder: Path) -> Survey:
    """Read the file. Raises InputError on bad rows, unknown codes and countries not in it."""
    book = read_book("wvs7.yaml")
    variables = [variable for variable, _ in LABELLED.values()]
    named = [options.weight] if options.weight else []
    archive = open_archive(
        options,
        folder,
        [COUNTRY, ALPHA, YEAR, INTERVIEW, *WEIGHTS, *named, *variables, *book.items()],
    )
    archive.needed([ALPHA, INTERVIEW])
    archive.filled([ALPHA], "remove rows that are no respondents.")
    alpha = archive.column(ALPHA)
    absent = sorted(set(options.countries or ()) - set(alpha.to_list()))
    if absent:
        raise InputError(
            f"survey.countries: {absent[0]} is not in {archive.path.name}, which has "
            f"{', '.join(sorted(set(alpha.to_list())))}."
        )
    if options.countries:
        archive = archive.where(alpha.is_in(options.countries))
    repeated = archive.column(INTERVIEW).cast(pl.Float64, strict=False) == float(REPEATED_INTERVIEW)
    aside = []
    if repeated.sum() > 1:
        archive = archive.where(~repeated.fill_null(False))
        why = "one interview number stands on several rows of version 5 of the file"
        aside.append(SetAside(f"{INTERVIEW} {REPEATED_INTERVIEW}", int(repeated.sum()), why))
    frame, source = archive.frame, archive.path.name
    weight = chosen_weight(options, archive, ["W_WEIGHT"])
    demographics = [
        archive.words(ALPHA, "country"),
        *([archive.words(YEAR, "year")] if archive.has(YEAR) else []),
        *(
            archive.words(variable, name, labels)
            for name, (variable, labels) in LABELLED.items()
            if archive.has(variable)
        ),
    ]
    people = [
        named_respondents(frame, archive.spelled[INTERVIEW.lower()], source),
        base_weights(frame, weight, source),
        *demographics,
    ]
    names = [column.name for column in demographics]
    return build_survey("wvs7_crossnational", options, book, archive, people, names, weight, aside)


READER = Reader("wvs7_crossnational", Options, read, archive_files)
