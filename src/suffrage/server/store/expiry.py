"""Deletes what a store keeps for a while only, also where nothing new comes that would do it."""

from __future__ import annotations

from sqlalchemy import delete

from suffrage.server.store.buckets import remove_full_buckets
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import (
    participant_session,
    staff_browser,
    staff_link,
    staff_refusal,
    staff_session,
    used_puzzle,
)
from suffrage.server.store.sign_in_tries import KEPT


def delete_expired(store: Store) -> None:
    """Delete what has expired, and take what was deleted before out of SQLite's log."""
    at = now()
    with store.write() as c:
        for table in (participant_session, staff_session, staff_browser, staff_link, used_puzzle):
            c.execute(delete(table).where(table.c.expires < at))
        c.execute(delete(staff_refusal).where(staff_refusal.c.at < at - KEPT))
    remove_full_buckets(store)
    store.forget_deleted()
