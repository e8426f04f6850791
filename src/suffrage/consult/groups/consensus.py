"""What the groups agree on, what sets each apart, and which statement to show next.

Written with A agrees, D disagrees, P passes and S = A + D + P of a group or of everyone; a pass
is a vote. Counts may be weighted, and need not be whole. Formulas are those of Polis
(compdemocracy/polis, repness.clj and conversation.clj).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import BoolArray, FloatArray
from suffrage.consult.votes import Tallies

# One-sided normal quantile of 90 %.
Z90 = 1.2816
META_PRIORITY = 49.0


def share(count: FloatArray, seen: FloatArray) -> FloatArray:
    """(count + 1) / (seen + 2): a share drawn toward a half by one vote each way."""
    return np.asarray((count + 1) / (seen + 2))


def group_informed_consensus(count: FloatArray, seen: FloatArray) -> FloatArray:
    """prod_g (A_g + 1) / (S_g + 2): high only where every group agrees, (statements,).

    count: agrees (for consensus against a statement: disagrees). count, seen: (groups, statements).
    Falls with the number of groups, 0.5^k without any vote: compare across k by its k-th root.
    """
    return np.asarray(share(count, seen).prod(axis=0))


def consensus_root(consensus: FloatArray, groups: int) -> FloatArray:
    """The geometric mean of the groups' shares, comparable across numbers of groups."""
    return np.asarray(consensus ** (1 / groups))


def lowest_share(count: FloatArray, seen: FloatArray) -> FloatArray:
    """The share in the group that agrees least, (statements,)."""
    return np.asarray(share(count, seen).min(axis=0))


def share_z(count: FloatArray, seen: FloatArray) -> FloatArray:
    """z of a share against a half: 2 sqrt(n+1) ((s+1)/(n+1) - 1/2). It is 1, not 0, without votes."""
    return np.asarray(2 * np.sqrt(seen + 1) * ((count + 1) / (seen + 1) - 0.5))


def difference_z(
    count: FloatArray, other_count: FloatArray, seen: FloatArray, other_seen: FloatArray
) -> FloatArray:
    """z of one share against another, with one vote added to each count and number; 0 where both are 1."""
    n, m = seen + 1, other_seen + 1
    a, b = (count + 1) / n, (other_count + 1) / m
    pooled = (count + 1 + other_count + 1) / (n + m)
    spread = np.sqrt(np.clip(pooled * (1 - pooled), 0, None) * (1 / n + 1 / m))
    return np.asarray(np.divide(a - b, spread, out=np.zeros_like(spread), where=spread > 0))


@dataclass(frozen=True, eq=False)
class GroupRepresentativeness:
    """How much each statement is a group's own, agreeing and disagreeing, all (groups, statements).

    pa, pd: shares; pat, pdt: their z against a half. ra, rd: share against that of all others;
    rat, rdt: z of the difference. Names as in Polis.
    """

    pa: FloatArray
    pd: FloatArray
    pat: FloatArray
    pdt: FloatArray
    ra: FloatArray
    rd: FloatArray
    rat: FloatArray
    rdt: FloatArray

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
        """Whether both z of one direction are beyond 90 %, one-sided."""
        agree = (self.rat > Z90) & (self.pat > Z90)
        return np.asarray(agree | ((self.rdt > Z90) & (self.pdt > Z90)))


def group_representativeness(t: Tallies) -> GroupRepresentativeness:
    """Each group against all other grouped people."""
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
    )


@dataclass(frozen=True)
class Representative:
    """A statement that represents a group: its column, and whether by agreeing."""

    statement: int
    agrees: bool


