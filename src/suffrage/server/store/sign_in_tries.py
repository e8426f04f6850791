"""Wrong passwords: how long somebody waits after them, and the log of them.

Waits are counted for an address and the network it is tried from, so that nobody locks a member out
by trying their address from elsewhere. Tries from everywhere together are limited too, far more
widely, and not in a browser in which the member has signed in before.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from suffrage.server.store.database import DAY, Store, now
from suffrage.server.store.database_schema import staff, staff_refusal

# Wrong passwords after which each further one has a wait: from one network or known browser, and
# from everywhere together.
FREE_TRIES = 5
FREE_ANYWHERE = 50
# The first wait in milliseconds, which doubles each time, and the longest ones.
FIRST_WAIT = 30_000
LONGEST_WAIT = 3_600_000
LONGEST_ANYWHERE = 900_000
# Refusals older than that lengthen no wait; the log keeps them longer.
COUNTED = DAY
KEPT = 30 * DAY
MOST_KEPT = 20_000
_ACCOUNT = "sign-in account"


@dataclass(frozen=True)
class SignInTry:
    """Who says they are whom, from where."""

    # A keyed hash of the address that was typed, whether anybody has it or not.
    account: str
    # As `rate_limits.network` writes it; "" where it is not known.
    network: str
    # The hash of a browser that the member is known by, "" for any other.
    browser: str = ""


@dataclass(frozen=True)
class SignInRefusal:
    """A sign-in that was refused."""

    # Of a member, "" where nobody has the address that was typed.
    email: str
    network: str
    known_browser: bool
    # Milliseconds since 1970.
    at: int


class WaitError(Exception):
    """Too many wrong passwords; the next is looked at after a while."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wrong passwords; again in {seconds} s")
        self.seconds = seconds


def sign_in_try(store: Store, email: str, network: str, browser: str = "") -> SignInTry:
    """Return what is counted of a try with this address."""
    return SignInTry(store.secrets.hash(_ACCOUNT, email.strip().lower()), network, browser)


def require_no_wait(c: Connection, tried: SignInTry) -> None:
    """Raise WaitError while the wait after earlier wrong passwords has not passed."""
    at, r = now(), staff_refusal.c
    counted = (r.account == tried.account) & r.counts & (r.at > at - COUNTED)
    here = counted & _from_there(tried)
    until = _wait_until(c, here, FREE_TRIES, LONGEST_WAIT)
    if not tried.browser:
        until = max(until, _wait_until(c, counted, FREE_ANYWHERE, LONGEST_ANYWHERE))
    if until > at:
        raise WaitError(-(-(until - at) // 1000))


def record_refusal(c: Connection, tried: SignInTry, staff_id: str | None) -> None:
    """Put a wrong password into the log, and delete what is old there."""
    at = now()
    c.execute(insert(staff_refusal).values(**vars(tried), staff_id=staff_id, counts=True, at=at))
    newest = select(func.max(staff_refusal.c.id) - MOST_KEPT).scalar_subquery()
    c.execute(
        delete(staff_refusal).where(
            (staff_refusal.c.at < at - KEPT) | (staff_refusal.c.id <= newest)
        )
    )


def forgive_refusals(c: Connection, tried: SignInTry) -> None:
    """Let the refusals before a sign-in from the same place lengthen no further wait."""
    c.execute(
        update(staff_refusal)
        .where(staff_refusal.c.account == tried.account, _from_there(tried))
        .values(counts=False)
    )


def list_refusals(
    store: Store, staff_id: str | None = None, most: int = 100
) -> list[SignInRefusal]:
    """Return refused sign-ins, the newest first: with one member's address, or with any."""
    r = staff_refusal.c
    query = select(staff.c.email, r.network, r.browser, r.at).select_from(
        staff_refusal.outerjoin(staff, staff.c.id == r.staff_id)
    )
    if staff_id is not None:
        query = query.where(r.staff_id == staff_id)
    with store.read() as c:
        rows = c.execute(query.order_by(r.id.desc()).limit(most))
        return [
            SignInRefusal(email or "", network, bool(browser), at)
            for email, network, browser, at in rows
        ]


def _from_there(tried: SignInTry) -> ColumnElement[bool]:
    """From the same known browser, or from the same network in another one."""
    r = staff_refusal.c
    if tried.browser:
        return r.browser == tried.browser
    return (r.network == tried.network) & (r.browser == "")


def _wait_until(c: Connection, which: ColumnElement[bool], free: int, longest: int) -> int:
    query = select(func.count(), func.max(staff_refusal.c.at)).where(which)
    count, last = c.execute(query).one()
    if count < free:
        return 0
    wait: int = FIRST_WAIT * 2 ** min(int(count) - free, 20)
    return int(last) + min(wait, longest)
