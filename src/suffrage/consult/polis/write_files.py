"""A Polis conversation as the files of a Polis export, all counts made from the votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.consult.csv_files import neutralised, write_csv
from suffrage.consult.group_letters import group_name
from suffrage.consult.polis.conversation import Conversation
from suffrage.consult.votes import AGREE, DISAGREE, UNSEEN, tally


def write_polis(conversation: Conversation, folder: Path) -> None:
    """Write an export, all or nothing; every count is made from the votes.

    Texts that a spreadsheet would run as a formula get an apostrophe in front, which `read_polis`
    takes off again. To write groups that were found here, use
    `dataclasses.replace(conversation, group_ids=...)`.
    """

    def fill(draft: Path) -> None:
        for name, rows in (
            ("comments.csv", _comments(conversation)),
            ("participants-votes.csv", _table(conversation)),
            ("comment-groups.csv", _comment_groups(conversation)),
            ("summary.csv", _summary(conversation)),
        ):
            write_csv(draft / name, rows)
        if conversation.events is not None:
            write_csv(draft / "votes.csv", _log(conversation.events))

    storage.write_folder(folder, fill, private=True)


def _date(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _comments(c: Conversation) -> Iterator[Sequence[object]]:
    yield (
        *("timestamp", "datetime", "comment-id", "author-id", "agrees", "disagrees"),
        *("moderated", "is-meta", "is-seed", "comment-body"),
    )
    agrees, disagrees = (
        dict(zip(c.votes.statements, c.votes.counts(vote).tolist(), strict=True))
        for vote in (AGREE, DISAGREE)
    )
    for s in c.statements:
        yield (
            "" if s.created is None else s.created,
            _date(s.created),
            s.id,
            s.author or "",
            agrees.get(s.id, 0),
            disagrees.get(s.id, 0),
            s.moderated,
            str(s.meta).lower(),
            str(s.seed).lower(),
            neutralised(s.text),
        )


def _table(c: Conversation) -> Iterator[Sequence[object]]:
    yield (
        *("participant", "group-id", "n-comments", "n-votes", "n-agree", "n-disagree"),
        *c.votes.statements,
    )
    written: dict[str, int] = {}
    for statement in c.statements:
        if statement.author is not None:
            written[statement.author] = written.get(statement.author, 0) + 1
    words = {UNSEEN: "", -1: "-1", 0: "0", 1: "1"}
    for person, votes in zip(c.votes.participants, c.votes.votes.tolist(), strict=True):
        agrees, disagrees = votes.count(AGREE), votes.count(DISAGREE)
        yield (
            person,
            c.group_ids.get(person, ""),
            written.get(person, 0),
            len(votes) - votes.count(UNSEEN),
            agrees,
            disagrees,
            *(words[vote] for vote in votes),
        )


def _comment_groups(c: Conversation) -> Iterator[Sequence[object]]:
    labels, groups = c.group_labels(), len(set(c.group_ids.values()))
    everyone = tally(c.votes.votes, np.zeros_like(labels), 1)
    each = tally(c.votes.votes, labels, groups)
    names = [group_name(number).lower() for number in sorted(set(c.group_numbers().values()))]
    kinds = ("votes", "agrees", "disagrees", "passes")
    yield (
        "comment-id",
        "comment",
        *(f"total-{kind}" for kind in kinds),
        *(f"group-{name}-{kind}" for name in names for kind in kinds),
    )
    counted = np.concatenate(
        [
            np.stack([t.seen, t.agrees, t.disagrees, t.passes], axis=1).reshape(
                -1, len(c.votes.statements)
            )
            for t in (everyone, each)
        ]
    ).astype(np.int64)
    column = {statement: at for at, statement in enumerate(c.votes.statements)}
    for statement in c.statements:
        at = column.get(statement.id)
        counts = [0] * len(counted) if at is None else counted[:, at].tolist()
        yield (statement.id, neutralised(statement.text), *counts)


def _log(events: pl.DataFrame) -> Iterator[Sequence[object]]:
    important = "important" in events.columns
    yield (
        *("timestamp", "datetime", "comment-id", "voter-id", "vote"),
        *(("important",) if important else ()),
    )
    for row in events.iter_rows(named=True):
        more = (row["important"],) if important else ()
        yield (
            row["at"],
            _date(row["at"]),
            row["statement"],
            row["participant"],
            row["vote"],
            *more,
        )


def _summary(c: Conversation) -> Iterator[Sequence[object]]:
    counts = {
        "voters": int((c.votes.seen.sum(axis=1) > 0).sum()),
        "voters-in-conv": len(c.group_ids),
        "commenters": len({s.author for s in c.statements if s.author is not None}),
        "comments": len(c.statements),
        "groups": len(set(c.group_ids.values())),
    }
    first = ("topic", "url", "views")
    for key in first:
        if key in c.about:
            yield key, neutralised(c.about[key])
    yield from counts.items()
    for key, value in c.about.items():
        if key not in first:
            yield key, neutralised(value)
