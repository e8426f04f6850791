"""Staff: who organises, with which role in which consultation, and their sessions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import HOUR, NotFoundError, Store, now, upsert
from suffrage.server.store.database_schema import ROLES, staff, staff_role, staff_session
from suffrage.server.store.secret_keys import new_id, new_token

Role = Literal["viewer", "analyst", "moderator", "owner"]
SESSION_HOURS = 12
LEAST_PASSWORD = 12
_SESSION = "staff session"
# What each role may do; an owner may do all.
MAY: dict[str, frozenset[Role]] = {
    "view": frozenset(("viewer", "analyst", "moderator", "owner")),
    "moderate": frozenset(("moderator", "owner")),
    "analyse": frozenset(("analyst", "owner")),
    "export": frozenset(("analyst", "owner")),
    "manage": frozenset(("owner",)),
}


@dataclass(frozen=True)
class Member:
    """One of the staff. The password is nowhere but as an argon2 hash."""

    id: str
    email: str
    name: str
    disabled: bool
    created: int


def add_member(
    store: Store, email: str, password: str, actor: str = "command line", name: str = ""
) -> Member:
    """Add somebody without any role yet. Raises InputError on a bad address or a short password."""
    email = _email(email)
    _check_password(password)
    hashed = _hasher().hash(password)
    with store.write() as c:
        if c.scalar(select(staff.c.id).where(staff.c.email == email)):
            raise InputError("%(email)s is a member of staff already.", email=email)
        id = new_id()
        c.execute(
            insert(staff).values(id=id, email=email, name=name, password_hash=hashed, created=now())
        )
        audit.append_entry(c, audit.SITE, actor, "staff.add", id)
        return _member(c, id)


def set_password(store: Store, staff_id: str, password: str, actor: str) -> None:
    """Change a password and end all sessions of this member."""
    _check_password(password)
    hashed = _hasher().hash(password)
    with store.write() as c:
        _member(c, staff_id)
        c.execute(update(staff).where(staff.c.id == staff_id).values(password_hash=hashed))
        c.execute(delete(staff_session).where(staff_session.c.staff_id == staff_id))
        audit.append_entry(c, audit.SITE, actor, "staff.password", staff_id)


def disable_member(store: Store, staff_id: str, actor: str, disabled: bool = True) -> None:
    """Let a member in no longer, and end their sessions; or let them in again."""
    with store.write() as c:
        _member(c, staff_id)
        c.execute(update(staff).where(staff.c.id == staff_id).values(disabled=disabled))
        c.execute(delete(staff_session).where(staff_session.c.staff_id == staff_id))
        audit.append_entry(c, audit.SITE, actor, "staff.disable", staff_id, {"disabled": disabled})


def set_role(
    store: Store, consultation_id: str, staff_id: str, role: Role | None, actor: str
) -> None:
    """Give a role in a consultation, or take it away.

    Raises InputError where no owner would be left.
    """
    if role is not None and role not in ROLES:
        raise InputError(
            'role is "%(role)s"; it must be one of %(known)s.', role=role, known=", ".join(ROLES)
        )
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        _member(c, staff_id)
        before = _role(c, consultation_id, staff_id)
        owners = c.scalar(
            select(func.count()).where(
                staff_role.c.consultation_id == consultation_id, staff_role.c.role == "owner"
            )
        )
        if before == "owner" and role != "owner" and int(owners or 0) <= 1:
            raise InputError("a consultation needs an owner; make somebody else one first.")
        if role is None:
            c.execute(
                delete(staff_role).where(
                    staff_role.c.consultation_id == consultation_id,
                    staff_role.c.staff_id == staff_id,
                )
            )
        else:
            c.execute(
                upsert(c, staff_role)
                .values(consultation_id=consultation_id, staff_id=staff_id, role=role)
                .on_conflict_do_update(
                    index_elements=["staff_id", "consultation_id"], set_={"role": role}
                )
            )
        detail = {"from": before, "to": role}
        audit.append_entry(c, consultation_id, actor, "staff.role", staff_id, detail)


def log_in_member(store: Store, email: str, password: str) -> tuple[Member, str] | None:
    """Return the member and a new session's token, or None where address or password is wrong.

    It takes as long for an address that is not known.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    with store.read() as c:
        row = c.execute(select(staff).where(staff.c.email == email.strip().lower())).one_or_none()
    nobody = _nobody()  # made the first time anybody logs in, known or not
    kept = row.password_hash if row is not None else nobody
    try:
        good = _hasher().verify(kept, password[:1024])
    except (VerificationError, InvalidHashError):
        good = False
    if row is None or not good or row.disabled:
        return None
    token, at = new_token(), now()
    with store.write() as c:
        c.execute(delete(staff_session).where(staff_session.c.expires < at))
        c.execute(
            insert(staff_session).values(
                token_hash=store.secrets.hash(_SESSION, token),
                staff_id=row.id,
                created=at,
                expires=at + SESSION_HOURS * HOUR,
            )
        )
        audit.append_entry(c, audit.SITE, row.id, "staff.login", row.id)
        return _member(c, row.id), token


