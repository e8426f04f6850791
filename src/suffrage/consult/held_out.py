"""Participants nobody trains on: the same ones for whoever asks, whatever the order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from suffrage.consult.votes import id_order


def held_out_people(participants: Iterable[str], share: float, seed: int) -> tuple[str, ...]:
    """Those whose SHA-256 of "seed/participant" lies in the lowest `share` of all hashes, in `id_order`.

    share: 0 to 1, reached on average. A person's side depends on nobody else, so that late comers and
    withdrawals move no one; a smaller share holds out some of the same people.
    """
    limit = share * 2**64
    return tuple(sorted((p for p in participants if _place(p, seed) < limit), key=id_order))


def _place(participant: str, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}/{participant}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
