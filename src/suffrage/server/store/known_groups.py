"""The opinion groups as they were found last: their letters and colours are carried over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, insert, select, update

from suffrage.consult.groups.group_names import KnownGroup
from suffrage.server.store.database_schema import opinion_group


def stored_groups(c: Connection, consultation_id: str) -> list[KnownGroup]:
    """Return the groups that are known of a consultation, by number."""
    g = opinion_group.c
    query = select(g.number, g.members, g.current).where(g.consultation_id == consultation_id)
    rows = c.execute(query.order_by(g.number))
    return [KnownGroup(row.number, frozenset(row.members), row.current) for row in rows]


def store_groups(c: Connection, consultation_id: str, groups: Iterable[KnownGroup]) -> None:
    """Store what is known of the groups, in place of what was known before."""
    c.execute(delete(opinion_group).where(opinion_group.c.consultation_id == consultation_id))
    rows = [
        {
            "consultation_id": consultation_id,
            "number": group.number,
            "members": sorted(group.members),
            "current": group.current,
        }
        for group in groups
    ]
    if rows:
        c.execute(insert(opinion_group), rows)


def current_numbers(c: Connection, consultation_id: str) -> Mapping[str, int]:
    """Return the number of the group that each participant is in, without those in none."""
    return {
        person: group.number
        for group in stored_groups(c, consultation_id)
        if group.current
        for person in group.members
    }


def forget_member(c: Connection, consultation_id: str, participant_id: str) -> None:
    """Delete a participant from the groups they are or were in."""
    for group in stored_groups(c, consultation_id):
        if participant_id in group.members:
            c.execute(
                update(opinion_group)
                .where(
                    opinion_group.c.consultation_id == consultation_id,
                    opinion_group.c.number == group.number,
                )
                .values(members=sorted(group.members - {participant_id}))
            )
