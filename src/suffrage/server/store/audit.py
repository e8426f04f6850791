"""The audit log: who did what, each entry bound to the one before it by its hash.

A consultation has a chain of its own; acts that belong to no consultation are in the chain `SITE`.
Entries are only added: the database refuses to change or delete one, and a missing or changed entry
breaks the chain.

Whoever holds the database can make a whole new chain. What such a one cannot do is make it fit a
head, the number and hash of an entry, that somebody noted before: so heads are published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from suffrage import storage
from suffrage.errors import InputError
from suffrage.server.store.database import Store, now, upsert
from suffrage.server.store.database_schema import audit, audit_head

SITE = "site"
FIRST = "0" * 64
# Of a hash that somebody noted.
LEAST_DIGITS = 16


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


@dataclass(frozen=True)
class AuditHead:
    """An entry's number and hash. With the entry, all before it are fixed too.

    Examples
    --------
    >>> str(AuditHead(412, "9f86d081884c7d65"))
    '412:9f86d081884c7d65'
    """

    # None where only the hash was noted.
    number: int | None
    # The hash, or its first digits.
    hash: str

    @property
    def short(self) -> str:
        """With as much of the hash as somebody writes down."""
        return str(AuditHead(self.number, self.hash[:LEAST_DIGITS]))

    def __str__(self) -> str:
        return self.hash if self.number is None else f"{self.number}:{self.hash}"


def append_entry(
    c: Connection,
    chain: str,
    actor: str,
    action: str,
    object: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AuditHead:
    """Add an entry within the transaction of the act it records, and return it as a head.

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
    return AuditHead(number, hash)


def list_entries(
    store: Store, chain: str, after: int = 0, most: int | None = None, action: str = ""
) -> list[AuditEntry]:
    """Return a chain in order, from the entry after number `after` on.

    action: of which alone; "" for all.
    """
    query = select(audit).where(audit.c.chain == chain, audit.c.number > after)
    if action:
        query = query.where(audit.c.action == action)
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


def head_of(store: Store, chain: str, number: int | None = None) -> AuditHead | None:
    """Return a chain's last entry, or the one with a number, as a head; None without any."""
    query = select(audit.c.number, audit.c.hash).where(audit.c.chain == chain)
    if number is not None:
        query = query.where(audit.c.number == number)
    with store.read() as c:
        row = c.execute(query.order_by(audit.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else AuditHead(row.number, row.hash)


def read_head(written: str) -> AuditHead:
    """Read a head as it is published: number:hash, or a hash, of which the start is enough.

    Raises InputError on anything else, and on fewer than `LEAST_DIGITS` digits.
    """
    number, colon, hash = written.strip().lower().rpartition(":")
    good = LEAST_DIGITS <= len(hash) <= len(FIRST) and not set(hash) - set("0123456789abcdef")
    if not good or (colon and not (number.isascii() and number.isdigit())):
        raise InputError(
            f'"{written}" is not a head of an audit log; give number:hash with {LEAST_DIGITS} or '
            "more digits of the hash."
        )
    return AuditHead(int(number) if colon else None, hash)


def contradiction(chain: Iterable[AuditEntry], noted: AuditHead) -> str | None:
    """Return a sentence that says why a head is not in an unbroken chain; None where it is."""
    entries = list(chain)
    if noted.number is None:
        if any(e.hash.startswith(noted.hash) for e in entries):
            return None
        return f"no entry has the hash {noted.hash}, so the log was changed or cut after it."
    if noted.number > len(entries):
        return f"the log ends at entry {len(entries)}, before the head {noted}: it was cut."
    found = entries[noted.number - 1].hash if noted.number > 0 else FIRST
    if found.startswith(noted.hash):
        return None
    return (
        f"entry {noted.number} has the hash {found}, and {noted.hash} was noted: this is another "
        "log than at that time."
    )


def read_json_lines(text: str, name: str) -> list[AuditEntry]:
    """Read a download. Raises InputError with the line that is no entry."""
    entries = []
    for at, line in storage.json_lines(text):
        try:
            entries.append(AuditEntry(**json.loads(line)))
        except (ValueError, RecursionError, TypeError) as error:
            raise InputError(f"{name} line {at}: is not an entry of an audit log.") from error
    return entries


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
