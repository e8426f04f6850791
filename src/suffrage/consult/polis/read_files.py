"""Polis export files, read.

Four files are read, with a common prefix or none: comments.csv, participants-votes.csv (or
participant-votes.csv), votes.csv (the log, or a table of last votes) and summary.csv.
Where there are none, the answers of a Polis server's API are read: see `read_api`.
The counts in the files are not used as results, because in many exports they disagree with the
votes. They only show whether 1 or -1 means agree. Panel ids (`xid`) are not read.
What `write_files` writes is read back equal.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage.arguments import NOTHING, NUMBER, PATH, TEXT, takes, written
from suffrage.consult.csv_files import read_csv_as_text, restored
from suffrage.consult.polis.conversation import Conversation, PolisStatement, sorted_log
from suffrage.consult.polis.read_api import (
    COMMENTS,
    CONVERSATION,
    VOTES,
    api_about,
    api_statements,
    api_votes,
    number_in_file,
)
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

# Put after a file's last line, to see whether that line ends the last row.
END = "end of the file \ue000"
TABLE_NAMES = ("participants-votes.csv", "participant-votes.csv", "votes.csv")
# Columns of a table of votes that are not statements.
ABOUT_PEOPLE = {"participant", "xid", "group-id", "n-comments", "n-votes", "n-agree", "n-disagree"}
# Rows of summary.csv that follow from the rest and are counted from the votes.
COUNTED = ("voters", "voters-in-conv", "commenters", "comments", "groups")
# Times below this are seconds, above it milliseconds (1973 in milliseconds, 5138 in seconds).
FIRST_MILLISECONDS = 100_000_000_000


@takes(folder=PATH, prefix=TEXT | NOTHING, agree=NUMBER.but_say("1, -1") | NOTHING)
def read_polis(
    folder: str | Path, prefix: str | None = None, agree: int | None = None
) -> Conversation:
    """Read the files of a Polis export.

    Parameters
    ----------
    folder : str or Path
        The folder that contains the files.
    prefix : str, optional
        What the file names start with, as "raw_" in raw_comments.csv. It is found where the folder
        contains one set of files only.
    agree : int, optional
        The vote that means agree, 1 or -1. It is found from the files' own counts where they
        show it.

    Returns
    -------
    Conversation
        The statements, everybody's last vote on each, and the log of votes where there is one.

    Raises
    ------
    InputError
        Files or columns are missing, the folder contains several exports, an id appears twice, or
        a vote is not -1, 0 or 1.

    Examples
    --------
    >>> conversation = read_polis("polis-export")
    >>> len(conversation.statements), conversation.votes.votes.shape
    (20, (120, 20))
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a Polis export.")
    from_api = folder / f"{prefix or ''}{VOTES}"
    if from_api.is_file() and not any(_vote_files(folder, prefix or "")):
        return _read_api(folder, prefix or "", agree)
    start = _prefix(folder) if prefix is None else prefix
    table_path, log_path = _vote_files(folder, start)
    if table_path is None and log_path is None:
        raise InputError(
            f"{folder}: no {start}participants-votes.csv and no {start}votes.csv; one is needed."
        )
    comments = folder / f"{start}comments.csv"
    statements, counts = _read_comments(comments) if comments.is_file() else ((), {})
    table, group_ids = _read_table(table_path, agree) if table_path else (None, {})
    events = _read_log(log_path, counts, table, agree) if log_path else None
    if events is None:
        assert table is not None
        votes = table
    else:
        votes = _last_votes(events, table)
    statements = _with_texts(comments, statements, votes)
    about = _read_summary(folder / f"{start}summary.csv")
    return Conversation(about, statements, votes, events, group_ids)


def _with_texts(
    path: Path, statements: tuple[PolisStatement, ...], votes: VoteMatrix
) -> tuple[PolisStatement, ...]:
    """The statements of a file, or of votes alone with numbers instead of texts."""
    if not path.is_file():
        return tuple(PolisStatement(s, f"Statement {s}") for s in votes.statements)
    known = {statement.id for statement in statements}
    unknown = [s for s in votes.statements if s not in known]
    if unknown:
        raise InputError(
            f"{path}: statement {unknown[0]} has votes but no text "
            f"({len(unknown)} such); the files are not of one export."
        )
    return statements


def _read_api(folder: Path, start: str, agree: int | None) -> Conversation:
    """Read what the API of a Polis server answers."""
    comments, path = folder / f"{start}{COMMENTS}", folder / f"{start}{VOTES}"
    statements, counts = api_statements(comments) if comments.is_file() else ((), {})
    events = api_votes(path)
    counted = {key: pair for key, pair in counts.items() if any(pair)}
    # Without counts it is as the server has it, where -1 is agree.
    if (agree or (_log_sign(path, events, counted, None) if counted else -1)) < 0:
        events = events.with_columns(-pl.col("vote"))
    events = sorted_log(events)
    votes = _last_votes(events)
    statements = _with_texts(comments, statements, votes)
    return Conversation(api_about(folder / f"{start}{CONVERSATION}"), statements, votes, events)


