"""Votes of a country: only those that were given are kept, and nothing as large as the table.

A million people who each saw 20 of 1,000 statements are 20 million votes, and a table of a billion
cells. Groups need the table nowhere: an unseen cell counts as the statement's mean, which is 0
after centring, so means, components and places are sums over the votes alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray, VoteArray
from suffrage.consult.votes import AGREE, DISAGREE, Tallies, VoteMatrix
from suffrage.errors import InputError, require_installed

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# A table of more cells is taken as sparse where less than this share of them are votes: that is
# smaller and quicker, and gives the same groups.
LARGE_TABLE, SELDOM_SEEN = 50_000_000, 0.2
# With so few columns or rows an iteration has nothing to gain.
FEWEST_FOR_ITERATION = 25


@dataclass(frozen=True, eq=False)
class SparseVotes:
    """The last vote of each participant on each statement that they saw.

    The votes of participant i are `votes[starts[i] : starts[i + 1]]`, and the statements they are
    about are `columns[starts[i] : starts[i + 1]]`, as in a matrix of compressed rows.
    """

    participants: tuple[str, ...]
    statements: tuple[str, ...]
    # Shape (participants + 1,).
    starts: npt.NDArray[np.int64]
    # Shape (votes,): the statement of each vote, each at most once for a participant.
    columns: npt.NDArray[np.int32]
    # Shape (votes,): 1 agree, 0 pass, -1 disagree.
    votes: VoteArray

    def __post_init__(self) -> None:
        people, given = len(self.participants), self.votes.size
        fits = self.starts.shape == (people + 1,) and self.columns.shape == (given,)
        if not fits or self.starts[0] != 0 or self.starts[-1] != given:
            raise ValueError("the votes do not fit the ids")

    @property
    def seen_counts(self) -> npt.NDArray[np.int64]:
        """How many statements each participant voted on, shape (participants,)."""
        return np.diff(self.starts)

    def only(self, statements: Iterable[str]) -> SparseVotes:
        """Return the votes of the same participants on these statements only."""
        wanted = set(statements)
        keep = np.array([statement in wanted for statement in self.statements], dtype=bool)
        if keep.all():
            return self
        place = np.cumsum(keep, dtype=np.int32) - 1
        kept = keep[self.columns]
        counts = np.add.reduceat(np.append(kept, False), self.starts[:-1], dtype=np.int64)
        counts[self.seen_counts == 0] = 0
        return SparseVotes(
            self.participants,
            tuple(s for s in self.statements if s in wanted),
            np.concatenate([[0], np.cumsum(counts)]),
            place[self.columns[kept]],
            self.votes[kept],
        )

    def matrix(self, values: npt.NDArray[Any]) -> csr_array:
        """Return a SciPy matrix of participants by statements with these values of the votes."""
        _need_scipy()
        from scipy.sparse import csr_array

        shape = (len(self.participants), len(self.statements))
        return csr_array((values, self.columns, self.starts), shape=shape)


def sparse_votes(matrix: VoteMatrix) -> SparseVotes:
    """Return the votes of a table, without its empty cells."""
    rows, columns = matrix.seen.nonzero()
    counts = np.bincount(rows, minlength=len(matrix.participants))
    return SparseVotes(
        matrix.participants,
        matrix.statements,
        np.concatenate([[0], np.cumsum(counts)]),
        columns.astype(np.int32),
        matrix.votes[rows, columns],
    )


def is_better_sparse(matrix: VoteMatrix) -> bool:
    """Whether a table is so large, and so empty, that its votes alone are better."""
    large = matrix.votes.size > LARGE_TABLE
    return large and bool(matrix.seen.mean() < SELDOM_SEEN) and find_spec("scipy") is not None


def sparse_centred(votes: SparseVotes, weights: FloatArray) -> tuple[csr_array, FloatArray]:
    """Return votes less the statement's mean, and the means, shape (statements,).

    weights: what each participant counts in the means, shape (participants,).
    """
    size = len(votes.statements)
    worth_of_vote = np.repeat(weights, votes.seen_counts)
    worth = np.bincount(votes.columns, worth_of_vote, size)
    sums = np.bincount(votes.columns, worth_of_vote * votes.votes, size)
    centre = np.divide(sums, worth, out=np.zeros(size), where=worth > 0)
    return votes.matrix(votes.votes - centre[votes.columns]), centre


def sparse_components(
    x: csr_array, weights: FloatArray, count: int
) -> tuple[FloatArray, FloatArray]:
    """Return the first principal components of weighted sparse rows, by SciPy's ARPACK.

    Parameters and results are those of `principal_components`.

    References
    ----------
    Lehoucq, Sorensen and Yang (1998), ARPACK users' guide.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import svds

    scaled = x if (weights == 1).all() else diags_array(np.sqrt(weights)) @ x
    total = float(np.square(scaled.data).sum())
    if total <= 0:
        return np.zeros((count, x.shape[1])), np.zeros(count)
    if min(x.shape) <= FEWEST_FOR_ITERATION:
        _, sizes, rows = np.linalg.svd(scaled.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(min(x.shape))
        _, sizes, rows = svds(scaled, k=count, v0=start, return_singular_vectors="vh")
        order = np.argsort(-sizes, kind="stable")
        sizes, rows = sizes[order], rows[order]
    short = max(count - sizes.size, 0)
    sizes = np.pad(sizes[:count], (0, short))
    rows = np.pad(rows[:count], ((0, short), (0, 0)))
    # A direction in which nobody differs is none.
    rows[np.square(sizes) <= 1e-20 * total] = 0
    largest = np.abs(rows).argmax(axis=1)
    rows = rows * np.where(rows[np.arange(count), largest] < 0, -1.0, 1.0)[:, None]
    return rows, np.square(sizes) / total


def sparse_tally(
    votes: SparseVotes, labels: IntArray, groups: int, weights: FloatArray | None = None
) -> Tallies:
    """Count the votes of each group, as `tally` does in a table.

    Parameters
    ----------
    votes : SparseVotes
    labels : array, shape (participants,)
        Each participant's group; below 0 for those without one.
    groups : int
        How many groups there are.
    weights : array, shape (participants,), optional
        What each participant counts; 1 by default.
    """
    size = len(votes.statements)
    label = np.repeat(labels, votes.seen_counts)
    worth = None if weights is None else np.repeat(weights, votes.seen_counts)
    kinds = np.zeros((4, groups, size))
    for g in range(groups):
        inside = label == g
        columns, given = votes.columns[inside], votes.votes[inside]
        w = np.ones(columns.size) if worth is None else worth[inside]
        for kind, counted in enumerate((given == AGREE, given == DISAGREE, 1.0, w)):
            kinds[kind, g] = np.bincount(columns, w * counted, size)
    return Tallies(*kinds)


def _need_scipy() -> None:
    require_installed("scipy", "segments", "Finding groups in sparse votes")


def refuse_zeroing(how: str) -> None:
    """Raise InputError where statements moderated out are to become a pass by everybody."""
    if how == "zero":
        raise InputError("moderated is zero; sparse votes have no cells for that, so use drop.")
