"""`Consultation`: what one public consultation collected, as plain tables.

The server's store exports and imports it, and releases, exports and training read nothing else.
No table contains a time of day, an address or a token, and every id is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.arguments import PATH, takes
from suffrage.consult.votes import VoteMatrix, from_events
from suffrage.errors import InputError
from suffrage.plurals import plural

FORMAT = 1
MANIFEST = "consultation.json"

PARTICIPANT = "participant"
STATES = ("accepted", "pending", "rejected", "flagged")
OUTCOMES = ("left", "right", "tie", "both_bad", "skip")
CHECKS = ("instructed", "repeat")

_TEXT, _FLAG, _PLACE, _SHARE = pl.String(), pl.Boolean(), pl.Int32(), pl.Float64()

# The columns of each table; a star marks those that may be empty.
_COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "statements": {
        "statement": _TEXT,
        "text": _TEXT,
        "language": _TEXT,
        "seed": _FLAG,
        "state": _TEXT,
        "author*": _TEXT,
        "order": _PLACE,
        "meta": _FLAG,
    },
    "participants": {
        "participant": _TEXT,
        "verified": _FLAG,
        "language": _TEXT,
        "excluded": _FLAG,
        "exclusion_reason*": _TEXT,
        "consent_votes": _FLAG,
        "consent_texts": _FLAG,
        "consent_training": _FLAG,
        "weight*": _SHARE,
        "group*": _PLACE,
    },
    "demographics": {"participant": _TEXT, "item": _TEXT, "value": _TEXT},
    "votes": {
        "participant": _TEXT,
        "statement": _TEXT,
        "vote": pl.Int8(),
        "important": _FLAG,
        "order": _PLACE,
        "probability*": _SHARE,
    },
    "prompts": {"prompt": _TEXT, "text": _TEXT, "language": _TEXT, "topic*": _TEXT},
    "answers": {
        "answer": _TEXT,
        "prompt": _TEXT,
        "text": _TEXT,
        "model": _TEXT,
        "language": _TEXT,
    },
    "comparisons": {
        "participant": _TEXT,
        "prompt": _TEXT,
        "left": _TEXT,
        "right": _TEXT,
        "outcome": _TEXT,
        "confidence*": pl.Int8(),
        "reasons": _TEXT,
        "core": _FLAG,
        "check*": _TEXT,
        "probability*": _SHARE,
        "order": _PLACE,
    },
    "reactions": {
        "participant": _TEXT,
        "answer": _TEXT,
        "value": pl.Int8(),
        "reasons": _TEXT,
        "order": _PLACE,
    },
}
TABLES = tuple(_COLUMNS)
SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = MappingProxyType(
    {
        table: MappingProxyType({name.rstrip("*"): kind for name, kind in columns.items()})
        for table, columns in _COLUMNS.items()
    }
)
# What a column holds where a table of an earlier version has none, or a row has no value.
_UNLESS_GIVEN: dict[tuple[str, str], Any] = {
    ("statements", "meta"): False,
    ("participants", "group"): None,
}
_KEYS = {
    "statements": ("statement",),
    "participants": ("participant",),
    "demographics": ("participant", "item"),
    "votes": ("participant", "statement"),
    "prompts": ("prompt",),
    "answers": ("answer",),
    "reactions": ("participant", "answer"),
}
# The table in whose key the values of a column must be.
_POINTS_TO = {
    "participant": "participants",
    "author": "participants",
    "statement": "statements",
    "prompt": "prompts",
    "answer": "answers",
    "left": "answers",
    "right": "answers",
}
_ALLOWED: dict[tuple[str, str], tuple[Any, ...]] = {
    ("statements", "state"): STATES,
    ("votes", "vote"): (-1, 0, 1),
    ("comparisons", "outcome"): OUTCOMES,
    ("comparisons", "confidence"): (1, 2, 3),
    ("comparisons", "check"): CHECKS,
    ("reactions", "value"): (-1, 1),
}


def empty(table: str) -> pl.DataFrame:
    """Return a table with its columns and no rows."""
    return pl.DataFrame(schema=dict(SCHEMAS[table]))


@dataclass(frozen=True, eq=False)
class Consultation:
    """What was asked and answered. Every table has the columns of `SCHEMAS`.

    Raises
    ------
    InputError
        A table has other columns, a value is not allowed, or an id is missing or appears twice.
        The message names the table, the row and the column.
    """

    slug: str
    title: str
    question: str
    languages: tuple[str, ...]
    created: str
    # What was voted on. `state` is one of `STATES`; `seed`: put in by the organisers; `author`: a
    # participant, or unknown; `meta`: about the consultation itself.
    statements: pl.DataFrame = field(default_factory=partial(empty, "statements"))
    # Who took part and what each consented to. `verified`: an invitation vouches for them;
    # `weight`: their weight to the population, where they were raked; `group`: the number of the
    # opinion group that pages show for them, see `group_names`.
    participants: pl.DataFrame = field(default_factory=partial(empty, "participants"))
    # One row for each answer, in a table of its own because a release never joins them.
    demographics: pl.DataFrame = field(default_factory=partial(empty, "demographics"))
    # The last vote of a participant on a statement: 1 agree, 0 pass, -1 disagree. `order`: its
    # place among that participant's acts; `probability`: with which the statement was drawn.
    votes: pl.DataFrame = field(default_factory=partial(empty, "votes"))
    prompts: pl.DataFrame = field(default_factory=partial(empty, "prompts"))
    answers: pl.DataFrame = field(default_factory=partial(empty, "answers"))
    # Two answers to one prompt, as they were shown left and right. `core`: part of the common core
    # that many people see; `check`: "instructed" or "repeat" where the pair tests attention.
    comparisons: pl.DataFrame = field(default_factory=partial(empty, "comparisons"))
    # 1 like, -1 dislike.
    reactions: pl.DataFrame = field(default_factory=partial(empty, "reactions"))

    def __post_init__(self) -> None:
        for table in TABLES:
            object.__setattr__(self, table, _checked(table, getattr(self, table)))
        keys = {table: set(getattr(self, table)[_KEYS[table][0]]) for table in _POINTS_TO.values()}
        for table in TABLES:
            for column in SCHEMAS[table]:
                target = _POINTS_TO.get(column)
                if target is not None and table != target:
                    _check_points(table, getattr(self, table), column, target, keys[target])
        _check_pairs(self.comparisons, self.answers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Consultation) and all(
            _same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    def __repr__(self) -> str:
        counts = [
            plural(getattr(self, table).height, table.removesuffix("s"), ",")
            for table in ("statements", "participants", "votes", "comparisons")
        ]
        return f"<Consultation {self.slug!r}: {', '.join(counts)}>"

    __hash__ = None  # type: ignore[assignment]  # holds tables

    @property
    def content_hash(self) -> str:
        """A hash that is equal for equal content, whatever the order of the rows."""
        return storage.content_hash(
            [
                [self.slug, self.title, self.question, list(self.languages), self.created],
                *(getattr(self, table).sort(pl.all()).write_csv() for table in TABLES),
            ]
        )


def votes_of(consultation: Consultation, excluded: bool = False) -> VoteMatrix:
    """Return the last votes, participants by statements.

    Excluded participants are left out, unless `excluded` is true.
    """
    people = consultation.participants
    kept = people if excluded else people.filter(~pl.col("excluded"))
    votes = consultation.votes.filter(pl.col("participant").is_in(kept["participant"].implode()))
    return from_events(
        votes["participant"].to_list(),
        votes["statement"].to_list(),
        votes["vote"].to_list(),
        votes["order"].to_list(),
        everyone=kept["participant"].to_list(),
        everything=consultation.statements["statement"].to_list(),
    )


def accepted_statements(consultation: Consultation) -> pl.DataFrame:
    """Return the rows of the statements that are accepted, and so open to everybody."""
    return consultation.statements.filter(pl.col("state") == "accepted")


def accepted_opinions(consultation: Consultation) -> pl.DataFrame:
    """Return the rows of accepted statements that are not about the consultation itself."""
    return accepted_statements(consultation).filter(~pl.col("meta"))


def write_consultation(consultation: Consultation, folder: Path) -> None:
    """Write one Parquet file for each table and `consultation.json`, all or nothing."""

    def fill(draft: Path) -> None:
        hashes = {}
        for table in TABLES:
            path = draft / f"{table}.parquet"
            getattr(consultation, table).write_parquet(path)
            hashes[path.name] = storage.file_hash(path)
        storage.write_json(
            draft / MANIFEST,
            {
                "format": FORMAT,
                "slug": consultation.slug,
                "title": consultation.title,
                "question": consultation.question,
                "languages": list(consultation.languages),
                "created": consultation.created,
                "sha256": hashes,
            },
        )

    storage.write_folder(folder, fill, private=True)


@takes(folder=PATH)
def read_consultation(folder: str | Path) -> Consultation:
    """Read a consultation: its statements, votes, answers, comparisons and reactions.

    Parameters
    ----------
    folder : str or Path
        A folder that `write_consultation` or `suffrage consult export` wrote.

    Returns
    -------
    Consultation
        One table for each kind of thing that was asked or answered.

    Raises
    ------
    InputError
        A file is missing, changed or not as it was written. The message names the row and column.

    Examples
    --------
    >>> town = read_consultation("consultation")
    >>> town.votes.height > town.participants.height
    True
    """
    folder = Path(folder)
    if folder.is_dir() and not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: there is no {MANIFEST} here; give a folder that `suffrage consult export` "
            "wrote, and read an export from Polis with read_polis."
        )
    manifest = storage.read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(
            f"{folder / MANIFEST}: not a consultation of format {FORMAT}; write it again with "
            "`suffrage consult export`."
        )
    tables = {}
    for table in TABLES:
        path = folder / f"{table}.parquet"
        try:
            if storage.file_hash(path) != manifest["sha256"].get(path.name):
                raise InputError(
                    f"{path}: changed since {MANIFEST} was written; export the consultation again."
                )
            tables[table] = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path}: not readable as Parquet ({error}).") from error
    try:
        return Consultation(
            slug=manifest["slug"],
            title=manifest["title"],
            question=manifest["question"],
            languages=tuple(manifest["languages"]),
            created=manifest["created"],
            **tables,
        )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def _checked(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    schema = SCHEMAS[table]
    for (of, column), value in _UNLESS_GIVEN.items():
        if of == table:
            given = pl.col(column) if column in frame.columns else pl.lit(None)
            filled = given if value is None else given.fill_null(value)
            frame = frame.with_columns(filled.alias(column))
    absent = [name for name in schema if name not in frame.columns]
    extra = [name for name in frame.columns if name not in schema]
    if absent or extra:
        what = f"has no column {absent[0]}" if absent else f"has an unknown column {extra[0]}"
        raise InputError(f"{table} {what}; its columns are {', '.join(schema)}.")
    try:
        frame = frame.select(list(schema)).cast(pl.Schema(dict(schema)))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{table}: a value is not of its column's kind ({error}).") from error
    for name in _COLUMNS[table]:
        if not name.endswith("*") and frame[name].null_count():
            row = frame[name].is_null().arg_max()
            raise InputError(f"{table}, row {(row or 0) + 1}: {name} is empty.")
    for (of, column), allowed in _ALLOWED.items():
        if of == table:
            wrong = frame[column].is_not_null() & ~frame[column].is_in(list(allowed))
            if wrong.any():
                row = wrong.arg_max() or 0
                raise InputError(
                    f"{table}, row {row + 1}: {column} is {frame[column][row]!r}; it must be one "
                    f"of {', '.join(map(str, allowed))}."
                )
    if (key := _KEYS.get(table)) and frame.height:
        twice = frame.select(key).is_duplicated()
        if twice.any():
            found = frame.select(key).row(twice.arg_max() or 0)
            raise InputError(f"{table}: {' and '.join(key)} {found} appears twice.")
    return frame


def _check_points(
    table: str, frame: pl.DataFrame, column: str, target: str, known: set[str]
) -> None:
    lost = frame[column].is_not_null() & ~frame[column].is_in(list(known))
    if lost.any():
        row = lost.arg_max() or 0
        raise InputError(
            f"{table}, row {row + 1}: {column} {frame[column][row]!r} is not in {target}."
        )


def _check_pairs(comparisons: pl.DataFrame, answers: pl.DataFrame) -> None:
    """Check that a comparison has two different answers to its prompt."""
    prompts = dict(zip(answers["answer"], answers["prompt"], strict=True))
    for at, row in enumerate(comparisons.select("prompt", "left", "right").iter_rows()):
        prompt, left, right = row
        if left == right or prompts[left] != prompt or prompts[right] != prompt:
            raise InputError(
                f"comparisons, row {at + 1}: {left} and {right} are not two answers to {prompt}."
            )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, pl.DataFrame) and isinstance(other, pl.DataFrame):
        return one.sort(pl.all()).equals(other.sort(pl.all()))
    return bool(one == other)
