"""What participants do, each act in a transaction of its own."""

from typing import Any

from sqlalchemy import func, select

from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import participant
from suffrage.server.store.database_schema import vote as vote_table
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import Exposure, open_exposure, record_exposure
from suffrage.server.store.stored_votes import Receipt, record_vote


def vote(store: Store, *given: Any, **more: Any) -> Receipt:
    with store.write() as c:
        return record_vote(Driver(c), *given, **more)


def show(store: Store, *given: Any, **more: Any) -> Exposure:
    with store.write() as c:
        return record_exposure(Driver(c), *given, **more)


def open_question(store: Store, *given: Any) -> Exposure | None:
    with store.read() as c:
        return open_exposure(Driver(c), *given)


def voters(store: Store, consultation_id: str) -> tuple[int, int]:
    """How many people have voted and count, and their votes."""
    v, p = vote_table.c, participant.c
    query = (
        select(func.count(v.participant_id.distinct()), func.count())
        .select_from(vote_table)
        .join(participant, (p.consultation_id == v.consultation_id) & (p.id == v.participant_id))
        .where(v.consultation_id == consultation_id, p.excluded_at.is_(None), p.takes_part)
    )
    with store.read() as c:
        people, votes = c.execute(query).one()
    return int(people), int(votes)
