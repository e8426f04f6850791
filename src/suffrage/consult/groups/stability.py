"""How stable opinion groups and their consensus are: bootstrap, intervals and tests.

Polis reports none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import erfc, sqrt
from typing import Literal

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.consult.groups.consensus import (
    LEAST_VOTERS,
    MAJORITY,
    consensus_root,
    group_informed_consensus,
    lowest_share,
    share,
)
from suffrage.consult.groups.continuum import Separation, separation
from suffrage.consult.groups.group_names import KnownGroup, carried_over
from suffrage.consult.groups.opinion_groups import (
    GroupSettings,
    OpinionGroups,
    Positions,
    cluster,
    find_groups,
    partitions,
    place,
)
from suffrage.consult.groups.sparse_votes import SparseVotes, sparse_tally
from suffrage.consult.votes import VoteMatrix, tally
from suffrage.errors import InputError
from suffrage.population.comparison import FALSE_DISCOVERY_RATE, benjamini_hochberg
from suffrage.population.distributions import share_intervals
from suffrage.population.latent_classes import adjusted_rand_index, matched_overlap
from suffrage.population.segments import VALID_OVERLAP

# Called with the number of resamples done, and how many there are.
ResamplesDone = Callable[[int, int], None]
# "spectrum": what k-means cut into groups is one continuum of opinion.
GroupsVerdict = Literal["groups", "spectrum", "uncertain"]

DRAWS = 1000
FOLDS = 5
# With fewer expected in a cell, the normal approximation of a difference fails.
LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Stability:
    """One number of groups, and how well resamples of the participants find the same groups."""

    groups: int
    silhouette: float
    # People in each group, the largest first.
    sizes: tuple[int, ...]
    # The mean adjusted Rand index between the groups found in resamples and these, over all
    # participants with a group, whether they were drawn or not.
    agreement: float
    # The fifth percentile of that index.
    agreement_low: float
    # Each group's mean Jaccard overlap with the most similar group of a resample.
    overlap: tuple[float, ...]
    # How far the groups are apart; None where they do not come back, and it does not matter.
    separation: Separation | None = None

    @property
    def trusted(self) -> bool:
        """Whether every group is found again: a mean overlap of 0.75 or more (Hennig 2007)."""
        return min(self.overlap) >= VALID_OVERLAP

    @property
    def verdict(self) -> GroupsVerdict:
        """Groups that come back and stand apart, parts of one spectrum, or neither for certain."""
        if not self.trusted:
            return "uncertain"
        return "groups" if self.separation is None or self.separation.apart else "spectrum"


def group_stability(
    matrix: VoteMatrix | SparseVotes,
    moderated_out: Sequence[str] = (),
    settings: GroupSettings | None = None,
    resamples: int = 50,
    advance: ResamplesDone | None = None,
) -> list[Stability]:
    """Bootstrap the participants, and find means, components and groups again in each resample.

    Parameters
    ----------
    matrix : VoteMatrix or SparseVotes
    moderated_out : sequence of str
        Statements that take no part.
    settings : GroupSettings, optional
    resamples : int
        2 or more.
    advance : callable, optional
        Called after each resample with the number done and the number in all.

    Returns
    -------
    list of Stability
        One for each number of groups tried.
    """
    if resamples < 2:
        raise InputError(f"resamples is {resamples}; stability needs 2 or more.")
    s = settings or GroupSettings()
    positions = place(matrix, moderated_out, s)
    base = partitions(positions, s)
    inside = positions.inside
    ones = np.ones(int(inside.sum()))
    agreements: dict[int, list[float]] = {k: [] for k in base}
    overlaps: dict[int, list[FloatArray]] = {k: [] for k in base}
    generator = np.random.default_rng([s.seed, 7])
    people = len(matrix.participants)
    for done in range(resamples):
        drawn = generator.multinomial(people, np.full(people, 1 / people)).astype(np.float64)
        again = _partitions_or_none(place(matrix, moderated_out, s, drawn), s, drawn)
        for k in base:
            if k not in again:  # Groups that a resample does not have did not come back.
                agreements[k].append(0.0)
                overlaps[k].append(np.zeros(k))
                continue
            first, second = (x[k][0][inside].astype(np.int16) for x in (base, again))
            agreements[k].append(adjusted_rand_index(first, second, ones))
            overlaps[k].append(matched_overlap(first, second, ones))
        if advance:
            advance(done + 1, resamples)
    return [
        Stability(
            groups=k,
            silhouette=silhouette,
            sizes=tuple(np.bincount(labels[inside]).tolist()),
            agreement=float(np.mean(agreements[k])),
            agreement_low=float(np.quantile(agreements[k], 0.05)),
            overlap=tuple(np.mean(overlaps[k], axis=0).tolist()),
        )
        for k, (labels, silhouette) in base.items()
    ]


def _partitions_or_none(
    positions: Positions, s: GroupSettings, weights: FloatArray
) -> dict[int, tuple[IntArray, float]]:
    """The groups in a resample; none where it misses everybody who voted otherwise."""
    try:
        return partitions(positions, s, weights)
    except InputError:
        return {}


def stable_number(found: Sequence[Stability]) -> int:
    """Return the number of groups to report.

    Of the numbers whose groups are all found again and stand apart, it is the one with the best
    silhouette; where none stand apart, of those that are found again. Where there is none, it is
    the one whose groups agree most between resamples. Polis' rule, the silhouette alone, often
    picks a number that another tenth of the public would change.
    """
    apart = [row for row in found if row.verdict == "groups"]
    trusted = apart or [row for row in found if row.trusted]
    if trusted:
        return max(trusted, key=lambda row: (row.silhouette, row.groups)).groups
    return max(found, key=lambda row: (row.agreement, -row.groups)).groups


@dataclass(frozen=True, eq=False)
class ConsensusReading:
    """Consensus among one set of people, with 95% intervals that take the groups as given."""

    # The effective number of voters, shape (groups, statements).
    voters: FloatArray
    # The share who agree of those who voted, with Wilson's interval, shape (groups, statements).
    # The share is NaN where nobody voted.
    agree: FloatArray
    low: FloatArray
    high: FloatArray
    # The share of people in each group, shape (groups,).
    sizes: FloatArray
    # Group-informed consensus with its interval, and that against a statement: (statements,).
    consensus: FloatArray
    consensus_low: FloatArray
    consensus_high: FloatArray
    against: FloatArray
    # The k-th root of `consensus` with k groups, shape (statements,).
    root: FloatArray
    # The share of the group that agrees least, shape (statements,).
    lowest: FloatArray
    # The lower end of the 95% interval of that share, and of the group's that disagrees least.
    lowest_low: FloatArray
    lowest_against_low: FloatArray

    @property
    def sure(self) -> BoolArray:
        """Where every group has enough voters and surely a majority that agrees: (statements,)."""
        return self._enough & (self.lowest_low > MAJORITY)

    @property
    def sure_against(self) -> BoolArray:
        """Where every group has enough voters and surely a majority that disagrees."""
        return self._enough & (self.lowest_against_low > MAJORITY)

    @property
    def _enough(self) -> BoolArray:
        return np.asarray(self.voters.min(axis=0) >= LEAST_VOTERS)


def read_consensus(
    matrix: VoteMatrix | SparseVotes,
    labels: IntArray,
    groups: int,
    weights: FloatArray | None = None,
    seed: int = 0,
) -> ConsensusReading:
    """Read consensus of the sample, or of the population with raked weights.

    Weighted counts are scaled to the effective number of voters (Kish), so that equal weights give
    the sample's own figures. A group's share has the distribution Beta(A + 1, S - A + 1), whose
    mean is Polis' (A + 1) / (S + 2). Because the mean of a product of independent shares is the
    product of their means, the consensus is the mean of the distribution its interval comes from.

    Parameters
    ----------
    matrix : VoteMatrix or SparseVotes
    labels : array, shape (participants,)
        Each participant's group; below 0 for those without one.
    groups : int
        How many groups there are.
    weights : array, shape (participants,), optional
    seed : int
        Of the draws that make intervals.
    """
    if isinstance(matrix, SparseVotes):
        t = sparse_tally(matrix, labels, groups, weights)
    else:
        t = tally(matrix.votes, labels, groups, weights)
    t = t if weights is None else t.effective()
    # A cell without voters has no share: it is 0.5 while intervals are made, and NaN in the result.
    empty = t.seen <= 0
    shares = np.where(empty, 0.5, t.agrees / np.where(empty, 1, t.seen))
    low, high = share_intervals(shares, np.zeros_like(shares), np.where(empty, 1.0, t.seen))
    consensus = group_informed_consensus(t.agrees, t.seen)
    generator = np.random.default_rng([seed, 8])
    (bottom, top), lowest_low = _consensus_intervals(t.agrees, t.seen, generator)
    _, lowest_against_low = _consensus_intervals(t.disagrees, t.seen, generator)
    counted = labels >= 0
    w = np.ones(labels.size) if weights is None else weights
    people = np.bincount(labels[counted], w[counted], groups)
    return ConsensusReading(
        voters=t.seen,
        agree=np.where(empty, np.nan, shares),
        low=np.where(empty, 0.0, low),
        high=np.where(empty, 1.0, high),
        sizes=people / people.sum(),
        consensus=consensus,
        consensus_low=bottom,
        consensus_high=top,
        against=group_informed_consensus(t.disagrees, t.seen),
        root=consensus_root(consensus, groups),
        lowest=lowest_share(t.agrees, t.seen),
        lowest_low=lowest_low,
        lowest_against_low=lowest_against_low,
    )


def _consensus_intervals(
    count: FloatArray, seen: FloatArray, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """The 95% interval of the product of the groups' shares, and the lower end of the lowest's."""
    product = np.ones((DRAWS, seen.shape[1]))
    lowest = np.ones(product.shape)
    for given, voters in zip(count, seen, strict=True):
        drawn = generator.beta(given + 1, np.maximum(voters - given, 0) + 1, product.shape)
        product *= drawn
        np.minimum(lowest, drawn, out=lowest)
    return np.quantile(product, [0.025, 0.975], axis=0), np.quantile(lowest, 0.025, axis=0)


@dataclass(frozen=True, eq=False)
class GroupDifferences:
    """Where a group differs from all others; every array has the shape (groups, statements)."""

    # The group's share less that of all others.
    agrees_more: FloatArray
    disagrees_more: FloatArray
    # One-sided p-values of these differences being above 0; NaN where too few voted.
    p_agree: FloatArray
    p_disagree: FloatArray
    # Whether the difference is beyond chance, at a false discovery rate of 5% over all groups,
    # statements and both directions.
    clear_agree: BoolArray
    clear_disagree: BoolArray


def group_differences(
    matrix: VoteMatrix,
    found: OpinionGroups,
    moderated_out: Sequence[str] = (),
    rate: float = FALSE_DISCOVERY_RATE,
) -> GroupDifferences:
    """Test which statements tell groups apart beyond chance.

    Groups are made from votes, so that they differ in those votes even where there is nothing to
    find. Every statement is therefore tested on groups found without it: statements are divided
    into five parts, groups are found on the other four, and matched to the groups reported.
    Benjamini and Hochberg's procedure covers all tests. Cells with fewer than five expected votes
    are not tested and do not count as tests. The differences in shares are those of the groups
    reported.

    Parameters
    ----------
    matrix : VoteMatrix
    found : OpinionGroups
        The groups reported.
    moderated_out : sequence of str
        Statements that take no part.
    rate : float
        The false discovery rate.
    """
    k = found.count
    out = set(moderated_out)
    shape = (k, len(matrix.statements))
    p_agree, p_disagree = np.full(shape, np.nan), np.full(shape, np.nan)
    kept = [at for at, statement in enumerate(matrix.statements) if statement not in out]
    part_of = np.random.default_rng([found.settings.seed, 9]).permutation(len(kept)) % FOLDS
    for part in range(FOLDS):
        left_out = [at for at, p in zip(kept, part_of, strict=True) if p == part]
        if not left_out or len(left_out) == len(kept):
            continue
        away = {matrix.statements[at] for at in left_out}
        others = matrix.only(s for s in matrix.statements if s not in away)
        settings = replace(found.settings, groups=k)
        try:
            labels = find_groups(others, moderated_out, settings).labels
        except InputError:
            continue  # Without this part nobody differs, so that nothing can be tested.
        labels = _matched(found.labels, labels, k)
        t = tally(matrix.votes[:, left_out], labels, k)
        rest = t.rest()
        p_agree[:, left_out] = difference_p(t.agrees, t.seen, rest.agrees, rest.seen)
        p_disagree[:, left_out] = difference_p(t.disagrees, t.seen, rest.disagrees, rest.seen)
    both = np.stack([p_agree, p_disagree])
    tested = np.isfinite(both)
    clear = np.zeros(both.shape, dtype=bool)
    clear[tested] = benjamini_hochberg(both[tested], rate)
    whole = tally(matrix.votes, found.labels, k)
    rest = whole.rest()
    return GroupDifferences(
        agrees_more=share(whole.agrees, whole.seen) - share(rest.agrees, rest.seen),
        disagrees_more=share(whole.disagrees, whole.seen) - share(rest.disagrees, rest.seen),
        p_agree=p_agree,
        p_disagree=p_disagree,
        clear_agree=clear[0],
        clear_disagree=clear[1],
    )


def difference_p(
    count: FloatArray, seen: FloatArray, other_count: FloatArray, other_seen: FloatArray
) -> FloatArray:
    """Return the one-sided p-value of a share being above another: pooled two-proportion z test.

    It is NaN where fewer than five are expected in any of the four cells.
    """
    total = seen + other_seen
    pooled = np.divide(count + other_count, total, out=np.zeros_like(total), where=total > 0)
    smaller = np.minimum(seen, other_seen)
    usable = smaller * np.minimum(pooled, 1 - pooled) >= LEAST_EXPECTED
    n, m = np.where(usable, seen, 1), np.where(usable, other_seen, 1)
    spread = np.sqrt(np.where(usable, pooled * (1 - pooled), 1) * (1 / n + 1 / m))
    z = (count / n - other_count / m) / spread
    tail = np.vectorize(lambda x: erfc(x / sqrt(2)) / 2, otypes=[np.float64])(z)
    return np.where(usable, tail, np.nan)


def _matched(reference: IntArray, labels: IntArray, k: int) -> IntArray:
    """The labels renumbered so that most people keep the number they have in the reference."""
    both = (reference >= 0) & (labels >= 0)
    shared = np.zeros((k, k))
    np.add.at(shared, (labels[both], reference[both]), 1)
    best = max(permutations(range(k)), key=lambda to: sum(shared[a, b] for a, b in enumerate(to)))
    return np.where(labels >= 0, np.array(best)[np.maximum(labels, 0)], labels)


def stable_groups(
    matrix: VoteMatrix,
    moderated_out: Sequence[str] = (),
    settings: GroupSettings | None = None,
    resamples: int = 50,
    advance: ResamplesDone | None = None,
    known: Sequence[KnownGroup] = (),
) -> tuple[OpinionGroups, list[Stability]]:
    """Find groups in the number that is asked for, or else the number that `stable_number` picks.

    Numbers whose groups are found again in resamples are tested for being parts of one spectrum.

    Parameters
    ----------
    matrix, moderated_out, settings, resamples, advance
        As in `group_stability`.
    known : sequence of KnownGroup
        Groups found before, whose numbers are carried over.

    Returns
    -------
    groups : OpinionGroups
    tried : list of Stability
        One for each number of groups tried.
    """
    s = settings or GroupSettings()
    tried = group_stability(matrix, moderated_out, s, resamples, advance)
    again = [row.groups for row in tried if row.trusted]
    apart = separation(matrix, again, moderated_out, s) if again else {}
    tried = [replace(row, separation=apart.get(row.groups)) for row in tried]
    number = s.groups or stable_number(tried)
    found = cluster(place(matrix, moderated_out, s), replace(s, groups=number))
    found = replace(found, silhouettes={row.groups: row.silhouette for row in tried})
    found = carried_over(found, known)
    return found, [_ordered(row, found) if row.groups == number else row for row in tried]


def _ordered(row: Stability, found: OpinionGroups) -> Stability:
    """The stability of the groups reported, in the order in which they are reported."""
    return replace(
        row,
        sizes=tuple(row.sizes[at] for at in found.order),
        overlap=tuple(row.overlap[at] for at in found.order),
    )