def _prefix(folder: Path) -> str:
    found = sorted(
        path.name.removesuffix("comments.csv")
        for path in folder.glob("*comments.csv")
        if any(_vote_files(folder, path.name.removesuffix("comments.csv")))
    )
    if not found and any(_vote_files(folder, "")):
        return ""  # Votes alone: their statements have numbers and no texts.
    if not found:
        raise InputError(
            f"{folder}: no comments.csv next to a participants-votes.csv or votes.csv; give the "
            "folder of a Polis export."
        )
    if len(found) > 1 and "" not in found:
        raise InputError(
            f"{folder}: holds several exports ({', '.join(found)}); say which with "
            f"{written('prefix')}."
        )
    return "" if "" in found else found[0]


def _vote_files(folder: Path, prefix: str) -> tuple[Path | None, Path | None]:
    """The table of last votes and the log, recognised by their headers."""
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
    """Line numbers and rows. An unquoted last column keeps its commas."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(chain(file, [END]))
            header = next(reader, [])
            for row in reader:
                if not row or row == [END]:
                    continue
                if row[-1].endswith(END):
                    start = row[-1].removesuffix(END).strip()[:40]
                    raise InputError(
                        f"{path.name}: a quotation mark is never closed, so that everything after "
                        f'it is one text; it begins "{start}".'
                    )
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
    return number_in_file(text, f"{path.name} line {line}", column)


def _milliseconds(time: int) -> int:
    return time * 1000 if abs(time) < FIRST_MILLISECONDS else time


def _read_comments(path: Path) -> tuple[tuple[PolisStatement, ...], dict[str, tuple[int, int]]]:
    """The statements, and the file's own counts of their agrees and disagrees."""
    statements: dict[str, PolisStatement] = {}
    counts = {}
    for line, row in _rows(path):
        key, text = _need(row, "comment-id", path), _need(row, "comment-body", path)
        if key in statements:
            raise InputError(f"{path.name} line {line}: comment-id {key} appears twice.")
        moderated = _whole(row.get("moderated", "0") or "0", path, line, "moderated")
        if moderated not in (-1, 0, 1):
            raise InputError(f"{path.name} line {line}: moderated is {moderated}, not -1, 0 or 1.")
        time = row.get("timestamp", "")
        statements[key] = PolisStatement(
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


def _votes(column: pl.Series, path: Path) -> pl.Series:
    cast = column.cast(pl.Float64, strict=False)  # some tools write 1.0
    wrong = column.is_not_null() & ~cast.is_in([-1.0, 0.0, 1.0]).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InputError(
            f'{path.name} row {row + 1}, column {column.name}: "{column[row]}" is not a vote; '
            "votes are -1, 0 or 1."
        )
    return cast.cast(pl.Int64)


def _read_table(path: Path, agree: int | None) -> tuple[VoteMatrix, dict[str, str]]:
    """A table of participants and their last votes, with agree as 1, and their group ids."""
    frame = read_csv_as_text(path)
    statements = [column for column in frame.columns if column not in ABOUT_PEOPLE]
    cells = [_votes(frame[c], path).fill_null(UNSEEN).to_numpy() for c in statements]
    shape = (frame.height, len(statements))
    votes = np.stack(cells, axis=1).astype(np.int8) if cells else np.empty(shape, dtype=np.int8)
    sign = agree or 1
    if agree is None and {"n-agree", "n-disagree"} <= set(frame.columns):
        counted = [
            frame[c].cast(pl.Int64, strict=False).fill_null(0).to_numpy()
            for c in ("n-agree", "n-disagree")
        ]
        plus, minus = (votes == AGREE).sum(axis=1), (votes == DISAGREE).sum(axis=1)
        sign = _sign(path, plus, minus, *counted)
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
    """The log of votes with agree as 1, by the table of votes or else by the comments' counts."""
    frame = read_csv_as_text(path)
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
    return sorted_log(events)


def _log_sign(
    path: Path,
    events: pl.DataFrame,
    counts: Mapping[str, tuple[int, int]],
    table: VoteMatrix | None,
) -> int:
    """The sign of agree: by the last votes of a table, or without one by the comments' counts."""
    last = _last_votes(events)
    if table is not None:
        shared = set(last.statements) & set(table.statements)
        rows = {person: at for at, person in enumerate(table.participants)}
        both = [p for p in last.participants if p in rows]
        here = set(both)
        log = last.only(shared).votes[[p in here for p in last.participants]]
        last_votes = table.only(shared).votes[[rows[p] for p in both]]
        same = int(((log == last_votes) & (np.abs(log) == 1)).sum())
        turned = int(((log == -last_votes) & (np.abs(log) == 1)).sum())
        if same != turned:
            return 1 if same > turned else -1
    place = {statement: at for at, statement in enumerate(last.statements) if statement in counts}
    if not place and (events["vote"] != 0).any():
        raise InputError(
            f"{path.name}: without counts of agrees and disagrees, nothing shows whether 1 or -1 "
            f"is agree; say which with {written('agree')}."
        )
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
        return 1  # There are only passes, so that no sign needs to change.
    try:
        return sign_of_agree(*counts)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def _read_summary(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        # The description is often written without quotes, so that it may contain commas.
        rows = [(row[0], ",".join(row[1:])) for row in csv.reader(file) if row]
    return {key: restored(value) for key, value in rows if key not in COUNTED}
