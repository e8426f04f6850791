"""The step of results that participants see, and what a withdrawal does to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import (
    audit,
    background_work,
    consent,
    consultation,
    results,
    vote,
    vote_event,
)
from suffrage.server.store.known_groups import current_numbers

WITHDRAWALS = ("participant.withdraw", "participant.revoke")
EXCLUSIONS = ("participant.exclude", "participant.include")


@dataclass(frozen=True)
class HeldVotes:
    """Votes on one statement that no step counts for a while, so that one vote less hides there."""

    statement: str
    # How many votes on it there must be before these count again.
    until: int
    # Whose votes on it they are.
    people: tuple[str, ...]


@dataclass(frozen=True)
class StepSoFar:
    """What the results that participants see now say of the next ones."""

    # How many people the next step is counted from; None where participants see nothing yet.
    people: int | None = None
    # How many withdrew whose votes are in the results that participants see.
    withdrawn: int = 0
    # Who was left out of the step, so that it did not differ by one person from the one before.
    left_out: tuple[str, ...] = ()
    # None where they see nothing yet.
    version: int | None = None
    # The last entry of the audit log, and the last vote, that it surely knows.
    acts: int = 0
    event_id: int = 0
    # Whether people withdrew while it was computed. It does not count them, but the groups were
    # found with their votes, so the next computation replaces it.
    overtaken: bool = False
    # What those who withdrew since had voted on, among which nobody tells them apart.
    touched: tuple[str, ...] = ()
    held: tuple[HeldVotes, ...] = ()
    # The numbers of the opinion groups in which they were.
    groups: tuple[int, ...] = ()

    @property
    def must_go(self) -> bool:
        """Whether the next computation replaces it, however few people came since."""
        return self.withdrawn > 0 or self.overtaken


@dataclass(frozen=True)
class Departures:
    """Who withdrew after some entry of the audit log, also those who have come back since."""

    people: frozenset[str] = frozenset()
    # Those of them whose statements went with them.
    with_texts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ReadSoFar:
    """How far votes and consents had come when the votes had been read.

    Numbers, and no times: the clocks of two machines differ.
    """

    event_id: int
    consent_id: int


def read_so_far(store: Store, consultation_id: str) -> ReadSoFar:
    """Return how far votes and consents have come; call it after the votes were read."""
    events = select(func.max(vote_event.c.id)).where(
        vote_event.c.consultation_id == consultation_id
    )
    consents = select(func.max(consent.c.id)).where(consent.c.consultation_id == consultation_id)
    with store.read() as c:
        return ReadSoFar(int(c.scalar(events) or 0), int(c.scalar(consents) or 0))


def nothing_shown(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands for a step that went away, so that the next one is counted from it.

    shown: what a step says of the next one.
    """
    return {"nothing": True, **shown}


def held_as_json(held: Collection[HeldVotes]) -> list[dict[str, Any]]:
    """Return held votes as plain values."""
    return [{**vars(one), "people": list(one.people)} for one in held]


def newest_step(c: Connection, consultation_id: str) -> StepSoFar:
    """Return how the results that participants see now were made."""
    row = _newest(c, consultation_id)
    return StepSoFar() if row is None else _step(row)


def lock_results(c: Connection, consultation_id: str) -> None:
    """Let no other computation or withdrawal change the results until the transaction ends."""
    # Votes go on: they only need the consultation to stay.
    lock = select(consultation.c.id).where(consultation.c.id == consultation_id)
    c.execute(lock.with_for_update(key_share=True))


def mark_withdrawal(
    c: Connection, consultation_id: str, participant_id: str, texts: Collection[str]
) -> None:
    """Delete results that count somebody who withdraws, and mark those that participants see.

    The step that participants see stays until the next computation replaces it: if it went away,
    everybody who withdraws could take the results from all others. A step that does not count this
    person is not replaced: who could have results renewed as often as they like would see from
    which people are left out, now these and now those, what all of them said.

    Call it before anything of the person's is deleted or changed.

    Parameters
    ----------
    texts : collection of str
        Statements whose text is taken back; it is deleted from the results at once.
    """
    lock_results(c, consultation_id)
    c.execute(
        delete(background_work).where(
            background_work.c.consultation_id == consultation_id,
            background_work.c.outcome.is_not(None),
        )
    )
    of = results.c.consultation_id == consultation_id
    row = _newest(c, consultation_id)
    if row is None:
        c.execute(delete(results).where(of))
        return
    version, seen = row.version, _step(row)
    c.execute(delete(results).where(of, results.c.version != version))
    result = without_statements(row.participants_results, texts)
    read = result.get("read")
    if (
        result == row.participants_results
        # What earlier versions stored says a time.
        and isinstance(read, list)
        and not _is_counted(c, consultation_id, participant_id, ReadSoFar(*read))
    ):
        return
    left_out = [id for id in seen.left_out if id != participant_id]
    held = [
        replace(one, people=tuple(id for id in one.people if id != participant_id))
        for one in seen.held
    ]
    number = current_numbers(c, consultation_id).get(participant_id)
    group = () if number is None else (number,)
    voted = select(vote.c.statement_id).where(
        vote.c.consultation_id == consultation_id, vote.c.participant_id == participant_id
    )
    marks = {
        "withdrawn": seen.withdrawn + 1,
        "left_out": left_out,
        "held": held_as_json(held),
        "touched": sorted({*seen.touched, *c.scalars(voted)}),
        "of_groups": sorted({*seen.groups, *group}),
    }
    c.execute(
        update(results)
        .where(of, results.c.version == version)
        .values(participants_results={**result, **marks}, organisers_results=None)
    )


