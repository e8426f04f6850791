"""Opinion groups: people who vote alike, found by the steps of Polis.

Cells without a vote are filled with the statement's mean, and two principal components are taken.
Every participant is placed by the votes they gave (farther out where those are few), and the
places are clustered in two stages. There are three deliberate differences from Polis. Components
come from an exact decomposition, not from a power iteration with a random start. K-means takes
the start after which people are nearest to their group's centre, not the first k points.
Statements moderated out are dropped unless zeroing is asked for. The result depends neither on
the order of rows or columns, nor on a seed, nor on which sign means agree.

Source: Small, Bjorkegren, Erkkila, Shaw and Megill (2021), Polis: scaling deliberation by mapping
high dimensional opinion spaces, Recerca 26(2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from suffrage.arrays import BoolArray, FloatArray, IntArray, VoteArray
from suffrage.consult.groups.sparse_votes import (
    SparseVotes,
    is_better_sparse,
    refuse_zeroing,
    sparse_centred,
    sparse_components,
    sparse_votes,
)
from suffrage.consult.votes import PASS, VoteMatrix
from suffrage.errors import InputError

COMPONENTS = 2
OUTSIDE = -1
GROUP_STARTS = 20
# So many of the best ends of these starts are tried on the people, and so many starts among them.
ENDS_TRIED = 8
PEOPLE_STARTS = 10
# Among many people fewer starts are tried: so many people are settled in all.
WORK = 40_000
FEWEST_TRIED = 2
LLOYD_ROUNDS = 60
SETTLING_ROUNDS = 100
# So many distances are computed at once, which stay in the processor's cache.
AT_ONCE = 250_000
# Starts are drawn, always in the same way: no seed decides who is in which group.
STARTS_SEED = 0
# Polis stops when no centre moves by more.
STILL = 0.01
SUBSPACE_ROUNDS = 500


@dataclass(frozen=True)
class GroupSettings:
    """How groups are found. The defaults are Polis' own, except for `moderated`."""

    # How many groups; None for the number with the best silhouette, at most `most`.
    groups: int | None = None
    # Statements moderated out are dropped, or zeroed as in Polis: everybody passes on them.
    moderated: Literal["drop", "zero"] = "drop"
    most: int = 5
    # A participant with fewer votes is in no group, unless there would be fewer people than
    # `least_people` in all groups together.
    least_votes: int = 7
    least_people: int = 15
    # The most clusters of the first stage.
    base_clusters: int = 100
    # Of the draws that measure how stable groups are. It decides no group.
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("groups", self.groups, 2),
            ("most", self.most, 2),
            ("least_votes", self.least_votes, 0),
            ("least_people", self.least_people, 2),
            ("base_clusters", self.base_clusters, 2),
        ):
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; it must be {least} or more.")
        if self.moderated not in ("drop", "zero"):
            raise InputError(f'moderated is "{self.moderated}"; it must be drop or zero.')


@dataclass(frozen=True, eq=False)
class Positions:
    """Everybody's place in the plane of opinion, before any clustering."""

    participants: tuple[str, ...]
    # The statements that take part, after moderation.
    statements: tuple[str, ...]
    # Shape (participants, 2).
    places: FloatArray
    # Shape (2, statements), orthonormal rows.
    components: FloatArray
    # The mean vote on each statement, shape (statements,).
    centre: FloatArray
    # The share of variance of each component, shape (2,).
    explained: FloatArray
    # Who is clustered, shape (participants,).
    inside: BoolArray
    # How far out somebody would be who only agreed with this statement, shape (statements,).
    extremity: FloatArray


@dataclass(frozen=True, eq=False)
class OpinionGroups:
    """Who votes alike. Groups stand by size, the largest first, or by number."""

    positions: Positions
    # The place of each participant's group, OUTSIDE with too few votes; shape (participants,).
    labels: IntArray
    # For each number of groups tried, the mean silhouette of the base clusters' centres.
    silhouettes: dict[int, float]
    settings: GroupSettings
    # The number that each group keeps, in their order; see `group_names.carried_over`.
    numbers: tuple[int, ...] = ()
    # The place by size of each group, in their order.
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("numbers", "order"):
            if not getattr(self, name):
                object.__setattr__(self, name, tuple(range(self.count)))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> IntArray:
        """Participants in each group, (groups,)."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.count)

    def by_participant(self) -> dict[str, str]:
        """The number of the group of each participant who has one, as Polis' files write it."""
        return {
            person: str(self.numbers[label])
            for person, label in zip(self.positions.participants, self.labels.tolist(), strict=True)
            if label != OUTSIDE
        }


