"""What organisers see of the groups, version by version; the last few are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select

from suffrage.server.store import participants_results_table as snapshots
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import analysis, consultation

KEPT = 20


@dataclass(frozen=True)
class Snapshot(snapshots.Snapshot):
    """One computation, as `suffrage.server.organisers_results` makes it.

    acts: the last entry of the audit log it knows.
    """

    acts: int


def save(
    store: Store,
    consultation_id: str,
    event_id: int,
    acts: int,
    people: int,
    votes: int,
    settings: Mapping[str, Any],
    code_version: str,
    result: Mapping[str, Any],
) -> Snapshot:
    """Store the next version, and let go of those older than the last `KEPT`."""
    of = analysis.c.consultation_id == consultation_id
    with store.write() as c:
        last = int(c.scalar(select(func.max(analysis.c.version)).where(of)) or 0)
        made = Snapshot(
            version=last + 1,
            event_id=event_id,
            acts=acts,
            people=people,
            votes=votes,
            settings=dict(settings),
            code_version=code_version,
            result=dict(result),
            created=now(),
        )
        c.execute(insert(analysis).values(consultation_id=consultation_id, **vars(made)))
        c.execute(delete(analysis).where(of, analysis.c.version <= made.version - KEPT))
    return made


def newest(store: Store, consultation_id: str) -> Snapshot | None:
    """The last one there is."""
    return snapshots.newest_of(store, analysis, Snapshot, consultation_id)


def known(store: Store, consultation_id: str) -> tuple[int, int] | None:
    """The vote event and the audit entry that the last one knows, without reading all of it."""
    query = (
        select(analysis.c.event_id, analysis.c.acts)
        .where(analysis.c.consultation_id == consultation_id)
        .order_by(analysis.c.version.desc())
        .limit(1)
    )
    with store.read() as c:
        row = c.execute(query).one_or_none()
    return None if row is None else (int(row.event_id), int(row.acts))


def times(store: Store) -> dict[str, tuple[float, float]]:
    """For each slug with groups: seconds that finding the newest took, and seconds since then."""
    newest_of = (
        select(analysis.c.consultation_id, func.max(analysis.c.version).label("version"))
        .group_by(analysis.c.consultation_id)
        .subquery()
    )
    query = (
        select(consultation.c.slug, analysis.c.settings, analysis.c.created)
        .join(consultation, consultation.c.id == analysis.c.consultation_id)
        .join(
            newest_of,
            (newest_of.c.consultation_id == analysis.c.consultation_id)
            & (newest_of.c.version == analysis.c.version),
        )
        .order_by(consultation.c.slug)
    )
    with store.read() as c:
        return {
            slug: (float(settings.get("seconds", 0)), (now() - created) / 1000)
            for slug, settings, created in c.execute(query)
        }
