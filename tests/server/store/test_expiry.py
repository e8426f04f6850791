"""What is kept for a while only is deleted when the time is over, although nothing new comes."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from suffrage.server.store import database_schema as schema
from suffrage.server.store import expiry, participants, sign_in_tries, staff, staff_links
from suffrage.server.store.database import DAY, Store
from suffrage.server.store.expiry import delete_expired
from suffrage.server.store.puzzles import make_puzzle, solve_puzzle
from suffrage.server.store.staff_sessions import log_in_member
from suffrage.server.web import app
from tests.server.site import consultation, site

TABLES = (
    "participant_session",
    "staff_session",
    "staff_browser",
    "staff_link",
    "staff_refusal",
    "used_puzzle",
)
PASSWORD = "correct horse battery"


def rows(store: Store) -> list[int]:
    with store.read() as c:
        tables = [schema.metadata.tables[name] for name in TABLES]
        return [c.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_each_is_deleted_after_its_own_time_and_not_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = consultation(store, proof_of_work=4)
    proof = solve_puzzle(make_puzzle(store.secrets, what.id, 4))
    participants.join_consultation(store, what.id, None, "en", proof)
    member = staff.add_member(store, "ana@example.org", PASSWORD)
    assert log_in_member(store, "ana@example.org", "wrong wrong wrong", "192.0.2.0/24") is None
    assert log_in_member(store, "ana@example.org", PASSWORD, "192.0.2.0/24") is not None
    staff_links.make_link(store, member.id, "tests")
    began = expiry.now()
    # By table: half an hour, half a day, three days, a month, two months, a year.
    for days, left in (
        (0, [1, 1, 1, 1, 1, 1]),
        (0.1, [1, 1, 1, 1, 1, 0]),
        (0.6, [1, 0, 1, 1, 1, 0]),
        (3.1, [1, 0, 1, 0, 1, 0]),
        (29, [1, 0, 1, 0, 1, 0]),
        (31, [1, 0, 1, 0, 0, 0]),
        (61, [0, 0, 1, 0, 0, 0]),
        (366, [0, 0, 0, 0, 0, 0]),
    ):
        monkeypatch.setattr(expiry, "now", lambda days=days: began + int(days * DAY))
        delete_expired(store)
        assert rows(store) == left, days
    assert sign_in_tries.list_refusals(store) == []


def test_a_server_deletes_by_itself_when_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site(tmp_path)
    done = threading.Event()
    monkeypatch.setattr(app, "delete_expired", lambda store: done.set())
    with TestClient(made.app):
        assert done.wait(20)
