"""What two sets of results tell of one person, to somebody who can bring them about."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, update

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.server import consultation_results, watcher
from suffrage.server.store import database_schema as schema
from suffrage.server.store import participants, statements
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.known_groups import current_numbers
from suffrage.server.store.participants import Scopes
from suffrage.server.store.result_steps import newest_step
from suffrage.server.store.secret_keys import new_id
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
    # Who is away already changes nothing by going for good.
    withdraw_participant(store, what.id, ids[0])
    recompute(store, what)
    assert step(store, what).version == after.version


def voters(results: StoredResults) -> dict[str, int]:
    """How many votes each statement has."""
    return {row["statement"]: row["voters"] for row in results.result["all"]}


def voting_on(store: Store, what: StoredConsultation, each: list[list[str]]) -> list[str]:
    """People of two kinds, each of whom votes on these statements only."""
    draw = np.random.default_rng(len(each))
    shown = [s.id for s in statements.list_statements(store, what.id)]
    ids = [new_id() for _ in each]
    of = {"consultation_id": what.id}
    votes = [
        {**of, "participant_id": id, "statement_id": one, "position": 0, "updated": 0}
        | {"value": kind if draw.random() < 0.9 else -kind}
        for n, (id, on) in enumerate(zip(ids, each, strict=True))
        for one in on
        for kind in [1 if (n + shown.index(one)) % 2 else -1]
    ]
    person = {"verified": False, "language": "en", "created": 0, "takes_part": True}
    with store.write() as c:
        c.execute(insert(schema.participant), [{**of, **person, "id": id} for id in ids])
        c.execute(insert(schema.vote), votes)
    return ids


@pytest.mark.slow
@pytest.mark.parametrize("way", ["withdraws", "is left out"])
def test_no_count_of_a_statement_ever_falls_by_the_vote_of_who_goes(store: Store, way: str) -> None:
    what = consultation(store, count=30)
    shown = [s.id for s in statements.list_statements(store, what.id)]
    # Each person votes on a third of the statements, so few of the five votes on the same one.
    each = [[shown[(n + 3 * k) % 30] for k in range(10)] for n in range(60)]
    ids = voting_on(store, what, each)
    recompute(store, what)
    first = voters(step(store, what))
    theirs, others = each[0], [id for id in shown if id not in each[0]]
    if way == "withdraws":
        withdraw_participant(store, what.id, ids[0])
        recompute(store, what)
        second = voters(step(store, what))
        assert all(first[id] - second[id] >= 5 for id in theirs)
    else:
        participants.exclude_participant(store, what.id, ids[0], "tests", "tests")
    # The next step counts everybody left, but nobody else has voted on these statements.
    voting_on(store, what, [others] * 6)
    recompute(store, what)
    third = voters(step(store, what))
    assert all(first[id] - third[id] >= 5 for id in theirs)
    # With five votes more on each, all of them count.
    voting_on(store, what, [theirs] * 5)
    recompute(store, what)
    assert all(voters(step(store, what))[id] == first[id] - 1 + 5 for id in theirs)


@pytest.mark.slow
def test_a_statement_with_held_votes_can_be_taken_back(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    wrote = statements.propose_statement(store, what.id, ids[0], "Only I say zanzibar", "en").id
    statements.moderate_statements(store, what.id, [wrote], "accepted", "ok", None)
    for other in ids[1:]:
        vote(store, what.id, other, wrote, 1)
    recompute(store, what)
    withdraw_participant(store, what.id, ids[1])
    recompute(store, what)

    def held() -> set[str]:
        with store.read() as c:
            return {one.statement for one in newest_step(c, what.id).held}

    assert wrote in held()
    withdraw_participant(store, what.id, ids[0])
    recompute(store, what)
    assert wrote not in voters(step(store, what))


@pytest.mark.slow
def test_others_of_the_same_group_are_left_out(store: Store, what: StoredConsultation) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    with store.read() as c:
        groups = current_numbers(c, what.id)
    # The smaller group, of which a draw among all people would often take nobody.
    small = min(set(groups.values()), key=list(groups.values()).count)
    goes = next(id for id in ids if groups.get(id) == small)
    withdraw_participant(store, what.id, goes)
    recompute(store, what)
    with store.read() as c:
        left_out = newest_step(c, what.id).left_out
    assert len(left_out) == 4 and {groups[id] for id in left_out} == {small}


@pytest.mark.slow
def test_an_older_computation_does_not_replace_a_newer_step(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    with store.write() as c:
        c.execute(update(schema.participant).values(takes_part=True))
    crowd(store, what, 5, seed=1)
    find, versions = consultation_results.find_results, list[int]()

    def overtaken(*given: Any) -> Any:
        found = find(*given)
        if not versions:
            # Somebody else computes meanwhile, such as an analyst on the page of groups.
            versions.append(0)
            crowd(store, what, 5, seed=2)
            statement = statements.list_statements(store, what.id)[0]
            vote(store, what.id, ids[0], statement.id, -1)
            recompute(store, what)
            versions.append(step(store, what).version)
        return found

    monkeypatch.setattr(watcher, "find_results", overtaken)
    recompute(store, what)
    # Otherwise one person more would bring the next step.
    assert step(store, what).version == versions[1] and step(store, what).people == PEOPLE + 10


@pytest.mark.slow
def test_who_voted_by_a_clock_that_is_ahead_is_counted_and_goes_like_others(
    store: Store, what: StoredConsultation
) -> None:
    crowd(store, what, PEOPLE)
    joined = participants.join_consultation(store, what.id, None, "en").participant
    participants.give_consent(store, what.id, joined.id, Scopes(take_part=True), "t")
    for one in statements.list_statements(store, what.id):
        vote(store, what.id, joined.id, one.id, 1)
    ahead = 3_600_000
    with store.write() as c:
        table, log, agreed = schema.vote, schema.vote_event, schema.consent
        c.execute(update(table).values(updated=table.c.updated + ahead))
        c.execute(update(log).values(at=log.c.at + ahead))
        c.execute(update(agreed).values(given_at=agreed.c.given_at + ahead))
    recompute(store, what)
    withdraw_participant(store, what.id, joined.id)
    with store.read() as c:
        assert newest_step(c, what.id).must_go
