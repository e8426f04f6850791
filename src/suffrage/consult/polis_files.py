"""Polis exports read and written, so that what was read, written and read again is equal.

Read are comments.csv, participants-votes.csv (or participant-votes.csv), votes.csv (the log) and
summary.csv, with a common prefix or none; votes.csv may also hold the table. Counts in the files
are never believed: they disagree with the votes in many exports. They serve for one thing, to find
out whether 1 or -1 is agree. Panel ids (`xid`) are not read. Written is the same set, and
comment-groups.csv; text that a spreadsheet would take for a formula gets an apostrophe in front,
which reading takes off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage import storage
from suffrage.consult.groups.consensus import tally
from suffrage.consult.votes import (
    AGREE,
    DISAGREE,
    UNSEEN,
    VoteMatrix,
    arranged,
    from_events,
    id_order,
    sign_of_agree,
)
from suffrage.errors import InputError

TABLE_NAMES = ("participants-votes.csv", "participant-votes.csv", "votes.csv")
# Columns of a table of votes that are no statement.
ABOUT_PEOPLE = {"participant", "xid", "group-id", "n-comments", "n-votes", "n-agree", "n-disagree"}
# Rows of summary.csv that follow from the rest, and are counted anew.
COUNTED = ("voters", "voters-in-conv", "commenters", "comments", "groups")
# Times below this are seconds, above it milliseconds (1973 in milliseconds, 5138 in seconds).
FIRST_MILLISECONDS = 100_000_000_000
_FORMULA = re.compile(r"'*[=+\-@\t\r\0]")


@dataclass(frozen=True)
class Statement:
    """One statement. moderated: 1 accepted, 0 undecided, -1 out. created: milliseconds since 1970.

    author: a participant's id. meta: about the consultation itself. seed: put in by the organisers.
    """

    id: str
    text: str
    moderated: int = 0
    author: str | None = None
    created: int | None = None
    meta: bool = False
    seed: bool = False


@dataclass(frozen=True)
class Conversation:
    """A consultation's statements and votes.

    about: topic, url, description and what else summary.csv says, but for its counts. events: the
    log, columns statement, participant, vote, at (milliseconds) and perhaps important, sorted by
    statement, participant and time; None where a file holds last votes only. group_ids: the opinion
    group of each participant who has one.
    """

    about: Mapping[str, str]
    statements: tuple[Statement, ...]
    votes: VoteMatrix
    events: pl.DataFrame | None = None
    group_ids: Mapping[str, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conversation):
            return NotImplemented
        same_log = (
            self.events is None and other.events is None
            if self.events is None or other.events is None
            else self.events.equals(other.events)
        )
        return (
            same_log
            and dict(self.about) == dict(other.about)
            and self.statements == other.statements
            and self.votes == other.votes
            and dict(self.group_ids) == dict(other.group_ids)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def moderated_out(self, strict: bool = False) -> tuple[str, ...]:
        """Statements that take no part: moderated out or about the consultation itself.

        strict: also those nobody has decided on.
        """
        least = 1 if strict else 0
        return tuple(s.id for s in self.statements if s.moderated < least or s.meta)


def read_polis(folder: Path, prefix: str | None = None, agree: int | None = None) -> Conversation:
    """Read an export.

    prefix: of the file names, as "raw_" in raw_comments.csv; found where there is one set only.
    agree: the vote that means agree, 1 or -1; found from the files' own counts where they tell.
    Raises InputError on missing files, several sets of files, columns, ids or votes that are none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a Polis export.")
    start = _prefix(folder) if prefix is None else prefix
    table_path, log_path = _vote_files(folder, start)
    if table_path is None and log_path is None:
        raise InputError(
            f"{folder}: no {start}participants-votes.csv and no {start}votes.csv; one is needed."
        )
    statements, counts = _read_comments(folder / f"{start}comments.csv")
    table, group_ids = _read_table(table_path, agree) if table_path else (None, {})
    events = _read_log(log_path, counts, table, agree) if log_path else None
    if events is None:
        assert table is not None
        votes = table
    else:
        votes = _last_votes(events, table)
    known = {statement.id for statement in statements}
    unknown = [s for s in votes.statements if s not in known]
    if unknown:
        raise InputError(
            f"{folder / f'{start}comments.csv'}: statement {unknown[0]} has votes but no text "
            f"({len(unknown)} such); the files are not of one export."
        )
    about = _read_summary(folder / f"{start}summary.csv")
    return Conversation(about, statements, votes, events, group_ids)


def write_polis(conversation: Conversation, folder: Path) -> None:
    """Write an export, all or nothing; every count is made from the votes.

    Groups found here are written with `dataclasses.replace(conversation, group_ids=...)`.
    """

    def fill(draft: Path) -> None:
        for name, rows in (
            ("comments.csv", _comments(conversation)),
            ("participants-votes.csv", _table(conversation)),
            ("comment-groups.csv", _comment_groups(conversation)),
            ("summary.csv", _summary(conversation)),
        ):
            _write_csv(draft / name, rows)
        if conversation.events is not None:
            _write_csv(draft / "votes.csv", _log(conversation.events))

    storage.write_folder(folder, fill)


