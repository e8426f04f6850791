"""Votes in the store: the last one of each participant on each statement, and a log of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from suffrage.errors import InputError
from suffrage.server.store.consultations import require_open_phase
from suffrage.server.store.database import NotFoundError, RefusedError, Store, now
from suffrage.server.store.database_schema import (
    consultation,
    exposure,
    participant,
    statement,
    vote,
    vote_event,
)
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.exposures import mark_answered
from suffrage.server.store.participants import begin_act


@dataclass(frozen=True)
class Receipt:
    """Confirms that something is stored; it is given out after the commit."""

    # Of the logged event (votes), the comparison, or the answer reacted to.
    id: str
    # Milliseconds since 1970.
    at: int
    # Whether it changed anything; the same act again is stored once.
    new: bool


@dataclass(frozen=True)
class Vote:
    """A participant's last vote on a statement."""

    statement_id: str
    # 1 agree, 0 pass, -1 disagree.
    value: int
    important: bool
    # The place among the participant's acts.
    position: int
    updated: int


def record_vote(
    d: Driver,
    consultation_id: str,
    participant_id: str,
    statement_id: str,
    value: int,
    important: bool = False,
    exposure_id: str | None = None,
) -> Receipt:
    """Store a vote in place of an earlier one, and log it.

    Whatever refuses the vote is found before anything but the number of the act is written. The
    same vote again changes nothing and returns the first receipt.

    Parameters
    ----------
    value : int
        1 agree, 0 pass, -1 disagree.
    exposure_id : str, optional
        The showing that is answered, whose probability is kept with the vote.

    Raises
    ------
    RefusedError
        "closed", "consent", "withdrawn", or "state": the statement is not open to votes.
    NotFoundError
        There is no such participant, statement or showing here.
    """
    if value not in (-1, 0, 1):
        raise InputError(f"vote is {value}; it must be 1 (agree), 0 (pass) or -1 (disagree).")
    # First, because it holds the person's row: nobody else changes what is read after it.
    position = begin_act(d, consultation_id, participant_id)
    keys = {
        "consultation_id": consultation_id,
        "participant_id": participant_id,
        "statement_id": statement_id,
    }
    row = d.one(_BEFORE, {**keys, "exposure_id": exposure_id or ""})
    before = _Before(*row) if row else _Before()
    require_open_phase(before.phase)
    if before.value is not None and (before.value, bool(before.important)) == (value, important):
        return Receipt(str(before.event_id), int(before.updated or 0), new=False)
    _check_votable(before, statement_id, exposure_id)
    at = now()
    if exposure_id is not None and before.answered_at is None:
        mark_answered(d, consultation_id, exposure_id, at)
    given = {**keys, "value": value, "important": important}
    event = d.one(_LOG, {**given, "at": at})
    event_id = event[0] if event else None
    probability = before.probability if exposure_id is not None else None
    more = {"exposure_id": exposure_id, "probability": probability, "position": position}
    d.run(
        _upsert(d.connection.dialect.name), {**given, **more, "event_id": event_id, "updated": at}
    )
    return Receipt(str(event_id), at, new=True)


class _Before(NamedTuple):
    """All that decides about a vote, read in one look; None where there is no such row."""

    # Of the consultation and the statement.
    phase: str | None = None
    state: str | None = None
    # Of this person's earlier vote on the statement.
    value: int | None = None
    important: bool | None = None
    event_id: int | None = None
    updated: int | None = None
    # Of the showing that is answered.
    kind: str | None = None
    item_id: str | None = None
    answered_at: int | None = None
    probability: float | None = None