def moderated(
    matrix: VoteMatrix, moderated_out: Iterable[str], how: Literal["drop", "zero"]
) -> VoteMatrix:
    """Return the matrix without the statements moderated out, or with everybody passing on them.

    As in Polis, zeroed columns still count as votes where people with few votes are moved
    outward. These people are then nearer to the middle than they would be.
    """
    out = set(moderated_out)
    if how == "drop":
        return matrix.only(statement for statement in matrix.statements if statement not in out)
    votes = matrix.votes.copy()
    votes[:, [statement in out for statement in matrix.statements]] = PASS
    return VoteMatrix(matrix.participants, matrix.statements, votes)


def in_conversation(
    seen_counts: npt.NDArray[np.int64], statements: int, s: GroupSettings
) -> BoolArray:
    """Return who is clustered: those with min(7, statements) votes, and at least 15 people.

    Where fewer people have so many votes, the most active of the others are taken in. Of equally
    active people the one with the lower id comes first.

    seen_counts: shape (participants,), the votes of each, passes included.
    """
    inside = seen_counts >= max(min(s.least_votes, statements), 1)
    missing = s.least_people - int(inside.sum())
    if missing > 0:
        order = np.argsort(-seen_counts, kind="stable")
        more = [at for at in order if not inside[at] and seen_counts[at] > 0][:missing]
        inside[more] = True
    return inside


