"""What participants do: what is put before them, votes, comparisons and reactions.

Each returns a receipt after the commit: what it says is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from suffrage.consult.consultation import OUTCOMES
from suffrage.errors import InputError
from suffrage.server.store.consultations import check_open
from suffrage.server.store.database import (
    NotFoundError,
    RefusedError,
    Store,
    now,
    upsert,
)
from suffrage.server.store.database_schema import (
    answer,
    block,
    comparison,
    consultation,
    exposure,
    invitation,
    participant,
    reaction,
    statement,
    vote,
    vote_event,
)
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.participants import begin_act, begin_acts
from suffrage.server.store.secret_keys import new_id
from suffrage.server.texts import clean

Kind = Literal["vote", "comparison", "reaction"]
MOST_REASONS = 500
MINUTE = 60_000


@dataclass(frozen=True)
class Receipt:
    """Something stored. id: of the event (votes), the comparison, or the answer reacted to.

    new: whether it changed anything; the same act again is stored once. at: milliseconds.
    """

    id: str
    at: int
    new: bool


@dataclass(frozen=True)
class Exposure:
    """What was put before a participant. left_id, right_id: the answers as they stood, of a pair."""

    id: str
    participant_id: str
    kind: Kind
    item_id: str
    left_id: str | None
    right_id: str | None
    core: bool
    attention: str | None
    policy: str
    probability: float | None
    position: int
    shown_at: int
    answered_at: int | None


@dataclass(frozen=True)
class Vote:
    """A participant's last vote on a statement: 1 agree, 0 pass, -1 disagree."""

    statement_id: str
    value: int
    important: bool
    position: int
    updated: int


@dataclass(frozen=True)
class Block:
    """One sitting with its goal; times in milliseconds. Nothing is refused when it is over."""

    id: str
    started: int
    goal: int
    extended: int
    finished: int | None


def show(
    store: Store,
    consultation_id: str,
    participant_id: str,
    kind: Kind,
    item_id: str,
    policy: str,
    probability: float | None,
    left_id: str | None = None,
    right_id: str | None = None,
    core: bool = False,
    attention: str | None = None,
) -> Exposure:
    """Record what is put before a participant, and with which probability it was drawn.

    item_id: the statement, the answer to react to, or the prompt of two answers. policy: name and
    version of the rule that drew it.
    """
    id = new_id()
    with store.write() as c:
        check_open(c, consultation_id)
        position = begin_act(c, consultation_id, participant_id)
        shown = Exposure(
            id=id,
            participant_id=participant_id,
            kind=kind,
            item_id=item_id,
            left_id=left_id,
            right_id=right_id,
            core=core,
            attention=attention,
            policy=policy,
            probability=probability,
            position=position,
            shown_at=now(),
            answered_at=None,
        )
        c.execute(_SHOW, {"consultation_id": consultation_id, **vars(shown)})
    return shown


def put_before(
    d: Driver, consultation_id: str, participant_id: str, statement_id: str, policy: str, p: float
) -> Exposure:
    """As `show` for a statement to vote on, within a transaction."""
    position = begin_acts(d, consultation_id, participant_id, 1)
    shown = Exposure(
        id=new_id(),
        participant_id=participant_id,
        kind="vote",
        item_id=statement_id,
        left_id=None,
        right_id=None,
        core=False,
        attention=None,
        policy=policy,
        probability=p,
        position=position,
        shown_at=now(),
        answered_at=None,
    )
    d.run(_SHOW_PREPARED, {"consultation_id": consultation_id, **vars(shown)})
    return shown


def still_open(d: Driver, consultation_id: str, participant_id: str, kind: Kind) -> Exposure | None:
    """As `open_exposure`, within a transaction."""
    given = {"of": consultation_id, "who": participant_id, "kind_wanted": kind}
    row = d.one(_LAST_PREPARED, given)
    if row is None:
        return None
    found = dict(zip(Exposure.__dataclass_fields__, row, strict=True))
    return (
        None
        if found["answered_at"] is not None
        else Exposure(**found | {"core": bool(found["core"])})
    )


def statements_voted_on(d: Driver, consultation_id: str, participant_id: str) -> list[str]:
    """The statements a participant has voted on, within a transaction."""
    return [
        row[0] for row in d.all(_VOTED_PREPARED, {"of": consultation_id, "who": participant_id})
    ]


