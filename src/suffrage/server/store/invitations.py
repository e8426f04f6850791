"""Invitations: single-use links whose tokens the store knows only by their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import RefusedError, Store, now
from suffrage.server.store.database_schema import invitation, participant
from suffrage.server.store.mail_addresses import forget_addresses
from suffrage.server.store.secret_keys import new_id, new_token

_PURPOSE = "invitation"


@dataclass(frozen=True)
class Invitation:
    """An invitation without its token. Times in milliseconds."""

    id: str
    stratum: str
    created: int
    expires: int | None
    used_at: int | None
    revoked_at: int | None


def create_invitations(
    store: Store,
    consultation_id: str,
    count: int,
    actor: str,
    stratum: str = "",
    expires: int | None = None,
) -> list[str]:
    """Make single-use invitations and return their tokens, which are kept nowhere else.

    Parameters
    ----------
    stratum : str
        Whom they are for, as a label.
    expires : int, optional
        Milliseconds since 1970.
    """
    tokens = [new_token() for _ in range(count)]
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        if tokens:
            c.execute(
                insert(invitation),
                [
                    {
                        "consultation_id": consultation_id,
                        "id": new_id(),
                        "token_hash": store.secrets.hash(_PURPOSE, token),
                        "stratum": stratum,
                        "created": now(),
                        "expires": expires,
                    }
                    for token in tokens
                ],
            )
        detail = {"count": count, "stratum": stratum, "expires": expires}
        audit.append_entry(c, consultation_id, actor, "invitation.create", stratum, detail)
    return tokens


def list_invitations(store: Store, consultation_id: str) -> list[Invitation]:
    """Return all invitations, the newest last."""
    columns = [invitation.c[name] for name in Invitation.__dataclass_fields__]
    query = select(*columns).where(invitation.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(invitation.c.created, invitation.c.id)).mappings()
        return [Invitation(**row) for row in rows]


def revoke_invitation(store: Store, consultation_id: str, invitation_id: str, actor: str) -> None:
    """Make an unused invitation void. Raises RefusedError where it was used."""
    with store.write() as c:
        done = c.execute(
            update(invitation)
            .where(
                invitation.c.consultation_id == consultation_id,
                invitation.c.id == invitation_id,
                invitation.c.used_at.is_(None),
            )
            .values(revoked_at=now())
        )
        if done.rowcount == 0:
            raise RefusedError("used", "there is no unused invitation of that id.")
        forget_addresses(c, consultation_id, invitation_id)
        audit.append_entry(c, consultation_id, actor, "invitation.revoke", invitation_id)


def is_usable_invitation(store: Store, consultation_id: str, token: str) -> bool:
    """Whether a token would let somebody in.

    This uses nothing up: programs fetch pages before people see them.
    """
    with store.read() as c:
        return bool(
            c.scalar(select(invitation.c.id).where(*_usable(store, consultation_id, token)))
        )


def is_own_invitation(store: Store, consultation_id: str, token: str, participant_id: str) -> bool:
    """Whether it is with this token that a participant started."""
    query = (
        select(invitation.c.id)
        .join(
            participant,
            (participant.c.consultation_id == invitation.c.consultation_id)
            & (participant.c.invitation_id == invitation.c.id),
        )
        .where(
            invitation.c.consultation_id == consultation_id,
            invitation.c.token_hash.in_(store.secrets.hashes(_PURPOSE, token)),
            participant.c.id == participant_id,
        )
    )
    with store.read() as c:
        return c.scalar(query) is not None


def use_invitation(c: Connection, store: Store, consultation_id: str, token: str, at: int) -> str:
    """Use an invitation up, and return its id. Raises RefusedError "used" where it is not good."""
    # One statement checks and uses up: of two at once only one finds the row.
    id = c.scalar(
        update(invitation)
        .where(*_usable(store, consultation_id, token))
        .values(used_at=at)
        .returning(invitation.c.id)
    )
    if id is None:
        raise RefusedError("used", "this invitation was used before, or is not valid.")
    # From now on nothing says to which address a participant's invitation was sent.
    forget_addresses(c, consultation_id, str(id))
    return str(id)


def _usable(store: Store, consultation_id: str, token: str) -> list[Any]:
    i = invitation.c
    return [
        i.consultation_id == consultation_id,
        i.token_hash.in_(store.secrets.hashes(_PURPOSE, token)),
        i.used_at.is_(None),
        i.revoked_at.is_(None),
        or_(i.expires.is_(None), i.expires > now()),
    ]
