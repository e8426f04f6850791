"""Invitations by e-mail: who is to be sent one, what is due, and what was sent.

An address is kept only until somebody joins with its invitation, the invitation is revoked, or the
consultation closes. What remains is a keyed hash of the address that belongs to no invitation, so
that nobody is invited twice and no address leads to anybody's votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import HOUR, Store, now, upsert
from suffrage.server.store.database_schema import invitation, invitation_mail, invited_address
from suffrage.server.store.secret_keys import new_id

MailKind = Literal["invitation", "reminder"]
MINUTE = HOUR // 60
# Sending is given up after so many failures in a row.
MOST_TRIES = 5
# For so long a mail belongs to the process that sends it.
LEASE = 5 * MINUTE
_LINK, _INVITED, _INVITATION = "invitation link", "invited address", "invitation"


@dataclass(frozen=True)
class Mail:
    """An invitation that is sent by e-mail. Times in milliseconds."""

    consultation_id: str
    invitation_id: str
    address: str
    language: str
    kind: MailKind
    due: int | None
    sent: int
    sent_at: int | None
    tries: int
    failed: str


_COLUMNS = [invitation_mail.c[name] for name in Mail.__dataclass_fields__]


def link_token(store: Store, invitation_id: str) -> str:
    """Return the token of an invitation that is sent by e-mail.

    It is made from the id with the secret, so that a reminder has the same link and the database
    alone has none.
    """
    return store.secrets.hash(_LINK, invitation_id)[:48]


def invite_addresses(
    store: Store,
    consultation_id: str,
    addresses: Sequence[str],
    actor: str,
    language: str,
    stratum: str = "",
    expires: int | None = None,
) -> int:
    """Make an invitation for each address that was never invited, to be sent as soon as can be.

    Returns
    -------
    int
        How many were made.
    """
    at = now()
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        new = [a for a in dict.fromkeys(addresses) if _is_new(c, store, consultation_id, a)]
        ids = [new_id() for _ in new]
        of = {"consultation_id": consultation_id}
        if new:
            # The token's hash is among those of all invitations, so that joining is the same.
            c.execute(
                insert(invitation),
                [
                    {
                        **of,
                        "id": id,
                        "token_hash": store.secrets.hash(_INVITATION, link_token(store, id)),
                        "stratum": stratum,
                        "created": at,
                        "expires": expires,
                    }
                    for id in ids
                ],
            )
            mails = {**of, "language": language, "kind": "invitation", "due": at}
            c.execute(
                insert(invitation_mail),
                [
                    {**mails, "invitation_id": id, "address": address}
                    for id, address in zip(ids, new, strict=True)
                ],
            )
        detail = {"count": len(new), "stratum": stratum, "expires": expires}
        audit.append_entry(c, consultation_id, actor, "invitation.mail", stratum, detail)
    return len(new)


def _is_new(c: Connection, store: Store, consultation_id: str, address: str) -> bool:
    """Put an address on the list of the invited, and say whether it was not there."""
    known = store.secrets.hashes(_INVITED, address.casefold())
    there = select(invited_address.c.address_hash).where(
        invited_address.c.consultation_id == consultation_id,
        invited_address.c.address_hash.in_(known),
    )
    if c.execute(there).first() is not None:
        return False
    c.execute(
        upsert(c, invited_address).values(consultation_id=consultation_id, address_hash=known[0])
    )
    return True


def list_mails(store: Store, consultation_id: str) -> dict[str, Mail]:
    """Return the mails whose address is still kept, by invitation."""
    query = select(*_COLUMNS).where(invitation_mail.c.consultation_id == consultation_id)
    with store.read() as c:
        found = [Mail(**row) for row in c.execute(query).mappings()]
    return {mail.invitation_id: mail for mail in found}


def send_again(
    store: Store,
    consultation_id: str,
    kind: MailKind,
    actor: str,
    invitation_ids: Sequence[str] | None = None,
) -> int:
    """Have invitations sent once more, all whose address is kept or those named.

    Returns
    -------
    int
        How many will be sent. One that waits to be sent already is not counted.
    """
    m = invitation_mail.c
    chosen = [m.consultation_id == consultation_id, m.due.is_(None)]
    if invitation_ids is not None:
        chosen.append(m.invitation_id.in_(list(invitation_ids)))
    with store.write() as c:
        done = c.execute(
            update(invitation_mail).where(*chosen).values(kind=kind, due=now(), tries=0, failed="")
        )
        detail = {"count": done.rowcount}
        audit.append_entry(c, consultation_id, actor, f"invitation.{kind}", "", detail)
    return done.rowcount


def take_due_mail(store: Store) -> Mail | None:
    """Return a mail that is to be sent now, which no other process then takes."""
    m, at = invitation_mail.c, now()
    query = select(*_COLUMNS).where(m.due <= at).order_by(m.due, m.invitation_id).limit(1)
    with store.read() as c:
        row = c.execute(query).mappings().one_or_none()
    if row is None:
        return None
    mail = Mail(**row)
    with store.write() as c:
        taken = c.execute(
            update(invitation_mail).where(*_is(mail), m.due == mail.due).values(due=at + LEASE)
        )
        # Under another secret than at first the link is another one.
        token_hash = store.secrets.hash(_INVITATION, link_token(store, mail.invitation_id))
        c.execute(
            update(invitation)
            .where(
                invitation.c.consultation_id == mail.consultation_id,
                invitation.c.id == mail.invitation_id,
                invitation.c.used_at.is_(None),
            )
            .values(token_hash=token_hash)
        )
    return mail if taken.rowcount else None


def mail_sent(store: Store, mail: Mail) -> None:
    """Record that a mail was handed over."""
    values: dict[str, Any] = {"due": None, "sent_at": now(), "sent": invitation_mail.c.sent + 1}
    with store.write() as c:
        c.execute(update(invitation_mail).where(*_is(mail)).values(**values, tries=0, failed=""))


def mail_failed(store: Store, mail: Mail, why: str, for_good: bool = False) -> None:
    """Record that a mail could not be sent, and try again later or, `for_good`, not at all."""
    tries = mail.tries + 1
    given_up = for_good or tries >= MOST_TRIES
    due = None if given_up else now() + MINUTE * 4**tries
    with store.write() as c:
        c.execute(
            update(invitation_mail).where(*_is(mail)).values(due=due, tries=tries, failed=why[:300])
        )


def _is(mail: Mail) -> list[Any]:
    m = invitation_mail.c
    return [m.consultation_id == mail.consultation_id, m.invitation_id == mail.invitation_id]
