"""What organisers bring along as files: seed statements, and the settings they write as YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import yaml

from suffrage.consult.sources.proposals import seeds_of_file
from suffrage.errors import InputError

MOST_SEEDS = 2000
# Lists and mappings within one another in a YAML text.
MOST_NESTED = 20
_SOURCE = re.compile(r"statement (\S+?):? ")


def seeds_of_upload(text: str, language: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Return the statements of an organiser's file as (text, language).

    language: that of texts whose language the file does not say. See `seeds_of_file`.
    """
    others = [code for code in languages if code != language]
    return _enough(seeds_of_file(text, [language, *others]))


def seeds_of_lines(text: str, language: str) -> list[tuple[str, str]]:
    """Statements written one per line."""
    return _enough([(line, language) for line in text.splitlines() if line.strip()])


def _enough(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if not found:
        raise InputError("there is no statement in it; write one per line, or choose a file.")
    if len(found) > MOST_SEEDS:
        raise InputError(
            "%(count)s statements are too many at once; at most %(most)s.",
            count=len(found),
            most=MOST_SEEDS,
        )
    return found


def plain_yaml(text: str) -> Any:
    """Read YAML that refers to nothing twice and is not deeply nested.

    A few hundred bytes with aliases can stand for more than a machine has memory for.

    Raises
    ------
    yaml.YAMLError
        It is not YAML, has an alias, or is nested more than `MOST_NESTED` deep.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        problem = "aliases such as *name are not allowed" * isinstance(event, yaml.AliasEvent)
        if depth > MOST_NESTED:
            problem = "too many lists or mappings within one another"
        if problem:
            mark = cast("yaml.error.Mark | None", event.start_mark)
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
    return yaml.safe_load(text)


def principles_of_constitution(text: str) -> list[tuple[str, list[str]]]:
    """Return the principles of a constitution from a consultation, each with its statements' ids.

    text: JSON or YAML with `principles`, each with `text` and `sources` such as "statement s1:
    ...". Raises InputError naming a principle that has no text, or no statement as its source.
    """
    try:
        content = plain_yaml(text)
    except yaml.YAMLError as error:
        raise InputError("the constitution is not readable as JSON or YAML.") from error
    rows = content.get("principles") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InputError("the file has no principles; give a constitution.")
    found = []
    for number, row in enumerate(rows, 1):
        words = row.get("text") if isinstance(row, dict) else None
        sources = row.get("sources") if isinstance(row, dict) else None
        ids = [
            match.group(1)
            for source in (sources if isinstance(sources, list) else [])
            if (match := _SOURCE.match(str(source)))
        ]
        if not isinstance(words, str) or not ids:
            raise InputError(
                "principle %(number)s has no text, or no source such as “statement s1: its words”.",
                number=number,
            )
        found.append((words, ids))
    return found