_THIS_VOTE = (
    (vote.c.consultation_id == consultation.c.id)
    & (vote.c.participant_id == bindparam("participant_id"))
    & (vote.c.statement_id == bindparam("statement_id"))
)
_BEFORE = Prepared(
    select(
        *(
            table.c[name]
            for table, names in (
                (consultation, ("phase",)),
                (statement, ("state",)),
                (vote, ("value", "important", "event_id", "updated")),
                (exposure, ("kind", "item_id", "answered_at", "probability")),
            )
            for name in names
        )
    )
    .select_from(consultation)
    .outerjoin(
        statement,
        (statement.c.consultation_id == consultation.c.id)
        & (statement.c.id == bindparam("statement_id")),
    )
    .outerjoin(vote, _THIS_VOTE)
    .outerjoin(
        exposure,
        (exposure.c.consultation_id == consultation.c.id)
        & (exposure.c.id == bindparam("exposure_id"))
        & (exposure.c.participant_id == bindparam("participant_id")),
    )
    .where(consultation.c.id == bindparam("consultation_id"))
)


def _check_votable(before: _Before, statement_id: str, exposure_id: str | None) -> None:
    if before.state is None:
        raise NotFoundError("there is no such statement.")
    if before.state != "accepted" and before.value is None:
        raise RefusedError("state", "this statement is not open to votes.")
    if exposure_id is not None and (before.kind, before.item_id) != ("vote", statement_id):
        raise NotFoundError("there is no such question.")


def votes_by(store: Store, consultation_id: str, participant_id: str) -> list[Vote]:
    """Return a participant's own votes, in the order they were first given."""
    columns = [vote.c[name] for name in Vote.__dataclass_fields__]
    query = select(*columns).where(
        vote.c.consultation_id == consultation_id, vote.c.participant_id == participant_id
    )
    with store.read() as c:
        rows = c.execute(query.order_by(vote.c.position)).mappings()
        return [Vote(**row) for row in rows]


def statements_voted_on(d: Driver, consultation_id: str, participant_id: str) -> Sequence[str]:
    """Return the ids of the statements a participant has voted on."""
    return [row[0] for row in d.all(_VOTED_ON, {"of": consultation_id, "who": participant_id})]


def last_vote_event(store: Store, consultation_id: str) -> int:
    """Return the number of the newest vote event here, 0 without any."""
    query = select(func.max(vote_event.c.id)).where(vote_event.c.consultation_id == consultation_id)
    with store.read() as c:
        return int(c.scalar(query) or 0)


def count_vote_events(store: Store, consultation_id: str, after: int) -> int:
    """Count the votes that were given or changed since the event of number `after`."""
    query = select(func.count()).where(
        vote_event.c.consultation_id == consultation_id, vote_event.c.id > after
    )
    with store.read() as c:
        return int(c.scalar(query) or 0)


def statement_tallies(store: Store, consultation_id: str) -> dict[str, tuple[int, int, int]]:
    """Return for each statement agrees, passes and all votes, of participants who count."""
    query = (
        select(vote.c.statement_id, vote.c.value, func.count())
        .join(
            participant,
            (participant.c.consultation_id == vote.c.consultation_id)
            & (participant.c.id == vote.c.participant_id),
        )
        .where(vote.c.consultation_id == consultation_id, participant.c.excluded_at.is_(None))
        .group_by(vote.c.statement_id, vote.c.value)
    )
    found: dict[str, tuple[int, int, int]] = {}
    with store.read() as c:
        for id, value, count in c.execute(query):
            agrees, passes, seen = found.get(id, (0, 0, 0))
            found[id] = agrees + count * (value == 1), passes + count * (value == 0), seen + count
    return found


_VOTED_ON = Prepared(
    select(vote.c.statement_id).where(
        vote.c.consultation_id == bindparam("of"), vote.c.participant_id == bindparam("who")
    )
)
_LOGGED = ("consultation_id", "participant_id", "statement_id", "value", "important", "at")
_LOG = Prepared(
    insert(vote_event)
    .values({name: bindparam(name) for name in _LOGGED})
    .returning(vote_event.c.id)
)


@cache
def _upsert(dialect: str) -> Prepared:
    """A vote in place of an earlier one, in a dialect's own words."""
    put = (sqlite if dialect == "sqlite" else postgresql).insert(vote)
    changed = ("value", "important", "event_id", "updated")
    return Prepared(
        put.on_conflict_do_update(
            index_elements=["consultation_id", "participant_id", "statement_id"],
            set_={name: put.excluded[name] for name in changed},
        )
    )
