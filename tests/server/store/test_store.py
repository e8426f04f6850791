"""The store: each act is stored whole, once, in its own consultation, on both databases."""

import multiprocessing
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from suffrage.consult import consultation as plain
from suffrage.errors import InputError, SuffrageError
from suffrage.server.store import (
    audit,
    consultations,
    database,
    demographics,
    invitations,
    participants,
    secret_keys,
    staff,
    staff_links,
    staff_sessions,
    statements,
    stored_judgements,
    stored_votes,
    withdrawals,
)
from suffrage.server.store import contents as tables
from suffrage.server.store import database_schema as schema
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.consultations import ConsultationSettings
from suffrage.server.store.database import NotFoundError, RefusedError, Store
from suffrage.server.store.participants import Scopes
from tests.server import acts
from tests.server.databases import SECRET
from tests.server.empty_stores import empty_store
from tests.server.opening import open_together

ALL = Scopes(take_part=True, votes=True, texts=True, training=True)
AGE = {
    "item": "age",
    "label": {"en": "Age"},
    "options": [{"value": v, "label": {"en": v}} for v in ("young", "old")],
}


@dataclass
class Running:
    """An open consultation with three statements and one prompt's two answers."""

    store: Store
    id: str
    statements: list[str]

    def person(self) -> str:
        joined = participants.join_consultation(self.store, self.id, None, "en")
        participants.give_consent(self.store, self.id, joined.participant.id, ALL, "text")
        return joined.participant.id

    def vote(self, person: str, statement: int, value: int) -> stored_votes.Receipt:
        return acts.vote(self.store, self.id, person, self.statements[statement], value)


def running(store: Store, slug: str = "water") -> Running:
    settings = ConsultationSettings.model_validate(
        {
            "open_to_all": True,
            "languages": ["en", "mi"],
            "demographics": [AGE],
            "organiser": "The council",
            "contact": "council@example.org",
        }
    )
    made = consultations.create_consultation(
        store, slug, {"en": "Water"}, {"en": "What now?"}, settings
    )
    consultations.set_phase(store, made.id, "open", "tests")
    texts = [(f"Statement {name} of {slug}", "en") for name in ("one", "two", "three")]
    seeds = statements.add_seeds(store, made.id, texts, "tests")
    answers.put_prompts(
        store,
        made.id,
        [answers.ShownPrompt("q", "Should it?", "en")],
        [answers.ShownAnswer(a, "q", f"Answer {a}", "model", "en") for a in ("a", "b")],
        "tests",
    )
    return Running(store, made.id, [s.id for s in seeds])


@pytest.fixture
def here(store: Store) -> Running:
    return running(store)


def test_migrations_make_the_tables_the_code_describes(store: Store) -> None:
    with store.read() as c:
        assert compare_metadata(MigrationContext.configure(c), schema.metadata) == []


def test_opening_again_changes_nothing(store: Store, address: str, here: Running) -> None:
    again = database.open_store(address)
    assert consultations.find_consultation(again, "water").id == here.id
    again.close()


def test_the_last_vote_counts_and_every_vote_is_logged(here: Running) -> None:
    person = here.person()
    for value in (1, -1, 0):
        here.vote(person, 0, value)
    votes = stored_votes.votes_by(here.store, here.id, person)
    assert [(v.statement_id, v.value) for v in votes] == [(here.statements[0], 0)]
    with here.store.read() as c:
        logged = c.scalars(select(schema.vote_event.c.value).order_by(schema.vote_event.c.id))
        assert list(logged) == [1, -1, 0]


def test_the_same_vote_again_is_stored_once(here: Running) -> None:
    person = here.person()
    first, second = here.vote(person, 0, 1), here.vote(person, 0, 1)
    assert (second.id, second.at) == (first.id, first.at)
    assert (first.new, second.new) == (True, False)


def test_concurrent_votes_of_one_person_leave_one_row(here: Running) -> None:
    person = here.person()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: here.vote(person, 0, (-1, 1)[at % 2]), range(16)))
    assert len(stored_votes.votes_by(here.store, here.id, person)) == 1


