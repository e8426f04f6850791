"""Seed statements from what people proposed on another platform: Decidim, CONSUL, or a table.

A proposal's title becomes the statement, because its text is far longer than anybody votes on.
Decidim exports CSV with a column for each language (`title/en`) or JSON with a mapping of them.
CONSUL's GraphQL API answers in JSON. Proposals that their authors withdrew are left out, and so
are amendments of other proposals.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suffrage.consult.csv_files import restored
from suffrage.consult.sources.csv_tables import rows_of_text
from suffrage.errors import InputError

# Columns of a plain table of statements, in the order in which they are looked for.
PLAIN = ("text", "comment-body")
TITLE = "title"
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")


def read_seed_statements(
    path: Path, languages: Sequence[str], column: str | None = None
) -> list[tuple[str, str]]:
    """Return the statements of a file as (text, language).

    Parameters
    ----------
    path : Path
        One statement a line; or .csv with a column `text`, `comment-body` or `title`; or .json
        with proposals of Decidim or CONSUL.
    languages : sequence of str
        Of the consultation. The first is that of texts whose language the file does not say.
    column : str, optional
        The column that contains the statements.

    Raises
    ------
    InputError
        The file cannot be read, or has no such column or no statement, or a language is not the
        consultation's.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text in UTF-8 ({error}).") from error
    found = [(line.strip(), languages[0]) for line in text.splitlines() if line.strip()]
    if found and path.suffix.lower() in (".csv", ".json", ".tsv"):
        try:
            found = seeds_of_file(text, languages, column)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    if not found:
        raise InputError(f"{path}: has no statement; write one a line.")
    return found


def seeds_of_file(
    text: str, languages: Sequence[str], column: str | None = None
) -> list[tuple[str, str]]:
    """Return the statements of a CSV or JSON text as (text, language).

    Parameters are those of `read_seed_statements`. Raises InputError naming row and column.

    Examples
    --------
    >>> seeds_of_file("id;title/en;state\\n1;Trees along <b>every</b> street;accepted\\n", ["en"])
    [('Trees along every street', 'en')]
    """
    if text.lstrip()[:1] in ("[", "{"):
        names, rows = _rows_of_json(text)
    else:
        try:
            names, rows = rows_of_text(text)
        except csv.Error as error:
            raise InputError("the file is not readable as CSV (%(why)s).", why=error) from error
    if (chosen := column or _plain_column(names)) is not None and chosen in names:
        return list(_plain_statements(rows, chosen, languages))
    titles = {code: f"{TITLE}/{code}" for code in languages if f"{TITLE}/{code}" in names}
    if column is not None or not (titles or TITLE in names):
        raise InputError(
            "the file has no column text; it has %(names)s. Name the column of statements text.",
            names=", ".join(names) or "–",
        )
    return list(_titles(rows, titles or {languages[0]: TITLE}))


def _plain_column(names: Sequence[str]) -> str | None:
    return next((name for name in names if name.strip().lower() in PLAIN), None)


def _plain_statements(
    rows: Sequence[Mapping[str, str]], column: str, languages: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows, 2):
        of = row.get("language", "").strip() or languages[0]
        if of not in languages:
            raise InputError(
                "row %(row)s: %(language)s is not a language of this consultation; it has "
                "%(known)s.",
                row=number,
                language=of[:20],
                known=", ".join(languages),
            )
        if row[column].strip():
            yield restored(row[column]), of


def _titles(
    rows: Sequence[Mapping[str, str]], titles: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Each proposal's title in the first language in which it has one."""
    for row in rows:
        withdrawn = row.get("state", "") == "withdrawn" or row.get("retired_at", "")
        if withdrawn or row.get("is_amend", "").lower() == "true":
            continue
        for code, name in titles.items():
            title = _SPACE.sub(" ", html.unescape(_TAG.sub("", restored(row[name])))).strip()
            if title:
                yield title, code
                break


def _rows_of_json(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """The names and rows of a list of proposals, with a column for each language of a text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the file is not readable as JSON from line %(line)s, character %(place)s on.",
            line=getattr(error, "lineno", 1),
            place=getattr(error, "colno", 1),
        ) from error
    rows = [dict(_cells(proposal)) for proposal in _proposals(content)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [{name: row.get(name, "") for name in names} for row in rows]


def _proposals(content: Any) -> list[dict[str, Any]]:
    """The first list of objects with a title or a text; GraphQL wraps each of them in a `node`."""
    if isinstance(content, list):
        nodes = [row.get("node", row) for row in content if isinstance(row, dict)]
        return [row for row in nodes if isinstance(row, dict) and ({TITLE, *PLAIN} & set(row))]
    if isinstance(content, dict):
        for value in content.values():
            if isinstance(value, dict | list) and (found := _proposals(value)):
                return found
    return []


def _cells(proposal: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in proposal.items():
        if isinstance(value, dict):
            of_languages = value.get("translations")
            if isinstance(of_languages, list):
                value = {
                    x.get("locale"): x.get("text") for x in of_languages if isinstance(x, dict)
                }
            for code, text in value.items():
                if isinstance(text, str):
                    yield (name if code == "translation" else f"{name}/{code}"), text
        elif value is not None and not isinstance(value, list):
            yield name, str(value)
