"""What the API of a Polis server answers, saved as files: comments.json, votes.json and more.

The server says -1 for agree. It answers with everybody's last vote on each statement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from suffrage.consult.polis.conversation import PolisStatement
from suffrage.consult.votes import id_order
from suffrage.errors import InputError, unreadable_json

VOTES, COMMENTS, CONVERSATION = "votes.json", "comments.json", "conversation.json"
# More than any count or time of a conversation, and as much as every program writes exactly.
MOST = 2**53


def api_statements(path: Path) -> tuple[tuple[PolisStatement, ...], dict[str, tuple[int, int]]]:
    """Return the statements of comments.json, and the server's own counts of agrees and disagrees.

    It is the answer of `/api/v3/comments?conversation_id=...&moderation=true`.
    """
    statements: dict[str, PolisStatement] = {}
    counts = {}
    for number, row in enumerate(_rows(path), 1):
        key = str(_need(row, "tid", path, number))
        moderated = _whole(row, "mod", path, number)
        if key in statements or moderated not in (-1, 0, 1):
            raise InputError(
                f"{path.name} entry {number}: a tid comes twice, or mod is not -1, 0 or 1."
            )
        author, created = row.get("pid"), row.get("created")
        statements[key] = PolisStatement(
            id=key,
            text=str(_need(row, "txt", path, number)),
            moderated=moderated,
            author=None if author is None else str(author),
            created=None if created is None else _whole(row, "created", path, number),
            meta=bool(row.get("is_meta")),
            seed=bool(row.get("is_seed")),
        )
        if row.get("agree_count") is not None and row.get("disagree_count") is not None:
            counts[key] = (
                _whole(row, "agree_count", path, number),
                _whole(row, "disagree_count", path, number),
            )
    return tuple(statements[key] for key in sorted(statements, key=id_order)), counts


def api_votes(path: Path) -> pl.DataFrame:
    """Return the votes of votes.json as the server has them, -1 for agree.

    It is the answer of `/api/v3/votes?conversation_id=...`. The columns are statement, participant,
    vote and at (milliseconds).
    """
    found: dict[str, list[Any]] = {"statement": [], "participant": [], "vote": [], "at": []}
    for number, row in enumerate(_rows(path), 1):
        vote = _need(row, "vote", path, number)
        if vote not in (-1, 0, 1):
            raise InputError(
                f"{path.name} entry {number}: {vote!r} is not a vote; it is -1, 0 or 1."
            )
        found["statement"].append(str(_need(row, "tid", path, number)))
        found["participant"].append(str(_need(row, "pid", path, number)))
        found["vote"].append(int(vote))
        at = "modified" if row.get("modified") else "created"
        found["at"].append(_whole(row, at, path, number))
    kinds = {"statement": pl.String, "participant": pl.String, "vote": pl.Int8, "at": pl.Int64}
    return pl.DataFrame(found, schema=kinds)


def api_about(path: Path) -> dict[str, str]:
    """Return the topic, description and address of conversation.json, empty without the file."""
    if not path.is_file():
        return {}
    content = _json(path)
    content = content[0] if isinstance(content, list) and content else content
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a conversation; save what /api/v3/conversations answers.")
    names = {"topic": "topic", "description": "conversation-description"}
    found = {name: str(content[key]) for key, name in names.items() if content.get(key)}
    if content.get("conversation_id"):
        found["url"] = f"https://pol.is/{content['conversation_id']}"
    return found


def _rows(path: Path) -> list[Mapping[str, Any]]:
    content = _json(path)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError(f"{path}: not a list of objects; save what the API of Polis answers.")
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {unreadable_json(error)}.") from error


def number_in_file(value: Any, where: str, name: str) -> int:
    """Return a whole number as files write it. Raises InputError that says where it is none."""
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError):
        number = None
    if number is None:
        raise InputError(f'{where}: {name} is "{str(value)[:40]}", not a whole number.')
    if abs(number) > MOST:
        raise InputError(f"{where}: {name} is {str(value)[:40]}, which is too large.")
    return number


def _whole(row: Mapping[str, Any], key: str, path: Path, number: int) -> int:
    return number_in_file(row.get(key) or 0, f"{path.name} entry {number}", key)


def _need(row: Mapping[str, Any], key: str, path: Path, number: int) -> Any:
    if row.get(key) is None:
        raise InputError(f"{path.name} entry {number}: no {key}; there are {', '.join(row)}.")
    return row[key]
