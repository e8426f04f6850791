"""Whether a store is opened with the secret it was made with.

The store keeps a mark that only its key can make. With another key nothing in it would fail at
once, but nobody could be found by their session, invitation or code, and nobody's answers about
themselves could be read.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from suffrage.errors import InputError
from suffrage.server.store.database_schema import demographic, secret_mark
from suffrage.server.store.secret_keys import Secrets

_PURPOSE, _MARKED = "store", "mark"


def mark_of(secrets: Secrets) -> str:
    """Return the mark of the secret's first key."""
    return secrets.hash(_PURPOSE, _MARKED)


def is_marked(c: Connection, secrets: Secrets) -> bool:
    """Compare the secret with the store's marks.

    Returns
    -------
    bool
        Whether the first key's mark is there; False in a new store and for a new key.

    Raises
    ------
    InputError
        The secret is not the store's, or a key that is still needed is not among its keys.
    """
    known = set(c.scalars(select(secret_mark.c.mark)))
    ours = set(secrets.hashes(_PURPOSE, _MARKED))
    if known and not known & ours:
        raise InputError(
            "the secret is not the one that this store was made with; with it no session, "
            "invitation or answer about oneself could be found. Put the right one back."
        )
    if known - ours and c.execute(select(demographic.c.item).limit(1)).first():
        raise InputError(
            "answers of people about themselves may be stored under a key that is no longer in "
            "the secret; put that key back, after the first one and a comma."
        )
    return mark_of(secrets) in known
