"""Votes on statements as a matrix: participants x statements, whatever they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray, VoteArray
from suffrage.errors import InputError

AGREE, PASS, DISAGREE = 1, 0, -1
# A pass is a vote; not having seen a statement is none.
UNSEEN = -128


def id_order(key: str) -> tuple[int, int, str]:
    """Sorts "2" before "10", and numbers before words."""
    return (0, int(key), key) if key.isascii() and key.isdigit() else (1, 0, key)


@dataclass(frozen=True, eq=False)
class VoteMatrix:
    """The last vote of each participant on each statement.

    participants, statements: ids, each in `id_order`, so that no order of rows in a file reaches
    what is computed. votes: (participants, statements), AGREE, PASS, DISAGREE or UNSEEN.
    """

    participants: tuple[str, ...]
    statements: tuple[str, ...]
    votes: VoteArray

    def __post_init__(self) -> None:
        if self.votes.shape != (len(self.participants), len(self.statements)):
            raise ValueError(f"votes of shape {self.votes.shape} do not fit the ids")
        for ids in (self.participants, self.statements):
            if list(ids) != sorted(set(ids), key=id_order):
                raise ValueError("ids must be distinct and in id_order: use `arranged`")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, VoteMatrix)
            and self.participants == other.participants
            and self.statements == other.statements
            and np.array_equal(self.votes, other.votes)
        )

    __hash__ = None  # type: ignore[assignment]  # holds an array

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Where there is a vote, a pass among them: (participants, statements)."""
        return np.asarray(self.votes != UNSEEN)

    def counts(self, vote: int) -> npt.NDArray[np.int64]:
        """How many gave this vote to each statement, (statements,)."""
        return np.asarray((self.votes == vote).sum(axis=0))

    def only(self, statements: Iterable[str]) -> VoteMatrix:
        """The same participants on these statements only."""
        wanted = set(statements)
        keep = [at for at, statement in enumerate(self.statements) if statement in wanted]
        return VoteMatrix(
            self.participants, tuple(self.statements[at] for at in keep), self.votes[:, keep]
        )


def arranged(
    participants: Sequence[str], statements: Sequence[str], votes: VoteArray
) -> VoteMatrix:
    """A table in any order of rows and columns as a matrix.

    Raises InputError where an id stands twice.
    """
    for kind, ids in (("participant", participants), ("statement", statements)):
        if len(set(ids)) < len(ids):
            twice = next(i for at, i in enumerate(ids) if i in ids[:at])
            raise InputError(f"{kind} {twice} stands twice; give every {kind} an id of its own.")
    rows = sorted(range(len(participants)), key=lambda at: id_order(participants[at]))
    columns = sorted(range(len(statements)), key=lambda at: id_order(statements[at]))
    return VoteMatrix(
        tuple(participants[at] for at in rows),
        tuple(statements[at] for at in columns),
        np.ascontiguousarray(votes[np.ix_(rows, columns)]),
    )


def from_events(
    participants: Sequence[str],
    statements: Sequence[str],
    votes: Sequence[int],
    at: Sequence[int],
    everyone: Iterable[str] = (),
    everything: Iterable[str] = (),
) -> VoteMatrix:
    """The matrix that a log of votes leaves: a later vote replaces an earlier one.

    One event an element; at: when, in any unit. Of events at one time the one given later counts.
    everyone, everything: ids of participants and statements that the log may lack.
    Raises InputError where a vote is none of -1, 0, 1.
    """
    cast = np.asarray(votes, dtype=np.int64)
    wrong = np.flatnonzero(~np.isin(cast, (AGREE, PASS, DISAGREE)))
    if wrong.size:
        first = int(wrong[0])
        raise InputError(
            f"vote {first + 1} in the log (participant {participants[first]}, statement "
            f"{statements[first]}) is {cast[first]}; votes are -1, 0 or 1."
        )
    people = sorted({*participants, *everyone}, key=id_order)
    things = sorted({*statements, *everything}, key=id_order)
    row_of = {participant: row for row, participant in enumerate(people)}
    column_of = {statement: column for column, statement in enumerate(things)}
    rows = np.fromiter((row_of[p] for p in participants), np.int64, len(participants))
    columns = np.fromiter((column_of[s] for s in statements), np.int64, len(statements))
    order = np.argsort(np.asarray(at), kind="stable")
    matrix = np.full((len(people), len(things)), UNSEEN, dtype=np.int8)
    # Of several values for one cell NumPy does not promise the last, so earlier ones are cut out.
    cell = (rows * max(len(things), 1) + columns)[order]
    _, last = np.unique(cell[::-1], return_index=True)
    kept = order[order.size - 1 - last]
    matrix[rows[kept], columns[kept]] = cast[kept]
    return VoteMatrix(tuple(people), tuple(things), matrix)


