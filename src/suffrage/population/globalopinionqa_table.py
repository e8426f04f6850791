"""GlobalOpinionQA (Durmus et al. 2023): countries' answers to World Values and Pew questions.

The file has a row for each question: `question`, `selections` (country to shares, as Python writes
a dictionary), `options` and `source`. It does not say how many people a share is from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError
from suffrage.population.published import PublishedAnswer, published_value_sets
from suffrage.population.value_set import ValueSet
from suffrage.survey.formats.separated_text import read_csv

COLUMNS = ("question", "selections", "options")


def globalopinionqa(
    path: Path, countries: Sequence[str] | None = None, sources: Sequence[str] | None = None
) -> list[ValueSet]:
    """The value sets of countries, as the file spells them. sources: such as "GAS" and "WVS".

    Items are unordered: the file does not say which options form a scale, and some are out of
    order. Raises InputError on a file of another layout, naming the row.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    return published_value_sets(
        _answers(path, sources),
        countries,
        {country: f"people who live in {country}" for country in countries or ()},
        "as published in GlobalOpinionQA: the number of respondents is unknown",
        path.name,
        storage.file_hash(path),
    )


def _answers(path: Path, sources: Sequence[str] | None) -> Iterator[PublishedAnswer]:
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
                str(country), cells["question"], tuple(map(str, options)), tuple(shares)
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
