"""Results as they were computed: everybody sees the same ones until the next are due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, func, insert, select, update

from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import participant, snapshot, vote


@dataclass(frozen=True)
class Snapshot:
    """One computation. event_id: the last vote event it knows. people, votes: that it counts."""

    version: int
    event_id: int
    people: int
    votes: int
    settings: Mapping[str, Any]
    code_version: str
    result: Mapping[str, Any]
    created: int


Kind = TypeVar("Kind", bound=Snapshot)


def save(
    store: Store,
    consultation_id: str,
    event_id: int,
    people: int,
    votes: int,
    settings: Mapping[str, Any],
    code_version: str,
    result: Mapping[str, Any],
) -> Snapshot:
    """Store the next version. Whose group is which ("labels") is kept of the newest only."""
    with store.write() as c:
        drop_label(c, consultation_id, None)
        last = c.scalar(
            select(func.max(snapshot.c.version)).where(
                snapshot.c.consultation_id == consultation_id
            )
        )
        made = Snapshot(
            version=int(last or 0) + 1,
            event_id=event_id,
            people=people,
            votes=votes,
            settings=dict(settings),
            code_version=code_version,
            result=dict(result),
            created=now(),
        )
        c.execute(insert(snapshot).values(consultation_id=consultation_id, **vars(made)))
    return made


def drop_label(c: Connection, consultation_id: str, participant_id: str | None) -> None:
    """Take one participant, or all, out of what the newest snapshot holds of single people."""
    table = snapshot.c
    query = select(table.version, table.result).where(table.consultation_id == consultation_id)
    row = c.execute(query.order_by(table.version.desc()).limit(1)).one_or_none()
    if row is None:
        return
    labels = dict(row.result.get("labels", {})) if participant_id is not None else {}
    labels.pop(participant_id, None)
    of = [table.consultation_id == consultation_id, table.version == row.version]
    c.execute(update(snapshot).where(*of).values(result={**row.result, "labels": labels}))


def newest(store: Store, consultation_id: str) -> Snapshot | None:
    """The last one there is."""
    return newest_of(store, snapshot, Snapshot, consultation_id)


def newest_of(store: Store, table: Table, kind: type[Kind], consultation_id: str) -> Kind | None:
    """The last version in a table of computations."""
    columns = [table.c[name] for name in kind.__dataclass_fields__]
    query = select(*columns).where(table.c.consultation_id == consultation_id)
    with store.read() as c:
        row = c.execute(query.order_by(table.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else kind(**row._mapping)


def voters(store: Store, consultation_id: str) -> tuple[int, int]:
    """How many people have voted and count, and their votes."""
    query = (
        select(func.count(vote.c.participant_id.distinct()), func.count())
        .select_from(vote)
        .join(
            participant,
            (participant.c.consultation_id == vote.c.consultation_id)
            & (participant.c.id == vote.c.participant_id),
        )
        .where(
            vote.c.consultation_id == consultation_id,
            participant.c.excluded_at.is_(None),
            participant.c.takes_part,
        )
    )
    with store.read() as c:
        people, votes = c.execute(query).one()
    return int(people), int(votes)


def tallies(store: Store, consultation_id: str) -> dict[str, tuple[int, int, int]]:
    """Statement -> agrees, passes, all votes, of participants who count."""
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
            found[id] = (
                agrees + count * (value == 1),
                passes + count * (value == 0),
                seen + count,
            )
    return found
