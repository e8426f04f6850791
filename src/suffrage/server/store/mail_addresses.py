"""Addresses that invitations were sent to are deleted as soon as they are not needed."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from suffrage.server.store.database_schema import invitation_mail


def forget_addresses(c: Connection, consultation_id: str, invitation_id: str | None = None) -> None:
    """Delete the address of one invitation, or those of a whole consultation."""
    m = invitation_mail.c
    chosen = [m.consultation_id == consultation_id]
    if invitation_id is not None:
        chosen.append(m.invitation_id == invitation_id)
    c.execute(delete(invitation_mail).where(*chosen))
