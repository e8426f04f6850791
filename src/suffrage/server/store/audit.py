"""The audit log: who did what, each entry bound to the one before it by its hash.

A consultation has a chain of its own; acts that belong to no consultation are in the chain `SITE`.
Entries are only added: the database refuses to change or delete one, and a missing or changed entry
breaks the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from suffrage.server.store.database import Store, now, upsert
from suffrage.server.store.database_schema import audit, audit_head

SITE = "site"
FIRST = "0" * 64


@dataclass(frozen=True)
class AuditEntry:
    """One act."""

    # The consultation's id, or SITE.
    chain: str
    # From 1, without gaps.
    number: int
    # The hash of the entry before, and the hash of this one with it.
    previous: str
    hash: str
    # A staff id, "participant" or "command line".
    actor: str
    action: str
    object: str
    # What the action needs, never votes or tokens.
    detail: Mapping[str, Any]
    # Milliseconds since 1970.
    at: int


def append_entry(
    c: Connection,
    chain: str,
    actor: str,
    action: str,
    object: str = "",
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Add an entry within the transaction of the act it records, and return its hash.

    The parameters are fields of `AuditEntry`.
    """
    c.execute(
        upsert(c, audit_head)
        .values(chain=chain, number=0, hash=FIRST)
        .on_conflict_do_nothing(index_elements=["chain"])
    )
    # The head's row is held until the commit, so that two writers cannot follow the same entry.
    head = c.execute(select(audit_head).where(audit_head.c.chain == chain).with_for_update()).one()
    at, number, told = now(), head.number + 1, dict(detail or {})
    hash = _hash(chain, number, head.hash, actor, action, object, told, at)
    c.execute(
        insert(audit).values(
            chain=chain,
            number=number,
            previous=head.hash,
            hash=hash,
            actor=actor,
            action=action,
            object=object,
            detail=told,
            at=at,
        )
    )
    c.execute(
        update(audit_head).where(audit_head.c.chain == chain).values(number=number, hash=hash)
    )
    return hash


def list_entries(
    store: Store, chain: str, after: int = 0, most: int | None = None
) -> list[AuditEntry]:
    """Return a chain in order, from the entry after number `after` on."""
    query = select(audit).where(audit.c.chain == chain, audit.c.number > after)
    with store.read() as c:
        rows = c.execute(query.order_by(audit.c.number).limit(most)).mappings()
        return [AuditEntry(**row) for row in rows]


def first_broken(chain: Iterable[AuditEntry]) -> int | None:
    """Return the number of the first entry that was changed or follows a gap, None without any.

    chain: from its start, as `list_entries` returns it or as read from a download.
    """
    previous = FIRST
    for expected, e in enumerate(chain, 1):
        made = _hash(
            e.chain, e.number, e.previous, e.actor, e.action, e.object, dict(e.detail), e.at
        )
        if e.number != expected or e.previous != previous or e.hash != made:
            return expected
        previous = e.hash
    return None


def check_chain(store: Store, chain: str) -> int | None:
    """Return what `first_broken` does, of a stored chain, whose last entry must be the head."""
    found = list_entries(store, chain)
    broken = first_broken(found)
    if broken is not None:
        return broken
    with store.read() as c:
        head = c.execute(select(audit_head).where(audit_head.c.chain == chain)).one_or_none()
    last = found[-1].hash if found else FIRST
    return None if (head is None and not found) or (head and head.hash == last) else len(found) + 1


def as_json_lines(chain: Iterable[AuditEntry]) -> str:
    """Return a chain as a download: one JSON object a line."""
    return "".join(json.dumps(asdict(e), ensure_ascii=False, sort_keys=True) + "\n" for e in chain)


def _hash(
    chain: str,
    number: int,
    previous: str,
    actor: str,
    action: str,
    object: str,
    detail: Mapping[str, Any],
    at: int,
) -> str:
    content = [chain, number, previous, actor, action, object, detail, at]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