def centred(
    votes: VoteArray, seen: BoolArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return votes less the statement's mean, 0 where unseen, and the means.

    Filling with the mean and then centring leaves exactly 0, so the filled matrix is never made.
    """
    voted = (votes * seen).astype(np.float64)
    worth = weights @ seen
    centre = np.divide(weights @ voted, worth, out=np.zeros(votes.shape[1]), where=worth > 0)
    voted -= centre
    voted *= seen
    return voted, centre


def principal_components(
    x: FloatArray, weights: FloatArray, count: int = COMPONENTS
) -> tuple[FloatArray, FloatArray]:
    """Return the first principal components of weighted rows.

    Block power iteration with Rayleigh-Ritz on the smaller of the two cross-products reaches
    machine precision: it is as exact as a full decomposition and far cheaper.

    Parameters
    ----------
    x : array, shape (rows, columns)
        Centred.
    weights : array, shape (rows,)
        Non-negative.
    count : int
        How many components.

    Returns
    -------
    components : array, shape (count, columns)
        Right singular vectors of sqrt(w) x. The sign of each is such that its largest loading is
        positive. Where x has fewer directions than `count`, the others are 0.
    explained : array, shape (count,)
        Shares of the variance.
    """
    scaled = x if (weights == 1).all() else x * np.sqrt(weights)[:, None]
    wide = x.shape[0] < x.shape[1]
    gram = scaled @ scaled.T if wide else scaled.T @ scaled
    total = float(np.trace(gram))
    if total <= 0:
        return np.zeros((count, x.shape[1])), np.zeros(count)
    values, vectors = _leading(gram, count)
    if wide:
        vectors = scaled.T @ vectors
        norms = np.linalg.norm(vectors, axis=0)
        vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[largest, np.arange(count)] < 0, -1.0, 1.0)
    return vectors.T, values / total


def _leading(gram: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """The largest eigenvalues of a symmetric matrix, descending, and their vectors as columns."""
    size, block = gram.shape[0], count + 22
    if size <= 2 * block:
        values, vectors = np.linalg.eigh(gram)
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        return _filled_up(values, vectors, count)
    basis = np.random.default_rng(0).standard_normal((size, block))
    for _ in range(SUBSPACE_ROUNDS):
        basis = _orthonormal(basis)
        ahead = gram @ basis
        values, turn = np.linalg.eigh(basis.T @ ahead)
        found = basis @ turn[:, ::-1][:, :count]
        left = ahead @ turn[:, ::-1][:, :count] - found * values[::-1][:count]
        if np.abs(left).max() <= 1e-11 * max(float(values[-1]), 1e-300):
            break
        basis = gram @ (ahead @ turn)
    return _filled_up(values[::-1][:count], found, count)


def _filled_up(
    values: FloatArray, vectors: FloatArray, count: int
) -> tuple[FloatArray, FloatArray]:
    """`count` of each, filled with 0: everybody may differ along one line only."""
    short = count - values.size
    return np.pad(values.clip(0), (0, short)), np.pad(vectors, ((0, 0), (0, short)))


def _orthonormal(basis: FloatArray) -> FloatArray:
    """An orthonormal basis of the columns' span, by the eigenvectors of their few cross-products.

    It is done twice for accuracy. A tall QR decomposition is disproportionately slow where cores
    are busy.
    """
    for _ in range(2):
        scaled = basis / np.maximum(np.linalg.norm(basis, axis=0), 1e-300)
        values, turn = np.linalg.eigh(scaled.T @ scaled)
        kept = values > 1e-14 * values[-1]
        basis = scaled @ (turn[:, kept] / np.sqrt(values[kept]))
    return basis


def place(
    matrix: VoteMatrix | SparseVotes,
    moderated_out: Iterable[str] = (),
    settings: GroupSettings | None = None,
    weights: FloatArray | None = None,
) -> Positions:
    """Place every participant by their votes.

    The place of participant i on component k is sqrt(C / n_i) sum_j (v_ij - centre_j) pc_kj, over
    the n_i of C statements that i voted on.

    Parameters
    ----------
    matrix : VoteMatrix or SparseVotes
        Both give the same places; a large table with few votes is taken as sparse. Sparse
        votes need `moderated="drop"`.
    moderated_out : iterable of str
        Statements that take no part.
    settings : GroupSettings, optional
    weights : array, shape (participants,), optional
        How much each participant counts in means and components; 1 by default.

    Raises
    ------
    InputError
        There is no participant, or no statement is left.
    """
    s = settings or GroupSettings()
    out = set(moderated_out)
    w = np.ones(len(matrix.participants)) if weights is None else weights
    used: VoteMatrix | SparseVotes
    x: Any
    if isinstance(matrix, VoteMatrix) and s.moderated == "drop" and is_better_sparse(matrix):
        matrix = sparse_votes(matrix)
    if isinstance(matrix, SparseVotes):
        refuse_zeroing(s.moderated)
        used = matrix.only(statement for statement in matrix.statements if statement not in out)
        _need_votes(used)
        x, centre = sparse_centred(used, w)
        pcs, explained = sparse_components(x, w, COMPONENTS)
        seen_counts = given = used.seen_counts
    else:
        used = moderated(matrix, out, s.moderated)
        _need_votes(used)
        x, centre = centred(used.votes, used.seen, w)
        pcs, explained = principal_components(x, w)
        seen_counts = used.seen.sum(axis=1)
        # Who is inside is decided by the votes really given, even where columns are zeroed.
        given = matrix.seen.sum(axis=1) if s.moderated == "zero" else seen_counts
    lift = np.sqrt(len(used.statements) / np.maximum(seen_counts, 1))
    inside = in_conversation(given, len(used.statements), s)
    return Positions(
        participants=used.participants,
        statements=used.statements,
        places=(x @ pcs.T) * lift[:, None],
        components=pcs,
        centre=centre,
        explained=explained,
        inside=inside,
        extremity=extremity(centre, pcs),
    )


def _need_votes(used: VoteMatrix | SparseVotes) -> None:
    if not used.participants or not used.statements:
        raise InputError("no votes to find groups in: no participant, or no statement left.")


def extremity(centre: FloatArray, components: FloatArray) -> FloatArray:
    """Return how far from the middle agreeing with one statement alone would place somebody.

    It is || sqrt(C) (1 - centre_j) (pc_1j, pc_2j) || for statement j of C.
    """
    spread = np.sqrt(centre.size) * (1 - centre) * components
    return np.asarray(np.sqrt(np.square(spread).sum(axis=0)))


def most_groups(base_clusters: int, most: int) -> int:
    """Return the most groups to try: min(most, 2 + floor(base clusters / 12))."""
    return min(most, 2 + base_clusters // 12)


def cluster(
    positions: Positions, settings: GroupSettings | None = None, weights: FloatArray | None = None
) -> OpinionGroups:
    """Cluster the places in two stages.

    People form up to 100 base clusters, and base clusters form groups, each counting as many
    people as it contains. Then the groups' centres settle on the people themselves, a step that
    Polis does not have. Where k-means on the base clusters can end in several ways, each is
    settled and the one with the least squared distance of people to their centre is taken. The
    number of groups is the one whose base clusters have the best mean silhouette; each base
    cluster counts once, and of equal numbers the larger is taken.

    Parameters
    ----------
    positions : Positions
        From `place`.
    settings : GroupSettings, optional
    weights : array, shape (participants,), optional
        As in `place`. A person of weight 0 decides nothing, but is given the group of their place.

    Raises
    ------
    InputError
        Fewer places differ than groups are asked for, or fewer than two.
    """
    s = settings or GroupSettings()
    found = partitions(positions, s, weights)
    scores = {k: score for k, (_, score) in found.items()}
    best = s.groups or max(scores, key=lambda k: (round(scores[k], 12), k))
    return OpinionGroups(positions, found[best][0], scores, s)


def partitions(
    positions: Positions,
    s: GroupSettings,
    weights: FloatArray | None = None,
    numbers: Collection[int] | None = None,
) -> dict[int, tuple[IntArray, float]]:
    """Return, for each number of groups tried, labels (participants,) and the mean silhouette.

    numbers: of groups to try; by default those that the settings and the base clusters allow.
    """
    w = np.ones(len(positions.participants)) if weights is None else weights
    counted = positions.inside & (w > 0)
    centres, sizes = base_clusters(positions.places[counted], w[counted], s)
    if len(centres) < 2:
        raise InputError(
            "no groups: everybody who voted enough is in one place. Groups need people who "
            "voted differently on the statements that were kept."
        )
    inside = np.flatnonzero(positions.inside)
    people = positions.places[inside]
    nearest = _nearest(people, centres)
    highest = most_groups(len(centres), s.most)
    tried = [s.groups] if s.groups else list(range(2, highest + 1))
    if numbers is not None:
        tried = sorted(numbers)
    found = {}
    for k in tried:
        if k > len(centres):
            if s.groups:
                raise InputError(
                    f"{k} groups were asked for, but people are in {len(centres)} places only; "
                    f"ask for {len(centres)} or fewer."
                )
            continue
        generator = np.random.default_rng([STARTS_SEED, k])
        ends = k_means_ends(centres, sizes, k, generator, GROUP_STARTS)
        labels = np.full(len(positions.participants), OUTSIDE, dtype=np.int64)
        settled_labels, group_centres = _nearest_to_their_groups(
            people, w[inside], nearest, ends, generator
        )
        labels[inside] = settled_labels
        labels = _by_size(labels, w)
        if int(labels.max()) + 1 < k:
            continue  # A group is empty: these are not k groups.
        found[k] = labels, mean_silhouette(centres, _nearest(centres, group_centres))
    if not found and numbers is None:
        raise InputError(
            f"no {s.groups or 2} groups that each hold somebody were found among people in "
            f"{len(centres)} places."
        )
    return found


def base_clusters(
    points: FloatArray, weights: FloatArray, s: GroupSettings
) -> tuple[FloatArray, FloatArray]:
    """Return the centres of the first stage, (clusters, 2), and the weight in each."""
    distinct, where = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) <= s.base_clusters:
        return distinct, np.bincount(where.ravel(), weights).astype(np.float64)
    generator = np.random.default_rng([STARTS_SEED, 0])
    labels = k_means(points, weights, s.base_clusters, generator, 1)
    sizes = np.bincount(labels, weights, s.base_clusters).astype(np.float64)
    sums = np.stack([np.bincount(labels, weights * c, s.base_clusters) for c in points.T], axis=1)
    kept = sizes > 0
    return sums[kept] / sizes[kept, None], sizes[kept]


def k_means(
    points: FloatArray, weights: FloatArray, k: int, generator: np.random.Generator, starts: int
) -> IntArray:
    """Return the labels of the best of several runs of Lloyd's algorithm from k-means++ starts.

    The best run has the least weighted squared distance to the centres.

    Parameters
    ----------
    points : array, shape (n, d)
    weights : array, shape (n,)
        Positive.
    k : int
        How many clusters.
    generator : numpy Generator
    starts : int
        How many runs.

    References
    ----------
    Arthur and Vassilvitskii (2007), k-means++.
    """
    return k_means_ends(points, weights, k, generator, starts)[0]


def k_means_ends(
    points: FloatArray, weights: FloatArray, k: int, generator: np.random.Generator, starts: int
) -> list[IntArray]:
    """Return the different labels that runs of Lloyd's algorithm end with, the best first.

    Parameters are those of `k_means`.
    """
    centres = settled(points, weights, _spread_out(points, weights, k, generator, starts))
    labels = _nearest_of_each(points, centres)
    costs = _costs(points, weights, labels, centres)
    found: list[int] = []
    for at in np.argsort(costs, kind="stable").tolist():
        # The same end found again costs the same, however its clusters are numbered.
        if not found or costs[at] - costs[found[-1]] > 1e-9 * costs[at]:
            found.append(at)
    return [labels[at] for at in found]


def settled(
    points: FloatArray,
    weights: FloatArray,
    centres: FloatArray,
    still: float = STILL,
    rounds: int = LLOYD_ROUNDS,
) -> FloatArray:
    """Return centres after Lloyd's algorithm: each moves to its points' mean until all stay.

    centres: of several runs at once, (runs, clusters, coordinates).
    """
    runs, k, _ = centres.shape
    cells, repeated = np.arange(runs)[:, None] * k, np.tile(weights, runs)
    weighted = [np.tile(weights * along, runs) for along in points.T]
    for _ in range(rounds):
        cluster_of = (_nearest_of_each(points, centres) + cells).ravel()
        sizes = np.bincount(cluster_of, repeated, runs * k)
        sums = np.stack(
            [np.bincount(cluster_of, along, runs * k) for along in weighted],
            axis=1,
        )
        means = (sums / np.maximum(sizes, 1e-300)[:, None]).reshape(centres.shape)
        moved = np.where((sizes > 0).reshape(runs, k, 1), means, centres)
        shift = float(np.abs(moved - centres).max())
        centres = moved
        if shift <= still:
            break
    return centres


def _nearest_to_their_groups(
    people: FloatArray,
    weights: FloatArray,
    base_of: IntArray,
    ends: list[IntArray],
    generator: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """The groups with the least distance of people to their centre, and these centres.

    Where groups meet, two stages depend on how base clusters happened to fall. Lloyd's algorithm
    on the people themselves does not.

    base_of: each person's base cluster. ends: how base clusters may be grouped, the best first.
    """
    k = int(ends[0].max()) + 1
    tried = max(FEWEST_TRIED, min(ENDS_TRIED + PEOPLE_STARTS, WORK // max(len(people), 1)))
    starts = [_means(people, weights, end[base_of], k) for end in ends[: min(ENDS_TRIED, tried)]]
    more = min(PEOPLE_STARTS, tried - len(starts))
    counted = weights > 0
    drawn = _spread_out(people[counted], weights[counted], k, generator, max(more, 0))
    centres = settled(
        people, weights, np.concatenate([np.stack(starts), drawn]), 0.0, SETTLING_ROUNDS
    )
    labels = _nearest_of_each(people, centres)
    costs = _costs(people, weights, labels, centres)
    whole = [np.unique(run).size == k for run in labels]
    best = int(np.where(whole, costs, np.inf).argmin())
    return labels[best], centres[best]


def _means(points: FloatArray, weights: FloatArray, labels: IntArray, k: int) -> FloatArray:
    sizes = np.bincount(labels, weights, k)
    sums = np.stack([np.bincount(labels, weights * along, k) for along in points.T], axis=1)
    return np.asarray(sums / np.maximum(sizes, 1e-300)[:, None])


def _costs(
    points: FloatArray, weights: FloatArray, labels: IntArray, centres: FloatArray
) -> FloatArray:
    """The weighted squared distance to the centres in each run, (runs,)."""
    own = np.take_along_axis(centres, labels[:, :, None], axis=1)
    return np.asarray(np.square(points - own).sum(axis=2) @ weights)


def _spread_out(
    points: FloatArray, weights: FloatArray, k: int, generator: np.random.Generator, starts: int
) -> FloatArray:
    """Centres to begin with, (starts, k, coordinates): each far from those before, by chance."""
    total = np.cumsum(weights)
    at = np.minimum(np.searchsorted(total, generator.random(starts) * total[-1]), len(points) - 1)
    chosen = [points[at]]
    apart = np.square(points - chosen[0][:, None]).sum(axis=2)
    for _ in range(1, k):
        pull = np.cumsum(weights * apart, axis=1)
        drawn = generator.random(starts) * pull[:, -1]
        chosen.append(points[(pull > drawn[:, None]).argmax(axis=1)])
        apart = np.minimum(apart, np.square(points - chosen[-1][:, None]).sum(axis=2))
    return np.stack(chosen, axis=1)


def _nearest_of_each(points: FloatArray, centres: FloatArray) -> IntArray:
    """The nearest centre of each point in each run, (runs, points); the first of equally near."""
    runs, k, _ = centres.shape
    block = max(1, AT_ONCE // (runs * k))
    if len(points) > block:
        parts = [points[at : at + block] for at in range(0, len(points), block)]
        return np.concatenate([_nearest_of_each(part, centres) for part in parts], axis=1)
    # |p - c|^2 less |p|^2, which is the same for every centre. Single precision changes only
    # those on a border.
    near = centres.astype(np.float32)
    off: FloatArray = np.square(near).sum(axis=2)[:, None]
    for axis in range(points.shape[1]):
        along = points[:, axis, None].astype(np.float32)
        off = off - along * (2 * near[:, None, :, axis])
    return np.asarray(off.argmin(axis=2), dtype=np.int64)


def _nearest(points: FloatArray, centres: FloatArray) -> IntArray:
    """The nearest centre of each point, the first of equally near ones."""
    return np.asarray(_nearest_of_each(points, centres[None])[0])


def mean_silhouette(points: FloatArray, labels: IntArray) -> float:
    """Return the mean silhouette of points, each counting once.

    A point's silhouette is (b - a) / max(a, b), with a its mean distance to its own cluster and b
    to the nearest other cluster; 0 for a point alone in its cluster.

    References
    ----------
    Rousseeuw (1987), Silhouettes.
    """
    k = int(labels.max()) + 1
    member = (labels[:, None] == np.arange(k)).astype(np.float64)
    sizes = member.sum(axis=0)
    apart = np.sqrt(np.square(points[:, None] - points[None]).sum(axis=2)) @ member
    rows = np.arange(len(points))
    own = sizes[labels]
    a = apart[rows, labels] / np.maximum(own - 1, 1)
    to_others = np.where(sizes > 0, apart / np.maximum(sizes, 1), np.inf)
    to_others[rows, labels] = np.inf
    b = to_others.min(axis=1)
    larger = np.maximum(a, b)
    usable = (own > 1) & np.isfinite(b) & (larger > 0)
    return float(np.where(usable, (b - a) / np.where(usable, larger, 1), 0.0).mean())


def _by_size(labels: IntArray, weights: FloatArray) -> IntArray:
    """The same partition with the largest group first; of equal groups that of the lowest id."""
    inside = labels >= 0
    size = np.bincount(labels[inside], weights[inside])
    counts = np.bincount(labels[inside])
    first = [int((labels == k).argmax()) for k in range(size.size)]
    # A group without anybody is left out.
    order = sorted((k for k in range(size.size) if counts[k]), key=lambda k: (-size[k], first[k]))
    rank = np.full(size.size, OUTSIDE)
    rank[order] = np.arange(len(order))
    return np.where(inside, rank[np.maximum(labels, 0)], OUTSIDE)


def find_groups(
    matrix: VoteMatrix | SparseVotes,
    moderated_out: Sequence[str] = (),
    settings: GroupSettings | None = None,
    weights: FloatArray | None = None,
) -> OpinionGroups:
    """Place everybody by their votes, then cluster the places: `place` followed by `cluster`."""
    return cluster(place(matrix, moderated_out, settings, weights), settings, weights)


def nearest_groups(found: OpinionGroups, matrix: VoteMatrix) -> dict[str, str]:
    """Return the group that other people are nearest to, by votes on the same statements.

    People are placed on the components found before, and decide nothing themselves.

    Parameters
    ----------
    found : OpinionGroups
    matrix : VoteMatrix
        Of the other people. Statements that took no part in finding the groups are not looked at.

    Returns
    -------
    dict
        The group's label, as in `OpinionGroups.by_participant`, of everybody with as many votes as
        those who are clustered have at least.
    """
    positions, settings = found.positions, found.settings
    used = matrix.only(positions.statements)
    where = {statement: at for at, statement in enumerate(positions.statements)}
    columns = [where[statement] for statement in used.statements]
    seen = used.seen
    x = (used.votes - positions.centre[columns]) * seen
    counts = seen.sum(axis=1)
    lift = np.sqrt(len(positions.statements) / np.maximum(counts, 1))
    places = (x @ positions.components[:, columns].T) * lift[:, None]
    labelled = found.labels >= 0
    own = positions.places[labelled]
    centres = _means(own, np.ones(len(own)), found.labels[labelled], found.count)
    enough = counts >= max(min(settings.least_votes, len(positions.statements)), 1)
    nearest = _nearest(places, centres) if len(places) else np.zeros(0, dtype=np.int64)
    return {
        person: str(label)
        for person, label, inside in zip(
            used.participants, nearest.tolist(), enough.tolist(), strict=True
        )
        if inside
    }