@dataclass(frozen=True)
class Sitting:
    """Where a participant stands: their votes so far, whether one of them is on a statement, and the
    sitting that goes on."""

    done: int
    recorded: bool
    block: Block | None


def sitting(
    d: Driver, consultation_id: str, participant_id: str, statement_id: str, minutes: int | None
) -> Sitting:
    """How far a participant is. minutes: goal of the sitting that begins where none goes on; None begins none."""
    at = now()
    given = {"of": consultation_id, "who": participant_id, "what": statement_id}
    row = d.one(_SITTING, given)
    done, recorded, *last = row or (0, 0, *[None] * len(_BLOCK))
    open_block = Block(*last) if last[0] is not None else None
    if open_block is not None and not _goes_on(open_block, at):
        open_block = None
    if open_block is None and minutes is not None:
        open_block = Block(new_id(), at, at + minutes * MINUTE, 0, None)
        d.run(
            _NEW_BLOCK,
            {
                "consultation_id": consultation_id,
                "participant_id": participant_id,
                **vars(open_block),
            },
        )
    return Sitting(int(done), bool(recorded), open_block)


def _goes_on(open_block: Block, at: int) -> bool:
    # One that was left open long ago was another sitting.
    return at < open_block.goal + 2 * 3_600_000


def open_exposure(
    store: Store, consultation_id: str, participant_id: str, kind: Kind
) -> Exposure | None:
    """What was shown last of this kind, if it is not answered: a page loaded again shows the same."""
    given = {"of": consultation_id, "who": participant_id, "kind_wanted": kind}
    with store.read() as c:
        row = c.execute(_LAST_SHOWN, given).one_or_none()
    return None if row is None or row.answered_at is not None else Exposure(**row._mapping)


def exposures(
    store: Store, consultation_id: str, participant_id: str | None = None, kind: Kind | None = None
) -> list[Exposure]:
    """What was shown, of everybody or one, in order."""
    query = select(*_COLUMNS).where(exposure.c.consultation_id == consultation_id)
    if participant_id is not None:
        query = query.where(exposure.c.participant_id == participant_id)
    if kind is not None:
        query = query.where(exposure.c.kind == kind)
    with store.read() as c:
        rows = c.execute(query.order_by(exposure.c.shown_at, exposure.c.id)).mappings()
        return [Exposure(**row) for row in rows]


def vote_on(
    store: Store,
    consultation_id: str,
    participant_id: str,
    statement_id: str,
    value: int,
    important: bool = False,
    exposure_id: str | None = None,
) -> Receipt:
    """Store a vote: 1 agree, 0 pass, -1 disagree. A later vote replaces an earlier one; all are logged.

    The same vote again changes nothing and gives the first receipt. Raises RefusedError "closed",
    "consent", "withdrawn", "state" (the statement is not open to votes), and NotFoundError.
    """
    with store.write() as c:
        return cast_vote(
            Driver(c), consultation_id, participant_id, statement_id, value, important, exposure_id
        )


def cast_vote(
    d: Driver,
    consultation_id: str,
    participant_id: str,
    statement_id: str,
    value: int,
    important: bool = False,
    exposure_id: str | None = None,
) -> Receipt:
    """As `vote_on`, within a transaction. What refuses it is found before anything is written."""
    if value not in (-1, 0, 1):
        raise InputError(f"vote is {value}; it must be 1 (agree), 0 (pass) or -1 (disagree).")
    # First, because it holds the person's row: what is read after it nobody else is changing.
    position = begin_acts(d, consultation_id, participant_id, 1)
    row = d.one(
        _BEFORE_VOTE,
        {
            "of": consultation_id,
            "who": participant_id,
            "what": statement_id,
            "shown": exposure_id or "",
        },
    )
    phase, state, had, was_important, event_before, updated, kind, item, answered, p = (
        row or (None,) * 10
    )
    _need_open_phase(phase)
    if had is not None and (had, bool(was_important)) == (value, important):
        return Receipt(str(event_before), int(updated or 0), new=False)
    if state is None:
        raise NotFoundError("there is no such statement.")
    if state != "accepted" and had is None:
        raise RefusedError("state", "this statement is not open to votes.")
    if exposure_id is not None and (kind, item) != ("vote", statement_id):
        raise NotFoundError("there is no such question.")
    at = now()
    if exposure_id is not None and answered is None:
        d.run(_MARK_PREPARED, {"of": consultation_id, "what": exposure_id, "when": at})
    told = {
        "consultation_id": consultation_id,
        "participant_id": participant_id,
        "statement_id": statement_id,
        "value": value,
        "important": important,
    }
    event = d.one(_EVENT, {**told, "at": at})
    event_id = event[0] if event else None
    d.run(
        _put_vote(d.connection.dialect.name),
        {
            **told,
            "exposure_id": exposure_id,
            "probability": p if exposure_id is not None else None,
            "position": position,
            "event_id": event_id,
            "updated": at,
        },
    )
    return Receipt(str(event_id), at, new=True)


