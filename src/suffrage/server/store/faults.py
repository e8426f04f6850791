"""What is wrong with the database, from the error of its driver: full, locked, out of reach."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Literal

from sqlalchemy import exc

Fault = Literal["full", "locked", "read_only", "broken", "away", "memory", "interrupted", "undone"]

SENTENCES: dict[Fault, str] = {
    "full": "the disk of the database is full, so nothing can be stored",
    "locked": "the database is locked: another program has been writing to it for too long",
    "read_only": "the database may not be written to",
    "broken": "the database cannot be read or written: its disk or its file is damaged",
    "away": "the database does not answer",
    "memory": "the database has no memory left",
    "interrupted": "the database was interrupted",
    "undone": "another act ended the transaction that this one shared, so nothing was stored",
}

_OF_SQLITE: dict[int, Fault] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_IOERR: "broken",
    sqlite3.SQLITE_CORRUPT: "broken",
    sqlite3.SQLITE_NOTADB: "broken",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_CANTOPEN: "away",
    sqlite3.SQLITE_NOMEM: "memory",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
}
# By the whole SQLSTATE of PostgreSQL, or else by its class, the first two characters.
_OF_POSTGRESQL: dict[str, Fault] = {
    "53100": "full",
    "53200": "memory",
    "53": "away",
    "08": "away",
    "57P": "away",
    "57014": "interrupted",
    "55P03": "locked",
    "40": "locked",
    "25006": "read_only",
    "58": "broken",
    "XX": "broken",
}


log = logging.getLogger("suffrage.consult")


class UndoneError(Exception):
    """The transaction of an act is gone before its commit, so nothing of it was stored."""


def fault_of(error: BaseException) -> Fault | None:
    """Return what is wrong with the database, or None where the error says nothing of the kind.

    Parameters
    ----------
    error : BaseException
        From SQLAlchemy or from the driver itself.
    """
    if isinstance(error, UndoneError):
        return "undone"
    if isinstance(error, exc.TimeoutError):  # all connections are in use
        return "away"
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        # The lower eight bits say the kind, the others what it happened at.
        return None if code is None else _OF_SQLITE.get(code & 0xFF)
    if _is_psycopgs(error):
        return _of_postgresql(error)
    return None


def _of_postgresql(error: BaseException) -> Fault | None:
    state = getattr(error, "sqlstate", None)
    if state is None:  # the connection itself failed
        return "away" if type(error).__name__ in ("OperationalError", "InterfaceError") else None
    for length in (5, 3, 2):
        if state[:length] in _OF_POSTGRESQL:
            return _OF_POSTGRESQL[state[:length]]
    return None


def trace_of(error: BaseException) -> str:
    """Return where an error happened and what it says, for a log.

    What a database says is left out: PostgreSQL repeats the row that it refuses.
    """
    if isinstance(error, exc.DBAPIError | sqlite3.Error) or _is_psycopgs(error):
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"{frames}{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}"
    return "".join(traceback.format_exception(error))


def _is_psycopgs(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "psycopg"


class FaultLog:
    """One line for each kind of fault, and then one every so often with how many there were.

    On a full disk every request fails in the same way; a line each would fill the log's disk too.
    """

    def __init__(self, every: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        # Seconds between two lines about the same fault.
        self.every = every
        self._clock = clock
        self._next: dict[Fault, float] = {}
        self._unsaid: Counter[Fault] = Counter()
        self._lock = threading.Lock()

    def tell(self, fault: Fault) -> None:
        """Log a fault, or count it where the log has just said so."""
        with self._lock:
            now = self._clock()
            if now < self._next.get(fault, now):
                self._unsaid[fault] += 1
                return
            unsaid = self._unsaid.pop(fault, 0)
            self._next[fault] = now + self.every
        more = f" ({unsaid} more times since the last such line)" if unsaid else ""
        log.error("%s%s", SENTENCES[fault], more)


# Of this process.
fault_log = FaultLog()
