"""Work that takes minutes is started once, on both databases, and known to have stopped."""

from threading import Event

from sqlalchemy import update

from suffrage.errors import InputError
from suffrage.server.store import consultations
from suffrage.server.store.background_work import MOST_TRIES, find_work, start_work
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import background_work
from suffrage.server.store.withdrawals import withdraw_participant
from tests.server.site import consultation, crowd


def test_work_is_done_once_at_a_time_and_its_last_outcome_is_kept(store: Store) -> None:
    id = consultations.create_consultation(store, "park", {"en": "Park"}, {"en": "What?"}).id
    end = Event()
    first = start_work(store, id, "groups", lambda: end.wait(60) and {"found": 3})
    assert first is not None
    going = find_work(store, id, "groups")
    assert going is not None and going.is_running and going.error is None
    assert start_work(store, id, "groups", lambda: 4) is None
    # Other work, and that of other consultations, does not wait.
    other = start_work(store, id, "principles", lambda: 5)
    assert other is not None
    end.set()
    first.join(60)
    other.join(60)
    done = find_work(store, id, "groups")
    assert done is not None and not done.is_running and done.outcome == {"found": 3}
    again = start_work(store, id, "groups", lambda: 6)
    assert again is not None
    again.join(60)
    assert find_work(store, id, "groups").outcome == 6  # type: ignore[union-attr]


def test_work_that_people_withdraw_from_each_time_ends_and_keeps_nothing(store: Store) -> None:
    what = consultation(store)
    ids = crowd(store, what, 5)
    tries: list[int] = []

    def overtaken() -> int:
        tries.append(1)
        withdraw_participant(store, what.id, ids[len(tries)])
        return len(ids)

    thread = start_work(store, what.id, "principles", overtaken)
    assert thread is not None
    thread.join(60)
    work = find_work(store, what.id, "principles")
    assert work is not None and work.outcome is None and "stopped" in str(work.error)
    assert len(tries) == MOST_TRIES


def test_a_mistake_is_kept_with_what_it_names_and_silence_means_that_it_stopped(
    store: Store,
) -> None:
    id = consultations.create_consultation(store, "park", {"en": "Park"}, {"en": "What?"}).id

    def mistaken() -> None:
        raise InputError("%(count)s people are too few.", count=3)

    thread = start_work(store, id, "groups", mistaken)
    assert thread is not None
    thread.join(60)
    work = find_work(store, id, "groups")
    assert work is not None and str(work.error) == "3 people are too few."
    with store.write() as c:
        c.execute(update(background_work).values(ended=None, problem=None, alive=0))
    work = find_work(store, id, "groups")
    assert work is not None and not work.is_running and "stopped" in str(work.error)
    assert start_work(store, id, "groups", lambda: 7) is not None
