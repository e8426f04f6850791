"""Results as they were computed: the newest, and the newest that participants see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from suffrage.consult.groups.group_names import KnownGroup
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import audit, consultation, results
from suffrage.server.store.known_groups import store_groups
from suffrage.server.store.stored_votes import last_vote_event

Audience = Literal["organisers", "participants"]


@dataclass(frozen=True)
class ActsSoFar:
    """How far a consultation's votes and its staff's acts have come."""

    # The newest vote event.
    event_id: int
    # The last entry of the audit log that is no mere look; moderation and exclusion are entries.
    acts: int


@dataclass(frozen=True)
class StoredResults:
    """One computation, with what one audience sees of it."""

    version: int
    # The last acts it knows, as in `ActsSoFar`.
    event_id: int
    acts: int
    # How many people it counts, and their votes.
    people: int
    votes: int
    # How the groups were found, and how many seconds it took.
    settings: Mapping[str, Any]
    code_version: str
    created: int
    # As `organisers_results` or `participants_results` makes it.
    result: Mapping[str, Any]


_COLUMNS = [
    results.c[name] for name in StoredResults.__dataclass_fields__ if name in results.columns
]


def save_results(
    store: Store,
    consultation_id: str,
    known: ActsSoFar,
    people: int,
    votes: int,
    settings: Mapping[str, Any],
    code_version: str,
    organisers_results: Mapping[str, Any],
    participants_results: Mapping[str, Any] | None,
    is_next_step: Callable[[int | None], bool],
    groups: Iterable[KnownGroup] = (),
) -> StoredResults:
    """Store the next version, and delete those that nobody sees any more.

    Parameters
    ----------
    participants_results : mapping, optional
        What participants see, if these results are for them.
    is_next_step : callable
        Whether they may see it, from how many people the results they see now count. It is asked
        within the transaction: of two computations at once the second sees what the first stored.
    groups : iterable of KnownGroup
        What is known of the groups now, if they were found.
    """
    of = results.c.consultation_id == consultation_id
    with store.write() as c:
        # Votes go on: they only need the consultation to stay.
        lock = select(consultation.c.id).where(consultation.c.id == consultation_id)
        c.execute(lock.with_for_update(key_share=True))
        seen = _newest(c, consultation_id, "participants")
        if not is_next_step(None if seen is None else seen.people):
            participants_results = None
        last = int(c.scalar(select(func.max(results.c.version)).where(of)) or 0)
        made = StoredResults(
            version=last + 1,
            event_id=known.event_id,
            acts=known.acts,
            people=people,
            votes=votes,
            settings=dict(settings),
            code_version=code_version,
            created=now(),
            result=dict(organisers_results),
        )
        row = {column.name: getattr(made, column.name) for column in _COLUMNS}
        c.execute(
            insert(results).values(
                **row,
                consultation_id=consultation_id,
                organisers_results=made.result,
                participants_results=participants_results,
            )
        )
        kept = [made.version]
        if participants_results is None and seen is not None:
            kept.append(seen.version)
        c.execute(delete(results).where(of, results.c.version.not_in(kept)))
        if groups := list(groups):
            store_groups(c, consultation_id, groups)
    return made


def newest_results(store: Store, consultation_id: str, audience: Audience) -> StoredResults | None:
    """Return what an audience sees now; None before there is anything."""
    with store.read() as c:
        return _newest(c, consultation_id, audience)


def acts_so_far(store: Store, consultation_id: str) -> ActsSoFar:
    """Return how far votes and acts have come now."""
    query = select(func.max(audit.c.number)).where(
        audit.c.chain == consultation_id, audit.c.action.not_like("%.view")
    )
    event = last_vote_event(store, consultation_id)
    with store.read() as c:
        return ActsSoFar(event, int(c.scalar(query) or 0))


def acts_known(store: Store, consultation_id: str) -> ActsSoFar | None:
    """Return what the newest results know, without reading all of them."""
    query = (
        select(results.c.event_id, results.c.acts)
        .where(
            results.c.consultation_id == consultation_id, results.c.organisers_results.is_not(None)
        )
        .order_by(results.c.version.desc())
        .limit(1)
    )
    with store.read() as c:
        row = c.execute(query).one_or_none()
    return None if row is None else ActsSoFar(int(row.event_id), int(row.acts))


def computation_times(store: Store) -> dict[str, tuple[float, float]]:
    """Return the seconds that the newest results of each slug took, and the seconds since then."""
    query = (
        select(consultation.c.slug, results.c.settings, results.c.created)
        .join(consultation, consultation.c.id == results.c.consultation_id)
        .where(results.c.organisers_results.is_not(None))
        .order_by(consultation.c.slug, results.c.version)
    )
    with store.read() as c:
        # The last row of a slug is the newest.
        return {
            slug: (float(settings.get("seconds", 0)), (now() - created) / 1000)
            for slug, settings, created in c.execute(query)
        }


def _newest(c: Connection, consultation_id: str, audience: Audience) -> StoredResults | None:
    result = results.c[f"{audience}_results"]
    query = (
        select(*_COLUMNS, result.label("result"))
        .where(results.c.consultation_id == consultation_id, result.is_not(None))
        .order_by(results.c.version.desc())
        .limit(1)
    )
    row = c.execute(query).one_or_none()
    return None if row is None else StoredResults(**row._mapping)
