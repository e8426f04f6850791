"""Several processes serve one store on PostgreSQL, and nothing a vote needs is in one of them."""

import os
import pickle
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from suffrage.cli import app as commands
from suffrage.server import watcher
from suffrage.server.answer_model import answer_model
from suffrage.server.mail import mail_settings
from suffrage.server.store import database, stored_votes
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import vote
from suffrage.server.store.leadership import Leadership
from suffrage.server.web.app import create_app
from suffrage.server.web.server_settings import ServerSettings
from suffrage.server.web.workers import told_to_worker
from tests.server.databases import SECRET
from tests.server.server_process import Server, serve
from tests.server.site import BASE, Browser, consultation


@pytest.fixture
def shared(address: str) -> Iterator[Store]:
    """A store on PostgreSQL."""
    if "://" not in address:
        pytest.skip("several servers need PostgreSQL")
    opened = database.open_store(address, create=True)
    yield opened
    opened.close()


def test_somebody_joins_and_votes_whichever_server_answers(shared: Store, address: str) -> None:
    what = consultation(shared)
    settings = ServerSettings(address, base_url=BASE)
    with (
        TestClient(create_app(settings), base_url=BASE) as one,
        TestClient(create_app(settings), base_url=BASE) as other,
    ):
        other.cookies = Browser(one).join().client.cookies
        for turn in range(4):
            # The form of one server is sent to the other.
            asked, sent = (one, other) if turn % 2 else (other, one)
            page = Browser(asked)
            page.get("/c/water/vote")
            form = {**page.hidden, "vote": "agree"}
            assert sent.post("/c/water/vote", data=form, follow_redirects=False).status_code == 303
        with shared.read() as c:
            people = c.scalars(select(vote.c.participant_id)).all()
    assert len(people) == 4 and len(set(people)) == 1
    assert len(stored_votes.votes_by(shared, what.id, people[0])) == 4


def test_one_process_leads_and_another_takes_over_when_it_is_gone(shared: Store) -> None:
    first, second = Leadership(shared), Leadership(shared)
    assert first.is_ours() and not second.is_ours()
    assert first.is_ours() and not second.is_ours()
    with shared.write() as c:
        lost = c.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        ).all()
    assert lost == [(True,)]
    until = time.monotonic() + 10
    while not second.is_ours() and time.monotonic() < until:
        time.sleep(0.05)
    assert second.is_ours() and not first.is_ours()
    second.give_up()
    assert first.is_ours()
    first.give_up()


def test_two_stores_of_one_database_have_a_leader_each(shared: Store, postgresql: str) -> None:
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as c:
        c.execute("CREATE SCHEMA another_store")
    where = f"{postgresql}/postgres?options=-csearch_path%3Danother_store"
    another = database.open_store(where, create=True)
    one, other = Leadership(shared), Leadership(another)
    assert one.is_ours() and other.is_ours()
    one.give_up()
    other.give_up()
    another.close()


def test_who_does_not_lead_finds_no_groups(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    consultation(store)
    done: list[str] = []
    monkeypatch.setattr(watcher, "recompute", lambda _, what: done.append(what.slug))
    turns = iter([True, True, True, False])
    leads = iter([False, False, True])
    watcher.watch(store, lambda: next(turns), lambda _: None, leads=lambda: next(leads))
    assert done == ["water"]


def test_several_workers_on_sqlite_are_refused_in_a_sentence(store: Store, address: str) -> None:
    if not store.on_sqlite:
        pytest.skip("about SQLite")
    done = CliRunner().invoke(
        commands, ["consult", "serve", address, "--port", "0", "--workers", "2"]
    )
    assert done.exit_code != 0 and "PostgreSQL" in str(done.exception)


def test_a_worker_is_told_every_setting_but_to_find_groups() -> None:
    mail = mail_settings("smtp://mail.example.org", "The council <council@example.org>")
    model = answer_model("https://models.example.org/v1", "small", None)
    settings = ServerSettings("postgresql://db/water", results=True, mail=mail, model=model)
    told, proxy = pickle.loads(told_to_worker(settings, "10.0.0.1"))
    assert told == replace(settings, results=False) and proxy == "10.0.0.1"


def children_of(server: Server) -> list[int]:
    listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_all_end_with_their_parent(
    shared: Store, address: str
) -> None:
    consultation(shared)
    server = serve(address, SECRET, workers=2)
    try:
        before = children_of(server)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        for _ in range(20):  # the other one answers meanwhile
            with httpx.Client(timeout=60) as client:
                assert client.get(f"{server.url}/c/water").status_code == 200
        until = time.monotonic() + 180
        while len(set(children_of(server)) - {before[0]}) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        after = children_of(server)
        assert len(after) == 2 and before[0] not in after and before[1] in after
        time.sleep(1)
        server.kill()
        until = time.monotonic() + 180
        while any(map(is_running, after)) and time.monotonic() < until:
            time.sleep(0.2)
        assert not any(map(is_running, after))
    finally:
        server.stop()
