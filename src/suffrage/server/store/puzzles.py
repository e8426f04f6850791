"""Puzzles that make joining cost computing time: a proof of work, without another party's service.

A puzzle is text that only this server can make. It has 16 parts. A part is solved by a number with
which the SHA-256 hash of the puzzle's mark, the part and the number begins with enough zero bits.
Such a number can only be found by trying, and is checked by one hash. Many easy parts take a
steadier time than one hard puzzle: the standard deviation is a quarter of the mean.

The server keeps nothing until a puzzle is solved: the text says how hard it is and until when it is
good, and its mark proves both. A mark that somebody has joined with is stored, so that it counts
once, for as long as the puzzle would be good.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from itertools import count
from secrets import token_hex

from sqlalchemy import Connection, delete

from suffrage.server.store.database import HOUR, RefusedError, Store, now, upsert
from suffrage.server.store.database_schema import used_puzzle
from suffrage.server.store.secret_keys import Secrets

PARTS = 16
# Of `ConsultationSettings.proof_of_work`: with 16 parts, each has four bits fewer than the whole.
MOST_BITS = 24
_OF_PARTS = 4
GOOD_FOR = HOUR // 2
_PURPOSE = "puzzle"
_TEXT = re.compile(r"(\d{1,15})\.(\d{1,2})\.[0-9a-f]{16}\.([0-9a-f]{32})", re.ASCII)
_SOLUTION = re.compile(rf"[0-9a-f]{{{8 * PARTS}}}", re.ASCII)


@dataclass(frozen=True)
class Puzzle:
    """A puzzle as its solver needs it."""

    # To be sent back with the solution.
    text: str
    # What each hash begins with.
    mark: str
    # How many zero bits the hash of each part must begin with.
    zero_bits: int


@dataclass(frozen=True)
class Proof:
    """A puzzle, and the numbers that solve its parts: eight hexadecimal digits each."""

    puzzle: str
    solution: str


def make_puzzle(secrets: Secrets, consultation_id: str, bits: int) -> Puzzle:
    """Return a new puzzle for joining one consultation.

    Parameters
    ----------
    bits : int
        Solving takes about 2 ** bits hashes, from 4 to 24.
    """
    open_text = f"{now() + GOOD_FOR}.{bits}.{token_hex(8)}"
    mark = secrets.hash(_PURPOSE, f"{consultation_id}.{open_text}")[:32]
    return _puzzle(f"{open_text}.{mark}", mark, bits)


def solve_puzzle(puzzle: Puzzle) -> Proof:
    """Return the solution with the smallest numbers, as the page's script finds it.

    Examples
    --------
    >>> proof = solve_puzzle(Puzzle("", "0" * 32, 8))
    >>> proof.solution[:16]
    '0000000000000038'
    """
    found = [
        next(n for n in count() if _is_solved(puzzle.mark, part, n, puzzle.zero_bits))
        for part in range(PARTS)
    ]
    return Proof(puzzle.text, "".join(f"{n:08x}" for n in found))


def use_proof(c: Connection, store: Store, consultation_id: str, proof: Proof | None) -> None:
    """Check a solution and use it up, within the transaction of the act that it is for.

    Raises
    ------
    RefusedError
        "puzzle", for a solution that is missing or wrong, and for a puzzle that is not of this
        consultation, out of date or used.
    """
    puzzle = None if proof is None else _read(store.secrets, consultation_id, proof.puzzle)
    if proof is None or puzzle is None or not _SOLUTION.fullmatch(proof.solution):
        raise RefusedError("puzzle", "joining needs the solution of a puzzle of this consultation.")
    numbers = [int(proof.solution[at : at + 8], 16) for at in range(0, 8 * PARTS, 8)]
    if not all(
        _is_solved(puzzle.mark, part, n, puzzle.zero_bits) for part, n in enumerate(numbers)
    ):
        raise RefusedError("puzzle", "this is not the solution of the puzzle.")
    c.execute(delete(used_puzzle).where(used_puzzle.c.expires < now()))
    row = upsert(c, used_puzzle).values(mark=puzzle.mark, expires=_expires(puzzle.text))
    stored = c.scalar(row.on_conflict_do_nothing().returning(used_puzzle.c.mark))
    if stored is None:
        raise RefusedError("puzzle", "somebody has joined with this puzzle already.")


def _read(secrets: Secrets, consultation_id: str, text: str) -> Puzzle | None:
    """Return a puzzle that this server made for this consultation and that is good now."""
    read = _TEXT.fullmatch(text)
    if read is None or _expires(text) < now():
        return None
    open_text, mark = text.rsplit(".", 1)
    made = secrets.hashes(_PURPOSE, f"{consultation_id}.{open_text}")
    if not any(hmac.compare_digest(one[:32], mark) for one in made):
        return None
    return _puzzle(text, mark, int(read.group(2)))


def _puzzle(text: str, mark: str, bits: int) -> Puzzle:
    return Puzzle(text, mark, max(bits - _OF_PARTS, 0))


def _expires(text: str) -> int:
    return int(text.partition(".")[0])


def _is_solved(mark: str, part: int, number: int, zero_bits: int) -> bool:
    tried = hashlib.sha256(f"{mark}{part:04d}{number:08x}".encode()).digest()
    return int.from_bytes(tried[:4]) >> (32 - zero_bits) == 0