@dataclass(frozen=True, eq=False)
class Tallies:
    """Votes on each statement by group; every array has the shape (groups, statements)."""

    agrees: FloatArray
    disagrees: FloatArray
    # All votes, passes among them.
    seen: FloatArray
    # The sum of squared weights of those who voted: seen^2 / squares is Kish's effective number
    # of voters. Without weights it equals `seen`.
    squares: FloatArray

    @property
    def passes(self) -> FloatArray:
        """Votes that neither agree nor disagree."""
        return self.seen - self.agrees - self.disagrees

    def effective(self) -> Tallies:
        """The same shares, out of as many voters as the weighted ones are worth."""
        worth = np.divide(
            self.seen, self.squares, out=np.ones_like(self.seen), where=self.squares > 0
        )
        return Tallies(
            self.agrees * worth, self.disagrees * worth, self.seen * worth, self.seen * worth
        )

    def rest(self) -> Tallies:
        """For each group, the votes of all other groups."""
        return Tallies(*(part.sum(axis=0) - part for part in self._parts))

    def together(self) -> Tallies:
        """All groups as one, shape (1, statements)."""
        return Tallies(*(part.sum(axis=0, keepdims=True) for part in self._parts))

    def as_one_statement(self, columns: Sequence[int]) -> Tallies:
        """The votes on these statements added up, shape (groups, 1)."""
        chosen = list(columns)
        return Tallies(*(part[:, chosen].sum(axis=1, keepdims=True) for part in self._parts))

    @property
    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.agrees, self.disagrees, self.seen, self.squares


def tally(
    votes: VoteArray, labels: IntArray, groups: int, weights: FloatArray | None = None
) -> Tallies:
    """Count the votes of each group; a label below 0 is in none.

    votes: (participants, statements). labels, weights: (participants,).
    """
    kinds = np.zeros((4, groups, votes.shape[1]))
    for g in range(groups):
        # Group by group and without matrix products: quick also where other work holds the cores.
        inside = labels == g
        rows = votes[inside]
        for kind, chosen in enumerate((rows == AGREE, rows == DISAGREE, rows >= DISAGREE)):
            kinds[kind, g] = chosen.sum(axis=0) if weights is None else weights[inside] @ chosen
        if weights is not None:
            kinds[3, g] = np.square(weights[inside]) @ (rows >= DISAGREE)
    return Tallies(kinds[0], kinds[1], kinds[2], kinds[2] if weights is None else kinds[3])


def sign_of_agree(
    plus: Sequence[int] | npt.NDArray[np.int64],
    minus: Sequence[int] | npt.NDArray[np.int64],
    agrees: Sequence[int] | npt.NDArray[np.int64],
    disagrees: Sequence[int] | npt.NDArray[np.int64],
) -> int:
    """Which vote means agree in a file: 1 or -1, whichever fits the file's own counts better.

    plus, minus: votes of +1 and -1, by participant or by statement. agrees, disagrees: what the
    file says of the same. Polis stores agree as -1; most exports, not all, turn it to +1.
    Raises InputError where both fit equally well, as when agrees and disagrees are everywhere even.
    """
    p, m, a, d = (np.asarray(x, dtype=np.int64) for x in (plus, minus, agrees, disagrees))
    same = int(np.abs(p - a).sum() + np.abs(m - d).sum())
    turned = int(np.abs(p - d).sum() + np.abs(m - a).sum())
    if same == turned:
        raise InputError(
            "the counts of agrees and disagrees do not say whether 1 or -1 is agree; give the sign."
        )
    return 1 if same < turned else -1
