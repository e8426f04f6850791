"""Principles as organisers keep them, each with the statements it comes from, by whom and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import NotFoundError, Store, next_position
from suffrage.server.store.database_schema import principle, principle_source, statement
from suffrage.server.store.secret_keys import new_id
from suffrage.server.texts import clean

MOST_CHARACTERS = 500


@dataclass(frozen=True)
class StoredPrinciple:
    """One principle."""

    id: str
    text: str
    # How often it was written.
    version: int
    # The ids of the statements it comes from.
    sources: tuple[str, ...]
    merged_by: str
    rationale: str


def write_principle(
    store: Store,
    consultation_id: str,
    text: str,
    sources: Sequence[str],
    actor: str,
    rationale: str = "",
    principle_id: str | None = None,
) -> StoredPrinciple:
    """Write a principle: a new one, or another wording of the one of `principle_id`.

    Raises InputError where it has no words, is too long or comes from no statement, and
    NotFoundError for a statement or principle that is not in this consultation.
    """
    tidy, why = clean(text), clean(rationale)
    if not 1 <= len(tidy) <= MOST_CHARACTERS:
        raise InputError(
            "a principle needs 1 to %(most)s characters; it has %(count)s.",
            most=MOST_CHARACTERS,
            count=len(tidy),
        )
    if not sources:
        raise InputError("choose at least one statement that it is based on.")
    wanted = list(dict.fromkeys(sources))
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        query = select(statement.c.id).where(
            statement.c.consultation_id == consultation_id, statement.c.id.in_(wanted)
        )
        known = set(c.scalars(query))
        if lost := [id for id in wanted if id not in known]:
            raise NotFoundError(f"there is no statement {lost[0][:40]} here.")
        if principle_id is None:
            id, version = new_id(), 1
            c.execute(
                insert(principle).values(
                    consultation_id=consultation_id,
                    id=id,
                    text=tidy,
                    version=version,
                    position=next_position(c, principle.c.position, consultation_id),
                )
            )
        else:
            id = principle_id
            before = c.scalar(select(principle.c.version).where(*_is(consultation_id, id)))
            if before is None:
                raise NotFoundError("there is no such principle.")
            version = int(before) + 1
            c.execute(
                update(principle)
                .where(*_is(consultation_id, id))
                .values(text=tidy, version=version)
            )
            c.execute(delete(principle_source).where(*_of(consultation_id, id)))
        c.execute(
            insert(principle_source),
            [
                {
                    "consultation_id": consultation_id,
                    "principle_id": id,
                    "statement_id": source,
                    "merged_by": actor,
                    "rationale": why,
                }
                for source in wanted
            ],
        )
        detail = {"text": tidy, "sources": wanted, "version": version}
        audit.append_entry(c, consultation_id, actor, "principle.put", id, detail)
    return StoredPrinciple(id, tidy, version, tuple(wanted), actor, why)


def remove_principle(store: Store, consultation_id: str, principle_id: str, actor: str) -> None:
    """Take a principle away; the log keeps what it said. Raises NotFoundError."""
    with store.write() as c:
        text = c.scalar(select(principle.c.text).where(*_is(consultation_id, principle_id)))
        if text is None:
            raise NotFoundError("there is no such principle.")
        c.execute(delete(principle_source).where(*_of(consultation_id, principle_id)))
        c.execute(delete(principle).where(*_is(consultation_id, principle_id)))
        audit.append_entry(
            c, consultation_id, actor, "principle.remove", principle_id, {"text": text}
        )


def list_principles(store: Store, consultation_id: str) -> list[StoredPrinciple]:
    """Return all principles, in the order they came."""
    with store.read() as c:
        rows = c.execute(
            select(principle)
            .where(principle.c.consultation_id == consultation_id)
            .order_by(principle.c.position)
        ).all()
        sources: dict[str, list[Any]] = {}
        for row in c.execute(
            select(principle_source)
            .where(principle_source.c.consultation_id == consultation_id)
            .order_by(principle_source.c.statement_id)
        ):
            sources.setdefault(row.principle_id, []).append(row)
    return [
        StoredPrinciple(
            row.id,
            row.text,
            row.version,
            tuple(s.statement_id for s in sources.get(row.id, [])),
            next((s.merged_by for s in sources.get(row.id, [])), ""),
            next((s.rationale for s in sources.get(row.id, [])), ""),
        )
        for row in rows
    ]


def _is(consultation_id: str, id: str) -> list[Any]:
    return [principle.c.consultation_id == consultation_id, principle.c.id == id]


def _of(consultation_id: str, id: str) -> list[Any]:
    return [
        principle_source.c.consultation_id == consultation_id,
        principle_source.c.principle_id == id,
    ]
