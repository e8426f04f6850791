"""European Social Survey, rounds 8 to 11: the integrated file, as CSV, SPSS or Stata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import field_validator

from suffrage.errors import InputError
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
from suffrage.survey.reading import NO_WEIGHT, Reader
from suffrage.survey.respondents import base_weights, named_respondents
from suffrage.survey.survey import PSU, STRATUM, Survey

COUNTRY, PERSON, ROUND = "cntry", "idno", "essround"
# anweight is pspwght times pweight, for figures over several countries or within one.
WEIGHTS = ("anweight", "pspwght", "pweight", "dweight")
PRODUCT = "pspwght*pweight"
LABELLED = {
    "sex": ("gndr", {"1": "male", "2": "female"}),
    "age": ("agea", {}),
    "school_years": ("eduyrs", {}),
    "income_decile": ("hinctnta", {}),
    "region": ("region", {}),
}
UNKNOWN = {
    "gndr": ("9",),
    "agea": ("999",),
    "eduyrs": ("77", "88", "99"),
    "hinctnta": ("77", "88", "99"),
    "region": ("99999",),
}


class Options(ArchiveOptions):
    """What a study may say to the reader."""

    # Only these countries, by their two letters.
    countries: tuple[str, ...] | None = None
    # One or several rounds of a file with several, or "all".
    round: ChosenWaves = None

    @field_validator("countries", mode="before")
    @classmethod
    def _norway_is_no_truth_value(cls, countries: Any) -> Any:
        if isinstance(countries, list) and False in countries:
            raise ValueError('YAML reads NO as false; write Norway in quotes: "NO"')
        return countries


def read(options: Options, folder: Path) -> Survey:
    """Read one round or several.

    Raises InputError on bad rows, unknown codes, and several rounds of which none was chosen.
    An item that the self-completion rounds call with an `a` at the end is read under its own name.
    """
    book = read_book("ess.yaml")
    items = list(book.items())
    archives = open_archives(
        options,
        folder,
        [
            *(COUNTRY, PERSON, ROUND, STRATUM, PSU, *WEIGHTS, *items),
            *([options.weight] if options.weight else []),
            *(f"{item}a" for item in items),
            *(variable for variable, _ in LABELLED.values()),
        ],
    )
    for archive in archives:
        archive.needed([COUNTRY, PERSON])
    rounds = by_wave(archives, ROUND, options.round, "round")
    return joined(
        {
            number: _one_round(options, book, _of_countries(options, archive))
            for number, archive in rounds.items()
        },
        "round",
    )


def _one_round(options: Options, book: ArchiveBook, archive: Archive) -> Survey:
    items = list(book.items())
    archive, weight = _weighted(options, archive)
    design = _design(archive) if archive.has(STRATUM) and archive.has(PSU) else []
    demographics = [archive.words(COUNTRY, "country")]
    for name, (variable, labels) in LABELLED.items():
        if archive.has(variable):
            unknown = archive.column(variable).is_in(UNKNOWN[variable])
            words = archive.words(variable, name, labels)
            demographics.append(words.set(unknown.fill_null(False), None))
    return build_survey(
        "ess",
        options,
        book,
        archive,
        [
            _respondents(archive),
            base_weights(archive.frame, weight, archive.path.name),
            *design,
            *demographics,
        ],
        [column.name for column in demographics],
        weight,
        names={i: f"{i}a" for i in items if not archive.has(i) and archive.has(f"{i}a")},
    )


def _weighted(options: Options, archive: Archive) -> tuple[Archive, str | None]:
    """The rows with their weight, and its name.

    Rounds without `anweight`, or with an empty one, get what it is made of: pspwght times pweight.
    """
    analysis, *parts = WEIGHTS[:3]
    if options.weight not in (None, PRODUCT):
        return archive, chosen_weight(options, archive, [])
    ready = archive.has(analysis) and not archive.column(analysis).is_null().all()
    if options.weight is None and ready:
        return archive, archive.spelled[analysis]
    lacking = [name for name in parts if not archive.has(name)]
    if lacking:
        raise InputError(
            f"{archive.path.name} has neither the weight {analysis} nor {lacking[0]}, of which it "
            f"is made ({PRODUCT}); name a column of it under `weight:`, or say "
            f"`weight: {NO_WEIGHT}`."
        )
    first, second = (
        base_weights(archive.frame, archive.spelled[name], archive.path.name) for name in parts
    )
    frame = archive.frame.with_columns((first * second).cast(pl.String).alias(PRODUCT))
    return replace(archive, frame=frame), PRODUCT


def _of_countries(options: Options, archive: Archive) -> Archive:
    """The rows of the countries asked for, if any are."""
    countries = set(archive.column(COUNTRY).drop_nulls().to_list())
    absent = sorted(set(options.countries or ()) - countries)
    if absent:
        raise InputError(
            f"survey.countries: {absent[0]} is not in {archive.path.name}, which has "
            f"{', '.join(sorted(countries))}."
        )
    if options.countries:
        archive = archive.where(archive.column(COUNTRY).is_in(options.countries).fill_null(False))
    return archive


def _respondents(archive: Archive) -> pl.Series:
    """Ids such as "NO-50013"; idno is unique within a country only."""
    archive.filled([COUNTRY, PERSON], "every respondent needs one.")
    joined = f"{COUNTRY}-{PERSON}"
    ids = (archive.column(COUNTRY) + "-" + archive.column(PERSON)).alias(joined)
    return named_respondents(archive.frame.with_columns(ids), joined, archive.path.name)


def _design(archive: Archive) -> list[pl.Series]:
    """Stratum and PSU, named so that each is unique over countries and strata."""
    archive.filled(
        [STRATUM, PSU], "take the file with its sampling design, or remove both columns."
    )
    stratum = archive.column(COUNTRY) + "-" + archive.column(STRATUM)
    return [stratum.alias(STRATUM), (stratum + "-" + archive.column(PSU)).alias(PSU)]


READER = Reader("ess", Options, read, archive_files)