def test_concurrent_votes_of_many_people_all_count(here: Running) -> None:
    people = [here.person() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        receipts = list(pool.map(lambda p: here.vote(p, 0, 1), people))
    assert len({r.id for r in receipts}) == 12
    assert acts.voters(here.store, here.id) == (12, 12)


def test_what_fails_halfway_leaves_nothing(here: Running) -> None:
    person = here.person()
    before = participants.find_participant(here.store, here.id, person).acts
    with pytest.raises(NotFoundError):
        acts.vote(here.store, here.id, person, "nowhere", 1)
    assert participants.find_participant(here.store, here.id, person).acts == before


def test_an_invitation_lets_one_person_in_also_when_used_twice_at_once(here: Running) -> None:
    (token,) = invitations.create_invitations(here.store, here.id, 1, "tests", "north")
    barrier = threading.Barrier(6)

    def attempt(_: int) -> bool:
        barrier.wait()
        try:
            return participants.join_consultation(
                here.store, here.id, token, "en"
            ).participant.verified
        except RefusedError as error:
            assert error.reason == "used"
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1


def test_looking_at_an_invitation_does_not_use_it_up(here: Running) -> None:
    (token,) = invitations.create_invitations(here.store, here.id, 1, "tests")
    assert invitations.is_usable_invitation(here.store, here.id, token)
    assert invitations.is_usable_invitation(here.store, here.id, token)
    participants.join_consultation(here.store, here.id, token, "en")
    assert not invitations.is_usable_invitation(here.store, here.id, token)


@pytest.mark.parametrize("why", ["expired", "revoked", "unknown", "elsewhere"])
def test_an_invitation_that_is_not_good_is_refused(here: Running, why: str) -> None:
    other = running(here.store, "other")
    of = other.id if why == "elsewhere" else here.id
    expires = database.now() - 1 if why == "expired" else None
    (token,) = invitations.create_invitations(here.store, of, 1, "tests", expires=expires)
    if why == "revoked":
        (made,) = invitations.list_invitations(here.store, here.id)
        invitations.revoke_invitation(here.store, here.id, made.id, "tests")
    if why == "unknown":
        token = secret_keys.new_token()
    with pytest.raises(RefusedError, match="used before, or is not valid"):
        participants.join_consultation(here.store, here.id, token, "en")


def test_without_consent_nothing_is_stored(here: Running) -> None:
    joined = participants.join_consultation(here.store, here.id, None, "en").participant
    for act in (
        lambda: here.vote(joined.id, 0, 1),
        lambda: statements.propose_statement(
            here.store, here.id, joined.id, "A thought of mine", "en"
        ),
        lambda: stored_judgements.record_reaction(here.store, here.id, joined.id, "a", 1),
    ):
        with pytest.raises(RefusedError) as refused:
            act()
        assert refused.value.reason == "consent"


def test_consent_given_and_narrowed_stays_on_record(here: Running) -> None:
    person = here.person()
    participants.give_consent(here.store, here.id, person, Scopes(take_part=True), "text 2")
    now = participants.find_participant(here.store, here.id, person)
    assert (now.takes_part, now.consent_votes, now.consent_training) == (True, False, False)
    with here.store.read() as c:
        rows = c.execute(select(schema.consent).order_by(schema.consent.c.id)).all()
    assert [row.scopes["training"] for row in rows] == [True, False]
    assert rows[0].text_hash != rows[1].text_hash and len(rows[0].text_hash) == 64


def test_consent_is_narrowed_but_not_widened_once_closed(here: Running) -> None:
    person = here.person()
    consultations.set_phase(here.store, here.id, "closed", "tests")
    participants.give_consent(here.store, here.id, person, Scopes(take_part=True), "text")
    with pytest.raises(RefusedError):
        participants.give_consent(here.store, here.id, person, ALL, "text")


@pytest.mark.parametrize("phase", ["draft", "closed", "archived"])
def test_votes_are_stored_only_while_open(here: Running, phase: consultations.Phase) -> None:
    person = here.person()
    consultations.set_phase(here.store, here.id, phase, "tests")
    with pytest.raises(RefusedError, match="not open"):
        here.vote(person, 0, 1)


def test_nothing_of_another_consultation_can_be_reached(here: Running) -> None:
    there = running(here.store, "other")
    person, stranger = here.person(), there.person()
    shown = acts.show(here.store, there.id, stranger, "comparison", "q", "p", 0.5, "a", "b")
    for act in (
        lambda: acts.vote(here.store, here.id, stranger, here.statements[0], 1),
        lambda: acts.vote(here.store, here.id, person, there.statements[0], 1),
        lambda: stored_judgements.record_comparison(here.store, here.id, person, shown.id, "left"),
        lambda: withdrawals.withdraw_participant(here.store, here.id, stranger),
        lambda: participants.exclude_participant(here.store, here.id, stranger, "why", "tests"),
        lambda: statements.moderate_statements(
            here.store, here.id, [there.statements[0]], "rejected", "spam", None
        ),
        lambda: statements.find_statement(here.store, here.id, there.statements[0]),
    ):
        with pytest.raises(NotFoundError):
            act()


def test_sessions_and_codes_open_their_own_consultation_only(here: Running) -> None:
    there = running(here.store, "other")
    joined = participants.join_consultation(here.store, here.id, None, "en")
    code = participants.return_code(here.store, here.id, joined.participant.id)
    assert (
        participants.participant_of_session(here.store, here.id, joined.session)
        == joined.participant
    )
    assert participants.participant_of_session(here.store, there.id, joined.session) is None
    with pytest.raises(RefusedError):
        participants.come_back(here.store, there.id, code)
    typed = code.lower().replace("-", "  ").replace("0", "o").replace("1", "l")
    assert participants.come_back(here.store, here.id, typed).participant == joined.participant
    participants.end_session(here.store, here.id, joined.session)
    assert participants.participant_of_session(here.store, here.id, joined.session) is None


def test_no_token_code_or_password_is_in_the_database(here: Running) -> None:
    (token,) = invitations.create_invitations(here.store, here.id, 1, "tests")
    joined = participants.join_consultation(here.store, here.id, token, "en")
    code = participants.return_code(here.store, here.id, joined.participant.id)
    ana = staff.add_member(here.store, "ana@example.org", "a long password")
    link = staff_links.make_link(here.store, ana.id, "tests")
    logged = staff_sessions.log_in_member(here.store, "ana@example.org", "a long password")
    assert logged
    with here.store.read() as c:
        everything = " ".join(
            str(tuple(row))
            for table in schema.metadata.sorted_tables
            for row in c.execute(select(table))
        )
    tokens = (token, joined.session, logged.session, logged.browser, link)
    for secret in (*tokens, code, "a long password"):
        assert secret not in everything
    assert joined.participant.id in everything


def test_a_new_key_makes_no_old_token_or_code_void(
    here: Running, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (token,) = invitations.create_invitations(here.store, here.id, 1, "tests")
    joined = participants.join_consultation(here.store, here.id, None, "en")
    id = joined.participant.id
    participants.give_consent(here.store, here.id, id, ALL, "text")
    demographics.set_demographics(here.store, here.id, id, {"age": "young"})
    code = participants.return_code(here.store, here.id, id)
    old = here.store.secrets.keys[0].decode()
    monkeypatch.setenv(secret_keys.VARIABLE, "n" * 40 + "," + old)
    rotated = database.open_store(address)
    assert participants.participant_of_session(rotated, here.id, joined.session) is not None
    assert participants.return_code(rotated, here.id, id) == code
    assert participants.join_consultation(rotated, here.id, token, "en").participant.verified
    demographics.set_demographics(rotated, here.id, id, {"age": "old"})
    assert demographics.demographics_of(rotated, here.id, id) == {"age": "old"}
    rotated.close()


def test_demographics_are_not_stored_under_the_participants_id(here: Running) -> None:
    person = here.person()
    demographics.set_demographics(here.store, here.id, person, {"age": "young"})
    with here.store.read() as c:
        (row,) = c.execute(select(schema.demographic)).all()
    assert person not in tuple(row)
    assert demographics.demographics_of(here.store, here.id, person) == {"age": "young"}
    demographics.set_demographics(here.store, here.id, person, {"age": None})
    assert demographics.demographics_of(here.store, here.id, person) == {}
    with pytest.raises(RefusedError):
        demographics.set_demographics(here.store, here.id, person, {"age": "ancient"})


@pytest.mark.slow
def test_withdrawing_leaves_nothing_but_that_somebody_did(here: Running) -> None:
    person, other = here.person(), here.person()
    demographics.set_demographics(here.store, here.id, person, {"age": "young"})
    here.vote(person, 0, 1)
    shown = acts.show(here.store, here.id, person, "comparison", "q", "p", 0.5, "a", "b")
    stored_judgements.record_comparison(here.store, here.id, person, shown.id, "left")
    stored_judgements.record_reaction(here.store, here.id, person, "a", 1)
    alone = statements.propose_statement(here.store, here.id, person, "Nobody voted on this", "en")
    voted = statements.propose_statement(
        here.store, here.id, person, "Somebody voted on this", "en"
    )
    statements.moderate_statements(here.store, here.id, [voted.id], "accepted", "ok", None)
    acts.vote(here.store, here.id, other, voted.id, 1)
    receipt = withdrawals.withdraw_participant(here.store, here.id, person)
    assert receipt.hash in {e.hash for e in audit.list_entries(here.store, here.id)}
    with here.store.read() as c:
        for table in schema.metadata.sorted_tables:
            if table.name not in ("participant", "audit"):
                rows = [tuple(row) for row in c.execute(select(table))]
                assert not any(person in row for row in rows), table.name
        assert c.execute(select(schema.demographic)).all() == []
    texts = {s.id: s.text for s in statements.list_statements(here.store, here.id)}
    assert alone.id not in texts
    assert texts[voted.id] == withdrawals.TAKEN_BACK
    left = tables.to_consultation(here.store, "water")
    assert left.participants["participant"].to_list() == [other]
    assert participants.count_participants(here.store, here.id)["withdrawn"] == 1
    with pytest.raises(RefusedError):
        here.vote(person, 0, 1)


def test_statements_can_stay_without_their_author(here: Running) -> None:
    person = here.person()
    kept = statements.propose_statement(here.store, here.id, person, "This may stay", "en")
    withdrawals.withdraw_participant(here.store, here.id, person, keep_statements=True)
    assert statements.find_statement(here.store, here.id, kept.id).text == "This may stay"
    assert statements.find_statement(here.store, here.id, kept.id).author_id is None


def test_exclusion_is_kept_apart_from_what_was_said_and_taken_back(here: Running) -> None:
    person = here.person()
    here.vote(person, 0, 1)
    participants.exclude_participant(here.store, here.id, person, "pasted text", "tests")
    assert acts.voters(here.store, here.id) == (0, 0)
    here.vote(person, 1, 1)  # they can go on
    out = tables.to_consultation(here.store, "water")
    assert out.votes.height == 2 and out.participants["excluded"].to_list() == [True]
    participants.include_participant(here.store, here.id, person, "tests")
    assert acts.voters(here.store, here.id) == (1, 2)


@pytest.mark.parametrize(
    ("how", "wording", "state"),
    [
        ("before", "More trains at night", "pending"),
        ("after", "More trains at night", "accepted"),
        ("after", "Ring me on 021 555 123", "flagged"),
        ("before", "Write to jo@example.org", "flagged"),
    ],
)
def test_a_statement_waits_where_it_should(
    here: Running, how: str, wording: str, state: str
) -> None:
    consultations.set_settings(here.store, here.id, {"moderation": how}, "tests")
    made = statements.propose_statement(here.store, here.id, here.person(), wording, "en")
    assert made.state == state


def test_only_accepted_statements_are_voted_on_and_votes_outlive_rejection(here: Running) -> None:
    person, other = here.person(), here.person()
    here.vote(person, 0, 1)
    statements.moderate_statements(
        here.store, here.id, [here.statements[0]], "rejected", "off_topic", None
    )
    here.vote(person, 0, -1)  # who voted may change it
    with pytest.raises(RefusedError) as refused:
        here.vote(other, 0, 1)
    assert refused.value.reason == "state"


def test_every_decision_has_its_reason_and_can_be_undone(here: Running) -> None:
    id = here.statements[0]
    statements.moderate_statements(here.store, here.id, [id], "rejected", "spam", None, "twice")
    statements.moderate_statements(here.store, here.id, [id], "accepted", "restored", None)
    told = statements.list_decisions(here.store, here.id, id)
    assert [(d.from_state, d.to_state, d.reason, d.note) for d in told] == [
        ("accepted", "rejected", "spam", "twice"),
        ("rejected", "accepted", "restored", ""),
    ]
    with pytest.raises(InputError):
        statements.moderate_statements(here.store, here.id, [id], "rejected", "because", None)


def test_the_same_words_are_one_statement(here: Running) -> None:
    person, other = here.person(), here.person()
    one = statements.propose_statement(here.store, here.id, person, "Teach Māori at school", "en")
    two = statements.propose_statement(here.store, here.id, other, "teach maaori at School!", "en")
    assert one.id == two.id


def test_a_pair_is_answered_once(here: Running) -> None:
    person = here.person()
    shown = acts.show(here.store, here.id, person, "comparison", "q", "p", 0.5, "b", "a")
    first = stored_judgements.record_comparison(
        here.store, here.id, person, shown.id, "left", 2, "clear"
    )
    again = stored_judgements.record_comparison(here.store, here.id, person, shown.id, "left")
    assert (again.id, again.new) == (first.id, False)
    with pytest.raises(RefusedError) as refused:
        stored_judgements.record_comparison(here.store, here.id, person, shown.id, "right")
    assert refused.value.reason == "replay"
    kept = tables.to_consultation(here.store, "water").comparisons.row(0, named=True)
    assert (kept["left"], kept["right"], kept["probability"]) == ("b", "a", 0.5)


def test_a_page_loaded_again_shows_the_same_until_it_is_answered(here: Running) -> None:
    person = here.person()
    shown = acts.show(here.store, here.id, person, "vote", here.statements[1], "p", 0.25)
    assert acts.open_question(here.store, here.id, person, "vote") == shown
    acts.vote(here.store, here.id, person, here.statements[1], 1, exposure_id=shown.id)
    assert acts.open_question(here.store, here.id, person, "vote") is None
    assert tables.to_consultation(here.store, "water").votes["probability"].to_list() == [0.25]


def test_prompts_never_change_under_what_was_compared(here: Running) -> None:
    with pytest.raises(InputError, match="another text"):
        answers.put_prompts(
            here.store, here.id, [answers.ShownPrompt("q", "Otherwise?", "en")], [], "tests"
        )
    with pytest.raises(InputError, match="is not here"):
        answers.put_prompts(
            here.store, here.id, [], [answers.ShownAnswer("c", "z", "text", "m", "en")], "tests"
        )


def test_the_audit_log_cannot_be_changed_or_deleted(here: Running) -> None:
    for act in (update(schema.audit).values(actor="nobody"), delete(schema.audit)):
        with pytest.raises(DBAPIError, match="append-only"), here.store.write() as c:
            c.execute(act)
    assert audit.check_chain(here.store, here.id) is None


def test_a_changed_dropped_or_cut_audit_entry_is_found(here: Running) -> None:
    chain = audit.list_entries(here.store, here.id)
    assert len(chain) >= 3 and audit.first_broken(chain) is None
    assert audit.first_broken([*chain[:1], replace(chain[1], actor="x"), *chain[2:]]) == 2
    assert audit.first_broken([*chain[:1], *chain[2:]]) == 2
    with here.store.write() as c:
        c.execute(update(schema.audit_head).values(hash="0"))
    assert audit.check_chain(here.store, here.id) == len(chain) + 1


def test_two_writers_of_the_audit_log_do_not_fork_it(here: Running) -> None:
    def write(at: int) -> None:
        with here.store.write() as c:
            audit.append_entry(c, here.id, "tests", "act", str(at))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(24)))
    assert audit.check_chain(here.store, here.id) is None