def _is_counted(c: Connection, consultation_id: str, participant_id: str, read: ReadSoFar) -> bool:
    """Whether results of votes that had been read may count a person who takes part now."""

    def has_any(table: Any, which: Any) -> bool:
        of = table.c.consultation_id == consultation_id, table.c.participant_id == participant_id
        return c.execute(select(which).where(*of, which).limit(1)).first() is not None

    # A vote that was changed since then has its first value in the log of votes. Votes that came
    # with an import are in no log.
    if not (
        has_any(vote_event, vote_event.c.id <= read.event_id)
        or has_any(vote, vote.c.event_id.is_(None))
    ):
        return False
    given = c.execute(
        select(consent.c.scopes, consent.c.id)
        .where(
            consent.c.consultation_id == consultation_id,
            consent.c.participant_id == participant_id,
        )
        .order_by(consent.c.id.desc())
    ).all()
    since = None
    for row in given:
        if not row.scopes.get("take_part"):
            # They came back after this, unless they are away since.
            return since is not None and since <= read.consent_id
        since = int(row.id)
    return True


def without_statements(told: Any, statements: Collection[str]) -> Any:
    """Return results without some statements, in every list of statements or of their ids."""
    if not statements:
        return told
    if isinstance(told, Mapping):
        return {
            # The plane's statements have a place each in other lists, and no text.
            key: value if key == "plane" else without_statements(value, statements)
            for key, value in told.items()
        }
    if isinstance(told, list):
        return [without_statements(one, statements) for one in told if _id(one) not in statements]
    return told


def _id(one: Any) -> str:
    """The id of a statement in a list, "" for anything else."""
    if isinstance(one, Mapping):
        one = one.get("id", one.get("statement"))
    return one if isinstance(one, str) else ""


def departures(c: Connection, consultation_id: str, after: int) -> Departures:
    """Return who withdrew after the entry of the audit log with number `after`."""
    query = select(audit.c.object, audit.c.action, audit.c.detail).where(
        audit.c.chain == consultation_id,
        audit.c.number > after,
        audit.c.action.in_(WITHDRAWALS),
    )
    rows = c.execute(query).all()
    return Departures(
        frozenset(row.object for row in rows),
        frozenset(
            row.object
            for row in rows
            if row.action == "participant.withdraw" and not row.detail.get("kept")
        ),
    )


def somebody_withdrew(c: Connection, consultation_id: str, after: int) -> bool:
    """Whether somebody withdrew after the entry of the audit log with number `after`."""
    query = select(func.count()).where(
        audit.c.chain == consultation_id,
        audit.c.number > after,
        audit.c.action.in_(WITHDRAWALS),
    )
    return bool(c.scalar(query))


def left_out_since(c: Connection, consultation_id: str, after: int) -> frozenset[str]:
    """Return whom organisers left out or counted again after an entry of the log."""
    query = select(audit.c.object).where(
        audit.c.chain == consultation_id,
        audit.c.number > after,
        audit.c.action.in_(EXCLUSIONS),
    )
    return frozenset(c.scalars(query))


def _newest(c: Connection, consultation_id: str) -> Any:
    """Return what is needed of the newest step, None without one."""
    columns = [results.c[name] for name in ("version", "people", "acts", "event_id")]
    query = (
        select(*columns, results.c.participants_results)
        .where(
            results.c.consultation_id == consultation_id,
            results.c.participants_results.is_not(None),
        )
        .order_by(results.c.version.desc())
        .limit(1)
    )
    return c.execute(query).one_or_none()


def _step(row: Any) -> StepSoFar:
    result = row.participants_results
    return StepSoFar(
        int(result.get("counted_from", row.people)),
        int(result.get("withdrawn", 0)),
        tuple(result.get("left_out", ())),
        int(row.version),
        int(row.acts),
        int(row.event_id),
        bool(result.get("overtaken")),
        tuple(result.get("touched", ())),
        tuple(
            HeldVotes(**{**one, "people": tuple(one["people"])}) for one in result.get("held", ())
        ),
        tuple(result.get("of_groups", ())),
    )
