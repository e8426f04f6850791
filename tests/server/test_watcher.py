"""Groups found apart from requests: when, with what, and never in a vote's way."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.server import watcher
from suffrage.server.store import participants
from suffrage.server.store.consultations import (
    StoredConsultation,
    find_consultation,
    set_phase,
)
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import results
from suffrage.server.store.known_groups import current_numbers
from suffrage.server.store.stored_results import Audience, StoredResults, newest_results
from suffrage.server.store.stored_votes import count_vote_events
from suffrage.server.store.withdrawals import withdraw_participant
from suffrage.server.watcher import (
    LEAST_SECONDS,
    is_due,
    recompute,
    start_watching,
    watch,
)
from suffrage.server.web import app
from suffrage.server.web.server_settings import ServerSettings
from tests.server import acts
from tests.server.empty_stores import empty_store
from tests.server.site import consultation, crowd, open_demo


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def opened(where: str) -> tuple[Store, StoredConsultation]:
    store = empty_store(Path(where))
    return store, open_demo(store, 60)


def vote(store: Store, about: StoredConsultation, value: int = 1) -> None:
    person = participants.join_consultation(store, about.id, None, "en").participant
    participants.give_consent(
        store, about.id, person.id, participants.Scopes(take_part=True), "hash"
    )
    acts.vote(store, about.id, person.id, "s1", value)


@pytest.mark.slow
def test_results_are_due_after_a_vote_and_after_an_act_of_staff(
    opened: tuple[Store, StoredConsultation],
) -> None:
    store, about = opened
    assert is_due(store, find_consultation(store, "demo"))
    first = recompute(store, about, resamples=2)
    assert len(first.result["groups"]) >= 2 and first.version == 1
    assert (
        not is_due(store, find_consultation(store, "demo"))
        and count_vote_events(store, about.id, first.event_id) == 0
    )
    vote(store, about)
    assert (
        is_due(store, find_consultation(store, "demo"))
        and count_vote_events(store, about.id, first.event_id) == 1
    )
    second = recompute(store, about, resamples=2)
    assert second.people == first.people + 1 and not is_due(store, find_consultation(store, "demo"))
    participants.exclude_participant(store, about.id, "p1", "a test", "test")
    assert is_due(store, find_consultation(store, "demo"))
    assert recompute(store, about, resamples=2).people == first.people


@pytest.mark.slow
def test_votes_that_come_while_it_works_count_as_behind(
    opened: tuple[Store, StoredConsultation], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, about = opened
    real = watcher.to_consultation

    def slow(*given: object) -> object:
        found = real(*given)  # type: ignore[arg-type]
        vote(store, about)
        return found

    monkeypatch.setattr(watcher, "to_consultation", slow)
    made = recompute(store, about, GroupSettings(most=2), resamples=2)
    assert count_vote_events(store, about.id, made.event_id) == 1 and is_due(
        store, find_consultation(store, "demo")
    )


@pytest.mark.slow
def test_it_waits_between_two_and_goes_on_after_a_fault(
    opened: tuple[Store, StoredConsultation],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, _ = opened
    now, done = [0.0], []

    def found(*_: object) -> None:
        done.append(now[0])
        if len(done) == 2:
            raise RuntimeError("a fault")

    monkeypatch.setattr(watcher, "recompute", found)
    watch(
        store,
        lambda: now[0] < 50,
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
        clock=lambda: now[0],
    )
    assert done[0] == 0 and done[1] == LEAST_SECONDS
    assert done[2] == LEAST_SECONDS + watcher.AFTER_FAILURE
    assert "a fault" in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_of_its_own_follows_the_votes(
    where: str, opened: tuple[Store, StoredConsultation]
) -> None:
    store, about = opened
    process = start_watching(where)
    try:
        deadline = time.monotonic() + 300
        while newest_results(store, about.id, "organisers") is None and time.monotonic() < deadline:
            time.sleep(0.2)
        first = newest_results(store, about.id, "organisers")
        assert first is not None
        vote(store, about, -1)
        while time.monotonic() < deadline:
            last = newest_results(store, about.id, "organisers")
            if last is not None and last.version > first.version:
                break
            time.sleep(0.2)
        assert last is not None and last.people == first.people + 1
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_the_watching_process_is_started_anew_when_it_ends(
    opened: tuple[Store, StoredConsultation], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(store: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"]))
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


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_asked_again(
    opened: tuple[Store, StoredConsultation],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, _ = opened
    now, found = [0.0], []

    def lost(*_: object) -> None:
        found.append(now[0])
        if len(found) == 1:
            raise IndexError("groups fail")

    listed = [OSError("the database is away"), None]
    real = watcher.list_consultations

    def listing(store: Store) -> list[StoredConsultation]:
        error = listed.pop() if listed else None
        if error is not None:
            raise error
        return real(store)

    monkeypatch.setattr(watcher, "recompute", lost)
    monkeypatch.setattr(watcher, "list_consultations", listing)
    watch(
        store,
        lambda: now[0] < 90,
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
        clock=lambda: now[0],
    )
    assert len(found) > 5
    said = capsys.readouterr().err
    assert "groups of" in said and "groups fail" in said and "the database is away" in said
    assert "in lost" in said  # where in the code it failed


@pytest.mark.slow
def test_participants_see_a_step_and_organisers_see_every_computation(
    opened: tuple[Store, StoredConsultation],
) -> None:
    store, about = opened

    def seen(by: Audience) -> tuple[int, int]:
        found = newest_results(store, about.id, by)
        assert found is not None
        return found.version, found.people

    recompute(store, about, resamples=2)
    assert seen("organisers") == seen("participants") == (1, 60)
    for more in range(1, 5):
        vote(store, about)
        recompute(store, about, resamples=2)
        assert seen("organisers") == (1 + more, 60 + more) and seen("participants") == (1, 60)
    vote(store, about)
    recompute(store, about, resamples=2)
    assert seen("organisers") == seen("participants") == (6, 65)
    with store.read() as c:
        assert c.scalar(select(func.count()).select_from(results)) == 1


@pytest.mark.slow
def test_two_computations_at_once_make_one_step(
    opened: tuple[Store, StoredConsultation], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, about = opened
    real, inner = watcher.save_results, []

    def late(*given: Any) -> StoredResults:
        if not inner:
            # Another process computes and stores between this one's computation and its saving.
            inner.append(None)
            vote(store, about)
            recompute(store, about, resamples=2)
        return real(*given)

    monkeypatch.setattr(watcher, "save_results", late)
    recompute(store, about, resamples=2)
    shown = newest_results(store, about.id, "participants")
    assert shown is not None and (shown.version, shown.people) == (1, 61)


@pytest.mark.slow
def test_participants_see_nothing_of_a_draft_or_an_archived_consultation(
    opened: tuple[Store, StoredConsultation],
) -> None:
    store, about = opened
    for phase in ("draft", "archived"):
        set_phase(store, about.id, phase, "test")
        recompute(store, find_consultation(store, about.slug), resamples=2)
        assert newest_results(store, about.id, "participants") is None
    assert newest_results(store, about.id, "organisers") is not None


@pytest.mark.slow
def test_a_group_keeps_its_letter_for_both_audiences_when_it_becomes_the_largest(
    tmp_path: Path,
) -> None:
    store = empty_store(tmp_path / "store")
    what = consultation(store)
    # Two of three disagree with half of the statements, then twice as many others join them.
    first = crowd(store, what, 24)
    recompute(store, what, resamples=2)
    before = groups_by_letter(store, what, first)
    for seed in range(4):
        crowd(store, what, 30, seed=seed, turned=True)
        recompute(store, what, resamples=2)
        now = groups_by_letter(store, what, first)
        # One or two of the twenty-four changed sides; nobody else changed the letter.
        assert sum(now[p] == before[p] for p in first) >= len(first) - 2
    letters: list[list[str]] = []
    for audience in ("organisers", "participants"):
        last = newest_results(store, what.id, audience)  # type: ignore[arg-type]
        assert last is not None
        letters.append([row["name"] for row in last.result["groups"]])
        sizes = [row.get("size", row.get("people")) for row in last.result["groups"]]
        assert sizes[0] < sizes[1]
    assert letters == [["A", "B"], ["A", "B"]]
    content = to_consultation(store, what.slug)
    exported = dict(content.participants.select("participant", "group").iter_rows())
    assert {p: exported[p] for p in first} == now
    # Somebody who withdraws is in no group any more.
    withdraw_participant(store, what.id, first[0])
    with store.read() as c:
        assert first[0] not in current_numbers(c, what.id)
    store.close()


def groups_by_letter(store: Store, what: StoredConsultation, people: list[str]) -> dict[str, int]:
    """The number of the group that each of these people is in."""
    with store.read() as c:
        numbers = current_numbers(c, what.id)
    return {person: numbers[person] for person in people}
