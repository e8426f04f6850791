"""Staff: who organises, with which role in which consultation, and their passwords."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import NotFoundError, Store, now, upsert
from suffrage.server.store.database_schema import (
    ROLES,
    staff,
    staff_browser,
    staff_link,
    staff_role,
    staff_session,
)
from suffrage.server.store.secret_keys import new_id, new_token

Role = Literal["viewer", "analyst", "moderator", "owner"]
LEAST_PASSWORD, MOST_PASSWORD = 12, 1024
# Of somebody who has not set a password yet: no password has it.
NO_PASSWORD = ""
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
    # Whether the next page is the one to change the password, because somebody else knows it.
    must_change: bool
    created: int


def add_member(
    store: Store,
    email: str,
    password: str | None,
    actor: str = "command line",
    name: str = "",
    must_change: bool = False,
) -> Member:
    """Add somebody without any role yet.

    Parameters
    ----------
    password : str, optional
        None for a member who sets one with a link (`staff_links`), and comes in no way before.
    must_change : bool
        Whether the first page they see is the one to change it.

    Raises
    ------
    InputError
        The address is no email address or is known already, or the password is too short.
    """
    email = _email(email)
    hashed = NO_PASSWORD if password is None else hash_password(password)
    with store.write() as c:
        _require_free(c, email)
        id = new_id()
        c.execute(
            insert(staff).values(
                id=id,
                email=email,
                name=name,
                password_hash=hashed,
                must_change=must_change,
                created=now(),
            )
        )
        audit.append_entry(c, audit.SITE, actor, "staff.add", id)
        return find_member(c, id)


def set_password(
    store: Store, staff_id: str, password: str, actor: str, must_change: bool = False
) -> None:
    """Change a password, and end all sessions and links of this member."""
    hashed = hash_password(password)
    with store.write() as c:
        store_password(c, staff_id, hashed, actor, must_change)


def change_own_password(store: Store, staff_id: str, old: str, new: str) -> None:
    """Change a member's password by themselves; it ends all their sessions.

    Raises InputError where the old one is wrong, or the new one is the old one or too short.
    """
    with store.read() as c:
        kept = c.scalar(select(staff.c.password_hash).where(staff.c.id == staff_id))
    if not is_password_of(kept, old):
        raise InputError("the present password is not right.")
    if new == old:
        raise InputError("the new password is the present one; choose another.")
    set_password(store, staff_id, new, staff_id)


def store_password(
    c: Connection, staff_id: str, hashed: str, actor: str, must_change: bool = False
) -> None:
    """Change a password within a transaction. hashed: as `hash_password` returns it."""
    find_member(c, staff_id)
    changed = {"password_hash": hashed, "must_change": must_change}
    c.execute(update(staff).where(staff.c.id == staff_id).values(**changed))
    _end_everything(c, staff_id)
    audit.append_entry(c, audit.SITE, actor, "staff.password", staff_id)


def disable_member(store: Store, staff_id: str, actor: str, disabled: bool = True) -> None:
    """Let a member in no longer, and end their sessions and links; or let them in again.

    Raises InputError where a consultation would be left without an owner who can come in.
    """
    with store.write() as c:
        find_member(c, staff_id)
        if disabled:
            for id in c.scalars(
                select(staff_role.c.consultation_id).where(
                    staff_role.c.staff_id == staff_id, staff_role.c.role == "owner"
                )
            ).all():
                _require_another_owner(c, id, staff_id)
        c.execute(update(staff).where(staff.c.id == staff_id).values(disabled=disabled))
        _end_everything(c, staff_id)
        audit.append_entry(c, audit.SITE, actor, "staff.disable", staff_id, {"disabled": disabled})


def set_address(store: Store, staff_id: str, email: str, actor: str) -> None:
    """Change the address that a member signs in with."""
    email = _email(email)
    with store.write() as c:
        find_member(c, staff_id)
        _require_free(c, email)
        c.execute(update(staff).where(staff.c.id == staff_id).values(email=email))
        audit.append_entry(c, audit.SITE, actor, "staff.address", staff_id)


def set_role(
    store: Store, consultation_id: str, staff_id: str, role: Role | None, actor: str
) -> None:
    """Give a role in a consultation, or take it away.

    Raises InputError where no owner would be left.
    """
    if role is not None:
        check_role(role)
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        find_member(c, staff_id)
        before = _role(c, consultation_id, staff_id)
        if before == "owner" and role != "owner":
            _require_another_owner(c, consultation_id, staff_id)
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


def check_role(role: str) -> None:
    """Raise InputError where there is no such role."""
    if role not in ROLES:
        raise InputError(
            'role is "%(role)s"; it must be one of %(known)s.', role=role, known=", ".join(ROLES)
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


def all_members(store: Store) -> list[Member]:
    """Return everybody, the first who was added first."""
    with store.read() as c:
        rows = c.execute(select(*_COLUMNS).order_by(staff.c.created, staff.c.email)).mappings()
        return [Member(**row) for row in rows]


def is_in_charge_of(store: Store, owner_id: str, staff_id: str) -> bool:
    """Whether an owner may decide on somebody's account: all their roles are where they own.

    Nobody decides on their own account this way.
    """
    ours = {id for id, role in roles_of(store, owner_id).items() if role == "owner"}
    theirs = set(roles_of(store, staff_id))
    return owner_id != staff_id and bool(theirs) and theirs <= ours


def member_of_email(store: Store, email: str) -> Member | None:
    """Return the member with this address."""
    query = select(*_COLUMNS).where(staff.c.email == email.strip().lower())
    with store.read() as c:
        row = c.execute(query).one_or_none()
    return None if row is None else Member(**row._mapping)


_COLUMNS = [staff.c[name] for name in Member.__dataclass_fields__]


def find_member(c: Connection, id: str) -> Member:
    """Return a member by id. Raises NotFoundError where there is none."""
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


def hash_password(password: str) -> str:
    """Return the argon2 hash of a password. Raises InputError where it is too short."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise InputError(
            "the password must have %(least)s characters or more.", least=LEAST_PASSWORD
        )
    return str(_hasher().hash(password))


def is_password_of(kept: str | None, password: str) -> bool:
    """Whether a password has this hash; without one it takes as long and is never right."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobody = _nobody()  # made the first time anybody logs in, known or not
    try:
        good = bool(_hasher().verify(kept or nobody, password[:MOST_PASSWORD]))
    except (VerificationError, InvalidHashError):
        return False
    return good and bool(kept)


def _end_everything(c: Connection, staff_id: str) -> None:
    """End what a member, or whoever had their password, could come in with."""
    for table in (staff_session, staff_browser, staff_link):
        c.execute(delete(table).where(table.c.staff_id == staff_id))


def _require_another_owner(c: Connection, consultation_id: str, staff_id: str) -> None:
    others = c.scalar(
        select(func.count())
        .select_from(staff_role.join(staff, staff.c.id == staff_role.c.staff_id))
        .where(
            staff_role.c.consultation_id == consultation_id,
            staff_role.c.role == "owner",
            staff_role.c.staff_id != staff_id,
            ~staff.c.disabled,
        )
    )
    if not others:
        raise InputError("a consultation needs an owner; make somebody else one first.")


def _require_free(c: Connection, email: str) -> None:
    if c.scalar(select(staff.c.id).where(staff.c.email == email)):
        raise InputError("%(email)s is a member of staff already.", email=email)


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    return str(_hasher().hash(new_token()))
