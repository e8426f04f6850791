"""OpinionQA (Santurkar et al. 2023): answers of groups of US adults to Pew's American Trends Panel.

Read from a JSON list of one record a question and group: `question` (a prompt, or the plain
question), `options`, `attribute` (such as "RELIG_Atheist") and `gold_distribution`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError
from suffrage.population.published import PublishedAnswer, published_value_sets
from suffrage.population.value_set import ValueSet

KEYS = ("question", "options", "attribute", "gold_distribution")
PROMPT = re.compile(r"(?s)^Question:\s*(.*?)\s*\nOptions:.*$")


def opinionqa(path: Path, groups: Sequence[str] | None = None) -> list[ValueSet]:
    """The value sets of groups, such as "POLIDEOLOGY_Liberal"; .json or .json.gz.

    Items are unordered: the records do not say which options form a scale.
    Raises InputError on a file of another layout, naming the record.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    return published_value_sets(
        _answers(path),
        groups,
        {group: f"US adults of the group {group}" for group in groups or ()},
        "as published in OpinionQA: the number of respondents is unknown",
        path.name,
        storage.file_hash(path),
    )


def _records(path: Path) -> list[Any]:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        content = json.loads(raw)
    except (gzip.BadGzipFile, EOFError, ValueError) as error:
        raise InputError(f"{path.name}: not readable as JSON in UTF-8 ({error}).") from error
    if not isinstance(content, list):
        raise InputError(f"{path.name}: must be a list of records.")
    return content


def _answers(path: Path) -> Iterator[PublishedAnswer]:
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
        )
