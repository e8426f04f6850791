"""Copies of a SQLite store that are whole whatever the server does meanwhile, and their way back.

Copying the file itself loses what SQLite still has in its write-ahead log. The secret is not in the
copy: whoever finds the copy alone cannot read what people said of themselves, nor use a token.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, update

from suffrage import storage
from suffrage.errors import InputError, SuffrageError, near_files
from suffrage.server.store import audit
from suffrage.server.store.database import (
    DATABASE,
    SECRET,
    Store,
    database_url,
    now,
    open_store,
)
from suffrage.server.store.database_schema import (
    demographic,
    invitation,
    participant,
    participant_session,
    secret_mark,
    staff_browser,
    staff_link,
    staff_refusal,
    staff_session,
)
from suffrage.server.store.faults import SENTENCES, fault_of
from suffrage.server.store.secret_keys import (
    FILE_VARIABLE,
    VARIABLE,
    is_named_by_environment,
    make_secret_file,
)
from suffrage.server.store.secret_marks import mark_of

COUNTED = ("consultation", "participant", "vote", "statement", "audit")


@dataclass(frozen=True)
class BackUp:
    """What a copy contains, and where the secret is that belongs to it."""

    file: Path
    # Rows of the tables in COUNTED.
    rows: dict[str, int]
    secret: str


def back_up(where: str, file: Path) -> BackUp:
    """Copy a store's database as it is at one moment, while a server may be writing to it.

    Parameters
    ----------
    where : str
        A folder or .db file.
    file : Path
        The copy, which only its owner can read. It must not exist yet.

    Raises
    ------
    InputError
        There is no such store, it is no file, or the copy exists.
    SuffrageError
        The store is damaged or locked, or the copy is not whole.
    """
    database = _database_file(where)
    if file.exists():
        raise InputError(f"{file}: is there already, and no backup is replaced; name a new file.")
    with _database_errors(database), storage.atomic_path(file, private=True) as draft:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)) as c:
            c.execute("PRAGMA busy_timeout=60000")
            # At one moment, and without pages in which something deleted could still be read.
            c.execute("VACUUM INTO ?", (str(draft),))
        rows = _checked(draft)
    secret = next(
        (name for name in (VARIABLE, FILE_VARIABLE) if os.environ.get(name)),
        str(database.parent / SECRET),
    )
    return BackUp(file, rows, secret)


def restore(file: Path, folder: Path, secret: Path | None, new_secret: bool = False) -> BackUp:
    """Make a store of a copy that `back_up` made.

    Parameters
    ----------
    file : Path
        The copy.
    folder : Path
        The store to make, a new or an empty folder.
    secret : Path, optional
        The file of the secret that belongs to it; by default the environment names it.
    new_secret : bool
        The secret is lost: make a new one, and delete what only the old one could read. That is
        everybody's sessions, return codes and answers about themselves; invitations that were not
        used are revoked.

    Raises
    ------
    InputError
        The folder has something in it, the copy is none, or the secret is missing or another one.
    """
    storage.check_free_for_writing(folder)
    if not file.is_file():
        raise InputError(f"{file}: no such file.{near_files(file)}")
    named = is_named_by_environment()
    if new_secret and (named or secret is not None):
        raise InputError("a new secret is made without one that is named; leave one of them out.")
    if not (named or new_secret or secret is not None):
        raise InputError(
            f"{file}: the secret of the store is not in it; name the copy of {SECRET} that you "
            "kept with --secret, or, if it is lost, use --new-secret."
        )

    def fill(draft: Path) -> None:
        with _database_errors(file):
            with storage.atomic_path(draft / DATABASE, private=True) as copy:
                copy.write_bytes(file.read_bytes())
            _checked(draft / DATABASE)
        if new_secret:
            make_secret_file(draft / SECRET)
        elif secret is not None and not named:
            storage.write_text(draft / SECRET, _text_of(secret), private=True)
        store = open_store(str(draft), check=not new_secret)
        if new_secret:
            _start_over(store)
        store.close()

    storage.write_folder(folder, fill, private=True)
    used = VARIABLE if named else str(folder / SECRET)
    return BackUp(folder / DATABASE, _checked(folder / DATABASE), used)


def _start_over(store: Store) -> None:
    """Delete what only a lost secret could read, and take the present one as the store's."""
    with store.write() as c:
        gone = {
            table.name: c.execute(delete(table)).rowcount
            for table in (
                participant_session,
                *(staff_session, staff_link, staff_browser, staff_refusal),
                *(demographic, secret_mark),
            )
        }
        c.execute(update(participant).values(return_hash=None))
        unused = invitation.c.used_at.is_(None) & invitation.c.revoked_at.is_(None)
        revoke = update(invitation).where(unused).values(revoked_at=now())
        gone["invitation"] = c.execute(revoke).rowcount
        c.execute(insert(secret_mark).values(mark=mark_of(store.secrets), first_used=now()))
        audit.append_entry(c, audit.SITE, "command line", "secret.replace", "", gone)


def _database_file(where: str) -> Path:
    url = database_url(where)
    if not url.startswith("sqlite"):
        raise InputError(
            "PostgreSQL makes its own backups: run `pg_dump --format=custom --file=FILE DATABASE`, "
            "and keep SUFFRAGE_SECRET elsewhere (docs/consultation.md, Backup)."
        )
    path = Path(url.removeprefix("sqlite:///"))
    if not path.is_file():
        raise InputError(f"{path}: no consultation here.")
    return path


def _text_of(secret: Path) -> str:
    try:
        return secret.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{secret}: the secret is not readable ({error}).") from error


@contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise InputError(
                f"{path}: is not a database, or its beginning is damaged; name another file."
            ) from error
        fault = fault_of(error)
        raise SuffrageError(f"{path}: {SENTENCES[fault] if fault else error}.") from error


def _checked(path: Path) -> dict[str, int]:
    """Count the rows of a database. Raises SuffrageError where it is damaged or no store's."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as c:
        problem = c.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            raise SuffrageError(f"{path}: the copy is damaged ({problem}).")
        tables = {name for (name,) in c.execute("SELECT name FROM sqlite_master")}
        if not {*COUNTED, "alembic_version"} <= tables:
            raise InputError(f"{path}: is not a consultation's database.")
        return {
            name: int(c.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in COUNTED
        }