def compare(
    store: Store,
    consultation_id: str,
    participant_id: str,
    exposure_id: str,
    outcome: str,
    confidence: int | None = None,
    reasons: str = "",
    response_ms: int | None = None,
) -> Receipt:
    """Store which of the two answers shown is better: left, right, tie, both_bad or skip.

    One answer to one showing: the same outcome again gives the first receipt, another one is
    refused as "replay". Raises as `vote_on`.
    """
    if outcome not in OUTCOMES:
        raise InputError(f'outcome is "{outcome[:20]}"; it must be one of {", ".join(OUTCOMES)}.')
    if confidence not in (None, 1, 2, 3):
        raise InputError(f"confidence is {confidence}; it must be 1, 2 or 3.")
    with store.write() as c:
        check_open(c, consultation_id)
        position = begin_act(c, consultation_id, participant_id)
        shown = _exposure(c, consultation_id, participant_id, exposure_id)
        if shown.kind != "comparison":
            raise NotFoundError("there is no such pair.")
        before = c.execute(
            select(comparison).where(
                comparison.c.consultation_id == consultation_id,
                comparison.c.exposure_id == exposure_id,
            )
        ).one_or_none()
        if before is not None:
            if before.outcome == outcome:
                return Receipt(before.id, before.at, new=False)
            raise RefusedError("replay", "this pair was answered before.")
        id, at = new_id(), now()
        c.execute(
            insert(comparison).values(
                consultation_id=consultation_id,
                id=id,
                participant_id=participant_id,
                prompt_id=shown.item_id,
                left_id=shown.left_id,
                right_id=shown.right_id,
                outcome=outcome,
                confidence=confidence,
                reasons=clean(reasons)[:MOST_REASONS],
                core=shown.core,
                attention=shown.attention,
                probability=shown.probability,
                exposure_id=exposure_id,
                response_ms=response_ms,
                position=position,
                at=at,
            )
        )
        _mark_answered(c, consultation_id, exposure_id, at)
    return Receipt(id, at, new=True)


def react(
    store: Store,
    consultation_id: str,
    participant_id: str,
    answer_id: str,
    value: int,
    reasons: str = "",
    exposure_id: str | None = None,
) -> Receipt:
    """Store a like (1) or dislike (-1) of one answer; a later one replaces it. Raises as `vote_on`."""
    if value not in (-1, 1):
        raise InputError(f"reaction is {value}; it must be 1 (like) or -1 (dislike).")
    with store.write() as c:
        check_open(c, consultation_id)
        position = begin_act(c, consultation_id, participant_id)
        shown = c.scalar(
            select(answer.c.shown).where(
                answer.c.consultation_id == consultation_id, answer.c.id == answer_id
            )
        )
        if not shown:
            raise NotFoundError("there is no such answer.")
        seen = _answered(c, consultation_id, participant_id, exposure_id, "reaction", answer_id)
        at = now()
        changes = {"value": value, "reasons": clean(reasons)[:MOST_REASONS], "updated": at}
        c.execute(
            upsert(c, reaction)
            .values(
                consultation_id=consultation_id,
                participant_id=participant_id,
                answer_id=answer_id,
                exposure_id=seen.id if seen else None,
                position=position,
                **changes,
            )
            .on_conflict_do_update(
                index_elements=["consultation_id", "participant_id", "answer_id"], set_=changes
            )
        )
    return Receipt(answer_id, at, new=True)


