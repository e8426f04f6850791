"""Statements on the way of every vote, run by the database's driver itself.

Written with SQLAlchemy like all others, their text is made once for each database: at three hundred votes a
second making it anew would cost more than running it. What comes back is as the driver gives it, so
on SQLite a truth value is 0 or 1 and JSON is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection


class Prepared:
    """A statement whose values are all named by `bindparam`, or the columns of an insert."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def text(self, dialect: Any) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        """Its words, the names of its values in their order where these go by place, and fixed values."""
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
        """Run what gives nothing back."""
        words, order, fixed = statement.text(self.connection.dialect)
        if order is None:
            self._cursor.execute(words, {**fixed, **values} if fixed else values)
        else:
            given = {**fixed, **values} if fixed else values
            self._cursor.execute(words, [given[name] for name in order])

    def one(self, statement: Prepared, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The one row, or None."""
        rows = self.all(statement, values)
        return rows[0] if rows else None

    def all(self, statement: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Every row."""
        self.run(statement, values)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found
