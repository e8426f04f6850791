"""Countries' answers to the World Values Survey, wave 7: a row for each question and country.

The file has `item`, `question`, `options`, `group` (the country) and `share`, and does not say how
many people a share is from.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suffrage import storage
from suffrage.errors import InputError
from suffrage.survey.country_names import usual_country_name
from suffrage.survey.published_table import PublishedTable, build_table
from suffrage.survey.readers.published_table import TableOptions, files, table_answers
from suffrage.survey.reading import Reader, existing_file

WEIGHTING = (
    "shares of respondents as published, unweighted and without don't knows; the number of "
    "respondents is unknown"
)
CITATION = (
    "Haerpfer, C. et al. (eds.), World Values Survey: Round Seven, Country-Pooled Datafile. JD "
    "Systems Institute and WVSA Secretariat."
)
TERMS = "The World Values Survey forbids passing its data on; see its conditions of use."


def read(options: TableOptions, folder: Path) -> PublishedTable:
    """Read the table, with one usual spelling a country."""
    path = existing_file(folder / options.path, "path")
    answers = [
        replace(answer, population=usual_country_name(answer.population))
        for answer in table_answers(path)
    ]
    if options.populations:
        answers = [answer for answer in answers if answer.population in options.populations]
    if not answers:
        raise InputError(f"{path.name}: survey.populations leaves no row.")
    table = build_table(
        answers,
        title="World Values Survey, wave 7",
        reader=READER.name,
        files={path.name: storage.file_hash(path)},
        weighting=WEIGHTING,
        description="people who live in {population}",
        citation=CITATION,
        terms=TERMS,
    )
    return table.renamed(options.rename)


READER = Reader("wvs_country_shares", TableOptions, read, files, respondents=False)
