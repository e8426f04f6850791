"""Opening the store: one writer at a time on SQLite, many on PostgreSQL, and migrations."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import ArgumentError, DBAPIError

from suffrage import storage
from suffrage.errors import InputError, SuffrageError
from suffrage.server.store.commits import SharedCommits, refuse_empty_commits
from suffrage.server.store.database_schema import secret_mark
from suffrage.server.store.faults import SENTENCES, fault_of
from suffrage.server.store.secret_keys import (
    Secrets,
    find_secrets,
    is_named_by_environment,
    make_secret_file,
)
from suffrage.server.store.secret_marks import is_marked, mark_of

DATABASE = "consultation.db"
SECRET = "secret.key"
BUSY_MS = 5000
# Milliseconds for which emptying the write-ahead log may wait for readers.
FORGETTING_MS = 100
# Seconds to wait for another process that brings the same file up to date.
MIGRATION_SECONDS = 120.0
# In milliseconds, as all times of the store.
HOUR = 3_600_000
DAY = 24 * HOUR
# PRAGMA synchronous: in a write-ahead log, each commit waits for the disk at this level only.
SYNCHRONOUS_FULL = 2
_AT_RISK = "may lose acknowledged votes when its machine loses power: it needs"
MIGRATIONS = Path(__file__).parent / "migrations"
# A number of our own among those that PostgreSQL's advisory locks are known by.
_MIGRATING = 0x5AFF_7A6E


class NotFoundError(InputError):
    """There is no such thing in this consultation, or this person may not know of it."""


class RefusedError(InputError):
    """The act is not open to this person now.

    reason: one word that pages translate, such as "closed" or "consent".
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Store:
    """An open database and its secret. Share one within a process; threads may use it at once."""

    engine: Engine
    secrets: Secrets
    _commits: SharedCommits = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_commits", SharedCommits(self.engine))

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write; committed, and on disk, when the block ends well."""
        if self.on_sqlite:
            # To wait there is fair and cheap; to wait in SQLite is not.
            with self._commits.act() as c:
                yield c
            return
        with self.engine.connect().execution_options(writes=True) as c, c.begin():
            yield c

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads, all of it at one moment."""
        with self.engine.connect() as c:
            if not self.on_sqlite:
                c = c.execution_options(isolation_level="REPEATABLE READ")
            with c.begin():
                yield c

    @property
    def folder(self) -> Path | None:
        """The folder of the database's file; None where it is no file of this machine."""
        return Path(str(self.engine.url.database)).parent if self.on_sqlite else None

    def check_writing(self) -> None:
        """Store something and commit it, as a vote would; raise the database's error otherwise."""
        with self.write() as c:
            if self.on_sqlite:
                # A number in the file's head that belongs to the application and that nothing uses.
                number = c.exec_driver_sql("PRAGMA user_version").scalar() or 0
                c.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % 1_000_000}")
            else:
                c.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")

    def unsafe_settings(self) -> list[str]:
        """Return a sentence on each setting with which a loss of power may lose what is stored."""
        with self.engine.connect() as c:
            if self.on_sqlite:
                level = int(c.exec_driver_sql("PRAGMA synchronous").scalar() or 0)
                return [] if level >= SYNCHRONOUS_FULL else [f"SQLite {_AT_RISK} synchronous=FULL."]
            rows = c.exec_driver_sql(
                "SELECT name FROM pg_settings WHERE setting = 'off' AND name IN"
                " ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name"
            )
            return [f"PostgreSQL {_AT_RISK} {name} = on in its settings." for (name,) in rows]

    def forget_deleted(self) -> bool:
        """Take what was deleted out of SQLite's write-ahead log, where it can be read otherwise.

        Returns whether the log is empty now. It is not where somebody reads the database just then;
        the next computation of results does it again. PostgreSQL needs VACUUM, by its operator.
        """
        if not self.on_sqlite:
            return True
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            # Writers wait meanwhile, so it is not waited for longer than they notice.
            cursor.execute(f"PRAGMA busy_timeout={FORGETTING_MS}")
            try:
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError:
                busy = 1
            finally:
                cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
            return not busy
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self.engine.dispose()


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def database_url(where: str) -> str:
    """Return a folder, a .db file or a PostgreSQL address, as a person gives it, as a URL."""
    if "://" not in where:
        path = Path(where)
        return f"sqlite:///{path if path.suffix == '.db' else path / DATABASE}"
    for plain in ("postgres://", "postgresql://"):
        if where.startswith(plain):
            return "postgresql+psycopg://" + where.removeprefix(plain)
    return where


