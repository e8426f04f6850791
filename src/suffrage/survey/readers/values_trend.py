"""Trend files of the World Values Survey, waves 1 to 7, and of the European Values Study.

The WVS time series, the EVS trend file (ZA7503), and both merged by the archives' own syntax (the
Integrated Values Surveys) name their variables alike: A001, S003, S017.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from pydantic import Field, field_validator

from suffrage.errors import InputError
from suffrage.survey.codes import code_order, plain_code
from suffrage.survey.formats.archive import (
    Archive,
    ArchiveBook,
    ArchiveOptions,
    archive_files,
    build_survey,
    chosen_weight,
    open_archive,
    read_book,
)
from suffrage.survey.reading import Reader
from suffrage.survey.respondents import base_weights, named_respondents, numbered_respondents
from suffrage.survey.survey import SetAside, Survey

COUNTRY, ALPHA, YEAR, PERSON = "S003", "COUNTRY_ALPHA", "S020", "S007_01"
# The variable of each study's waves; a person of one study has none in the other's.
WAVES = {"WVS": "S002VS", "EVS": "S002EVS"}
# S017 weights within a country and wave, S018 gives each of these 1,000 people.
WEIGHTS = ("S017", "S018")
LABELLED = {
    "sex": ("X001", {"1": "male", "2": "female"}),
    "age": ("X003", {}),
    "education_level": ("X025R", {"1": "lower", "2": "middle", "3": "higher"}),
}
# The scale whose direction differs between the files and the waves' questionnaires.
LIKE_ME = "like6"


class Options(ArchiveOptions):
    """What a study may say to the reader."""

    # Only these waves, such as "WVS 6" or "EVS 4"; default: all.
    waves: tuple[str, ...] | None = None
    # Only these countries, as the file names them (three letters, or its label).
    countries: tuple[str, ...] | None = Field(default=None, min_length=1)

    @field_validator("waves")
    @classmethod
    def _are_waves(cls, waves: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for wave in waves or ():
            if not re.fullmatch(r"(WVS|EVS) [1-9]", wave):
                raise ValueError(f'"{wave}" is not a wave; write it as "WVS 6" or "EVS 4"')
        return waves


def read(options: Options, folder: Path) -> Survey:
    """Read the waves and countries asked for.

    Raises InputError on bad rows, unknown codes, and waves and countries that are not in the file.
    """
    book = read_book("values_trend.yaml")
    variables = [variable for variable, _ in LABELLED.values()]
    named = [options.weight] if options.weight else []
    places = [COUNTRY, ALPHA, YEAR, PERSON, *WAVES.values()]
    wanted = [*places, *WEIGHTS, *named, *variables, *book.items()]
    archive = open_archive(options, folder, wanted)
    archive.needed([COUNTRY])
    archive.filled([COUNTRY], "every respondent needs one.")
    wave = _waves(archive)
    archive, wave = _chosen(archive, wave, options.waves, "waves", wave)
    country = _countries(archive)
    archive, wave = _chosen(archive, wave, options.countries, "countries", country)
    book, aside = _directed(book, archive)
    weight = chosen_weight(options, archive, WEIGHTS[:1])
    source, frame = archive.path.name, archive.frame
    demographics = [
        _countries(archive).alias("country"),
        wave.alias("wave"),
        *([archive.words(YEAR, "year")] if archive.has(YEAR) else []),
        *(
            archive.words(variable, name, labels)
            for name, (variable, labels) in LABELLED.items()
            if archive.has(variable)
        ),
    ]
    people = [
        named_respondents(frame, archive.spelled[PERSON.lower()], source)
        if archive.has(PERSON)
        else numbered_respondents(frame, archive.path.stem),
        base_weights(frame, weight, source),
        *demographics,
    ]
    names = [column.name for column in demographics]
    return build_survey("values_trend", options, book, archive, people, names, weight, aside)


def _waves(archive: Archive) -> pl.Series:
    """Each person's study and wave, such as "WVS 6"; null without either."""
    found = pl.Series([None] * archive.frame.height, dtype=pl.String)
    for study, variable in WAVES.items():
        if archive.has(variable):
            codes = archive.column(variable)
            known = {code: plain_code(code) for code in codes.unique().drop_nulls().to_list()}
            words = {c: f"{study} {n}" for c, n in known.items() if re.fullmatch("[1-9]", n)}
            wave = codes.replace_strict(words, default=None, return_dtype=pl.String)
            found = found.fill_null(wave)
    if found.null_count() == found.len():
        raise InputError(
            f"{archive.path.name} has no {' or '.join(WAVES.values())}, which name the waves; is "
            "it a trend file of the WVS or the EVS?"
        )
    return found


def _countries(archive: Archive) -> pl.Series:
    """Countries by the file's labels, or by their three letters where it has no labels."""
    column = archive.spelled[COUNTRY.lower()]
    if archive.has(ALPHA) and not archive.table.labels.get(column):
        return archive.words(ALPHA, "country")
    return archive.words(COUNTRY, "country")


def _chosen(
    archive: Archive,
    wave: pl.Series,
    wanted: tuple[str, ...] | None,
    key: str,
    values: pl.Series,
) -> tuple[Archive, pl.Series]:
    """The rows, and their waves, whose value is wanted; all when nothing is said."""
    if wanted is None:
        return archive, wave
    there = sorted(set(values.drop_nulls().to_list()), key=code_order)
    absent = [value for value in wanted if value not in there]
    if absent:
        raise InputError(
            f"survey.{key}: {absent[0]} is not in {archive.path.name}, which has "
            f"{', '.join(there)}."
        )
    keep = values.is_in(list(wanted)).fill_null(False)
    return archive.where(keep), wave.filter(keep)


def _directed(book: ArchiveBook, archive: Archive) -> tuple[ArchiveBook, list[SetAside]]:
    """The codebook with the human values in the direction that the file's labels give.

    The questionnaires of waves 5 and 6 print 1 for "very much like me", the merged trend file has
    6 for it. Without labels nothing says which a file has, and the ten items are left out.
    """
    items = next(q.items for q in book.questions if q.scale == LIKE_ME)
    there = [item for item in items if archive.has(item)]
    if not there:
        return book, []
    first = {
        archive.table.labels.get(archive.spelled[item.lower()], {}).get("1", "").lower()
        for item in there
    }
    if first == {""}:
        left = tuple(question for question in book.questions if question.scale != LIKE_ME)
        why = (
            "the file does not say which end means like me; take the file with value labels "
            "(SPSS or Stata)"
        )
        aside = [SetAside(", ".join(there), len(there), why)]
        return book.model_copy(update={"questions": left}), aside
    denies = {"not" in label.split() for label in first}
    if len(denies) > 1 or not all("like me" in label for label in first):
        raise InputError(
            f"{archive.path.name}: the labels of 1 in {', '.join(there)} do not agree on which end "
            f"means like me ({', '.join(sorted(first))}); leave these items out with `items:`."
        )
    if denies == {True}:
        return book, []
    scale = book.scales[LIKE_ME]
    codes = [option.code for option in scale.options or ()]
    turned = tuple(
        option.model_copy(update={"code": code})
        for option, code in zip(scale.options or (), reversed(codes), strict=True)
    )
    scales = {**book.scales, LIKE_ME: scale.model_copy(update={"options": turned})}
    return book.model_copy(update={"scales": scales}), []


READER = Reader("values_trend", Options, read, archive_files)
