"""GlobalOpinionQA (Durmus et al. 2023): countries' answers to World Values and Pew questions.

Two layouts are read: the published CSV, a row for each question with `question`, `selections`
(country to shares, as Python writes a dictionary), `options` and `source`; and JSON records, one
for each question and country, with `country`, `question`, `options` and `distribution`. Neither
says how many people a share is from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError, near_files
from suffrage.survey.country_names import usual_country_name
from suffrage.survey.formats.separated_text import read_csv
from suffrage.survey.published_table import PublishedAnswer, PublishedTable, build_table
from suffrage.survey.readers.published_table import TableOptions, files, table_answers
from suffrage.survey.reading import Reader, existing_file

COLUMNS = ("question", "selections", "options")
WEIGHTING = "as published in GlobalOpinionQA: the number of respondents is unknown"
CITATION = (
    "Durmus et al. (2023), Towards Measuring the Representation of Subjective Global Opinions in "
    "Language Models, arXiv 2306.16388; with questions of Pew's Global Attitudes Survey and of the "
    "World Values Survey."
)
TERMS = "CC BY-NC-SA 4.0"


class Options(TableOptions):
    """What `survey:` may say to `globalopinionqa`."""

    # Only questions of these surveys, such as GAS and WVS, where the file names them.
    sources: tuple[str, ...] | None = None


def read(options: Options, folder: Path) -> PublishedTable:
    """Read the table, with one usual spelling a country.

    Samples that do not stand for a nation are populations of their own, as the file names them.
    """
    path = existing_file(folder / options.path, "path")
    answers = [
        replace(answer, population=usual_country_name(answer.population))
        for answer in globalopinionqa_answers(path, options.sources)
    ]
    if options.populations:
        answers = [answer for answer in answers if answer.population in options.populations]
    table = build_table(
        answers,
        title="GlobalOpinionQA",
        reader=READER.name,
        files={path.name: storage.file_hash(path)},
        weighting=WEIGHTING,
        description="people who live in {population}",
        citation=CITATION,
        terms=TERMS,
    )
    return table.renamed(options.rename)


READER = Reader("globalopinionqa", Options, read, files, respondents=False)


def globalopinionqa_answers(
    path: Path, sources: Sequence[str] | None = None
) -> Iterator[PublishedAnswer]:
    """Yield the answers of the file, with countries as it spells them.

    Parameters
    ----------
    path : Path
        The file, in either layout.
    sources : sequence of str, optional
        Only questions of these surveys; the file must have a column `source`.

    Raises
    ------
    InputError
        The file has another layout; the message names the row.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.{near_files(path)}")
    if path.name.removesuffix(".gz").endswith((".json", ".jsonl")):
        if sources is not None:
            raise InputError(f"{path.name} does not name the surveys; leave out sources.")
        yield from table_answers(path)
        return
    frame = read_csv(path)
    needed = [*COLUMNS, *(["source"] if sources is not None else [])]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise InputError(f"{path.name} has no column {', '.join(absent)}; is it GlobalOpinionQA?")
    for row, cells in enumerate(frame.iter_rows(named=True), start=2):
        if sources is not None and cells["source"] not in sources:
            continue
        options = _literal(cells["options"], list, path.name, row, "options")
        selections = _literal(cells["selections"], dict, path.name, row, "selections")
        for country, shares in selections.items():
            yield PublishedAnswer(
                str(country),
                cells["question"],
                tuple(map(str, options)),
                tuple(shares),
                place=f"record {row}",
            )


def question_sources(path: Path) -> dict[str, str]:
    """Question to its survey, as the file names it ("GAS", "WVS"); "" where it does not."""
    frame = read_csv(path)
    if "source" not in frame.columns:
        return {}
    return {row["question"]: row["source"] or "" for row in frame.iter_rows(named=True)}


def _literal(text: str | None, kind: type, source: str, row: int, column: str) -> Any:
    """A list or dictionary as Python writes it; a `defaultdict(..., {...})` counts as its {...}."""
    plain = (text or "").strip()
    if plain.startswith("defaultdict("):
        plain = plain[plain.index("{") if "{" in plain else 0 : -1]
    try:
        found = ast.literal_eval(plain)
    except (ValueError, SyntaxError) as error:
        raise InputError(
            f"{source} record {row}: {column} is not readable ({error}); take the file as "
            "published."
        ) from error
    if not isinstance(found, kind):
        raise InputError(f"{source} record {row}: {column} must be a {kind.__name__}.")
    return found
