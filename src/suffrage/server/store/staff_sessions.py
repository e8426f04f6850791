"""How staff come in with a password: sessions, and browsers that they are known by."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from suffrage.server.store import audit
from suffrage.server.store.database import DAY, HOUR, Store, now
from suffrage.server.store.database_schema import staff, staff_browser, staff_session
from suffrage.server.store.secret_keys import new_token
from suffrage.server.store.sign_in_tries import (
    forgive_refusals,
    record_refusal,
    require_no_wait,
    sign_in_try,
)
from suffrage.server.store.staff import Member, find_member, is_password_of

SESSION_HOURS = 12
BROWSER_DAYS = 365
_SESSION, _BROWSER = "staff session", "staff browser"


@dataclass(frozen=True)
class SignedIn:
    """A member, with the tokens of the session and of the browser."""

    member: Member
    session: str
    # By which this browser is known from now on.
    browser: str


def log_in_member(
    store: Store, email: str, password: str, network: str = "", browser: str = ""
) -> SignedIn | None:
    """Let a member in, or return None where address or password is wrong.

    It takes as long for an address that is not known.

    Parameters
    ----------
    network : str
        Where the try comes from, as `rate_limits.network` writes it.
    browser : str
        The token by which the browser was known, "" without one.

    Raises
    ------
    WaitError
        There were too many wrong passwords; this one was not looked at.
    """
    email = email.strip().lower()
    with store.read() as c:
        row = c.execute(select(staff).where(staff.c.email == email)).one_or_none()
        known = _known_browser(c, store, browser, "" if row is None else row.id)
        tried = sign_in_try(store, email, network, known)
        require_no_wait(c, tried)
    good = is_password_of(None if row is None else row.password_hash, password)
    if row is None or not good or row.disabled:
        with store.write() as c:
            record_refusal(c, tried, None if row is None else row.id)
        return None
    with store.write() as c:
        forgive_refusals(c, tried)
        found = _begin(c, store, row.id)
        audit.append_entry(c, audit.SITE, row.id, "staff.login", row.id)
    return found


def is_known_browser(store: Store, email: str, token: str) -> bool:
    """Whether the member with this address has signed in in this browser before."""
    query = select(staff.c.id).where(staff.c.email == email.strip().lower())
    with store.read() as c:
        return bool(token and _known_browser(c, store, token, c.scalar(query) or ""))


def sign_in_again(store: Store, staff_id: str) -> SignedIn:
    """Let a member in who has just changed the password here, which ended all sessions."""
    with store.write() as c:
        return _begin(c, store, staff_id)


def member_of_session(store: Store, token: str) -> Member | None:
    """Return the member whose session this is."""
    query = select(staff_session.c.staff_id).where(
        staff_session.c.token_hash.in_(store.secrets.hashes(_SESSION, token)),
        staff_session.c.expires > now(),
    )
    with store.read() as c:
        id = c.scalar(query)
        member = None if id is None else find_member(c, id)
    return None if member is None or member.disabled else member


def log_out_member(store: Store, token: str) -> None:
    """End a session."""
    with store.write() as c:
        c.execute(
            delete(staff_session).where(
                staff_session.c.token_hash.in_(store.secrets.hashes(_SESSION, token))
            )
        )


def _known_browser(c: Connection, store: Store, token: str, staff_id: str) -> str:
    """Return the hash of a browser in which this member has signed in, "" for any other."""
    return (
        c.scalar(
            select(staff_browser.c.token_hash).where(
                staff_browser.c.token_hash.in_(store.secrets.hashes(_BROWSER, token)),
                staff_browser.c.staff_id == staff_id,
                staff_browser.c.expires > now(),
            )
        )
        or ""
    )


def _begin(c: Connection, store: Store, staff_id: str) -> SignedIn:
    at, session, browser = now(), new_token(), new_token()
    hours = {staff_session: SESSION_HOURS * HOUR, staff_browser: BROWSER_DAYS * DAY}
    made = ((staff_session, _SESSION, session), (staff_browser, _BROWSER, browser))
    for table, purpose, token in made:
        c.execute(delete(table).where(table.c.expires < at))
        c.execute(
            insert(table).values(
                token_hash=store.secrets.hash(purpose, token),
                staff_id=staff_id,
                created=at,
                expires=at + hours[table],
            )
        )
    return SignedIn(find_member(c, staff_id), session, browser)
