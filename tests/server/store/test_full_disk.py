"""A disk that is full or fails, under load through HTTP: what was acknowledged is stored."""

import json
import os
import re
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from suffrage.server.store import consultations, participants, staff, statements
from suffrage.server.store.consultations import ConsultationSettings
from suffrage.server.store.database import DATABASE, open_store
from suffrage.server.store.participants import Scopes
from suffrage.server.store.secret_keys import VARIABLE
from tests.server.databases import SECRET
from tests.server.server_process import Server, serve

VOTERS = 8
STATEMENTS = 55  # less than a session may vote on in a minute
UPLOADS = 2
EMAIL, PASSWORD = "ana@example.org", "correct horse battery"
MEGABYTE = 1024 * 1024


@pytest.fixture(params=["full", "failing"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, int | None]]:
    """A folder for the store, and the size at which the server's files meet an I/O error."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "failing":
        yield folder, 2 * MEGABYTE
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be made by root only")
    yield folder, None
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def large_upload() -> bytes:
    """Answers of 3.6 MB."""
    row = {"prompt": "How?", "prompt_id": "p", "model": "m", "language": "en"}
    return "\n".join(
        json.dumps({**row, "text": f"answer {n} " + "x" * 3900}) for n in range(900)
    ).encode()


class Load:
    """People who vote while somebody uploads what does not fit."""

    def __init__(self, folder: Path) -> None:
        store = open_store(str(folder), create=True)
        settings = ConsultationSettings(
            open_to_all=True, organiser="The council", contact="council@example.org"
        )
        made = consultations.create_consultation(
            store, "water", {"en": "Water"}, {"en": "How?"}, settings
        )
        consultations.set_phase(store, made.id, "open", "tests")
        texts = [(f"Statement number {n}", "en") for n in range(STATEMENTS)]
        self.id = made.id
        self.statements = [s.id for s in statements.add_seeds(store, made.id, texts, "tests")]
        self.people = {}
        for _ in range(VOTERS):
            joined = participants.join_consultation(store, made.id, None, "en")
            participants.give_consent(store, made.id, joined.participant.id, Scopes(True), "text")
            self.people[joined.participant.id] = joined.session
        member = staff.add_member(store, EMAIL, PASSWORD)
        staff.set_role(store, made.id, member.id, "owner", "tests")
        store.close()
        self.told: dict[tuple[str, str], str] = {}
        self.joined: list[str] = []
        self.answers: Counter[int] = Counter()
        self.uploads: list[int] = []

    def vote(self, url: str, person: str) -> None:
        headers = {"Authorization": f"Bearer {self.people[person]}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            for id in self.statements:
                try:
                    done = client.put(f"/api/v1/c/water/votes/{id}", json={"vote": 1})
                except httpx.TransportError:
                    continue
                self.answers[done.status_code] += 1
                if done.status_code == 200:
                    self.told[person, id] = done.json()["id"]
                time.sleep(0.02)

    def join(self, url: str) -> None:
        """By threads of their own, not together with the votes."""
        with httpx.Client(base_url=url, timeout=60) as client:
            for _ in range(15):
                try:
                    done = client.post("/api/v1/c/water/session", json={})
                except httpx.TransportError:
                    continue
                if done.status_code == 201:
                    self.joined.append(done.json()["participant"])
                time.sleep(0.05)

    def upload(self, url: str) -> None:
        page = f"/admin/c/{self.id}/answers"
        with httpx.Client(base_url=url, timeout=60) as client:
            token = self.token(client.get("/admin/login"))
            given = {"csrf": token, "email": EMAIL, "password": PASSWORD}
            assert client.post("/admin/login", data=given).status_code == 303
            token = self.token(client.get(page))
            for _ in range(UPLOADS):
                file = {"file": ("answers.jsonl", large_upload())}
                try:
                    self.uploads.append(
                        client.post(page, data={"csrf": token}, files=file).status_code
                    )
                except httpx.TransportError:
                    self.uploads.append(0)

    @staticmethod
    def token(page: httpx.Response) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found, page.text
        return found.group(1)

    def run(self, server: Server) -> None:
        threads = [
            threading.Thread(target=self.vote, args=(server.url, person)) for person in self.people
        ]
        threads += [
            threading.Thread(target=act, args=(server.url,)) for act in (self.join, self.upload)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)


@pytest.mark.slow
def test_what_is_acknowledged_on_a_full_or_failing_disk_is_stored(
    small_disk: tuple[Path, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    folder, largest = small_disk
    load = Load(folder)
    server = serve(str(folder), SECRET, largest_file=largest)
    try:
        load.run(server)
    finally:
        server.stop()
    with sqlite3.connect(folder / DATABASE) as database:
        votes = {
            (person, statement): str(event)
            for person, statement, event in database.execute(
                "SELECT participant_id, statement_id, event_id FROM vote"
            )
        }
        people = {row[0] for row in database.execute("SELECT id FROM participant")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(load.told) > VOTERS and {key: votes.get(key) for key in load.told} == load.told
    assert load.joined and set(load.joined) <= people
    assert load.uploads and 303 not in load.uploads, load.uploads
