"""Votes on statements as a matrix of participants by statements, and their counts by group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray, VoteArray
from suffrage.errors import InputError

AGREE, PASS, DISAGREE = 1, 0, -1
# A pass is a vote; a statement that somebody has not seen has no vote of theirs.
UNSEEN = -128


def id_order(key: str) -> tuple[int, int, str]:
    """Return a sort key that puts "2" before "10", and numbers before words.

    Examples
    --------
    >>> sorted(["b", "10", "2"], key=id_order)
    ['2', '10', 'b']
    """
    return (0, int(key), key) if key.isascii() and key.isdigit() else (1, 0, key)


@dataclass(frozen=True, eq=False)
class VoteMatrix:
    """The last vote of each participant on each statement.

    Ids are in `id_order`, so that the order of rows in a file changes no result.
    """

    participants: tuple[str, ...]
    statements: tuple[str, ...]
    # Shape (participants, statements): AGREE, PASS, DISAGREE or UNSEEN.
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
        """Where there is a vote, passes included: shape (participants, statements)."""
        return np.asarray(self.votes != UNSEEN)

    def counts(self, vote: int) -> npt.NDArray[np.int64]:
        """Return how many participants gave this vote to each statement, shape (statements,)."""
        return np.asarray((self.votes == vote).sum(axis=0))

    def only(self, statements: Iterable[str]) -> VoteMatrix:
        """Return the votes of the same participants on these statements only."""
        wanted = set(statements)
        keep = [at for at, statement in enumerate(self.statements) if statement in wanted]
        return VoteMatrix(
            self.participants, tuple(self.statements[at] for at in keep), self.votes[:, keep]
        )


def only_people(matrix: VoteMatrix, people: Iterable[str]) -> VoteMatrix:
    """Return the votes of these participants on the same statements."""
    wanted = set(people)
    rows = [at for at, person in enumerate(matrix.participants) if person in wanted]
    kept = tuple(matrix.participants[at] for at in rows)
    return replace(matrix, participants=kept, votes=matrix.votes[rows])


def without_votes(matrix: VoteMatrix, pairs: Iterable[tuple[str, str]]) -> VoteMatrix:
    """Return the same people and statements without some votes.

    pairs: participants and statements; those that are not in the matrix change nothing.
    """
    rows = {person: at for at, person in enumerate(matrix.participants)}
    columns = {statement: at for at, statement in enumerate(matrix.statements)}
    votes = matrix.votes.copy()
    for person, statement in pairs:
        if person in rows and statement in columns:
            votes[rows[person], columns[statement]] = UNSEEN
    return replace(matrix, votes=votes)


def voting_question(text: str) -> str:
    """The question that puts a statement to the vote of a model."""
    return f'Do you agree or disagree with this statement? "{text}"'


def arranged(
    participants: Sequence[str], statements: Sequence[str], votes: VoteArray
) -> VoteMatrix:
    """Return a table with rows and columns in any order as a matrix.

    Raises InputError where an id appears twice.
    """
    for kind, ids in (("participant", participants), ("statement", statements)):
        if len(set(ids)) < len(ids):
            twice = next(i for at, i in enumerate(ids) if i in ids[:at])
            raise InputError(f"{kind} {twice} appears twice; give every {kind} an id of its own.")
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
    """Return the matrix of last votes from a log: a later vote replaces an earlier one.

    Parameters
    ----------
    participants, statements, votes : sequences
        One element for each event.
    at : sequence of int
        When each event was, in any unit. Of events at one time the last in the list counts.
    everyone, everything : iterables of str
        Ids of participants and statements, which need not be in the log.

    Raises
    ------
    InputError
        A vote is not -1, 0 or 1.
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
        """Return the same shares among the effective number of voters (Kish)."""
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
    """Count the votes of each group.

    Parameters
    ----------
    votes : array, shape (participants, statements)
    labels : array, shape (participants,)
        Each participant's group; below 0 for those without one.
    groups : int
        How many groups there are.
    weights : array, shape (participants,), optional
        What each participant counts; 1 by default.

    Examples
    --------
    >>> tally(np.array([[1, -1], [1, 0]], dtype=np.int8), np.array([0, 0]), 1).agrees
    array([[2., 0.]])
    """
    kinds = np.zeros((4, groups, votes.shape[1]))
    for g in range(groups):
        # Group by group and without matrix products, which is quick even when all cores are busy.
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
    """Return which vote means agree in a file, 1 or -1: the one that fits the file's own counts.

    Polis stores agree as -1; most exports, but not all, change it to +1.

    Parameters
    ----------
    plus, minus : sequences of int
        Votes of +1 and of -1, by participant or by statement.
    agrees, disagrees : sequences of int
        The file's own counts of the same.

    Raises
    ------
    InputError
        Both fit equally well.
    """
    p, m, a, d = (np.asarray(x, dtype=np.int64) for x in (plus, minus, agrees, disagrees))
    same = int(np.abs(p - a).sum() + np.abs(m - d).sum())
    turned = int(np.abs(p - d).sum() + np.abs(m - a).sum())
    if same == turned:
        raise InputError(
            "the counts of agrees and disagrees do not say whether 1 or -1 is agree; give the sign."
        )
    return 1 if same < turned else -1
