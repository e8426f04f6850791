"""Statements: written, held back, moderated, and found when somebody writes a similar one.

A statement's text never changes once written: another wording is another statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from suffrage.consult.consultation import STATES
from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import (
    ConsultationSettings,
    find_consultation_by_id,
    require_open,
)
from suffrage.server.store.database import (
    NotFoundError,
    RefusedError,
    Store,
    next_position,
    now,
)
from suffrage.server.store.database_schema import moderation_event, statement, statement_translation
from suffrage.server.store.driver import Driver
from suffrage.server.store.participants import begin_act
from suffrage.server.store.secret_keys import new_id
from suffrage.server.texts import Near, clean, fold, near_duplicates, personal_details

State = Literal["accepted", "pending", "rejected", "flagged"]
# Why a statement may be rejected: the moderation policy says the same in words.
REASONS = (
    "ok",
    "duplicate",
    "off_topic",
    "unclear",
    "several_ideas",
    "personal_details",
    "abusive",
    "spam",
    "unlawful",
    "restored",
)


@dataclass(frozen=True)
class StoredStatement:
    """One statement."""

    id: str
    text: str
    language: str
    author_id: str | None
    seed: bool
    state: State
    # Kinds of personal details it may hold.
    flags: Sequence[str]
    position: int
    created: int


@dataclass(frozen=True)
class Moderation:
    """One decision about a statement."""

    id: int
    statement_id: str
    # None where the rules decided.
    staff_id: str | None
    from_state: str
    to_state: str
    reason: str
    note: str
    at: int


def propose_statement(
    store: Store, consultation_id: str, participant_id: str, text: str, language: str
) -> StoredStatement:
    """Store what a participant wrote; it does not count as their vote.

    The text is cleaned. The statement waits where the consultation moderates before, and where it
    may hold personal details. The same text again returns the statement there is.

    Raises
    ------
    RefusedError
        "closed", "consent", "withdrawn", "statements" (organisers write them), "empty", "length",
        "too_many", "language".
    """
    tidy = clean(text)
    with store.write() as c:
        s = require_open(c, consultation_id).settings
        begin_act(Driver(c), consultation_id, participant_id)
        same = _checked(c, consultation_id, s, participant_id, tidy, language)
        if same is not None:
            return same
        flags = personal_details(tidy)
        state = "flagged" if flags else "accepted" if s.moderation == "after" else "pending"
        id = _insert(c, consultation_id, tidy, language, state, author=participant_id, flags=flags)
        if flags:
            _log(c, consultation_id, id, None, "pending", "flagged", "personal_details")
        return _get(c, consultation_id, id)


def check_statement(
    store: Store, consultation_id: str, participant_id: str, text: str, language: str
) -> None:
    """Refuse what `propose_statement` would refuse of a text, and store nothing."""
    with store.read() as c:
        s = require_open(c, consultation_id).settings
        _checked(c, consultation_id, s, participant_id, clean(text), language)


def _checked(
    c: Connection,
    consultation_id: str,
    s: ConsultationSettings,
    participant_id: str,
    tidy: str,
    language: str,
) -> StoredStatement | None:
    """Return the statement that says the same already, if there is one. Raises RefusedError."""
    if s.statements_by != "participants":
        raise RefusedError("statements", "the organisers write the statements here.")
    if not fold(tidy):
        raise RefusedError("empty", "the statement has no words.")
    if len(tidy) > s.statement_characters:
        raise RefusedError(
            "length",
            f"the statement has {len(tidy)} characters; at most {s.statement_characters}.",
        )
    if language not in s.languages:
        raise RefusedError("language", f"{language[:20]!r} is not a language here.")
    same = _by_key(c, consultation_id, fold(tidy))
    if same is not None:
        return same
    written = c.scalar(
        select(func.count()).where(
            statement.c.consultation_id == consultation_id,
            statement.c.author_id == participant_id,
        )
    )
    if int(written or 0) >= s.statements_each:
        raise RefusedError("too_many", f"{s.statements_each} statements a person are enough.")
    return None


def add_seeds(
    store: Store,
    consultation_id: str,
    texts: Iterable[tuple[str, str]],
    actor: str,
    state: State = "accepted",
) -> list[StoredStatement]:
    """Put in the organisers' own statements, as (text, language), and return them.

    One that is there is returned as it is. Raises InputError naming the row of a statement that is
    empty or too long.
    """
    done = []
    with store.write() as c:
        s = find_consultation_by_id(c, consultation_id).settings
        for row, (text, language) in enumerate(texts, 1):
            tidy = clean(text)
            if not fold(tidy) or len(tidy) > s.statement_characters:
                raise InputError(
                    "statement %(row)s has %(count)s characters; it needs 1 to %(most)s.",
                    row=row,
                    count=len(tidy),
                    most=s.statement_characters,
                )
            same = _by_key(c, consultation_id, fold(tidy))
            id = same.id if same else _insert(c, consultation_id, tidy, language, state, seed=True)
            done.append(same or _get(c, consultation_id, id))
        audit.append_entry(c, consultation_id, actor, "statement.seed", "", {"count": len(done)})
    return done


def moderate_statements(
    store: Store,
    consultation_id: str,
    ids: Sequence[str],
    to: State,
    reason: str,
    staff_id: str | None,
    note: str = "",
) -> int:
    """Move statements to a state, with the reason, and return how many moved.

    Votes on them stay whatever the state is. Raises InputError for an unknown state or reason, and
    NotFoundError for an unknown id; then none is moved.
    """
    if to not in STATES:
        raise InputError(
            'state is "%(state)s"; it must be one of %(known)s.', state=to, known=", ".join(STATES)
        )
    if reason not in REASONS:
        raise InputError(
            'reason is "%(reason)s"; it must be one of %(known)s.',
            reason=reason,
            known=", ".join(REASONS),
        )
    moved = 0
    with store.write() as c:
        for id in ids:
            before = _get(c, consultation_id, id)
            if before.state == to:
                continue
            c.execute(
                update(statement)
                .where(statement.c.consultation_id == consultation_id, statement.c.id == id)
                .values(state=to)
            )
            _log(c, consultation_id, id, staff_id, before.state, to, reason, clean(note))
            detail = {"from": before.state, "to": to, "reason": reason}
            audit.append_entry(
                c, consultation_id, staff_id or "rules", "statement.moderate", id, detail
            )
            moved += 1
    return moved


def translate_statement(
    store: Store,
    consultation_id: str,
    statement_id: str,
    language: str,
    text: str,
    source: Literal["human", "machine"],
    actor: str,
) -> None:
    """Set a statement's wording in another language; an empty one takes it away.

    The original stays and is what is voted on.
    """
    from suffrage.server.store.database import upsert

    with store.write() as c:
        _get(c, consultation_id, statement_id)
        key = {
            "consultation_id": consultation_id,
            "statement_id": statement_id,
            "language": language,
        }
        values = {"text": clean(text), "source": source, "reviewed": source == "human"}
        if values["text"]:
            c.execute(
                upsert(c, statement_translation)
                .values(**key, **values)
                .on_conflict_do_update(index_elements=list(key), set_=values)
            )
        else:
            is_it = [statement_translation.c[name] == value for name, value in key.items()]
            c.execute(delete(statement_translation).where(*is_it))
        audit.append_entry(c, consultation_id, actor, "statement.translate", statement_id)


def translations_into(
    store: Store, consultation_id: str, language: str
) -> dict[str, tuple[str, str]]:
    """Return text and source of the translations into a language, by statement."""
    t = statement_translation.c
    query = select(t.statement_id, t.text, t.source).where(
        t.consultation_id == consultation_id, t.language == language
    )
    with store.read() as c:
        return {row.statement_id: (row.text, row.source) for row in c.execute(query)}


def list_statements(
    store: Store, consultation_id: str, states: Sequence[str] | None = None
) -> list[StoredStatement]:
    """Return statements in the order they came, of all states or of some."""
    query = select(*_COLUMNS).where(statement.c.consultation_id == consultation_id)
    if states is not None:
        query = query.where(statement.c.state.in_(list(states)))
    with store.read() as c:
        rows = c.execute(query.order_by(statement.c.position)).mappings()
        return [StoredStatement(**row) for row in rows]


def find_statement(store: Store, consultation_id: str, statement_id: str) -> StoredStatement:
    """Return one statement. Raises NotFoundError."""
    with store.read() as c:
        return _get(c, consultation_id, statement_id)


def list_decisions(
    store: Store, consultation_id: str, statement_id: str | None = None
) -> list[Moderation]:
    """Return what was decided about one statement or all, in order."""
    columns = [moderation_event.c[name] for name in Moderation.__dataclass_fields__]
    query = select(*columns).where(moderation_event.c.consultation_id == consultation_id)
    if statement_id is not None:
        query = query.where(moderation_event.c.statement_id == statement_id)
    with store.read() as c:
        rows = c.execute(query.order_by(moderation_event.c.id)).mappings()
        return [Moderation(**row) for row in rows]


@dataclass(frozen=True)
class DecisionCounts:
    """What became of the statements that participants wrote."""

    written: int
    accepted: int
    waiting: int
    # By the reason of the last decision, the most frequent first.
    rejected: Mapping[str, int]


def count_decisions(store: Store, consultation_id: str) -> DecisionCounts:
    """Count what became of the statements that participants wrote, and why some are not shown."""
    theirs = [s for s in list_statements(store, consultation_id) if not s.seed]
    reasons = last_reasons(store, consultation_id)
    rejected = Counter(reasons.get(s.id, "duplicate") for s in theirs if s.state == "rejected")
    return DecisionCounts(
        written=len(theirs),
        accepted=sum(s.state == "accepted" for s in theirs),
        waiting=sum(s.state in ("pending", "flagged") for s in theirs),
        rejected=dict(rejected.most_common()),
    )


def last_reasons(store: Store, consultation_id: str) -> dict[str, str]:
    """Return the reason of the last decision about each statement that was decided on."""
    return {m.statement_id: m.reason for m in list_decisions(store, consultation_id)}


def similar_statements(store: Store, consultation_id: str, text: str, most: int = 3) -> list[Near]:
    """Return accepted statements that say nearly the same, at most `most`."""
    found = list_statements(store, consultation_id, ["accepted"])
    return near_duplicates(clean(text), ((s.id, s.text) for s in found), most=most)


_COLUMNS = [statement.c[name] for name in StoredStatement.__dataclass_fields__]


def _get(c: Connection, consultation_id: str, id: str) -> StoredStatement:
    row = c.execute(
        select(*_COLUMNS).where(
            statement.c.consultation_id == consultation_id, statement.c.id == id
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("there is no such statement.")
    return StoredStatement(**row._mapping)


def _by_key(c: Connection, consultation_id: str, key: str) -> StoredStatement | None:
    row = c.execute(
        select(*_COLUMNS)
        .where(statement.c.consultation_id == consultation_id, statement.c.text_key == key)
        .order_by(statement.c.position)
        .limit(1)
    ).one_or_none()
    return None if row is None else StoredStatement(**row._mapping)


def _insert(
    c: Connection,
    consultation_id: str,
    text: str,
    language: str,
    state: str,
    author: str | None = None,
    seed: bool = False,
    flags: Sequence[str] = (),
) -> str:
    id = new_id()
    c.execute(
        insert(statement).values(
            consultation_id=consultation_id,
            id=id,
            text=text,
            text_key=fold(text),
            language=language,
            author_id=author,
            seed=seed,
            state=state,
            flags=list(flags),
            position=next_position(c, statement.c.position, consultation_id),
            created=now(),
        )
    )
    return id


def _log(
    c: Connection,
    consultation_id: str,
    id: str,
    staff_id: str | None,
    before: str,
    after: str,
    reason: str,
    note: str = "",
) -> None:
    values: dict[str, Any] = {
        "consultation_id": consultation_id,
        "statement_id": id,
        "staff_id": staff_id,
        "from_state": before,
        "to_state": after,
        "reason": reason,
        "note": note,
        "at": now(),
    }
    c.execute(insert(moderation_event).values(values))
