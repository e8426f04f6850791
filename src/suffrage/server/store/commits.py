"""Acts of many people that share a commit, and so one wait for the disk.

SQLite has one writer at a time, and with `synchronous=FULL` each commit waits for the disk. Acts
that arrive while another one is at work join its transaction, each in a savepoint of its own, so
that a failing act undoes no other. The last act commits for all, and nobody is answered before
that.

A statement that meets a full disk, an I/O error or too little memory may end the whole transaction:
SQLite undoes it by itself, savepoints included, and a commit afterwards would do nothing and raise
nothing. So the transaction is looked at after every act and before every commit. Where it is gone,
all acts that shared it fail with `UndoneError`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, RootTransaction, event

from suffrage.server.store.faults import SENTENCES, UndoneError

# More acts would make the first one wait too long.
MOST_ACTS = 64


def has_transaction(connection: Connection) -> bool:
    """Whether the database still has the transaction, so that a commit stores what was written."""
    if connection.closed or connection.invalidated:
        return False
    raw = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return raw is not None and bool(raw.in_transaction)
    # PostgreSQL answers the commit of a failed transaction with a rollback, and with no error.
    return raw is not None and raw.info.transaction_status.name != "INERROR"


def refuse_empty_commits(engine: Engine) -> None:
    """Let every commit fail whose transaction the database has ended already."""

    @event.listens_for(engine, "commit")
    def _check(connection: Connection) -> None:
        if not has_transaction(connection):
            raise UndoneError(SENTENCES["undone"])


@dataclass
class _Batch:
    connection: Connection
    transaction: RootTransaction
    acts: int = 0
    error: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)


class SharedCommits:
    """One writer at a time, and one commit for all who came meanwhile; for many threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._batch: _Batch | None = None

    @contextmanager
    def act(self) -> Iterator[Connection]:
        """Statements that take effect together or not at all; on disk when the block ends well.

        Raises
        ------
        UndoneError
            Another act that shared the transaction ended it; nothing of this one is stored.
        """
        with self._counting:
            self._waiting += 1
        with self._turn:
            with self._counting:
                self._waiting -= 1
            batch = self._batch or self._begin()
            try:
                with _savepoint(batch.connection):
                    yield batch.connection
                batch.acts += 1
            finally:
                if not has_transaction(batch.connection):
                    self._give_up(batch)
                # Whoever waits for their turn now commits this too.
                elif self._waiting == 0 or batch.acts >= MOST_ACTS:
                    self._commit(batch)
        batch.over.wait()
        if batch.error is not None:
            raise batch.error

    def _begin(self) -> _Batch:
        connection = self._engine.connect().execution_options(writes=True)
        try:
            self._batch = _Batch(connection, connection.begin())
        except BaseException:
            connection.close()
            # Nobody has joined it, so nobody waits for it; the next act begins another.
            raise
        return self._batch

    def _commit(self, batch: _Batch) -> None:
        self._batch = None
        try:
            batch.transaction.commit()
        except BaseException as error:
            batch.error = error
            with suppress(Exception):
                batch.transaction.rollback()
        finally:
            with suppress(Exception):
                batch.connection.close()
            batch.over.set()

    def _give_up(self, batch: _Batch) -> None:
        """Fail all who shared a transaction that the database has ended."""
        self._batch = None
        batch.error = UndoneError(SENTENCES["undone"])
        with suppress(Exception):
            batch.connection.invalidate()
        with suppress(Exception):
            batch.connection.close()
        batch.over.set()


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """What fails inside undoes itself alone, where the transaction still is."""
    connection.exec_driver_sql("SAVEPOINT act")
    try:
        yield
    except BaseException:
        # An error here would hide the one that matters; whoever called sees that all is gone.
        with suppress(Exception):
            if has_transaction(connection):
                connection.exec_driver_sql("ROLLBACK TO act")
                connection.exec_driver_sql("RELEASE act")
        raise
    if not has_transaction(connection):
        raise UndoneError(SENTENCES["undone"])
    connection.exec_driver_sql("RELEASE act")
