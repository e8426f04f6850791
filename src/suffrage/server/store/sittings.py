"""Sittings: how far a participant is, and the goal of the sitting that goes on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, insert, select

from suffrage.server.store.database import now
from suffrage.server.store.database_schema import block, participant, vote
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.secret_keys import new_id

MINUTE = 60_000
# A block that was left open longer than this beyond its goal was another sitting.
MOST_BEYOND_GOAL = 120 * MINUTE


@dataclass(frozen=True)
class Block:
    """One sitting with its goal; times in milliseconds. Nothing is refused when it is over."""

    id: str
    started: int
    goal: int


@dataclass(frozen=True)
class Sitting:
    """How far a participant is."""

    # Their votes so far.
    done: int
    # Whether one of these votes is on the statement that was asked about.
    recorded: bool
    # The sitting that goes on.
    block: Block | None


def current_sitting(
    d: Driver, consultation_id: str, participant_id: str, statement_id: str, minutes: int | None
) -> Sitting:
    """Return how far a participant is.

    Parameters
    ----------
    statement_id : str
        The statement that `recorded` is about.
    minutes : int, optional
        The goal of the sitting that begins where none goes on; without it none begins.
    """
    at = now()
    given = {"of": consultation_id, "who": participant_id, "what": statement_id}
    row = d.one(_SITTING, given)
    done, recorded, last = (row[0], row[1], row[2:]) if row else (0, 0, (None,))
    open_block = Block(*last) if last[0] is not None else None
    if open_block is not None and at >= open_block.goal + MOST_BEYOND_GOAL:
        open_block = None
    if open_block is None and minutes is not None:
        open_block = Block(new_id(), at, at + minutes * MINUTE)
        of = {"consultation_id": consultation_id, "participant_id": participant_id}
        d.run(_BEGIN, {**of, **vars(open_block)})
    return Sitting(int(done), bool(recorded), open_block)


_MINE = (vote.c.consultation_id == bindparam("of"), vote.c.participant_id == bindparam("who"))
_SITTING = Prepared(
    select(
        select(func.count()).select_from(vote).where(*_MINE).scalar_subquery(),
        select(func.count())
        .select_from(vote)
        .where(*_MINE, vote.c.statement_id == bindparam("what"))
        .scalar_subquery(),
        *(block.c[name] for name in Block.__dataclass_fields__),
    )
    .select_from(participant)
    .outerjoin(
        block,
        (block.c.consultation_id == participant.c.consultation_id)
        & (block.c.participant_id == participant.c.id),
    )
    .where(participant.c.consultation_id == bindparam("of"), participant.c.id == bindparam("who"))
    .order_by(block.c.started.desc())
    .limit(1)
)
_BEGIN = Prepared(
    insert(block).values(
        {
            name: bindparam(name)
            for name in ("consultation_id", "participant_id", *Block.__dataclass_fields__)
        }
    )
)