def test_staff_come_in_by_password_and_do_what_their_role_may(here: Running) -> None:
    ana = staff.add_member(here.store, "Ana@example.org", "a long password")
    staff.set_role(here.store, here.id, ana.id, "owner", "tests")
    found = staff_sessions.log_in_member(here.store, "ana@EXAMPLE.org", "a long password")
    assert found is not None and found.member == ana
    assert staff_sessions.member_of_session(here.store, found.session) == ana
    assert staff_sessions.log_in_member(here.store, "ana@example.org", "another password") is None
    assert staff_sessions.log_in_member(here.store, "bob@example.org", "a long password") is None
    assert "owner" in staff.MAY["moderate"] and "viewer" not in staff.MAY["moderate"]
    with pytest.raises(InputError, match="needs an owner"):
        staff.set_role(here.store, here.id, ana.id, "viewer", "tests")
    with pytest.raises(InputError, match="needs an owner"):
        staff.disable_member(here.store, ana.id, "tests")
    bob = staff.add_member(here.store, "bob@example.org", "a long password")
    staff.set_role(here.store, here.id, bob.id, "owner", "tests")
    staff.disable_member(here.store, ana.id, "tests")
    assert staff_sessions.member_of_session(here.store, found.session) is None
    assert staff_sessions.log_in_member(here.store, "ana@example.org", "a long password") is None


