"""What the server answers and logs when it fails: headers, counts, few lines, and no waiting."""

import asyncio
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, exc

from suffrage.server.store import consultations
from suffrage.server.store import database_schema as schema
from suffrage.server.store.database import DATABASE, Store, open_store
from suffrage.server.store.faults import (
    SENTENCES,
    FaultLog,
    UndoneError,
    fault_log,
    fault_of,
    trace_of,
)
from suffrage.server.store.secret_keys import VARIABLE
from suffrage.server.web import protection, readiness, serving
from suffrage.server.web.metrics import TOKEN
from suffrage.server.web.protection import HEADERS, Guard
from suffrage.server.web.readiness import Readiness
from tests.server.databases import SECRET
from tests.server.site import Site, consultation, site


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv(TOKEN, "a token for scrapers")
    monkeypatch.setattr(fault_log, "_next", {})
    made = site(tmp_path / "store")
    consultation(made.store)
    yield made
    made.store.close()


def no_room(store: Store) -> None:
    """From now on the database may not grow, as on a full disk."""

    @event.listens_for(store.engine, "checkout")
    def _(connection: Any, *_: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")


@pytest.mark.parametrize("path", ["/c/water", "/api/v1/c/water"])
def test_an_unforeseen_error_has_headers_and_is_counted_and_logged_once(
    here: Site, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(Store, "read", broken)
        found = here.browser().get(path)
    assert found.status_code == 500 and "a fault of ours" not in found.text
    for name, value in HEADERS.items():
        assert found.headers[name] == value
    assert found.headers["cache-control"] == "no-store"
    traces = [record for record in caplog.records if "Traceback" in record.getMessage()]
    lines = [record.getMessage() for record in caplog.records if record.name == "suffrage.consult"]
    assert len(traces) == 1 and any(f"GET {path} 500" in line for line in lines)
    told = here.browser().get("/metrics", headers={"Authorization": "Bearer a token for scrapers"})
    assert 'method="GET",status="500"} 1' in told.text


@pytest.mark.slow
def test_on_a_full_disk_what_cannot_be_stored_may_be_sent_again_and_few_lines_say_so(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    no_room(here.store)
    answers = []
    with caplog.at_level(logging.INFO):
        for _ in range(200):
            answers.append(here.browser().client.post("/api/v1/c/water/session", json={}))
            if len([a for a in answers if a.status_code == 503]) == 20:
                break
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == 20
    for answer in refused:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["error"]["reason"] == "unavailable"
        assert answer.headers["x-frame-options"] == "DENY"
    # All come from one address, which is another warning.
    others = ("GET", "POST", "HTTP", "the first 20 people")
    lines = [r for r in caplog.records if not r.getMessage().startswith(others)]
    assert [line.getMessage() for line in lines] == [SENTENCES["full"]]
    page = here.browser()
    page.get("/c/water/join")
    assert page.send("/c/water/join").status_code == 503
    assert "We may not have saved what you sent" in page.page.text  # type: ignore[union-attr]


def test_a_locked_database_is_not_ready_and_is_again_when_the_lock_is_gone(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    @event.listens_for(here.store.engine, "checkout")
    def _(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout=20")

    monkeypatch.setattr(readiness, "LEAST_SECONDS", 0.0)
    assert here.browser().get("/readyz").status_code == 200
    assert here.store.folder is not None
    other = sqlite3.connect(here.store.folder / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found = here.browser().get("/readyz")
    assert (found.status_code, found.text) == (503, SENTENCES["locked"])
    assert here.browser().get("/healthz").status_code == 200
    other.execute("ROLLBACK")
    other.close()
    assert here.browser().get("/readyz").status_code == 200


def test_readiness_writes_to_the_database_and_no_more_often_than_every_two_seconds(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = [0.0], []
    real = Store.check_writing

    def counted(store: Store) -> None:
        written.append(now[0])
        real(store)

    monkeypatch.setattr(Store, "check_writing", counted)
    asked = Readiness(here.store, lambda: now[0])
    for _ in range(50):
        assert asked.problem() == ""
        now[0] += 0.1
    assert 2 <= len(written) <= 3
    now[0] += 10
    monkeypatch.setattr(readiness, "LEAST_FREE", 10**18)
    assert asked.problem() == SENTENCES["full"]


@pytest.mark.postgres
def test_readiness_on_postgresql_knows_a_database_that_may_only_be_read(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setenv(VARIABLE, SECRET)
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as c:
        c.execute("CREATE DATABASE readiness")
        store = open_store(f"{postgresql}/readiness", create=True)
        assert Readiness(store).problem() == ""
        c.execute("ALTER DATABASE readiness SET default_transaction_read_only = on")
    store.engine.dispose()
    assert Readiness(store).problem() == SENTENCES["read_only"]
    store.close()


def test_a_fault_is_logged_at_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = FaultLog(every=30, clock=lambda: now[0])
    for _ in range(1000):
        log.tell("full")
        now[0] += 0.1
    log.tell("locked")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 5 and said[0] == SENTENCES["full"] and said[-1] == SENTENCES["locked"]
    assert "299 more times" in said[1]


def test_a_fault_is_known_from_the_drivers_error_alone() -> None:
    def of_sqlite(code: int) -> sqlite3.Error:
        error = sqlite3.OperationalError("said in any words")
        error.sqlite_errorcode = code
        return error

    wrapped = exc.OperationalError("INSERT", {}, of_sqlite(sqlite3.SQLITE_FULL))
    assert fault_of(wrapped) == "full"
    assert fault_of(of_sqlite(sqlite3.SQLITE_IOERR_FSYNC)) == "broken"
    assert fault_of(of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT)) == "locked"
    assert fault_of(of_sqlite(sqlite3.SQLITE_CONSTRAINT)) is None
    assert fault_of(UndoneError()) == "undone"
    assert fault_of(exc.TimeoutError()) == "away"
    assert fault_of(ValueError("disk is full")) is None


def test_a_fault_is_known_from_postgresqls_state() -> None:
    from psycopg import errors

    for error, fault in (
        (errors.DiskFull(), "full"),
        (errors.AdminShutdown(), "away"),
        (errors.TooManyConnections(), "away"),
        (errors.DeadlockDetected(), "locked"),
        (errors.ReadOnlySqlTransaction(), "read_only"),
        (errors.QueryCanceled(), "interrupted"),
        (errors.OperationalError("connection refused"), "away"),
        (errors.UniqueViolation(), None),
    ):
        assert fault_of(exc.DBAPIError("SELECT", {}, error)) == fault, error


def test_a_body_that_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "BODY_SECONDS", 0.05)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> dict[str, Any]:
        """A byte every 20 ms, so that no single wait is long."""
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/c/water/vote", "headers": []}
    asyncio.run(asyncio.wait_for(Guard(app, secure=False)(scope, receive, send), 10))
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]


def test_what_the_database_says_of_somebodys_words_is_not_logged(
    here: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    word = "qqzanzibarqq"

    def refused(store: Store, *_: object) -> None:
        row = {"consultation_id": word, "id": word, "text": word, "language": "en", "position": 0}
        with store.write() as c:
            c.execute(schema.prompt.insert().values(row))

    monkeypatch.setattr(Store, "read", refused)
    assert here.browser().get("/c/water").status_code == 500
    said = [r.getMessage() for r in caplog.records if "failed" in r.getMessage()]
    assert len(said) == 1 and "IntegrityError" in said[0] and "in refused" in said[0]
    assert word not in said[0]
    with pytest.raises(exc.IntegrityError) as raised:
        refused(here.store)
    assert word not in str(raised.value)


def test_what_postgresql_says_of_a_row_is_not_logged() -> None:
    from psycopg import errors

    detail = "Failing row contains (qqzanzibarqq)."
    for error in (
        errors.NotNullViolation(detail),
        exc.IntegrityError("INSERT", {"text": "qqzanzibarqq"}, errors.NotNullViolation(detail)),
    ):
        assert "qqzanzibarqq" not in trace_of(error)
    assert "a fault of ours" in trace_of(RuntimeError("a fault of ours"))


@pytest.mark.parametrize(
    "path",
    ["/c/%00", "/c/water/vote/%00", "/c/water/join?t=%00", "/api/v1/c/%00", "/admin/c/%00/answers"],
)
def test_no_address_with_a_nul_reaches_the_database(here: Site, path: str) -> None:
    found = here.browser().get(path)
    assert found.status_code == 404 and found.headers["x-frame-options"] == "DENY"


@pytest.mark.slow
def test_a_form_with_a_nul_is_refused(here: Site) -> None:
    visitor = here.browser().join()
    visitor.get("/c/water/vote")
    for more in ({"statement": "\0"}, {"exposure": "a\0"}, {"a\0": "x"}):
        assert visitor.send("/c/water/vote", vote="agree", **more).status_code == 400
        visitor.get("/c/water/vote")
    visitor.get("/admin/login")
    assert visitor.send("/admin/login", email="a\0@b", password="x").status_code == 400
    what = consultations.find_consultation(here.store, "water")
    here.staff(what, "owner")
    owner = here.browser()
    owner.log_in()
    owner.get(f"/admin/c/{what.id}/settings")
    assert owner.send(f"/admin/c/{what.id}/settings", what="phase", phase="\0").status_code == 400


@pytest.mark.slow
def test_a_request_whose_head_does_not_come_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.4)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.8)  # an answer may take longer than a head
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=serving._punctual_protocol(), lifespan="off", log_level="error"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        address = listening.getsockname()
        began = time.monotonic()
        for half in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            with socket.create_connection(address, timeout=10) as slow:
                slow.sendall(half)
                with pytest.raises(ConnectionError):
                    while slow.recv(100) != b"":
                        slow.sendall(b"y")
                    raise ConnectionResetError
        assert time.monotonic() - began < 5
        with socket.create_connection(address, timeout=10) as whole:
            for _ in range(2):  # the second after the first on one connection
                whole.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                while b"whole" not in answer:
                    answer += whole.recv(1000)
        server.should_exit = True
        thread.join(10)