def member_of_session(store: Store, token: str) -> Member | None:
    """Return the member whose session this is."""
    query = select(staff_session.c.staff_id).where(
        staff_session.c.token_hash.in_(store.secrets.hashes(_SESSION, token)),
        staff_session.c.expires > now(),
    )
    with store.read() as c:
        id = c.scalar(query)
        member = None if id is None else _member(c, id)
    return None if member is None or member.disabled else member


def log_out_member(store: Store, token: str) -> None:
    """End a session."""
    with store.write() as c:
        c.execute(
            delete(staff_session).where(
                staff_session.c.token_hash.in_(store.secrets.hashes(_SESSION, token))
            )
        )


def role_of(store: Store, consultation_id: str, staff_id: str) -> Role | None:
    """Return the role in this consultation, None without one."""
    with store.read() as c:
        return _role(c, consultation_id, staff_id)


def roles_of(store: Store, staff_id: str) -> dict[str, Role]:
    """Return the role in each consultation, by its id."""
    query = select(staff_role.c.consultation_id, staff_role.c.role).where(
        staff_role.c.staff_id == staff_id
    )
    with store.read() as c:
        return {row.consultation_id: row.role for row in c.execute(query)}


def list_members(store: Store, consultation_id: str) -> list[tuple[Member, Role]]:
    """Return who has a role in a consultation, by address."""
    query = (
        select(*_COLUMNS, staff_role.c.role)
        .join(staff_role, staff_role.c.staff_id == staff.c.id)
        .where(staff_role.c.consultation_id == consultation_id)
        .order_by(staff.c.email)
    )
    with store.read() as c:
        return [(Member(*row[:-1]), row[-1]) for row in c.execute(query)]


def member_of_email(store: Store, email: str) -> Member | None:
    """Return the member with this address."""
    query = select(*_COLUMNS).where(staff.c.email == email.strip().lower())
    with store.read() as c:
        row = c.execute(query).one_or_none()
    return None if row is None else Member(**row._mapping)


_COLUMNS = [staff.c[name] for name in Member.__dataclass_fields__]


def _member(c: Connection, id: str) -> Member:
    row = c.execute(select(*_COLUMNS).where(staff.c.id == id)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such member of staff.")
    return Member(**row._mapping)


def _role(c: Connection, consultation_id: str, staff_id: str) -> Role | None:
    role: Role | None = c.scalar(
        select(staff_role.c.role).where(
            staff_role.c.consultation_id == consultation_id, staff_role.c.staff_id == staff_id
        )
    )
    return role


def _email(text: str) -> str:
    email = text.strip().lower()
    if not 3 <= len(email) <= 200 or email.count("@") != 1 or any(ch.isspace() for ch in email):
        raise InputError('"%(text)s" is not an email address.', text=text[:200])
    return email


def _check_password(password: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= 1024:
        raise InputError(
            "the password must have %(least)s characters or more.", least=LEAST_PASSWORD
        )


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    return str(_hasher().hash(new_token()))