def pass_over(store: Store, consultation_id: str, participant_id: str, exposure_id: str) -> None:
    """Mark a question as seen and not answered, so that another one comes."""
    with store.write() as c:
        check_open(c, consultation_id)
        begin_act(c, consultation_id, participant_id)
        _exposure(c, consultation_id, participant_id, exposure_id)
        _mark_answered(c, consultation_id, exposure_id, now())


def votes_by(store: Store, consultation_id: str, participant_id: str) -> list[Vote]:
    """A participant's own votes, in the order they were first given."""
    columns = [vote.c[name] for name in Vote.__dataclass_fields__]
    query = select(*columns).where(
        vote.c.consultation_id == consultation_id, vote.c.participant_id == participant_id
    )
    with store.read() as c:
        rows = c.execute(query.order_by(vote.c.position)).mappings()
        return [Vote(**row) for row in rows]


def comparisons_by(store: Store, consultation_id: str, participant_id: str) -> list[dict[str, Any]]:
    """A participant's own comparisons, in order."""
    k = comparison.c
    columns = (k.id, k.prompt_id, k.left_id, k.right_id, k.outcome, k.confidence, k.reasons, k.at)
    query = select(*columns).where(
        k.consultation_id == consultation_id, k.participant_id == participant_id
    )
    with store.read() as c:
        return [dict(row) for row in c.execute(query.order_by(k.position)).mappings()]


def compared(
    store: Store, consultation_id: str
) -> tuple[list[tuple[str, str, str, str, str | None]], dict[str, str]]:
    """All comparisons of those who count, and the stratum of each participant's invitation.

    As (participant, left, right, outcome, test of attention or None).
    """
    k, p = comparison.c, participant.c
    query = (
        select(
            k.participant_id, k.left_id, k.right_id, k.outcome, k.attention, invitation.c.stratum
        )
        .join(participant, (p.consultation_id == k.consultation_id) & (p.id == k.participant_id))
        .outerjoin(
            invitation,
            (invitation.c.consultation_id == p.consultation_id)
            & (invitation.c.id == p.invitation_id),
        )
        .where(k.consultation_id == consultation_id, p.excluded_at.is_(None), p.takes_part)
    )
    with store.read() as c:
        rows = c.execute(query).all()
    return [tuple(row[:5]) for row in rows], {row[0]: row[5] or "" for row in rows}


def reactions_by(store: Store, consultation_id: str, participant_id: str) -> list[dict[str, Any]]:
    """A participant's own likes and dislikes, in order."""
    r = reaction.c
    query = select(r.answer_id, r.value, r.reasons, r.updated).where(
        r.consultation_id == consultation_id, r.participant_id == participant_id
    )
    with store.read() as c:
        return [dict(row) for row in c.execute(query.order_by(r.position)).mappings()]


def end_block(store: Store, consultation_id: str, participant_id: str) -> None:
    """Mark the participant's open sittings as finished."""
    with store.write() as c:
        c.execute(
            update(block)
            .where(
                block.c.consultation_id == consultation_id,
                block.c.participant_id == participant_id,
                block.c.finished.is_(None),
            )
            .values(finished=now())
        )


def last_event(store: Store, consultation_id: str) -> int:
    """The number of the newest vote event here, 0 without any."""
    with store.read() as c:
        query = select(func.max(vote_event.c.id)).where(
            vote_event.c.consultation_id == consultation_id
        )
        return int(c.scalar(query) or 0)


