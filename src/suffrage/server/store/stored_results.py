"""Results as they were computed: the newest, and those of the newest step.

Participants, and organisers who may not look at single votes, see steps: two of them differ by the
votes of several people. When somebody withdraws, all results that count them are marked or deleted,
and the next computation replaces the step (`result_steps.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from suffrage.consult.groups.group_names import KnownGroup
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import audit, consultation, results
from suffrage.server.store.known_groups import store_groups
from suffrage.server.store.result_steps import (
    Departures,
    StepSoFar,
    departures,
    lock_results,
    newest_step,
)
from suffrage.server.store.stored_votes import last_vote_event

# "organisers" see each computation, "viewers" what organisers see of the newest step.
Audience = Literal["organisers", "viewers", "participants"]


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


@dataclass(frozen=True)
class ResultsToSave:
    """What one computation found of so many people, for each audience."""

    people: int
    votes: int
    # None where those who see steps only see nothing.
    organisers: Mapping[str, Any] | None
    # None where participants may not see these results.
    participants: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RowsToSave:
    """What one computation changes."""

    # Of everybody who counts.
    found: ResultsToSave
    # What the next step shows: the same, or less where somebody withdrew. None where the step that
    # participants see now stays.
    step: ResultsToSave | None
    # What is known of the groups now, if they were found.
    groups: Sequence[KnownGroup] = ()


# From who withdrew since the votes were read, and the step that participants see now.
MakeRows = Callable[[Departures, StepSoFar], RowsToSave]


def step_so_far(store: Store, consultation_id: str) -> StepSoFar:
    """Return how the results that participants see now were made."""
    with store.read() as c:
        return newest_step(c, consultation_id)


def save_results(
    store: Store,
    consultation_id: str,
    known: ActsSoFar,
    settings: Mapping[str, Any],
    code_version: str,
    make: MakeRows,
) -> StoredResults:
    """Store the next version, and delete those that nobody sees any more.

    Parameters
    ----------
    known : ActsSoFar
        How far votes and acts had come before the votes were read.
    make : callable
        Returns what to store. It is asked within the transaction, while nobody can withdraw: what
        is stored counts nobody who withdrew before, and of two computations at once the second
        sees what the first stored. So it must be quick; `made_ready` has it do its work before.

    Returns
    -------
    StoredResults
        What organisers see.
    """
    of = results.c.consultation_id == consultation_id
    with store.write() as c:
        lock_results(c, consultation_id)
        so_far = newest_step(c, consultation_id)
        new = make(departures(c, consultation_id, known.acts), so_far)
        kept = [] if so_far.version is None else [so_far.version]
        version = int(c.scalar(select(func.max(results.c.version)).where(of)) or 0)
        rows: list[tuple[ResultsToSave, Mapping[str, Any] | None]] = [(new.found, None)]
        if new.step is not None:
            kept = []
            if new.step is not new.found:
                rows.insert(0, (new.step, new.step.participants))
            else:
                rows = [(new.found, new.found.participants)]
        for what, for_participants in rows:
            version += 1
            kept.append(version)
            made = StoredResults(
                version=version,
                event_id=known.event_id,
                acts=known.acts,
                people=what.people,
                votes=what.votes,
                settings=dict(settings),
                code_version=code_version,
                created=now(),
                result=dict(what.organisers or {}),
            )
            c.execute(
                insert(results).values(
                    **{column.name: getattr(made, column.name) for column in _COLUMNS},
                    consultation_id=consultation_id,
                    organisers_results=what.organisers,
                    participants_results=for_participants,
                )
            )
        c.execute(delete(results).where(of, results.c.version.not_in(kept)))
        if new.groups:
            store_groups(c, consultation_id, new.groups)
    return made


def made_ready(store: Store, consultation_id: str, known: ActsSoFar, make: MakeRows) -> None:
    """Ask for what would be stored now, outside of any transaction that others wait for.

    make: as for `save_results`; it must remember its last answer.
    """
    with store.read() as c:
        gone = departures(c, consultation_id, known.acts)
        so_far = newest_step(c, consultation_id)
    make(gone, so_far)


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
    column = "participants_results" if audience == "participants" else "organisers_results"
    result = results.c[column]
    seen = results.c.participants_results if audience == "viewers" else result
    query = (
        select(*_COLUMNS, result.label("result"))
        .where(results.c.consultation_id == consultation_id, result.is_not(None), seen.is_not(None))
        .order_by(results.c.version.desc())
        .limit(1)
    )
    row = c.execute(query).one_or_none()
    if row is None or row.result.get("nothing"):
        return None
    return StoredResults(**row._mapping)
