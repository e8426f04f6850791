"""Nothing is acknowledged that the disk did not confirm, and every commit waits for the disk."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from suffrage.server.store import participants, secret_keys, statements
from suffrage.server.store.backups import back_up
from suffrage.server.store.database import DATABASE, SYNCHRONOUS_FULL, Store, open_store
from suffrage.server.store.participants import Scopes
from suffrage.server.store.secret_keys import VARIABLE
from tests.server.databases import SECRET
from tests.server.empty_stores import empty_store
from tests.server.server_process import serve
from tests.server.site import consultation

SOURCE = Path(__file__).parent / "failing_sync.c"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library that makes SQLite's own calls of fsync fail on demand."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the C library's fsync is replaced on Linux only, and with a C compiler")
    made = tmp_path / "failing_sync.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.mark.slow
def test_a_vote_that_the_disk_does_not_confirm_is_answered_as_an_error(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, failing = tmp_path / "store", tmp_path / "failing"
    monkeypatch.setenv(VARIABLE, SECRET)
    store = open_store(str(folder), create=True)
    made = consultation(store, count=20)
    ids = [s.id for s in statements.list_statements(store, made.id)]
    joined = participants.join_consultation(store, made.id, None, "en")
    participants.give_consent(store, made.id, joined.participant.id, Scopes(True), "text")
    store.close()
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("SYNC_FAILS", str(failing))
        server = serve(str(folder), SECRET)
    headers = {"Authorization": f"Bearer {joined.session}"}
    try:
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:

            def vote(id: str) -> httpx.Response:
                return client.put(f"/api/v1/c/water/votes/{id}", json={"vote": 1})

            told = [id for id in ids[:4] if vote(id).status_code == 200]
            assert len(told) == 4
            failing.touch()
            answers = [vote(id) for id in ids[4:8]]
            assert {answer.status_code for answer in answers} == {503}
            assert not any("id" in answer.json() for answer in answers)
            page = client.post("/api/v1/c/water/session", json={})
            assert page.status_code == 503
            failing.unlink()
            told += [id for id in ids[6:12] if vote(id).status_code == 200]
            assert len(told) == 10
    finally:
        server.kill()
    with sqlite3.connect(folder / DATABASE) as database:
        stored = {row[0] for row in database.execute("SELECT statement_id FROM vote")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(told) <= stored


def test_every_commit_waits_for_the_disk(store: Store, address: str) -> None:
    with store.write() as c:
        if store.on_sqlite:
            assert c.exec_driver_sql("PRAGMA synchronous").scalar() == SYNCHRONOUS_FULL
            assert c.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert store.unsafe_settings() == []
            return
        assert c.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    # The tests' own server forces nothing to the disk.
    assert ["fsync = on" in said for said in store.unsafe_settings()] == [True]


def test_a_database_that_does_not_wait_for_the_disk_by_default_does_for_us(
    store: Store, address: str
) -> None:
    if store.on_sqlite:
        hurried = store.engine.raw_connection()
        hurried.cursor().execute("PRAGMA synchronous=NORMAL")
        hurried.close()
        assert "synchronous=FULL" in store.unsafe_settings()[0]
        return
    hasty = open_store(f"{address}%20-csynchronous_commit%3Doff")
    with hasty.write() as c:
        assert c.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        reset = "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
        assert c.exec_driver_sql(reset).scalar() == "off"
    hasty.close()


def test_the_secret_and_a_backup_are_on_disk_before_anything_rests_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[Path] = []
    force = secret_keys.storage.sync

    def watched(path: Path) -> None:
        force(path)
        forced.append(path)

    monkeypatch.setattr(secret_keys.storage, "sync", watched)
    where = tmp_path / "new" / "store"
    secret_keys.make_secret_file(where / "secret.key")
    assert forced[:2] == [tmp_path, tmp_path / "new"]
    assert forced[2].name.startswith("secret.key.") and forced[3:] == [where]
    empty_store(tmp_path / "store").close()
    forced.clear()
    back_up(str(tmp_path / "store"), tmp_path / "copy.db")
    assert "suffrage-draft" in forced[0].name and forced[1:] == [tmp_path]