def neutralised(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """What `neutralised` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


# --- reading ---------------------------------------------------------------------------------


def _prefix(folder: Path) -> str:
    found = sorted(
        path.name.removesuffix("comments.csv")
        for path in folder.glob("*comments.csv")
        if any(_vote_files(folder, path.name.removesuffix("comments.csv")))
    )
    if not found:
        raise InputError(
            f"{folder}: no comments.csv beside a participants-votes.csv or votes.csv; give the "
            "folder of a Polis export."
        )
    if len(found) > 1 and "" not in found:
        raise InputError(
            f"{folder}: holds several exports ({', '.join(found)}); say which with --prefix."
        )
    return "" if "" in found else found[0]


def _vote_files(folder: Path, prefix: str) -> tuple[Path | None, Path | None]:
    """The table of last votes and the log, told apart by their headers."""
    table, log = None, None
    for name in TABLE_NAMES:
        path = folder / f"{prefix}{name}"
        if path.is_file():
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline().strip().split(",")
            if "participant" in header:
                table = table or path
            elif "voter-id" in header:
                log = path
    return table, log


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows; commas in a last column that was written unquoted stay in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            for row in reader:
                if not row:
                    continue
                if len(row) < len(header):
                    raise InputError(
                        f"{path.name} line {reader.line_num}: {len(row)} of {len(header)} columns; "
                        "a text with a line break was perhaps written without quotes."
                    )
                kept = [*row[: len(header) - 1], ",".join(row[len(header) - 1 :])]
                yield reader.line_num, dict(zip(header, kept, strict=True))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error


def _need(row: Mapping[str, str], column: str, path: Path) -> str:
    if column not in row:
        raise InputError(f"{path.name}: no column {column}; there are {', '.join(row)}.")
    return row[column]


def _whole(text: str, path: Path, line: int, column: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f'{path.name} line {line}: {column} is "{text}", not a whole number.'
        ) from error


def _milliseconds(time: int) -> int:
    return time * 1000 if abs(time) < FIRST_MILLISECONDS else time


def _read_comments(path: Path) -> tuple[tuple[Statement, ...], dict[str, tuple[int, int]]]:
    """The statements, and what the file says of their agrees and disagrees."""
    statements: dict[str, Statement] = {}
    counts = {}
    for line, row in _rows(path):
        key, text = _need(row, "comment-id", path), _need(row, "comment-body", path)
        if key in statements:
            raise InputError(f"{path.name} line {line}: comment-id {key} stands twice.")
        moderated = _whole(row.get("moderated", "0") or "0", path, line, "moderated")
        if moderated not in (-1, 0, 1):
            raise InputError(f"{path.name} line {line}: moderated is {moderated}, not -1, 0 or 1.")
        time = row.get("timestamp", "")
        statements[key] = Statement(
            id=key,
            text=restored(text),
            moderated=moderated,
            author=row.get("author-id") or None,
            created=_milliseconds(_whole(time, path, line, "timestamp")) if time else None,
            meta=row.get("is-meta", "").lower() in ("true", "1"),
            seed=row.get("is-seed", "").lower() in ("true", "1"),
        )
        if row.get("agrees") and row.get("disagrees"):
            counts[key] = (
                _whole(row["agrees"], path, line, "agrees"),
                _whole(row["disagrees"], path, line, "disagrees"),
            )
    return tuple(statements[key] for key in sorted(statements, key=id_order)), counts


def _frame(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error


def _votes(column: pl.Series, path: Path) -> pl.Series:
    cast = column.cast(pl.Float64, strict=False)  # some tools write 1.0
    wrong = column.is_not_null() & ~cast.is_in([-1.0, 0.0, 1.0]).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InputError(
            f'{path.name} row {row + 1}, column {column.name}: "{column[row]}" is no vote; votes '
            "are -1, 0 or 1."
        )
    return cast.cast(pl.Int64)


def _read_table(path: Path, agree: int | None) -> tuple[VoteMatrix, dict[str, str]]:
    """A table of participants and their last votes, with agree as 1, and their group ids."""
    frame = _frame(path)
    statements = [column for column in frame.columns if column not in ABOUT_PEOPLE]
    cells = [_votes(frame[c], path).fill_null(UNSEEN).to_numpy() for c in statements]
    shape = (frame.height, len(statements))
    votes = np.stack(cells, axis=1).astype(np.int8) if cells else np.empty(shape, dtype=np.int8)
    sign = agree or 1
    if agree is None and {"n-agree", "n-disagree"} <= set(frame.columns):
        told = [
            frame[c].cast(pl.Int64, strict=False).fill_null(0).to_numpy()
            for c in ("n-agree", "n-disagree")
        ]
        plus, minus = (votes == AGREE).sum(axis=1), (votes == DISAGREE).sum(axis=1)
        sign = _sign(path, plus, minus, *told)
    if sign < 0:
        votes = np.where(votes == UNSEEN, votes, -votes).astype(np.int8)
    people = frame["participant"].to_list()
    groups = frame["group-id"].to_list() if "group-id" in frame.columns else [None] * len(people)
    named = {p: g for p, g in zip(people, groups, strict=True) if g is not None and g != ""}
    return arranged(people, statements, votes), named


def _read_log(
    path: Path,
    counts: Mapping[str, tuple[int, int]],
    table: VoteMatrix | None,
    agree: int | None,
) -> pl.DataFrame:
    """The log of votes with agree as 1: as the table has it, or else as the comments' counts say."""
    frame = _frame(path)
    for column in ("timestamp", "comment-id", "voter-id", "vote"):
        if column not in frame.columns:
            raise InputError(f"{path.name}: no column {column}; there are {frame.columns}.")
    times = frame["timestamp"].cast(pl.Int64, strict=False)
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise InputError(f'{path.name} row {row + 1}: timestamp "{frame["timestamp"][row]}".')
    votes = _votes(frame["vote"], path)
    if votes.null_count():
        raise InputError(f"{path.name} row {int(votes.is_null().arg_max() or 0) + 1}: no vote.")
    events = pl.DataFrame(
        {
            "statement": frame["comment-id"],
            "participant": frame["voter-id"],
            "vote": votes.cast(pl.Int8),
            "at": pl.select(
                pl.when(times.abs() < FIRST_MILLISECONDS).then(times * 1000).otherwise(times)
            ).to_series(),
            **({"important": frame["important"]} if "important" in frame.columns else {}),
        }
    )
    if (agree or _log_sign(path, events, counts, table)) < 0:
        events = events.with_columns(-pl.col("vote"))
    return _sorted_log(events)


def _log_sign(
    path: Path,
    events: pl.DataFrame,
    counts: Mapping[str, tuple[int, int]],
    table: VoteMatrix | None,
) -> int:
    """By the last votes of a table, cell by cell; without one by the comments' counts."""
    last = _last_votes(events)
    if table is not None:
        shared = set(last.statements) & set(table.statements)
        rows = {person: at for at, person in enumerate(table.participants)}
        both = [p for p in last.participants if p in rows]
        here = set(both)
        log = last.only(shared).votes[[p in here for p in last.participants]]
        told = table.only(shared).votes[[rows[p] for p in both]]
        same = int(((log == told) & (np.abs(log) == 1)).sum())
        turned = int(((log == -told) & (np.abs(log) == 1)).sum())
        if same != turned:
            return 1 if same > turned else -1
    place = {statement: at for at, statement in enumerate(last.statements) if statement in counts}
    at = list(place.values())
    return _sign(
        path,
        last.counts(AGREE)[at],
        last.counts(DISAGREE)[at],
        [counts[statement][0] for statement in place],
        [counts[statement][1] for statement in place],
    )


def _last_votes(events: pl.DataFrame, table: VoteMatrix | None = None) -> VoteMatrix:
    people, statements, votes, times = (
        events[column].to_list() for column in ("participant", "statement", "vote", "at")
    )
    everyone, everything = (table.participants, table.statements) if table else ((), ())
    return from_events(people, statements, votes, times, everyone, everything)


def _sign(path: Path, *counts: Sequence[int] | npt.NDArray[np.int64]) -> int:
    if not np.any(counts[0]) and not np.any(counts[1]):
        return 1  # passes only: nothing to turn
    try:
        return sign_of_agree(*counts)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def _sorted_log(events: pl.DataFrame) -> pl.DataFrame:
    """By statement, participant and time, ids in `id_order`; events at one time keep their order."""
    ranks = {}
    for column in ("statement", "participant"):
        ids = sorted(events[column].unique().to_list(), key=id_order)
        ranks[column] = pl.col(column).replace_strict(ids, range(len(ids)), return_dtype=pl.Int64)
    return events.sort(ranks["statement"], ranks["participant"], "at", maintain_order=True)


def _read_summary(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        # The description is often written without quotes; its commas are its own.
        rows = [(row[0], ",".join(row[1:])) for row in csv.reader(file) if row]
    return {key: restored(value) for key, value in rows if key not in COUNTED}


# --- writing ---------------------------------------------------------------------------------


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    # As RFC 4180 has it; with "\n" alone a text holding a bare "\r" would stand unquoted.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows(rows)
    # Bytes, so that no platform turns a line break inside a text into another.
    path.write_bytes(text.getvalue().encode())


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
    groups = sorted(set(c.group_ids.values()), key=id_order)
    labels = np.array(
        [groups.index(c.group_ids[p]) if p in c.group_ids else -1 for p in c.votes.participants],
        dtype=np.int64,
    )
    everyone = tally(c.votes.votes, np.zeros_like(labels), 1)
    each = tally(c.votes.votes, labels, len(groups))
    names = [_letters(at) for at in range(len(groups))]
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


def _letters(at: int) -> str:
    return (_letters(at // 26 - 1) if at >= 26 else "") + chr(ord("a") + at % 26)


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
