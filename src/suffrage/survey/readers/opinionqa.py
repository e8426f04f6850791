"""OpinionQA (Santurkar et al. 2023): answers of groups of US adults to Pew's American Trends Panel.

Read from a JSON list of one record a question and group: `question` (a prompt, or the plain
question), `options`, `attribute` (such as "RELIG_Atheist") and `gold_distribution`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError, near_files, unreadable_json
from suffrage.survey.published_table import PublishedAnswer, PublishedTable, build_table
from suffrage.survey.readers.published_table import TableOptions, files
from suffrage.survey.reading import Reader, existing_file

KEYS = ("question", "options", "attribute", "gold_distribution")
PROMPT = re.compile(r"(?s)^Question:\s*(.*?)\s*\nOptions:.*$")
WEIGHTING = "as published in OpinionQA: the number of respondents is unknown"
CITATION = (
    "Santurkar et al. (2023), Whose Opinions Do Language Models Reflect?, ICML; from Pew Research "
    "Center's American Trends Panel."
)
TERMS = "Pew Research Center's terms; the Center bears no responsibility for interpretations"
# How a question to a model names a group of an attribute.
PHRASES = {
    "CREGION": "adults in the {value} of the United States",
    "EDUCATION": "adults in the United States whose education is {value}",
    "INCOME": "adults in the United States with a family income of {value}",
    "POLIDEOLOGY": "adults in the United States who call themselves {value}",
    "POLPARTY": "adults in the United States who identify as {value}",
    "RACE": "adults in the United States who are {value}",
    "RELIG": "adults in the United States whose religion is {value}",
    "SEX": "adults in the United States who are {value}",
}


def read(options: TableOptions, folder: Path) -> PublishedTable:
    """Read the table."""
    path = existing_file(folder / options.path, "path")
    answers = list(opinionqa_answers(path))
    if options.populations:
        answers = [answer for answer in answers if answer.population in options.populations]
    table = build_table(
        answers,
        title="OpinionQA",
        reader=READER.name,
        files={path.name: storage.file_hash(path)},
        weighting=WEIGHTING,
        citation=CITATION,
        terms=TERMS,
    )
    described = {name: _described(name) for name in table.populations}
    return replace(table, descriptions=described, _hash="").renamed(options.rename)


READER = Reader("opinionqa", TableOptions, read, files, respondents=False)


def _described(group: str) -> str:
    attribute, _, value = group.partition("_")
    phrase = PHRASES.get(attribute, "adults in the United States of the group {value}")
    return phrase.format(value=value or group)


def _records(path: Path) -> list[Any]:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        content = json.loads(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path.name}: not a whole gzip file ({error}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: {unreadable_json(error)}.") from error
    if not isinstance(content, list):
        raise InputError(f"{path.name}: must be a list of records.")
    return content


def opinionqa_answers(path: Path) -> Iterator[PublishedAnswer]:
    """Yield the answers of the file, .json or .json.gz.

    Raises InputError on a file of another layout, naming the record.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.{near_files(path)}")
    for number, record in enumerate(_records(path), start=1):
        absent = [key for key in KEYS if not isinstance(record, dict) or key not in record]
        if absent:
            raise InputError(f"{path.name} record {number} has no {absent[0]}; is it OpinionQA?")
        prompt = PROMPT.match(record["question"])
        yield PublishedAnswer(
            record["attribute"],
            prompt[1] if prompt else record["question"].strip(),
            tuple(map(str, record["options"])),
            tuple(record["gold_distribution"]),
            place=f"record {number}",
        )
