"""One-time links with which members set a password that nobody else knows."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.database import HOUR, Store, now
from suffrage.server.store.database_schema import staff_link
from suffrage.server.store.secret_keys import new_token
from suffrage.server.store.staff import Member, find_member, hash_password, store_password

LINK_HOURS = 72
_LINK = "staff link"


def link_address(base_url: str, token: str) -> str:
    """Return the address of a link, from the address where people find the server."""
    return f"{base_url.rstrip('/')}/admin/password?t={token}"


def make_link(store: Store, staff_id: str, actor: str) -> str:
    """Return the token of a new link for a member; earlier ones are no longer valid."""
    token, at = new_token(), now()
    with store.write() as c:
        find_member(c, staff_id)
        c.execute(
            delete(staff_link).where(
                (staff_link.c.staff_id == staff_id) | (staff_link.c.expires < at)
            )
        )
        c.execute(
            insert(staff_link).values(
                token_hash=store.secrets.hash(_LINK, token),
                staff_id=staff_id,
                created=at,
                expires=at + LINK_HOURS * HOUR,
            )
        )
        audit.append_entry(c, audit.SITE, actor, "staff.link", staff_id)
    return token


def member_of_link(store: Store, token: str) -> Member | None:
    """Return whose link this is; None where it is unknown, used or out of date."""
    with store.read() as c:
        return _member_of(c, store, token)


def set_password_by_link(store: Store, token: str, password: str) -> Member:
    """Set the password of the link's member, end their sessions, and use the link up.

    Raises InputError on a link that is not valid and on a password that is too short.
    """
    hashed = hash_password(password)
    with store.write() as c:
        member = _member_of(c, store, token)
        if member is None:
            raise InputError("this link is not valid any more; ask for a new one.")
        # Links of a member end with every change of the password, this one among them.
        store_password(c, member.id, hashed, member.id)
    return member


def _member_of(c: Connection, store: Store, token: str) -> Member | None:
    id = c.scalar(
        select(staff_link.c.staff_id).where(
            staff_link.c.token_hash.in_(store.secrets.hashes(_LINK, token)),
            staff_link.c.expires > now(),
        )
    )
    member = None if id is None else find_member(c, id)
    return None if member is None or member.disabled else member