def representative_statements(
    found: GroupRepresentativeness, group: int, count: int = 5
) -> list[Representative]:
    """Polis' list of a group's statements, those agreed with first.

    The best agreed one stands first where there is one; then the sufficient ones by `metric`;
    where there are none, the one with the largest z against the others. It holds no rate of false
    discovery: with many statements some pass by chance (see `stability.group_differences`).
    """
    metric, agrees = found.metric[group], found.agrees[group]
    order = sorted(np.flatnonzero(found.sufficient[group]), key=lambda j: (-metric[j], j))
    first = _best_agree(found, group)
    chosen = [int(j) for j in order if j != first]
    if first is not None:
        chosen.insert(0, first)
    elif not chosen:
        chosen = [int(np.maximum(found.rat[group], found.rdt[group]).argmax())]
    picked = [Representative(j, bool(agrees[j]) or j == first) for j in chosen[:count]]
    return sorted(picked, key=lambda row: not row.agrees)


def _best_agree(found: GroupRepresentativeness, group: int) -> int | None:
    """The statement to stand first, in the order of statements, as Polis replaces one by the next."""
    best: int | None = None
    pa, pat, ra, rat = (x[group] for x in (found.pa, found.pat, found.ra, found.rat))
    whole = ra * rat * pa * pat
    for j in range(pa.size):
        if best is None:
            if pat[j] > Z90 or (ra[j] > 1 and pa[j] > 0.5):
                best = j
        elif ra[best] > 1:
            if whole[j] > whole[best]:
                best = j
        elif pa[j] * pat[j] > pa[best] * pat[best]:
            best = j
    return best


@dataclass(frozen=True, eq=False)
class Majorities:
    """Columns of the statements that most of everyone agree, or disagree, with, strongest first."""

    agree: tuple[int, ...]
    disagree: tuple[int, ...]


def majorities(t: Tallies, count: int = 5) -> Majorities:
    """Polis' majority consensus over all voters: share above a half and z beyond 90 %, by share x z.

    Blind to groups: a large group alone can make one.
    """
    all_of = t.together()

    def strongest(votes: FloatArray) -> tuple[int, ...]:
        p, z = share(votes, all_of.seen)[0], share_z(votes, all_of.seen)[0]
        kept = np.flatnonzero((p > 0.5) & (z > Z90))
        return tuple(int(j) for j in sorted(kept, key=lambda j: (-p[j] * z[j], j))[:count])

    return Majorities(strongest(all_of.agrees), strongest(all_of.disagrees))


def priority(
    agrees: FloatArray,
    passes: FloatArray,
    seen: FloatArray,
    extremity: FloatArray,
    meta: BoolArray | bool = False,
) -> FloatArray:
    """How much a statement should be shown next, (statements,), above 0.

    (I (1 + 8 2^(-S/5)))^2 with I = (1 - (P+1)/(S+2)) (E+1) (A+1)/(S+2): new, agreed with, telling
    and seldom passed on come first. Statements about the consultation itself (`meta`) get 49.
    """
    importance = (1 - (passes + 1) / (seen + 2)) * (extremity + 1) * (agrees + 1) / (seen + 2)
    found = np.square(importance * (1 + 8 * np.exp2(-seen / 5)))
    return np.where(meta, META_PRIORITY, found)


def routing_probabilities(
    priorities: FloatArray, open_to: BoolArray, floor: float = 0.2
) -> FloatArray:
    """The probability of each statement to be shown next to one participant, (statements,).

    open_to: shown statements they have not voted on. floor: the part drawn evenly, so that nothing
    is never shown, and votes can be weighted by one over these probabilities (log them). With
    floor 0 these are Polis'. A priority of 0 or NaN counts as 1. All 0 where nothing is open.
    """
    if not 0 <= floor <= 1:
        raise ValueError(f"floor is {floor}; it must lie in 0 to 1")
    if not open_to.any():
        return np.zeros(open_to.size)
    weight = np.where(open_to, np.where(priorities > 0, priorities, 1.0), 0.0)
    return np.asarray((1 - floor) * weight / weight.sum() + floor * open_to / open_to.sum())


def draw_statement(
    probabilities: FloatArray, generator: np.random.Generator, statements: Sequence[str]
) -> str | None:
    """The statement to show next, or None where nothing is open."""
    if probabilities.sum() <= 0:
        return None
    return statements[int(generator.choice(probabilities.size, p=probabilities))]
