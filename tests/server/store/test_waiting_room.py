"""Acts done together: each is stored once and whole, or refused alone, on both databases."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text

from suffrage.errors import SuffrageError
from suffrage.server.store import database_schema as schema
from suffrage.server.store import exposures, participants, statements, stored_votes
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import NotFoundError, RefusedError, Store
from suffrage.server.store.driver import Driver
from suffrage.server.store.faults import UndoneError, fault_of
from suffrage.server.store.participants import NewSession, Scopes
from suffrage.server.store.stored_votes import Receipt
from suffrage.server.store.waiting_room import WaitingRoom
from suffrage.server.web.next_tasks import Drawing
from tests.server import acts
from tests.server.site import consultation

PEOPLE = 12


@pytest.fixture
def what(store: Store) -> StoredConsultation:
    return consultation(store, count=9)


@pytest.fixture
def people(store: Store, what: StoredConsultation) -> list[NewSession]:
    made = [participants.join_consultation(store, what.id, None, "en") for _ in range(PEOPLE)]
    for joined in made:
        participants.give_consent(store, what.id, joined.participant.id, Scopes(True), "text")
    return made


@pytest.fixture
def room(store: Store) -> Iterator[WaitingRoom]:
    made = WaitingRoom(store, (SuffrageError,))
    yield made
    made.close()


def together(room: WaitingRoom, asked: list[tuple[str, Callable[[Driver], Any]]]) -> list[Any]:
    async def all_of() -> list[Any]:
        waiting = (room.ask(order, act) for order, act in asked)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(all_of())


def voting(
    store: Store, session: str, statement: str, value: int = 1, exposure: str | None = None
) -> tuple[str, Callable[[Driver], Receipt]]:
    def act(d: Driver) -> Receipt:
        seen = participants.enter(d, store.secrets, "water", session)
        if seen.participant is None:
            raise NotFoundError("nobody")
        of = seen.consultation.id, seen.participant.id
        return stored_votes.record_vote(d, *of, statement, value, False, exposure)

    return session, act


def counted(store: Store) -> tuple[int, int, int]:
    """Votes, events, and acts of all participants."""
    with store.read() as c:
        return tuple(  # type: ignore[return-value]
            int(c.scalar(query) or 0)
            for query in (
                select(func.count()).select_from(schema.vote),
                select(func.count()).select_from(schema.vote_event),
                select(func.sum(schema.participant.c.acts)),
            )
        )


def test_votes_that_wait_together_are_each_stored_with_their_own_receipt(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom
) -> None:
    ids = [s.id for s in statements.list_statements(store, what.id)]
    asked = [
        voting(store, one.session, id, (n + at) % 3 - 1)
        for at, id in enumerate(ids)
        for n, one in enumerate(people)
    ]
    receipts = together(room, asked)
    assert len({r.id for r in receipts}) == len(asked) and all(r.new for r in receipts)
    assert counted(store) == (len(asked),) * 3
    with store.read() as c:
        rows = {
            (r.participant_id, r.statement_id): (str(r.event_id), r.value)
            for r in c.execute(select(schema.vote))
        }
    at = iter(receipts)
    for place, id in enumerate(ids):
        for n, one in enumerate(people):
            assert rows[one.participant.id, id] == (next(at).id, (n + place) % 3 - 1)


def test_the_same_vote_by_two_sessions_at_once_is_one_event(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom
) -> None:
    id = statements.list_statements(store, what.id)[0].id
    code = participants.return_code(store, what.id, people[0].participant.id)
    other = participants.come_back(store, what.id, code).session
    asked = [voting(store, session, id) for session in (people[0].session, other) for _ in range(5)]
    receipts = together(room, [*asked, voting(store, people[1].session, id)])
    assert [r.new for r in receipts[:10]].count(True) == 1
    assert len({r.id for r in receipts[:10]}) == 1
    assert counted(store)[:2] == (2, 2)


def test_one_question_at_a_time_however_many_pages_ask(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom
) -> None:
    drawing = Drawing(store, seed=1)

    def asking(one: NewSession) -> tuple[str, Callable[[Driver], str]]:
        def act(d: Driver) -> str:
            seen = participants.enter(d, store.secrets, "water", one.session)
            drawn = drawing.next_statement(d, seen.consultation, one.participant.id)
            assert drawn is not None
            return drawn[0].id

        return one.session, act

    shown = together(room, [asking(one) for one in people for _ in range(3)])
    assert len(set(shown)) == len(people)
    assert len(exposures.list_exposures(store, what.id)) == len(people)


def test_what_is_refused_is_refused_alone_and_leaves_nothing(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom
) -> None:
    first, second = (s.id for s in statements.list_statements(store, what.id)[:2])
    statements.moderate_statements(store, what.id, [second], "rejected", "spam", None)
    participants.give_consent(store, what.id, people[0].participant.id, Scopes(False), "none")
    shown = acts.show(store, what.id, people[1].participant.id, "vote", first, "p", 0.5)
    found = together(
        room,
        [
            voting(store, people[0].session, first),
            voting(store, people[1].session, first, 1, shown.id),
            voting(store, people[2].session, first, 1, shown.id),  # of somebody else
            voting(store, people[3].session, second),
            voting(store, people[4].session, "nothing"),
            voting(store, people[5].session, first, 7),
            voting(store, "no session at all", first),
            voting(store, people[6].session, first, -1),
        ],
    )
    assert isinstance(found[0], RefusedError) and found[0].reason == "consent"
    assert isinstance(found[1], Receipt) and isinstance(found[7], Receipt)
    assert isinstance(found[3], RefusedError) and found[3].reason == "state"
    assert all(isinstance(found[at], SuffrageError) for at in (2, 4, 5, 6))
    assert counted(store)[:2] == (2, 2)
    assert exposures.list_exposures(store, what.id)[0].answered_at is not None


def test_what_fails_takes_no_other_act_with_it(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom
) -> None:
    id = statements.list_statements(store, what.id)[0].id

    def broken(d: Driver) -> None:
        participants.begin_act(d, what.id, people[0].participant.id)
        raise ZeroDivisionError

    def refused_by_the_database(d: Driver) -> None:
        told = {"consultation_id": what.id, "participant_id": people[0].participant.id}
        d.one(
            stored_votes._LOG,
            {**told, "statement_id": id, "value": None, "important": False, "at": 0},
        )

    asked = [voting(store, one.session, id) for one in people]
    found = together(room, [("a", broken), ("b", refused_by_the_database), *asked])
    assert isinstance(found[0], ZeroDivisionError)
    assert "NOT NULL" in str(found[1]) or "not-null" in str(found[1])
    assert all(isinstance(r, Receipt) and r.new for r in found[2:])
    assert counted(store) == (PEOPLE, PEOPLE, PEOPLE)


def test_nobody_is_answered_before_the_commit(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom, monkeypatch
) -> None:
    id = statements.list_statements(store, what.id)[0].id
    real, failures = store.engine.dialect.do_commit, []

    def failing(connection: object) -> None:
        if len(failures) < 2:
            failures.append(connection)
            raise OSError("the disk is gone")
        real(connection)

    monkeypatch.setattr(store.engine.dialect, "do_commit", failing)
    found = together(room, [voting(store, one.session, id) for one in people[:4]])
    # The batch is undone, each is done anew, and the first of these fails once more.
    assert [isinstance(r, OSError) for r in found].count(True) == 1
    stored = {r.id for r in found if isinstance(r, Receipt)}
    with store.read() as c:
        assert {str(x) for x in c.scalars(select(schema.vote.c.event_id))} == stored
    assert counted(store) == (3, 3, 3)


def test_votes_undone_by_an_act_of_another_thread_are_done_again(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom, monkeypatch
) -> None:
    """As where an upload on SQLite that shares their transaction fills the disk."""
    id = statements.list_statements(store, what.id)[0].id
    undone: list[object] = []
    real = Store.write

    @contextmanager
    def undoing(self: Store) -> Iterator[Connection]:
        with real(self) as c:
            yield c
            if len(undone) < 3:
                undone.append(c)
                c.rollback()
                raise UndoneError

    monkeypatch.setattr(Store, "write", undoing)
    found = together(room, [voting(store, one.session, id) for one in people[:4]])
    assert all(isinstance(r, Receipt) and r.new for r in found) and len(undone) == 3
    assert counted(store) == (4, 4, 4)


def pid_of(c: Connection) -> int:
    return int(c.scalar(text("SELECT pg_backend_pid()")) or 0)


@pytest.mark.parametrize("moment", ["within", "at the commit"])
def test_on_postgresql_votes_whose_backend_is_killed_are_told_only_if_they_are_stored(
    store: Store, what: StoredConsultation, people: list[NewSession], room: WaitingRoom, moment: str
) -> None:
    if store.on_sqlite:
        pytest.skip("a file has no backend")
    id = statements.list_statements(store, what.id)[0].id
    killed: list[int] = []

    def kill(c: Connection) -> None:
        if c.get_execution_options().get("writes") and len(killed) < 2:
            killed.append(pid_of(c))
            with store.engine.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": killed[-1]})

    event.listen(store.engine, "begin" if moment == "within" else "commit", kill)
    found = together(room, [voting(store, one.session, id) for one in people])
    event.remove(store.engine, "begin" if moment == "within" else "commit", kill)
    # Once for all together, and once for the first of those that were done again alone.
    assert len(killed) == 2
    failed = [error for error in found if isinstance(error, Exception)]
    assert len(failed) == 1 and fault_of(failed[0]) == "away"
    told = {r.id for r in found if isinstance(r, Receipt)}
    with store.read() as c:
        assert {str(x) for x in c.scalars(select(schema.vote.c.event_id))} == told
    assert counted(store) == (PEOPLE - 1,) * 3


def test_on_postgresql_a_failed_transaction_that_is_committed_is_an_error(store: Store) -> None:
    if store.on_sqlite:
        pytest.skip("SQLite's transactions do not fail in this way")
    # PostgreSQL itself would answer this commit with a rollback and no error.
    with pytest.raises(UndoneError), store.write() as c:
        raw = c.connection.dbapi_connection
        assert raw is not None
        with suppress(Exception):
            raw.execute("SELECT 1 / 0")
