"""How everybody and each group voted on each statement, as whole percentages that anybody may see.

Nothing is shown of a few people: neither their own share nor, as a difference between shares, that
of the few who are left over.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import BoolArray, IntArray
from suffrage.consult.consultation import PARTICIPANT, Consultation
from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.votes import AGREE, DISAGREE, PASS
from suffrage.population.distributions import share_intervals

# The least voters on a statement, and of one group on it, whose shares are shown.
LEAST_VOTERS = 10
LEAST_OF_GROUP = 5


@dataclass(frozen=True)
class ShownShares:
    """How some people voted on one statement. Shares are whole percentages of those who voted."""

    voters: int
    agree: int
    disagree: int
    # Who passed. The three shares are 100 together.
    passed: int
    # Who said that it matters a lot to them, whatever their vote.
    important: int
    # The 95% interval of the share who agree.
    low: int
    high: int

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class StatementShares:
    """How everybody and each group voted on one statement."""

    # None where fewer people voted than may be shown.
    everybody: ShownShares | None
    # In the order of the groups; None likewise.
    groups: tuple[ShownShares | None, ...]


def shown_shares(content: Consultation, analysis: OpinionAnalysis) -> list[StatementShares]:
    """Return the shares of each statement that takes part, in the order of `analysis.votes`."""
    votes, labels, count = analysis.votes.votes, analysis.groups.labels, analysis.groups.count
    cells = [np.ones(len(votes), dtype=bool), *(labels == group for group in range(count))]
    kinds = np.stack(
        [
            [(votes[inside] == vote).sum(axis=0) for vote in (AGREE, DISAGREE, PASS)]
            for inside in cells
        ]
    ).astype(np.int64)
    important = _important(content, analysis)
    voters = kinds.sum(axis=1)
    shown = shown_cells(voters)
    made = []
    for at in range(votes.shape[1]):
        row = [
            _shares(kinds[cell, :, at], int(important[cell, at])) if shown[cell, at] else None
            for cell in range(len(cells))
        ]
        made.append(StatementShares(row[0], tuple(row[1:])))
    return made


def shown_cells(voters: IntArray) -> BoolArray:
    """Return which cells may be shown.

    Where the voters that are in none of the shown groups would be few, the smallest group is left
    out too: what is shown of all the others would say how those few voted.

    Parameters
    ----------
    voters : array, shape (1 + groups, statements)
        How many voted: everybody, then each group.

    Returns
    -------
    array, shape (1 + groups, statements)
        True where the shares may be shown.
    """
    shown = np.asarray(voters >= LEAST_OF_GROUP)
    shown[0] = voters[0] >= LEAST_VOTERS
    shown[1:] &= shown[0]
    for at in range(voters.shape[1]):
        while True:
            inside = np.flatnonzero(shown[1:, at]) + 1
            rest = voters[0, at] - voters[inside, at].sum()
            if not inside.size or not 0 < rest < LEAST_OF_GROUP:
                break
            shown[inside[np.argmin(voters[inside, at])], at] = False
    return shown


def whole_percentages(counts: IntArray) -> list[int]:
    """Return shares in whole percentages that are 100 together, by the largest remainders.

    Examples
    --------
    >>> whole_percentages(np.array([1, 1, 1]))
    [34, 33, 33]
    """
    exact = 100 * counts / max(int(counts.sum()), 1)
    floor = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(floor.sum())
    floor[np.argsort(-(exact - floor), kind="stable")[:missing]] += 1
    return [int(part) for part in floor]


def _shares(counts: IntArray, important: int) -> ShownShares:
    voters = int(counts.sum())
    agree, disagree, passed = whole_percentages(counts)
    share = np.array([counts[0] / voters])
    low, high = share_intervals(share, np.zeros(1), float(voters))
    return ShownShares(
        voters=voters,
        agree=agree,
        disagree=disagree,
        passed=passed,
        important=round(100 * important / voters),
        low=round(100 * float(low[0])),
        high=round(100 * float(high[0])),
    )


def _important(content: Consultation, analysis: OpinionAnalysis) -> IntArray:
    """How many said that a statement matters to them: (1 + groups, statements)."""
    groups = dict(zip(analysis.votes.participants, analysis.groups.labels.tolist(), strict=True))
    place = {id: at for at, id in enumerate(analysis.votes.statements)}
    counts = np.zeros((1 + analysis.groups.count, len(place)), dtype=np.int64)
    said = content.votes.filter(pl.col("important")).select(PARTICIPANT, "statement")
    for person, statement in said.iter_rows():
        if person in groups and statement in place:
            counts[0, place[statement]] += 1
            if groups[person] >= 0:
                counts[1 + groups[person], place[statement]] += 1
    return counts
