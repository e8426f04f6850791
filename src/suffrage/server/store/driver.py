"""Database statements that every vote needs, run by the database's driver itself.

They are written with SQLAlchemy like all others, but their text is made once for each database: at
three hundred votes a second, making it each time would cost more than running it. Rows come back as
the driver returns them, so that on SQLite a truth value is 0 or 1 and JSON is text.

PostgreSQL answers from another process, and most of the time is spent waiting for it. There the
acts of a batch run side by side (`side_by_side`): what all of them ask next is sent at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

if TYPE_CHECKING:
    from greenlet import greenlet


class Prepared:
    """A statement whose values are all named by `bindparam`, or the columns of an insert."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def text(self, dialect: Any) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        """Return its text, the order of its values where they go by place, and fixed values."""
        made = self._made.get(dialect.name)
        if made is None:
            compiled = self._statement.compile(dialect=dialect)
            order = compiled.positiontup
            fixed = {name: value for name, value in compiled.params.items() if value is not None}
            made = str(compiled), None if order is None else tuple(order), fixed
            self._made[dialect.name] = made
        return made


@dataclass(frozen=True)
class Driver:
    """A connection within a transaction, and its driver's cursor; for one thread."""

    connection: Connection
    _cursor: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        raw = self.connection.connection.dbapi_connection
        if raw is None:
            raise RuntimeError("the connection was lost")
        object.__setattr__(self, "_cursor", raw.cursor())

    def run(self, statement: Prepared, values: Mapping[str, Any]) -> None:
        """Run a statement that returns nothing."""
        words, order, fixed = statement.text(self.connection.dialect)
        if order is None:
            self._cursor.execute(words, {**fixed, **values} if fixed else values)
        else:
            given = {**fixed, **values} if fixed else values
            self._cursor.execute(words, [given[name] for name in order])

    def one(self, statement: Prepared, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the one row, or None."""
        rows = self.all(statement, values)
        return rows[0] if rows else None

    def all(self, statement: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return every row."""
        self.run(statement, values)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def claim(self, participant_id: str) -> None:
        """Say whom an act is about before anything of theirs is read; see `LaterError`."""


class LaterError(Exception):
    """Another act of the batch is about the same participant; this one must come after it."""


@dataclass
class Outcome:
    """The result of one act, or the error that ended it."""

    result: Any = None
    error: Exception | None = None


def side_by_side(
    connection: Connection,
    acts: Sequence[Callable[[Driver], Any]],
    refusals: tuple[type[Exception], ...],
) -> list[Outcome]:
    """Run acts of different participants at once within one transaction of PostgreSQL.

    Each act runs until it needs an answer. Then what all of them ask is sent together, in the order
    of the acts, and each goes on with its own answer. Any error but a refusal undoes the
    transaction.
    """
    from greenlet import getcurrent, greenlet

    batch = _Batch(connection, getcurrent())
    outcomes = [Outcome() for _ in acts]
    caught: tuple[type[Exception], ...] = (*refusals, LaterError)

    def attempt(act: Callable[[Driver], Any], outcome: Outcome) -> None:
        try:
            outcome.result = act(_Lane(batch))
        except caught as error:
            outcome.error = error

    going = [greenlet(attempt) for _ in acts]
    for one, act, outcome in zip(going, acts, outcomes, strict=True):
        one.switch(act, outcome)
    while any(not one.dead for one in going):
        answers = batch.ask()
        for one in going:
            if not one.dead:
                one.switch(answers[one])
    batch.ask()
    return outcomes


class _Batch:
    """What the acts of a batch ask, until it is sent; who has claimed whom."""

    def __init__(self, connection: Connection, hub: greenlet) -> None:
        self.connection, self.hub = connection, hub
        self.raw: Any = connection.connection.dbapi_connection
        self.cursors: list[Any] = []
        self.claimed: dict[str, object] = {}
        # Words, values, and who waits for the answer; None where there is none.
        self.asked: list[tuple[str, Mapping[str, Any], greenlet | None]] = []

    def ask(self) -> dict[greenlet, list[tuple[Any, ...]]]:
        """Send all that was asked, and return each act's answer."""
        asked, self.asked = self.asked, []
        if not asked:
            return {}
        # A cursor that was read may be used again, and knows by then how its values are written.
        self.cursors += [self.raw.cursor() for _ in range(len(asked) - len(self.cursors))]
        with self.raw.pipeline():
            for cursor, (words, values, _) in zip(self.cursors, asked, strict=False):
                cursor.execute(words, values)
        return {
            who: cursor.fetchall()
            for cursor, (_, _, who) in zip(self.cursors, asked, strict=False)
            if who is not None
        }


class _Lane(Driver):
    """The driver as one act of a batch has it."""

    def __init__(self, batch: _Batch) -> None:
        object.__setattr__(self, "connection", batch.connection)
        object.__setattr__(self, "_batch", batch)

    def run(self, statement: Prepared, values: Mapping[str, Any]) -> None:
        self._ask(statement, values, None)

    def all(self, statement: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        from greenlet import getcurrent

        self._ask(statement, values, getcurrent())
        answer: list[tuple[Any, ...]] = self._batch.hub.switch()  # type: ignore[attr-defined]
        return answer

    def claim(self, participant_id: str) -> None:
        first = self._batch.claimed.setdefault(participant_id, self)  # type: ignore[attr-defined]
        if first is not self:
            raise LaterError

    def _ask(self, statement: Prepared, values: Mapping[str, Any], who: greenlet | None) -> None:
        words, _, fixed = statement.text(self.connection.dialect)
        given = {**fixed, **values} if fixed else values
        self._batch.asked.append((words, given, who))  # type: ignore[attr-defined]