def filled(here: Running) -> plain.Consultation:
    for at in range(3):
        person = here.person()
        demographics.set_demographics(here.store, here.id, person, {"age": "young"})
        here.vote(person, at, 1)
        here.vote(person, (at + 1) % 3, -1)
        shown = acts.show(here.store, here.id, person, "comparison", "q", "p", 0.5, "a", "b")
        stored_judgements.record_comparison(
            here.store, here.id, person, shown.id, "tie", 3, "both clear"
        )
        stored_judgements.record_reaction(here.store, here.id, person, "b", -1)
        statements.propose_statement(here.store, here.id, person, f"Thought {'abc'[at]}", "en")
    with here.store.write() as c:
        of = schema.participant.c.id == person
        c.execute(update(schema.participant).where(of).values(weight=1.5))
    participants.exclude_participant(here.store, here.id, person, "spam", "tests")
    return tables.to_consultation(here.store, "water")


@pytest.fixture
def second(address: str, tmp_path: Path) -> Callable[[], Store]:
    return lambda: empty_store(tmp_path / "second")


def test_what_is_exported_and_imported_is_exported_equal(
    here: Running, second: Callable[[], Store]
) -> None:
    content = filled(here)
    assert content.votes.height == 6 and content.demographics.height == 3
    store = second()
    imported = tables.from_consultation(store, content)
    assert imported.phase == "closed"
    assert tables.to_consultation(store, "water") == content
    assert tables.to_consultation(store, "water").content_hash == content.content_hash
    with pytest.raises(InputError, match="taken"):
        tables.from_consultation(store, content)
    store.close()


