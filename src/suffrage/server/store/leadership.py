"""One process of many that does what only one needs to do, such as finding groups.

On PostgreSQL it is the one whose connection has an advisory lock. The database gives the lock up by
itself when that process ends or its connection breaks, and then another process gets it. On SQLite
every process leads: a store of one machine has one server.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from suffrage.server.store.database import Store

# A number of our own among those that PostgreSQL's advisory locks are known by; with it goes the
# number of a table of this store, because one database may contain several.
_LEADING = 0x5AFF_1EAD
_TRY = (
    f"SELECT pg_try_advisory_lock(({_LEADING}::bigint << 32) + 'consultation'::regclass::oid"
    "::bigint)"
)
# Seconds after which the database notices that the leader's machine has gone.
_NOTICE = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)


class Leadership:
    """Whether this process leads; for one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None

    def is_ours(self) -> bool:
        """Whether this process leads now, after an attempt to where nobody does."""
        if self._store.on_sqlite:
            return True
        try:
            return self._keeps() or self._gets()
        except DBAPIError:
            self.give_up()
            return False

    def give_up(self) -> None:
        """Let another process lead."""
        if self._connection is not None:
            # Not into the pool, where it would keep the lock.
            with suppress(DBAPIError):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _keeps(self) -> bool:
        if self._connection is None:
            return False
        self._connection.exec_driver_sql("SELECT 1")
        return True

    def _gets(self) -> bool:
        engine = self._store.engine.execution_options(isolation_level="AUTOCOMMIT")
        connection = engine.connect()
        if not connection.exec_driver_sql(_TRY).scalar():
            connection.close()
            return False
        self._connection = connection
        for setting in _NOTICE:
            connection.exec_driver_sql(setting)
        return True
