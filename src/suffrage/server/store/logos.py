"""The picture at the top of a consultation's pages."""

from __future__ import annotations

import hashlib

from sqlalchemy import delete, select

from suffrage.errors import InputError
from suffrage.server.store.consultations import set_settings
from suffrage.server.store.database import NotFoundError, Store, upsert
from suffrage.server.store.database_schema import consultation_logo

MOST_BYTES = 100 * 1024
# What a file of each kind begins with.
_SIGNS = {
    "image/png": (b"\x89PNG\r\n\x1a\n", 0),
    "image/jpeg": (b"\xff\xd8\xff", 0),
    "image/webp": (b"WEBP", 8),
}


def kind_of_picture(content: bytes) -> str | None:
    """Return the media type of a PNG, JPEG or WebP file, None for anything else."""
    for kind, (sign, at) in _SIGNS.items():
        if content[at : at + len(sign)] == sign:
            return kind
    return None


def set_logo(store: Store, consultation_id: str, content: bytes, actor: str) -> None:
    """Keep a picture as the logo; an empty one takes the logo away.

    Raises InputError where it is too large, or no picture that every browser shows.
    """
    kind = kind_of_picture(content)
    if content and kind is None:
        raise InputError("the logo must be a PNG, JPEG or WebP picture.")
    if len(content) > MOST_BYTES:
        raise InputError(
            "the logo has %(size)s kB; use a picture of at most %(most)s kB.",
            size=len(content) // 1024,
            most=MOST_BYTES // 1024,
        )
    with store.write() as c:
        c.execute(
            delete(consultation_logo).where(consultation_logo.c.consultation_id == consultation_id)
        )
        if content:
            c.execute(
                upsert(c, consultation_logo).values(
                    consultation_id=consultation_id, kind=kind, content=content
                )
            )
    mark = hashlib.sha256(content).hexdigest()[:16] if content else ""
    set_settings(store, consultation_id, {"logo": mark}, actor)


def find_logo(store: Store, consultation_id: str) -> tuple[str, bytes]:
    """Return the logo's media type and content. Raises NotFoundError where there is none."""
    query = select(consultation_logo.c.kind, consultation_logo.c.content).where(
        consultation_logo.c.consultation_id == consultation_id
    )
    with store.read() as c:
        row = c.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("this consultation has no logo.")
    return row.kind, row.content