def test_what_is_hidden_in_the_texts_of_an_import_is_taken_out(
    here: Running, second: Callable[[], Store]
) -> None:
    content = filled(here)
    text = pl.lit("good\u202e dog\0\u200b\nbad")
    hidden = replace(content, statements=content.statements.with_columns(text=text))
    store = second()
    tables.from_consultation(store, hidden)
    assert set(tables.to_consultation(store, "water").statements["text"]) == {"good dog\nbad"}
    named = content.participants.with_columns(language=pl.lit("en\0"))
    with pytest.raises(InputError, match="participants: the column language has a NUL"):
        tables.from_consultation(store, replace(content, slug="other", participants=named))
    store.close()


def test_importing_permuted_rows_gives_the_same(here: Running, second: Callable[[], Store]) -> None:
    content = filled(here)
    turned = {name: getattr(content, name).reverse() for name in plain.TABLES}
    # Prompts and answers have no order of their own in the tables.
    store = second()
    tables.from_consultation(store, replace(content, **turned))
    assert tables.to_consultation(store, "water") == content
    store.close()


@pytest.mark.slow
def test_the_files_of_a_consultation_go_through_the_store(
    here: Running, second: Callable[[], Store], tmp_path: object
) -> None:
    from pathlib import Path

    content = filled(here)
    folder = Path(str(tmp_path)) / "files"
    plain.write_consultation(content, folder)
    store = second()
    tables.from_consultation(store, plain.read_consultation(folder))
    assert isinstance(tables.to_consultation(store, "water").votes, pl.DataFrame)
    assert tables.to_consultation(store, "water") == content
    store.close()


