"""What two sets of results tell of one person, to somebody who can bring them about."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.server import watcher
from suffrage.server.store import participants, statements
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.participants import Scopes
from suffrage.server.store.result_steps import newest_step
from suffrage.server.store.stored_results import StoredResults, newest_results
from suffrage.server.store.withdrawals import withdraw_participant
from tests.server.acts import vote
from tests.server.empty_stores import empty_store
from tests.server.site import consultation, crowd

# How many groups there are and how sure they are is no claim of these tests.
recompute = partial(watcher.recompute, settings=GroupSettings(most=2), resamples=2)
# Everybody in a crowd votes on every statement, so each statement has as many votes as people.
PEOPLE = 30


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def what(store: Store) -> StoredConsultation:
    return consultation(store)


def step(store: Store, what: StoredConsultation) -> StoredResults:
    """What viewers and moderators see; the counts of participants' results are the same."""
    found = newest_results(store, what.id, "viewers")
    assert found is not None
    return found


@pytest.mark.slow
def test_who_leaves_people_out_cannot_read_a_vote_from_the_results(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    others, further, victim = ids[:5], ids[5:10], ids[10]

    def left_out(people: list[str]) -> StoredResults:
        for id in ids[:11]:
            act = participants.exclude_participant
            if id in people:
                act(store, what.id, id, "tests", "tests")
            else:
                participants.include_participant(store, what.id, id, "tests")
        recompute(store, what)
        return step(store, what)

    five = left_out(others)
    left_out([*others, *further, victim])
    six = left_out([*others, victim])
    # In exactly these two sets of people, the counts would differ by the victim's votes alone.
    assert five.people == PEOPLE - 5 - 4 and six.people == PEOPLE - 6 - 4
    with store.read() as c:
        assert not set(newest_step(c, what.id).left_out) & {*others, victim}


@pytest.mark.slow
def test_nobody_can_have_results_renewed_again_and_again(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    participants.give_consent(store, what.id, ids[0], Scopes(take_part=False), "t")
    recompute(store, what)
    after = step(store, what)
    for _ in range(3):
        participants.give_consent(store, what.id, ids[0], Scopes(take_part=True), "t")
        recompute(store, what)
        participants.give_consent(store, what.id, ids[0], Scopes(take_part=False), "t")
        recompute(store, what)
        assert step(store, what).version == after.version
    joined = participants.join_consultation(store, what.id, None, "en").participant
    participants.give_consent(store, what.id, joined.id, Scopes(take_part=True), "t")
    for one in statements.list_statements(store, what.id):
        vote(store, what.id, joined.id, one.id, 1)
    recompute(store, what)
    withdraw_participant(store, what.id, joined.id)
    recompute(store, what)
    assert step(store, what).version == after.version