def open_store(where: str, create: bool = False, check: bool = True) -> Store:
    """Open the store at a folder, a .db file or a PostgreSQL address, and bring it up to date.

    Parameters
    ----------
    create : bool
        Make the folder, the database and, for SQLite, its secret where they do not exist.
    check : bool
        Whether the secret must be the one that the store was made with.

    Raises
    ------
    InputError
        There is no store, its secret is missing, or the secret is another one's.
    SuffrageError
        The database does not answer.
    """
    url = database_url(where)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(
            "the store's address is not readable; give a folder or postgresql://user@host/name."
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise InputError(f"{backend}: a store is a folder (SQLite) or a postgresql:// address.")
    nearby = None
    if backend == "sqlite":
        path = Path(parsed.database or DATABASE)
        nearby = path.parent / SECRET
        if create:
            storage.make_folder(path.parent)
            # Never next to a database that is there: it would not be the one it was made with.
            if not is_named_by_environment() and not (path.exists() and path.stat().st_size):
                make_secret_file(nearby)
            # Before SQLite makes it: its further files take their rights from this one.
            path.touch(mode=0o600)
        elif not path.exists():
            raise InputError(f"{path}: no consultation here; make one with `suffrage consult new`.")
    store = Store(_engine(url, backend), find_secrets(nearby))
    try:
        _migrate_when_free(store.engine)
        if check:
            _check_secret(store)
    except DBAPIError as error:
        store.close()
        # The driver's message may hold the password, so it is left out.
        raise SuffrageError(
            f"{parsed.render_as_string(hide_password=True)}: {_complaint(error)}"
        ) from error
    return store


def _check_secret(store: Store) -> None:
    """Refuse a secret that the store was not made with; leave a mark of a new one."""
    try:
        with store.read() as c:
            marked = is_marked(c, store.secrets)
    except InputError:
        store.close()
        raise
    if not marked:
        with store.write() as c:
            row = upsert(c, secret_mark).values(mark=mark_of(store.secrets), first_used=now())
            c.execute(row.on_conflict_do_nothing())


def _complaint(error: DBAPIError) -> str:
    fault = fault_of(error) or "away"
    if fault == "away":
        return f"{SENTENCES[fault]}; is it running, and may this user open it?"
    if fault == "locked":
        return f"{SENTENCES[fault]}; end that program, or try again when it has finished."
    return f"{SENTENCES[fault]}."


def _migrate_when_free(engine: Engine) -> None:
    """Migrate; wait where another process has locked the file, as one that migrates it does."""
    until = time.monotonic() + MIGRATION_SECONDS
    while True:
        try:
            migrate(engine)
        except DBAPIError as error:
            if fault_of(error) != "locked" or time.monotonic() >= until:
                raise
            time.sleep(0.1)
        else:
            return


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version; a store that has it already is only read.

    Of several processes that start at once, one does it; the others wait and find it done. Raises
    InputError where a newer Suffrage wrote the database.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.util.exc import CommandError

    with engine.connect() as c, c.begin():
        if MigrationContext.configure(c).get_current_revision() == _newest_revision():
            return
    with engine.connect().execution_options(writes=True) as c, c.begin():
        if engine.dialect.name == "postgresql":  # on SQLite the transaction is a lock already
            c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        try:
            command.upgrade(migration_config(c), "head")
        except CommandError as error:
            raise InputError(
                f"the store was written by a newer version of Suffrage ({error}); install that one."
            ) from error


@cache
def _newest_revision() -> str | None:
    """Return the revision that the package's migrations lead to; their files are read once."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def migration_config(connection: Connection) -> Any:
    """Return Alembic's settings for the migrations that ship with the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upsert(c: Connection, table: Table) -> Any:
    """Return an INSERT that can say ON CONFLICT, which both databases write alike."""
    return (sqlite_dialect if c.dialect.name == "sqlite" else postgresql).insert(table)


def found(c: Connection, query: Any, what: str) -> Any:
    """Return the one row that a query finds. Raises NotFoundError naming `what`."""
    row = c.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no such {what}.")
    return row


def next_position(c: Connection, column: Any, consultation_id: str) -> int:
    """Return one more than the largest in this consultation, 0 in an empty table."""
    from sqlalchemy import func

    table = column.table
    largest = c.scalar(select(func.max(column)).where(table.c.consultation_id == consultation_id))
    return 0 if largest is None else int(largest) + 1


def _wait_for_disk(connection: Any, _: Any) -> None:
    """Have PostgreSQL confirm no commit of ours before it is on disk, whatever its default is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _engine(url: str, backend: str) -> Engine:
    if backend == "postgresql":
        engine = create_engine(
            url, pool_size=10, max_overflow=20, pool_pre_ping=True, hide_parameters=True
        )
        refuse_empty_commits(engine)
        event.listen(engine, "connect", _wait_for_disk)
        return engine
    engine = create_engine(url, pool_size=20, max_overflow=40, hide_parameters=True)
    refuse_empty_commits(engine)

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        # The driver must not begin transactions of its own accord: it begins them too late.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            f"synchronous={SYNCHRONOUS_FULL}",
            "foreign_keys=ON",
            # What is deleted is overwritten with zeros.
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Take the lock at once: SQLite refuses a reader that turns writer, without waiting.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
