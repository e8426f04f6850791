"""What the groups agree on, and what sets each apart, by the formulas of Polis.

A is the number of agrees, D of disagrees, P of passes, and S = A + D + P, of a group or of
everyone; a pass is a vote. Counts may be weighted, so that they need not be whole numbers.
Source: compdemocracy/polis, repness.clj and conversation.clj.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import BoolArray, FloatArray
from suffrage.consult.votes import Tallies

# The normal quantile of a one-sided 90%.
Z90 = 1.2816
# With fewer voters of some group, nothing is said of what all groups support.
LEAST_VOTERS = 10
MAJORITY = 0.5


def share(count: FloatArray, seen: FloatArray) -> FloatArray:
    """Return (count + 1) / (seen + 2): a share shrunk toward a half by one vote each way."""
    return np.asarray((count + 1) / (seen + 2))


def group_informed_consensus(count: FloatArray, seen: FloatArray) -> FloatArray:
    """Return group-informed consensus, which is high only where every group agrees.

    Parameters
    ----------
    count : array, shape (groups, statements)
        Agrees, or disagrees for consensus against a statement.
    seen : array, shape (groups, statements)
        All votes.

    Returns
    -------
    array, shape (statements,)
        The product over groups of (A + 1) / (S + 2). It falls with the number of groups k, to
        0.5^k without any vote; `consensus_root` can be compared across numbers of groups.

    References
    ----------
    Small et al. (2021), Polis: scaling deliberation by mapping high dimensional opinion spaces.

    Examples
    --------
    >>> group_informed_consensus(np.array([[8.0], [2.0]]), np.array([[8.0], [8.0]]))
    array([0.27])
    """
    return np.asarray(share(count, seen).prod(axis=0))


def consensus_root(consensus: FloatArray, groups: int) -> FloatArray:
    """Return the geometric mean of the groups' shares, comparable across numbers of groups."""
    return np.asarray(consensus ** (1 / groups))


def lowest_share(count: FloatArray, seen: FloatArray) -> FloatArray:
    """Return the share of the group that agrees least, shape (statements,)."""
    return np.asarray(share(count, seen).min(axis=0))


def share_z(count: FloatArray, seen: FloatArray) -> FloatArray:
    """Return z of a share compared with a half: 2 sqrt(n+1) ((s+1)/(n+1) - 1/2).

    Without votes it is 1, not 0.
    """
    return np.asarray(2 * np.sqrt(seen + 1) * ((count + 1) / (seen + 1) - 0.5))


def difference_z(
    count: FloatArray, other_count: FloatArray, seen: FloatArray, other_seen: FloatArray
) -> FloatArray:
    """Return z of one share compared with another; 0 where both are 1.

    One vote is added to each count and to each number.
    """
    n, m = seen + 1, other_seen + 1
    a, b = (count + 1) / n, (other_count + 1) / m
    pooled = (count + 1 + other_count + 1) / (n + m)
    spread = np.sqrt(np.clip(pooled * (1 - pooled), 0, None) * (1 / n + 1 / m))
    return np.asarray(np.divide(a - b, spread, out=np.zeros_like(spread), where=spread > 0))


@dataclass(frozen=True, eq=False)
class GroupRepresentativeness:
    """How strongly each statement represents each group, with Polis' names.

    Every array has the shape (groups, statements); "a" is for agreeing and "d" for disagreeing.
    """

    # Shares of the group.
    pa: FloatArray
    pd: FloatArray
    # z of these shares compared with a half.
    pat: FloatArray
    pdt: FloatArray
    # The group's share divided by that of all others.
    ra: FloatArray
    rd: FloatArray
    # z of the difference from all others.
    rat: FloatArray
    rdt: FloatArray
    # Whether anybody in the group voted on it.
    voted_on: BoolArray

    @property
    def agrees(self) -> BoolArray:
        """Whether it is by agreeing, rather than disagreeing, that the group stands out."""
        return np.asarray(self.rat > self.rdt)

    @property
    def metric(self) -> FloatArray:
        """ra rat pa pat, or rd rdt pd pdt where the group stands out by disagreeing."""
        return np.where(
            self.agrees,
            self.ra * self.rat * self.pa * self.pat,
            self.rd * self.rdt * self.pd * self.pdt,
        )

    @property
    def sufficient(self) -> BoolArray:
        """Whether both z of one direction are beyond 90%, one-sided."""
        agree = (self.rat > Z90) & (self.pat > Z90)
        return np.asarray((agree | ((self.rdt > Z90) & (self.pdt > Z90))) & self.voted_on)


def group_representativeness(t: Tallies) -> GroupRepresentativeness:
    """Compare each group with all other people who are in a group."""
    r = t.rest()
    pa, pd = share(t.agrees, t.seen), share(t.disagrees, t.seen)
    return GroupRepresentativeness(
        pa=pa,
        pd=pd,
        pat=share_z(t.agrees, t.seen),
        pdt=share_z(t.disagrees, t.seen),
        ra=pa / share(r.agrees, r.seen),
        rd=pd / share(r.disagrees, r.seen),
        rat=difference_z(t.agrees, r.agrees, t.seen, r.seen),
        rdt=difference_z(t.disagrees, r.disagrees, t.seen, r.seen),
        voted_on=t.seen > 0,
    )


@dataclass(frozen=True)
class Representative:
    """A statement that represents a group."""

    # The statement's column.
    statement: int
    # Whether the group stands out by agreeing, rather than by disagreeing.
    agrees: bool


def representative_statements(
    found: GroupRepresentativeness, group: int, count: int = 5
) -> list[Representative]:
    """Return Polis' list of the statements that represent a group, those agreed with first.

    The best agreed statement comes first where there is one, then the sufficient ones by
    `metric`. Where there are none, the list is the one statement with the largest z compared with
    the other groups. The false discovery rate is not controlled: with many statements some pass
    by chance. `stability.group_differences` controls it. Unlike in Polis, a statement that nobody
    in the group voted on represents it in no case.
    """
    metric, agrees = found.metric[group], found.agrees[group]
    order = sorted(np.flatnonzero(found.sufficient[group]), key=lambda j: (-metric[j], j))
    first = _best_agree(found, group)
    chosen = [int(j) for j in order if j != first]
    if first is not None:
        chosen.insert(0, first)
    elif not chosen and found.voted_on[group].any():
        furthest = np.maximum(found.rat[group], found.rdt[group])
        chosen = [int(np.where(found.voted_on[group], furthest, -np.inf).argmax())]
    picked = [Representative(j, bool(agrees[j]) or j == first) for j in chosen[:count]]
    return sorted(picked, key=lambda row: not row.agrees)


def _best_agree(found: GroupRepresentativeness, group: int) -> int | None:
    """The statement that comes first: Polis goes through them in order and keeps the better one."""
    best: int | None = None
    pa, pat, ra, rat = (x[group] for x in (found.pa, found.pat, found.ra, found.rat))
    whole = ra * rat * pa * pat
    for j in np.flatnonzero(found.voted_on[group]).tolist():
        if best is None:
            if pat[j] > Z90 or (ra[j] > 1 and pa[j] > 0.5):
                best = j
        elif ra[best] > 1:
            if whole[j] > whole[best]:
                best = j
        elif pa[j] * pat[j] > pa[best] * pat[best]:
            best = j
    return best
