"""Groups found apart from requests: when, with what, and never in a vote's way."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from suffrage.server import watcher as recomputation
from suffrage.server.demo import simulated_demo
from suffrage.server.store import acts, participants
from suffrage.server.store import organisers_results_table as analyses
from suffrage.server.store.consultations import About, set_phase, set_settings
from suffrage.server.store.contents import from_consultation
from suffrage.server.store.database import Store, open_store
from suffrage.server.watcher import (
    LEAST_SECONDS,
    is_due,
    recompute,
    start_watching,
    votes_behind,
    watch,
)
from suffrage.server.web import app
from suffrage.server.web.server_settings import ServerSettings


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def opened(where: str) -> tuple[Store, About]:
    store = open_store(where, create=True)
    about = from_consultation(store, simulated_demo(60).content)
    set_settings(store, about.id, {"open_to_all": True}, "test")
    set_phase(store, about.id, "open", "test")
    return store, about


def vote(store: Store, about: About, value: int = 1) -> None:
    person = participants.join(store, about.id, None, "en").participant
    participants.give_consent(
        store, about.id, person.id, participants.Scopes(take_part=True), "hash"
    )
    acts.vote_on(store, about.id, person.id, "s1", value)


def test_a_snapshot_is_due_after_a_vote_and_after_an_act_of_staff(
    opened: tuple[Store, About],
) -> None:
    store, about = opened
    assert is_due(store, about.id)
    first = recompute(store, about.slug, about.id, resamples=2)
    assert len(first.result["groups"]) >= 2 and first.version == 1
    assert not is_due(store, about.id) and votes_behind(store, about.id, first) == 0
    vote(store, about)
    assert is_due(store, about.id) and votes_behind(store, about.id, first) == 1
    second = recompute(store, about.slug, about.id, resamples=2)
    assert second.people == first.people + 1 and not is_due(store, about.id)
    participants.exclude(store, about.id, "p1", "a test", "test")
    assert is_due(store, about.id)
    assert recompute(store, about.slug, about.id, resamples=2).people == first.people


def test_votes_that_come_while_it_works_count_as_behind(
    opened: tuple[Store, About], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, about = opened
    real = recomputation.to_consultation

    def slow(*given: object) -> object:
        found = real(*given)  # type: ignore[arg-type]
        vote(store, about)
        return found

    monkeypatch.setattr(recomputation, "to_consultation", slow)
    made = recompute(store, about.slug, about.id, resamples=2)
    assert votes_behind(store, about.id, made) == 1 and is_due(store, about.id)


def test_it_waits_between_two_and_goes_on_after_a_fault(
    opened: tuple[Store, About], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = opened
    now, done = [0.0], []

    def found(*_: object) -> None:
        done.append(now[0])
        if len(done) == 2:
            raise RuntimeError("a fault")

    monkeypatch.setattr(recomputation, "recompute", found)
    watch(
        store,
        lambda: now[0] < 50,
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
        clock=lambda: now[0],
    )
    assert done[0] == 0 and done[1] == LEAST_SECONDS
    assert done[2] == LEAST_SECONDS + recomputation.AFTER_FAILURE
    assert "a fault" in capsys.readouterr().err


def test_a_process_of_its_own_follows_the_votes(where: str, opened: tuple[Store, About]) -> None:
    store, about = opened
    process = start_watching(where)
    try:
        deadline = time.monotonic() + 300
        while analyses.newest(store, about.id) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        first = analyses.newest(store, about.id)
        assert first is not None
        vote(store, about, -1)
        while time.monotonic() < deadline:
            last = analyses.newest(store, about.id)
            if last is not None and last.version > first.version:
                break
            time.sleep(0.2)
        assert last is not None and last.people == first.people + 1
    finally:
        process.terminate()
        process.wait(20)


def test_the_watching_process_is_started_anew_when_it_ends(
    opened: tuple[Store, About], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(store: str) -> subprocess.Popen[bytes]:
        code = "import time; time.sleep(60)"
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1]

    monkeypatch.setattr(app, "start_watching", start)
    monkeypatch.setattr(app, "LOOK_AFTER_WATCHER", 0.05)
    made = app.create_app(ServerSettings(where, results=True))
    with TestClient(made):
        started[0].kill()
        deadline = time.monotonic() + 30
        while len(started) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(started) == 2
    assert [process.wait(20) != 0 for process in started] == [True, True]


def test_one_part_that_fails_keeps_the_other_from_nothing(
    opened: tuple[Store, About], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = opened
    now, found = [0.0], []

    def lost(*_: object) -> None:
        raise IndexError("results fail")

    listed = [OSError("the database is away"), None]
    real = recomputation.all_consultations

    def listing(store: Store) -> list[About]:
        error = listed.pop() if listed else None
        if error is not None:
            raise error
        return real(store)

    monkeypatch.setattr(recomputation, "recompute", lambda *_: found.append(now[0]))
    monkeypatch.setattr(recomputation, "all_consultations", listing)
    watch(
        store,
        lambda: now[0] < 50,
        lost,
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
        clock=lambda: now[0],
    )
    assert len(found) > 5
    said = capsys.readouterr().err
    assert "results of" in said and "results fail" in said and "the database is away" in said
    assert "in lost" in said  # where in the code it failed
