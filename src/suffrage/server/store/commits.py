"""Acts of many people that share a commit, and so one wait for the disk.

SQLite has one writer at a time, and with `synchronous=FULL` each commit waits for the disk. Acts
that arrive while another one is at work join its transaction, each in a savepoint of its own, so
that a failing act undoes no other. The last act commits for all, and nobody is answered before
that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, RootTransaction

# More acts would make the first one wait too long.
MOST_ACTS = 64


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
        """Statements that take effect together or not at all; on disk when the block ends well."""
        with self._counting:
            self._waiting += 1
        with self._turn:
            with self._counting:
                self._waiting -= 1
            batch = self._batch or self._begin()
            try:
                with batch.connection.begin_nested():
                    yield batch.connection
                batch.acts += 1
            finally:
                # Whoever waits for their turn now commits this too.
                if self._waiting == 0 or batch.acts >= MOST_ACTS:
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
