"""What the server acknowledged is stored, whatever happens to it."""

import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import func, select

from suffrage.server.store import database_schema as schema
from suffrage.server.store import participants, statements
from suffrage.server.store.database import open_store
from suffrage.server.store.participants import Scopes
from suffrage.server.store.secret_keys import VARIABLE
from tests.server.databases import SECRET
from tests.server.server_process import serve
from tests.server.site import consultation

VOTERS = 6
STATEMENTS = 150


@dataclass
class Voter:
    """One participant who votes until the server is gone."""

    headers: dict[str, str]
    ids: list[str]
    # What the server acknowledged, by statement.
    stored: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def vote(self, url: str) -> None:
        with httpx.Client(base_url=url, headers=self.headers) as client:
            for id in self.ids:
                self.asked.add(id)
                try:
                    done = client.put(f"/api/v1/c/water/votes/{id}", json={"vote": 1})
                except httpx.TransportError:
                    return
                if done.status_code == 200:
                    self.stored[id] = done.json()["id"]
                elif done.status_code == 429:
                    return


@pytest.mark.slow
def test_every_acknowledged_vote_outlives_a_killed_server_and_none_is_doubled(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(address, create=True)
    made = consultation(store, count=STATEMENTS)
    ids = [s.id for s in statements.list_statements(store, made.id)]
    voters = []
    for _ in range(VOTERS):
        joined = participants.join_consultation(store, made.id, None, "en")
        participants.give_consent(store, made.id, joined.participant.id, Scopes(True), "text")
        voters.append(Voter({"Authorization": f"Bearer {joined.session}"}, ids))
    store.close()

    server = serve(address, SECRET)
    threads = [threading.Thread(target=voter.vote, args=(server.url,)) for voter in voters]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while sum(len(v.stored) for v in voters) < 5 * VOTERS and time.monotonic() - began < 60:
        time.sleep(0.02)
    server.kill()
    for thread in threads:
        thread.join(30)
    acknowledged = sum(len(v.stored) for v in voters)
    assert acknowledged >= 5 * VOTERS
    assert any(v.asked - set(v.stored) for v in voters), "the server was killed too late"

    monkeypatch.setenv(VARIABLE, SECRET)
    again = serve(address, SECRET)
    try:
        for voter in voters:
            with httpx.Client(base_url=again.url, headers=voter.headers) as client:
                kept = {v["statement"] for v in client.get("/api/v1/c/water/me").json()["votes"]}
                assert set(voter.stored) <= kept <= voter.asked
                # Sent again, as a browser does that got no reply: the first receipt comes back.
                for id, receipt in list(voter.stored.items())[:3]:
                    done = client.put(f"/api/v1/c/water/votes/{id}", json={"vote": 1}).json()
                    assert (done["id"], done["new"]) == (receipt, False)
    finally:
        again.stop()
    store = open_store(address)
    with store.read() as c:
        rows = c.scalar(select(func.count()).select_from(schema.vote))
        events = c.scalar(select(func.count()).select_from(schema.vote_event))
        pairs = select(schema.vote_event.c.participant_id, schema.vote_event.c.statement_id)
        assert rows == events == len(c.execute(pairs.distinct()).all())
    store.close()
