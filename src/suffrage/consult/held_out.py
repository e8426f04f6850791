"""Participants nobody trains on: the same ones for whoever asks, whatever the order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def held_out_participants(participants: Iterable[str], seed: int, share: float) -> frozenset[str]:
    """Those whose SHA-256 of "seed:participant" lies in the lowest `share` of all hashes.

    share: 0 to 1, reached on average. Each participant's side depends on nobody else, so that one who
    joins or withdraws moves no other.
    """
    limit = share * 2**64
    return frozenset(one for one in participants if _place(one, seed) < limit)


def _place(participant: str, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}:{participant}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
