"""What is left of somebody who withdrew: no difference of results, and no byte of their words."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from suffrage.consult.groups.group_names import KnownGroup
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.server import consultation_results, watcher
from suffrage.server.store import consultations, participants, statements
from suffrage.server.store import database_schema as schema
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.known_groups import current_numbers, store_groups, stored_groups
from suffrage.server.store.participants import Scopes
from suffrage.server.store.result_steps import newest_step
from suffrage.server.store.stored_results import Audience, StoredResults, newest_results
from suffrage.server.store.withdrawals import withdraw_participant
from suffrage.server.watcher import is_due
from tests.server import acts
from tests.server.empty_stores import empty_store
from tests.server.site import consultation, crowd, site

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


def seen(store: Store, what: StoredConsultation, audience: Audience) -> StoredResults:
    found = newest_results(store, what.id, audience)
    assert found is not None
    return found


def voters(results: StoredResults) -> set[int]:
    return {row["voters"] for row in results.result["all"]}


def everything_stored(store: Store) -> list[dict[str, Any]]:
    with store.read() as c:
        return [dict(row._mapping) for row in c.execute(select(schema.results))]


@pytest.mark.slow
def test_no_two_results_differ_by_one_person_who_withdrew(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    steps = [seen(store, what, "viewers")]
    assert voters(steps[0]) == {PEOPLE}
    for n, id in enumerate(ids[:3], 1):
        withdraw_participant(store, what.id, id)
        # At once: nothing that organisers could still read counts them.
        assert newest_results(store, what.id, "organisers") is None
        recompute(store, what)
        # Whoever may look at single votes sees all who are left; others four people fewer.
        assert voters(seen(store, what, "organisers")) == {PEOPLE - n}
        steps.append(seen(store, what, "viewers"))
        assert voters(steps[-1]) == {PEOPLE - n - 4}
        assert steps[-1].people == seen(store, what, "participants").people == PEOPLE - n - 4
    for row in everything_stored(store):
        told = json.dumps([row["organisers_results"], row["participants_results"]])
        assert not any(id in told for id in ids[:3])
        assert row["people"] <= PEOPLE - 3


@pytest.mark.slow
def test_two_withdrawals_leave_out_other_people(store: Store, what: StoredConsultation) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    left_out = []
    for id in ids[:4]:
        withdraw_participant(store, what.id, id)
        recompute(store, what)
        left_out.append(set(seen(store, what, "participants").result["left_out"]))
    for one, other in pairwise(left_out):
        assert len(one) == len(other) == 4 and not one & other


@pytest.mark.slow
def test_the_next_step_comes_when_five_people_more_have_voted(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    withdraw_participant(store, what.id, ids[0])
    recompute(store, what)
    step = seen(store, what, "participants")
    # One person more would make 30 again, as before the withdrawal: whoever knows how the new
    # person voted would know how the other one had.
    for n in range(4):
        crowd(store, what, 1, seed=n + 1)
        recompute(store, what)
        assert seen(store, what, "participants").version == step.version
    crowd(store, what, 1, seed=9)
    recompute(store, what)
    assert seen(store, what, "participants").people == PEOPLE - 1 + 5


@pytest.mark.slow
def test_results_are_renewed_in_an_archived_consultation_too(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    consultations.set_phase(store, what.id, "archived", "tests")
    archived = consultations.find_consultation(store, what.slug)
    assert not is_due(store, archived)
    withdraw_participant(store, what.id, ids[0])
    assert is_due(store, archived)
    recompute(store, archived)
    assert seen(store, what, "participants").people == PEOPLE - 5
    assert not is_due(store, archived)


@pytest.mark.slow
def test_taking_consent_back_renews_results_as_withdrawing_does(
    store: Store, what: StoredConsultation
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    participants.give_consent(store, what.id, ids[0], Scopes(take_part=False), "revoked")
    assert is_due(store, what)
    recompute(store, what)
    assert voters(seen(store, what, "organisers")) == {PEOPLE - 1}
    assert voters(seen(store, what, "viewers")) == {PEOPLE - 5}


@pytest.mark.slow
def test_results_of_too_few_people_go_away(store: Store, what: StoredConsultation) -> None:
    ids = crowd(store, what, 18)
    recompute(store, what)
    withdraw_participant(store, what.id, ids[0])
    recompute(store, what)
    assert newest_results(store, what.id, "participants") is None
    assert newest_results(store, what.id, "viewers") is None
    assert voters(seen(store, what, "organisers")) == {17}
    # The next ones still differ by five people from those that were shown before.
    crowd(store, what, 4, seed=1)
    recompute(store, what)
    assert newest_results(store, what.id, "participants") is None
    assert newest_results(store, what.id, "viewers") is None
    crowd(store, what, 1, seed=2)
    recompute(store, what)
    assert seen(store, what, "participants").people == 22


@pytest.mark.slow
def test_who_withdraws_while_results_are_computed_is_not_in_them(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    crowd(store, what, 6, seed=5)
    find, calls = consultation_results.find_results, []

    def slow(*given: Any) -> Any:
        found = find(*given)
        if not calls:
            withdraw_participant(store, what.id, ids[0])
        calls.append(found.people)
        return found

    monkeypatch.setattr(watcher, "find_results", slow)
    recompute(store, what)
    assert calls[0] == PEOPLE + 6  # they were read before the withdrawal
    assert voters(seen(store, what, "organisers")) == {PEOPLE + 5}
    assert voters(seen(store, what, "viewers")) == {PEOPLE + 1}


@pytest.mark.slow
def test_who_withdraws_while_results_are_computed_is_in_no_group_of_before(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    with store.write() as c:
        dissolved = KnownGroup(7, frozenset(ids[:2]), current=False)
        store_groups(c, what.id, [*stored_groups(c, what.id), dissolved])
    find = consultation_results.find_results

    def overtaken(*given: Any) -> Any:
        found = find(*given)
        withdraw_participant(store, what.id, ids[0])
        return found

    monkeypatch.setattr(watcher, "find_results", overtaken)
    recompute(store, what)
    with store.read() as c:
        assert {of.number: of.members for of in stored_groups(c, what.id)}[7] == {ids[1]}


@pytest.mark.slow
def test_results_are_renewed_though_somebody_withdraws_during_each_computation(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    gone = ids[:1]
    withdraw_participant(store, what.id, ids[0])
    find = consultation_results.find_results

    def overtaken(*given: Any) -> Any:
        found = find(*given)
        gone.append(ids[len(gone)])
        withdraw_participant(store, what.id, gone[-1])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(watcher, "find_results", overtaken)
        for _ in range(2):
            before = seen(store, what, "participants")
            recompute(store, what)
            after = seen(store, what, "participants")
            assert after.version > before.version
            # Each computation finds groups twice: of everybody, and of four people fewer.
            assert voters(seen(store, what, "organisers")) == {PEOPLE - len(gone)}
            # Of the four whose votes are left out, one or two may have gone too; others stand in.
            assert max(voters(seen(store, what, "viewers"))) <= after.people
            stored = json.dumps(everything_stored(store), default=str)
            assert not any(id in stored for id in gone)
            with store.read() as c:
                assert not set(current_numbers(c, what.id)) & set(gone)
                step = newest_step(c, what.id)
            # Of the four who are left out, one or two may have gone too.
            assert after.people == PEOPLE - len(gone) - len(step.left_out) and step.overtaken
    # The groups were found with their votes, so they are found again once nobody leaves.
    assert len(gone) == 5 and is_due(store, what)
    recompute(store, what)
    with store.read() as c:
        step = newest_step(c, what.id)
    assert not step.must_go
    # Others are left out now than before, whose votes do not count yet either.
    most = PEOPLE - 5 - len(step.left_out)
    assert len(step.left_out) == 4
    assert most - 2 * 4 <= seen(store, what, "participants").people <= most


@pytest.mark.slow
def test_who_withdraws_at_the_last_moment_before_results_are_stored_is_not_in_them(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    crowd(store, what, 5, seed=5)
    ready, gone = watcher.made_ready, list[str]()

    def late(*given: Any) -> None:
        ready(*given)
        gone.append(ids[len(gone)])
        withdraw_participant(store, what.id, gone[-1])

    monkeypatch.setattr(watcher, "made_ready", late)
    recompute(store, what)
    left = PEOPLE + 5 - len(gone)
    assert len(gone) == watcher.COUNTED_AGAIN and voters(seen(store, what, "organisers")) == {left}
    # Nobody knew at the start that anybody would have to be left out: four of each of the groups in
    # which those who went were.
    assert seen(store, what, "participants").people == left - 4 * 2


@pytest.mark.slow
def test_who_comes_back_and_leaves_during_each_computation_renews_results_twice_at_most(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    find = consultation_results.find_results

    def consent(take_part: bool) -> None:
        participants.give_consent(store, what.id, ids[0], Scopes(take_part=take_part), "t")

    def overtaken(*given: Any) -> Any:
        consent(False)
        found = find(*given)
        consent(True)
        return found

    monkeypatch.setattr(watcher, "find_results", overtaken)
    versions = []
    for _ in range(4):
        recompute(store, what)
        versions.append(seen(store, what, "viewers").version)
    assert versions[0] < versions[1] == versions[2] == versions[3]
    assert voters(seen(store, what, "organisers")) == {PEOPLE - 1}


@pytest.mark.slow
def test_words_that_are_taken_back_while_results_are_computed_are_not_in_them(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    with store.write() as c:
        c.execute(schema.participant.update().values(takes_part=True))
    wrote = [
        statements.propose_statement(store, what.id, id, f"Only I say {word}", "en").id
        for id, word in ((ids[0], "zanzibar"), (ids[1], "quokka"))
    ]
    statements.moderate_statements(store, what.id, wrote, "accepted", "ok", None)
    for other in ids[2:]:
        acts.vote(store, what.id, other, wrote[0], 1)
    find = consultation_results.find_results

    def overtaken(*given: Any) -> Any:
        found = find(*given)
        withdraw_participant(store, what.id, ids[0])
        withdraw_participant(store, what.id, ids[1], keep_statements=True)
        return found

    monkeypatch.setattr(watcher, "find_results", overtaken)
    recompute(store, what)
    stored = json.dumps(everything_stored(store), default=str)
    assert "zanzibar" not in stored and "quokka" in stored
    assert seen(store, what, "participants").people == PEOPLE - 2


@pytest.mark.slow
def test_results_of_an_archived_consultation_are_found_again_after_a_withdrawal_meanwhile(
    store: Store, what: StoredConsultation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = crowd(store, what, PEOPLE)
    recompute(store, what)
    consultations.set_phase(store, what.id, "archived", "tests")
    archived = consultations.find_consultation(store, what.slug)
    withdraw_participant(store, what.id, ids[0])
    find = consultation_results.find_results
    leaving = iter(ids[1:2])

    def overtaken(*given: Any) -> Any:
        for id in leaving:
            withdraw_participant(store, what.id, id)
        return find(*given)

    monkeypatch.setattr(watcher, "find_results", overtaken)
    recompute(store, archived)
    assert is_due(store, archived)
    recompute(store, archived)
    assert voters(seen(store, what, "organisers")) == {PEOPLE - 2} and not is_due(store, archived)


@pytest.mark.slow
def test_only_who_may_look_at_single_votes_sees_each_computation(tmp_path: Path) -> None:
    made = site(tmp_path / "store")
    what = consultation(made.store)
    crowd(made.store, what, PEOPLE)
    for role in ("owner", "analyst", "moderator", "viewer"):
        made.staff(what, role, f"{role}@example.org")  # type: ignore[arg-type]

    def page(role: str) -> str:
        visitor = made.browser()
        visitor.log_in(f"{role}@example.org")
        shown = visitor.get(f"/admin/c/{what.id}/groups").text
        return shown.split("<h2", 2)[-1]

    def drawings(role: str) -> str:
        visitor = made.browser()
        visitor.log_in(f"{role}@example.org")
        shown = visitor.get(f"/admin/c/{what.id}/groups").text
        return "".join(re.findall(r"<figure>.*?</svg>", shown, re.S))

    recompute(made.store, what)
    before = {role: page(role) for role in ("owner", "analyst", "moderator", "viewer")}
    crowd(made.store, what, 1, seed=3)
    recompute(made.store, what)
    after = {role: page(role) for role in before}
    assert {role for role in before if before[role] != after[role]} == {"owner", "analyst"}
    # Nor do others see a mark for each person: the one that goes and does not come back would be
    # that of somebody who withdrew.
    marks = {role: drawings(role) for role in before}
    assert {role for role, of in marks.items() if 'class="plane"' in of} == {"owner", "analyst"}
    assert all("<circle" in of for of in marks.values())


@pytest.mark.slow
def test_no_byte_of_what_somebody_wrote_is_left_on_the_disk(
    store: Store, what: StoredConsultation, tmp_path: Path
) -> None:
    (id,) = crowd(store, what, 1)
    others = crowd(store, what, PEOPLE, seed=1)
    with store.write() as c:
        c.execute(schema.participant.update().values(takes_part=True))
    words = [f"Only I say zanzibar and {n} quokkas" for n in range(3)]
    written = [statements.propose_statement(store, what.id, id, text, "en").id for text in words]
    statements.moderate_statements(store, what.id, written[:2], "accepted", "ok", None)
    for other in others:
        acts.vote(store, what.id, other, written[0], 1)
    recompute(store, what)
    on_disk = b"".join(file.read_bytes() for file in (tmp_path / "store").iterdir())
    assert on_disk.count(b"zanzibar") > 3
    withdraw_participant(store, what.id, id)
    files = {file.name: file.read_bytes() for file in (tmp_path / "store").iterdir()}
    assert {name: body.count(b"zanzibar") for name, body in files.items()} == dict.fromkeys(
        files, 0
    )
    assert files["consultation.db-wal"] == b""


def test_a_reader_only_delays_the_emptying_of_the_log(
    store: Store, what: StoredConsultation
) -> None:
    crowd(store, what, 1)
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        with store.read() as c:
            c.execute(select(schema.vote)).all()
            reading.set()
            done.wait(30)

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait(30)
    crowd(store, what, 1, seed=1)
    assert not store.forget_deleted()
    done.set()
    reader.join()
    assert store.forget_deleted()


def test_leaving_people_out_spares_those_left_out_before(
    store: Store, what: StoredConsultation
) -> None:
    from random import Random

    from suffrage.server.store.contents import to_consultation

    crowd(store, what, 10)
    content = to_consultation(store, what.slug)
    some, first = consultation_results.without_some(content, 4, (), Random(0))
    assert some.participants["excluded"].sum() == 4 and len(set(first)) == 4
    _, second = consultation_results.without_some(content, 4, first, Random(0))
    assert not set(first) & set(second)
    # Where there are not enough others, some are left out again.
    _, third = consultation_results.without_some(content, 8, first, Random(0))
    assert len(set(third)) == 8 and set(first) | set(third) == set(content.votes["participant"])
    nobody = replace(content, votes=content.votes.head(0))
    assert consultation_results.without_some(nobody, 4, (), Random(0))[1] == ()
