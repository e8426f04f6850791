"""A backup is whole while people vote, and no store is opened without the secret it needs."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from suffrage.cli.commands import app
from suffrage.errors import InputError, SuffrageError
from suffrage.server.store import (
    consultations,
    demographics,
    invitations,
    participants,
    statements,
)
from suffrage.server.store import database_schema as schema
from suffrage.server.store.backups import back_up, restore
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import DATABASE, SECRET, Store, open_store
from suffrage.server.store.participants import Scopes
from suffrage.server.store.secret_keys import FILE_VARIABLE, VARIABLE
from tests.server import acts
from tests.server.empty_stores import empty_store
from tests.server.site import consultation

ANOTHER = "another secret of enough characters"


@pytest.fixture(autouse=True)
def own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return empty_store(folder)


def person(store: Store, what: StoredConsultation) -> tuple[str, str]:
    """Somebody who said how old they are: their id and session."""
    joined = participants.join_consultation(store, what.id, None, "en")
    id = joined.participant.id
    participants.give_consent(store, what.id, id, Scopes(True), "text")
    demographics.set_demographics(store, what.id, id, {"age": "40+"})
    return id, joined.session


def votes(store: Store) -> int:
    with store.read() as c:
        return int(c.scalar(select(func.count()).select_from(schema.vote)) or 0)


def test_a_backup_while_people_vote_has_every_vote_acknowledged_before_it(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    what = consultation(store)
    ids = [s.id for s in statements.list_statements(store, what.id)]
    stop, told = threading.Event(), []

    def vote() -> None:
        while not stop.is_set():
            id, _ = person(store, what)
            for statement in ids:
                acts.vote(store, what.id, id, statement, 1)
                told.append((id, statement))

    thread = threading.Thread(target=vote)
    thread.start()
    try:
        for n in range(3):
            while len(told) < 15 * (n + 1) and thread.is_alive():
                stop.wait(0.005)
            before = list(told)
            made = back_up(str(folder), tmp_path / f"copy-{n}.db")
            with sqlite3.connect(made.file) as c:
                there = set(c.execute("SELECT participant_id, statement_id FROM vote"))
            assert set(before) <= there and made.rows["vote"] == len(there)
            assert made.file.stat().st_mode & 0o077 == 0
    finally:
        stop.set()
        thread.join(30)
    assert len(told) >= 45 and made.secret == str(folder / SECRET)
    with pytest.raises(InputError, match="is there already"):
        back_up(str(folder), made.file)
    # The same by copying the file alone, as one should not: votes are still in the log next to it.
    shutil.copy(folder / DATABASE, tmp_path / "naive.db")
    with sqlite3.connect(tmp_path / "naive.db") as c, pytest.raises(AssertionError):
        assert c.execute("SELECT count(*) FROM vote").fetchone() == (votes(store),)
    store.close()


def test_a_restored_store_is_the_one_it_was_made_of(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    what = consultation(store)
    id, session = person(store, what)
    back_up(str(folder), tmp_path / "copy.db")
    before = to_consultation(store, "water")
    safe = shutil.copy(folder / SECRET, tmp_path / "safe.key")
    store.close()
    restore(tmp_path / "copy.db", tmp_path / "again", Path(safe))
    again = open_store(str(tmp_path / "again"))
    assert to_consultation(again, "water") == before
    assert demographics.demographics_of(again, what.id, id) == {"age": "40+"}
    found = participants.participant_of_session(again, what.id, session)
    assert found is not None and found.id == id
    again.close()
    for path in (tmp_path / "again", *(tmp_path / "again" / n for n in (DATABASE, SECRET))):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="new or an empty folder"):
        restore(tmp_path / "copy.db", tmp_path / "again", Path(safe))


def test_without_its_secret_or_with_another_a_store_is_neither_restored_nor_opened(
    store: Store, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(store, consultation(store))
    copy, out = tmp_path / "copy.db", tmp_path / "out"
    back_up(str(folder), copy)
    store.close()
    (tmp_path / "wrong.key").write_text(ANOTHER)
    for secret, complaint in ((None, "--secret"), (tmp_path / "wrong.key", "not the one")):
        with pytest.raises(InputError, match=complaint):
            restore(copy, out, secret)
        assert not out.exists()
    key = (folder / SECRET).read_text()
    (folder / SECRET).unlink()
    for create in (False, True):
        with pytest.raises(InputError, match="secret of this store is missing"):
            open_store(str(folder), create)
        assert not (folder / SECRET).exists()
    (folder / SECRET).write_text(ANOTHER)
    with pytest.raises(InputError, match="not the one that this store was made with"):
        open_store(str(folder), create=True)
    monkeypatch.setenv(VARIABLE, key.strip())
    open_store(str(folder)).close()


def test_a_lost_secret_costs_what_only_it_could_read_and_no_vote(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    what = consultation(store)
    id, session = person(store, what)
    statement = statements.list_statements(store, what.id)[0].id
    acts.vote(store, what.id, id, statement, 1)
    token = invitations.create_invitations(store, what.id, 1, "tests")[0]
    back_up(str(folder), tmp_path / "copy.db")
    store.close()
    restore(tmp_path / "copy.db", tmp_path / "again", None, new_secret=True)
    again = open_store(str(tmp_path / "again"))
    assert votes(again) == 1
    assert participants.participant_of_session(again, what.id, session) is None
    with again.read() as c:
        assert c.scalar(select(func.count()).select_from(schema.demographic)) == 0
        assert "secret.replace" in set(c.scalars(select(schema.audit.c.action)))
    with pytest.raises(SuffrageError):
        participants.join_consultation(again, what.id, token, "en")
    assert person(again, what)
    again.close()


def test_a_new_key_is_put_before_the_old_one_and_the_old_one_is_missed(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = consultation(store)
    id, _ = person(store, what)
    store.close()
    old = (folder / SECRET).read_text().strip()
    monkeypatch.setenv(VARIABLE, f"{ANOTHER},{old}")
    again = open_store(str(folder))
    assert demographics.demographics_of(again, what.id, id) == {"age": "40+"}
    again.close()
    monkeypatch.setenv(VARIABLE, ANOTHER)
    with pytest.raises(InputError, match="no longer in the secret"):
        open_store(str(folder))
    monkeypatch.setenv(VARIABLE, f"{ANOTHER},{old}")
    again = open_store(str(folder))
    demographics.set_demographics(again, what.id, id, {"age": None})
    again.close()
    monkeypatch.setenv(VARIABLE, ANOTHER)
    open_store(str(folder)).close()


def test_a_copy_that_is_damaged_or_no_store_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as c:
        c.execute("CREATE TABLE mine (x)")
    with pytest.raises(InputError, match="is not a consultation's database"):
        restore(tmp_path / "other.db", tmp_path / "out", None, new_secret=True)
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(SuffrageError, match="damaged"):
        restore(tmp_path / "torn.db", tmp_path / "out", None, new_secret=True)
    (tmp_path / "secret.key").write_text("k" * 64)
    with pytest.raises(InputError, match="is not a database"):
        restore(tmp_path / "secret.key", tmp_path / "out", None, new_secret=True)
    with pytest.raises(InputError, match="no such file"):
        restore(tmp_path / "none.db", tmp_path / "out", None, new_secret=True)
    with pytest.raises(InputError, match="no consultation here"):
        back_up(str(tmp_path / "nowhere"), tmp_path / "copy.db")
    with pytest.raises(InputError, match="pg_dump"):
        back_up("postgresql://ana:secret@127.0.0.1/x", tmp_path / "copy.db")
    assert {path.name for path in tmp_path.iterdir()} == {
        "other.db",
        "torn.db",
        "secret.key",
    }


def test_nothing_deleted_is_in_a_backup(store: Store, folder: Path, tmp_path: Path) -> None:
    what = consultation(store)
    id, _ = person(store, what)
    made = statements.propose_statement(store, what.id, id, "I live at qqzanzibarqq.", "en")
    with store.write() as c:
        c.execute(schema.statement.delete().where(schema.statement.c.id == made.id))
    back_up(str(folder), tmp_path / "copy.db")
    store.close()
    assert b"qqzanzibarqq" not in (tmp_path / "copy.db").read_bytes()


def test_the_commands_say_where_the_secret_is(store: Store, folder: Path, tmp_path: Path) -> None:
    consultations.create_consultation(store, "water", {"en": "Water"}, {"en": "How?"})
    store.close()
    run = CliRunner().invoke
    copy, out = str(tmp_path / "copy.db"), str(tmp_path / "out")
    made = run(app, ["consult", "backup", str(folder), copy])
    assert made.exit_code == 0 and "1 consultation" in made.output
    assert str(folder / SECRET) in made.output and "not in the backup" in made.output
    found = run(app, ["consult", "restore", copy, out, "--secret", str(folder / SECRET)])
    assert found.exit_code == 0 and f"suffrage consult serve {out}" in found.output