_COLUMNS = [exposure.c[name] for name in Exposure.__dataclass_fields__]
# Made once: at every vote, making these anew costs more than running them.
_SHOW = insert(exposure)
_SHOWN = select(*_COLUMNS).where(
    exposure.c.consultation_id == bindparam("of"),
    exposure.c.id == bindparam("what"),
    exposure.c.participant_id == bindparam("who"),
)
_MARK = (
    update(exposure)
    .where(exposure.c.consultation_id == bindparam("of"), exposure.c.id == bindparam("what"))
    .values(answered_at=bindparam("when"))
)
_LAST_SHOWN = (
    select(*_COLUMNS)
    .where(
        exposure.c.consultation_id == bindparam("of"),
        exposure.c.participant_id == bindparam("who"),
        exposure.c.kind == bindparam("kind_wanted"),
    )
    .order_by(exposure.c.position.desc())
    .limit(1)
)
_VOTED = select(vote.c.statement_id).where(
    vote.c.consultation_id == bindparam("of"), vote.c.participant_id == bindparam("who")
)
_BLOCK = [block.c[name] for name in Block.__dataclass_fields__]
# All that decides about a vote, in one look.
_BEFORE_VOTE = Prepared(
    select(
        consultation.c.phase,
        statement.c.state,
        vote.c.value,
        vote.c.important,
        vote.c.event_id,
        vote.c.updated,
        exposure.c.kind,
        exposure.c.item_id,
        exposure.c.answered_at,
        exposure.c.probability,
    )
    .select_from(consultation)
    .outerjoin(
        statement,
        (statement.c.consultation_id == consultation.c.id) & (statement.c.id == bindparam("what")),
    )
    .outerjoin(
        vote,
        (vote.c.consultation_id == consultation.c.id)
        & (vote.c.participant_id == bindparam("who"))
        & (vote.c.statement_id == bindparam("what")),
    )
    .outerjoin(
        exposure,
        (exposure.c.consultation_id == consultation.c.id)
        & (exposure.c.id == bindparam("shown"))
        & (exposure.c.participant_id == bindparam("who")),
    )
    .where(consultation.c.id == bindparam("of"))
)
_MINE = (vote.c.consultation_id == bindparam("of"), vote.c.participant_id == bindparam("who"))
_SITTING = Prepared(
    select(
        select(func.count()).select_from(vote).where(*_MINE).scalar_subquery(),
        select(func.count())
        .select_from(vote)
        .where(*_MINE, vote.c.statement_id == bindparam("what"))
        .scalar_subquery(),
        *_BLOCK,
    )
    .select_from(participant)
    .outerjoin(
        block,
        (block.c.consultation_id == participant.c.consultation_id)
        & (block.c.participant_id == participant.c.id)
        & block.c.finished.is_(None),
    )
    .where(participant.c.consultation_id == bindparam("of"), participant.c.id == bindparam("who"))
    .order_by(block.c.started.desc())
    .limit(1)
)
_NEW_BLOCK = Prepared(insert(block))
_SHOW_PREPARED = Prepared(_SHOW)
_LAST_PREPARED = Prepared(_LAST_SHOWN)
_VOTED_PREPARED = Prepared(_VOTED)
_MARK_PREPARED = Prepared(_MARK)
_EVENT = Prepared(
    insert(vote_event)
    .values(
        {
            name: bindparam(name)
            for name in (
                "consultation_id",
                "participant_id",
                "statement_id",
                "value",
                "important",
                "at",
            )
        }
    )
    .returning(vote_event.c.id)
)


def _need_open_phase(phase: str | None) -> None:
    if phase is None:
        raise NotFoundError("there is no such consultation.")
    if phase != "open":
        raise RefusedError("closed", "this consultation is not open now.")


def _exposure(
    c: Connection, consultation_id: str, participant_id: str, exposure_id: str
) -> Exposure:
    row = c.execute(
        _SHOWN, {"of": consultation_id, "what": exposure_id, "who": participant_id}
    ).one_or_none()
    if row is None:
        raise NotFoundError("there is no such question.")
    return Exposure(**row._mapping)


@cache
def _put_vote(dialect: str) -> Prepared:
    """A vote in place of an earlier one, in a dialect's own words."""
    put = (sqlite if dialect == "sqlite" else postgresql).insert(vote)
    changed = ("value", "important", "event_id", "updated")
    return Prepared(
        put.on_conflict_do_update(
            index_elements=["consultation_id", "participant_id", "statement_id"],
            set_={name: put.excluded[name] for name in changed},
        )
    )


def _answered(
    c: Connection,
    consultation_id: str,
    participant_id: str,
    exposure_id: str | None,
    kind: Kind,
    item_id: str,
) -> Exposure | None:
    """The showing that is answered, marked so; what is not this person's or item's is refused."""
    if exposure_id is None:
        return None
    shown = _exposure(c, consultation_id, participant_id, exposure_id)
    if shown.kind != kind or shown.item_id != item_id:
        raise NotFoundError("there is no such question.")
    if shown.answered_at is None:
        _mark_answered(c, consultation_id, exposure_id, now())
    return shown


def _mark_answered(c: Connection, consultation_id: str, exposure_id: str, at: int) -> None:
    c.execute(_MARK, {"of": consultation_id, "what": exposure_id, "when": at})
