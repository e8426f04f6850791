"""Votes of any platform: a table with a row for each vote, whose columns and values you name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from suffrage.consult.csv_files import restored
from suffrage.consult.polis.conversation import Conversation, PolisStatement
from suffrage.consult.sources.csv_tables import need_columns, read_table_rows
from suffrage.consult.votes import AGREE, DISAGREE, PASS, from_events
from suffrage.errors import InputError

COLUMNS = ("participant", "statement", "vote", "text")
VALUES = ("agree", "pass", "disagree")
_MEANS = dict(zip(VALUES, (AGREE, PASS, DISAGREE), strict=True))


def read_vote_table(
    path: Path, columns: Mapping[str, str], values: Mapping[str, str] | None = None
) -> Conversation:
    """Read a CSV file with one row for each vote.

    Parameters
    ----------
    path : Path
    columns : mapping
        The file's names of the columns "participant", "statement", "vote", and "text" where the
        file has the statements' words. One that is not named has this name in the file.
    values : mapping, optional
        What the file says for "agree", "pass" and "disagree"; several with | between. By default
        these words themselves, or 1, 0 and -1.

    Returns
    -------
    Conversation
        Of several votes of one person on one statement the last row counts.

    Raises
    ------
    InputError
        A column is missing, a cell is empty, or a value is no vote. The message names the row.
    """
    names, rows = read_table_rows(path)
    named = {role: columns.get(role, role) for role in COLUMNS}
    if "text" not in columns and "text" not in names:
        del named["text"]
    need_columns(path, names, named)
    meanings = _meanings(values or {})
    people, statements, votes = [], [], []
    texts: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        person, statement, vote = (
            row[named[role]].strip() for role in ("participant", "statement", "vote")
        )
        if not person or not statement:
            raise InputError(f"{path.name} row {number}: no participant or no statement.")
        if vote.lower() not in meanings:
            raise InputError(
                f'{path.name} row {number}: "{vote}" is not a vote. Say what the values mean with '
                "--values agree=...,disagree=...,pass=..."
            )
        people.append(person)
        statements.append(statement)
        votes.append(meanings[vote.lower()])
        if "text" in named and row[named["text"]].strip():
            texts[statement] = restored(row[named["text"]].strip())
    if not votes:
        raise InputError(f"{path.name}: no votes; it needs one row for each vote.")
    matrix = from_events(people, statements, votes, range(len(votes)))
    # Where a column of statements has words instead of ids, these are the texts.
    texts = {s: texts.get(s, f"Statement {s}" if s.isdigit() else s) for s in matrix.statements}
    known = tuple(PolisStatement(s, texts[s], moderated=1) for s in matrix.statements)
    return Conversation({}, known, matrix)


def _meanings(values: Mapping[str, str]) -> dict[str, int]:
    found = {"1": AGREE, "+1": AGREE, "0": PASS, "-1": DISAGREE, **_MEANS} if not values else {}
    for name, words in values.items():
        for word in words.split("|"):
            found[word.strip().lower()] = _MEANS[name]
    return found