def test_a_database_of_a_newer_version_is_refused(store: Store, address: str) -> None:
    with store.write() as c:
        c.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(InputError, match="newer version"):
        database.open_store(address)


@pytest.mark.slow
def test_two_processes_that_open_an_empty_store_at_once_both_find_it_whole(address: str) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    both = [context.Process(target=open_together, args=(address, ready)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    store = database.open_store(address)
    with store.read() as c:
        assert c.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    store.close()


def lock_file(path: Path) -> sqlite3.Connection:
    """As another process does that brings the file up to date, or uploads something large."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


@pytest.mark.slow
def test_opening_waits_for_a_migration_that_takes_longer_than_a_lock_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    folder = tmp_path / "store"
    folder.mkdir()
    other = lock_file(folder / database.DATABASE)
    timer = threading.Timer(0.5, other.rollback)
    timer.start()
    monkeypatch.setenv(secret_keys.VARIABLE, SECRET)
    database.open_store(str(folder), create=True).close()
    timer.join()
    # What has the newest version is opened although somebody writes to it.
    other.execute("BEGIN IMMEDIATE")
    database.open_store(str(folder)).close()
    other.close()


def test_a_store_that_stays_locked_is_said_to_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    monkeypatch.setattr(database, "MIGRATION_SECONDS", 0.1)
    monkeypatch.setenv(secret_keys.VARIABLE, SECRET)
    other = lock_file(tmp_path / database.DATABASE)
    with pytest.raises(SuffrageError, match="is locked: another program"):
        database.open_store(str(tmp_path), create=True)
    other.close()
    (tmp_path / database.DATABASE).write_bytes(b"no database at all " * 100)
    with pytest.raises(SuffrageError, match="damaged"):
        database.open_store(str(tmp_path))


def test_sqlite_waits_for_the_disk_and_keeps_keys(tmp_path: object, monkeypatch) -> None:
    monkeypatch.delenv(secret_keys.VARIABLE, raising=False)
    store = database.open_store(str(tmp_path), create=True)
    with store.read() as c:
        found = {
            name: c.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    store.close()


def test_a_store_without_its_secret_says_how_to_set_it(tmp_path, monkeypatch) -> None:
    for variable in (secret_keys.VARIABLE, secret_keys.FILE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    database.open_store(str(tmp_path), create=True).close()
    key = tmp_path / database.SECRET
    assert key.stat().st_mode & 0o077 == 0
    key.write_text("short")
    with pytest.raises(InputError, match="shorter than 32"):
        database.open_store(str(tmp_path))
    with pytest.raises(InputError, match="SUFFRAGE_SECRET"):
        secret_keys.find_secrets(None)
    with pytest.raises(InputError, match="consult new"):
        database.open_store(str(tmp_path / "nowhere"))
