"""Whether opinion groups stand apart, or are parts of one spectrum.

K-means cuts a gradient into parts that come back in every resample. Two things tell groups from
parts of a spectrum: few people stand halfway between two groups, and groups have better
silhouettes. What is expected of a spectrum depends on the statements and on who saw which. So a
model of one continuum is fitted to the votes, votes are drawn from it for the same people and
statements, and groups are found in them in the same way.

The model places everybody evenly along one line, the flattest spread without a valley. A vote
follows Muraki's (1992) generalised partial credit model: disagree, pass and agree are steps along
the line, each statement with a slope and two steps of its own. Parts of a plane are farther apart
than parts of a line. So groups that are no parts of a line are compared with parts of a plane too,
in which everybody is placed evenly in two dimensions, each with a slope for every statement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray, VoteArray
from suffrage.consult.groups.opinion_groups import GroupSettings, Positions, partitions, place
from suffrage.consult.votes import AGREE, DISAGREE, PASS, UNSEEN, VoteMatrix
from suffrage.errors import InputError

# By the number of dimensions: places along each of them, at which the model is fitted.
NODES = {1: 16, 2: 8}
ROUNDS = 30
# Standard deviations of normal priors: they keep slopes finite where everybody votes alike.
SLOPE_SD = 1.5
STEP_SD = 5.0
# Halfway between two groups is where their centres are at 0 and 1.
HALFWAY = (0.35, 0.65)
DRAWS = 30
# Groups are apart from so many standard deviations of a spectrum's score on. Of spectra one in 200
# is beyond: Student's t with 29 degrees of freedom, for one more draw.
CLEARLY_APART = 2.8
CATEGORIES = (DISAGREE, PASS, AGREE)


@dataclass(frozen=True)
class Separation:
    """How far groups are apart, and how far they would be if there were one spectrum.

    It is compared with a line, and where the groups are no parts of a line, with a plane.
    """

    # The share of two groups' people who stand halfway between them, for the pair with most; and
    # its mean and standard deviation in votes drawn from one continuum.
    halfway: float
    halfway_expected: float
    halfway_spread: float
    # The silhouette, and its mean in those votes.
    silhouette: float
    silhouette_expected: float
    # By how many standard deviations of a spectrum fewer stand halfway and the silhouette is
    # better, taken together.
    score: float
    # Of what it is compared with: 1 for a line, 2 for a plane.
    dimensions: int = 1

    @property
    def apart(self) -> bool:
        """Whether these are clearly no parts of a spectrum, also where most people are between."""
        fewer = self.halfway_expected - self.halfway > self.halfway_spread
        return fewer and self.score > CLEARLY_APART


@dataclass(frozen=True, eq=False)
class Continuum:
    """A line or a plane, and how votes on each statement change along it."""

    # How much a step toward agreeing gains along each dimension, shape (dimensions, statements).
    slopes: FloatArray
    # The log odds of passing, and of agreeing, against disagreeing at 0: (2, statements).
    steps: FloatArray

    def log_shares(self, places: FloatArray) -> FloatArray:
        """Return log shares of disagree, pass and agree: shape (3, statements, places).

        places: shape (places, dimensions).
        """
        along = self.slopes.T @ places.T
        scores = np.stack(
            [
                np.zeros_like(along),
                self.steps[0][:, None] + along,
                self.steps[1][:, None] + 2 * along,
            ]
        )
        scores -= scores.max(axis=0)
        return np.asarray(scores - np.log(np.exp(scores).sum(axis=0)))

    def drawn(self, seen: BoolArray, generator: np.random.Generator) -> VoteArray:
        """Return votes of as many people, evenly spread, where votes were given."""
        places = np.sqrt(3) * (2 * generator.random((seen.shape[0], len(self.slopes))) - 1)
        shares = np.exp(self.log_shares(places))
        at = generator.random(seen.shape)
        votes = np.where(
            at < shares[0].T, DISAGREE, np.where(at < (shares[0] + shares[1]).T, PASS, AGREE)
        )
        return np.where(seen, votes, UNSEEN).astype(np.int8)


def even_places(dimensions: int) -> FloatArray:
    """Return evenly spread places with mean 0 and variance 1: shape (places, dimensions)."""
    nodes = NODES[dimensions]
    line = np.sqrt(3) * ((np.arange(nodes) + 0.5) / nodes * 2 - 1)
    return np.stack([x.ravel() for x in np.meshgrid(*[line] * dimensions)], axis=1)


def fit_continuum(votes: VoteArray, start: FloatArray) -> Continuum:
    """Fit one continuum to votes by expectation and maximisation over the places of people.

    Parameters
    ----------
    votes : array, shape (people, statements)
    start : array, shape (dimensions, statements)
        Slopes to begin with, such as the first principal components' loadings.

    References
    ----------
    Bock and Aitkin (1981), Marginal maximum likelihood estimation of item parameters.
    Muraki (1992), A generalized partial credit model.
    """
    given = np.stack([votes == kind for kind in CATEGORIES]).astype(np.float32)
    counts = given.sum(axis=1) + 0.5
    places = even_places(len(start))
    loadings = start * np.sqrt(start.shape[1])
    found = Continuum(
        np.sign(loadings) * np.minimum(np.abs(loadings), 2.0) * 0.7,
        np.log(counts[1:] / counts[0]).astype(np.float64),
    )
    for _ in range(ROUNDS):
        log_shares = found.log_shares(places).astype(np.float32)
        fits = sum(one @ shares for one, shares in zip(given, log_shares, strict=True))
        where = np.exp(fits - np.max(fits, axis=1, keepdims=True))
        where /= where.sum(axis=1, keepdims=True)
        expected = np.stack([one.T @ where for one in given]).astype(np.float64)
        for _ in range(2):
            found = _improved(found, expected, places)
    return found


def _improved(found: Continuum, counts: FloatArray, places: FloatArray) -> Continuum:
    """One Newton step for every statement. counts: votes by place, (3, statements, places)."""
    shares, people = np.exp(found.log_shares(places)), counts.sum(axis=0)
    missing = counts - people * shares
    # A pass is one step toward agreeing, and agreeing two.
    mean = shares[1] + 2 * shares[2]
    variance = shares[1] + 4 * shares[2] - mean**2
    slopes = (missing[1] + 2 * missing[2]) @ places - found.slopes.T / SLOPE_SD**2
    steps = missing[1:].sum(axis=2) - found.steps / STEP_SD**2
    dimensions, statements = found.slopes.shape
    curve = np.empty((statements, 2 + dimensions, 2 + dimensions))
    curve[:, 0, 0] = (people * shares[1] * (1 - shares[1])).sum(axis=1) + 1 / STEP_SD**2
    curve[:, 1, 1] = (people * shares[2] * (1 - shares[2])).sum(axis=1) + 1 / STEP_SD**2
    curve[:, 0, 1] = curve[:, 1, 0] = -(people * shares[1] * shares[2]).sum(axis=1)
    for at, kind in ((0, 1), (1, 2)):
        both = (people * shares[kind] * (kind - mean)) @ places
        curve[:, at, 2:] = curve[:, 2:, at] = both
    curve[:, 2:, 2:] = np.einsum("sp,pi,pj->sij", people * variance, places, places, optimize=True)
    curve[:, 2:, 2:] += np.eye(dimensions) / SLOPE_SD**2
    rise = np.concatenate([steps.T, slopes], axis=1)
    move = np.linalg.solve(curve, rise[:, :, None])[:, :, 0].clip(-1, 1)
    return Continuum(found.slopes + move[:, 2:].T, found.steps + move[:, :2].T)


def share_halfway(places: FloatArray, labels: IntArray) -> float:
    """Return the share of two groups' people who stand halfway between them, of all pairs the most.

    Parameters
    ----------
    places : array, shape (people, 2)
    labels : array, shape (people,)
        Each person's group, from 0.

    Examples
    --------
    >>> line = np.stack([np.arange(0.5, 100), np.zeros(100)], axis=1)
    >>> share_halfway(line, np.repeat([0, 1], 50))
    0.14
    """
    groups = int(labels.max()) + 1
    centres = np.array([places[labels == g].mean(axis=0) for g in range(groups)])
    most = 0.0
    for one in range(groups):
        for other in range(one):
            across = centres[other] - centres[one]
            both = places[(labels == one) | (labels == other)]
            along = (both - centres[one]) @ across / max(float(across @ across), 1e-300)
            inside = (along > HALFWAY[0]) & (along < HALFWAY[1])
            most = max(most, float(inside.mean()))
    return most


def separation(
    matrix: VoteMatrix,
    numbers: Collection[int],
    moderated_out: Iterable[str] = (),
    settings: GroupSettings | None = None,
    draws: int = DRAWS,
) -> dict[int, Separation]:
    """Compare the space between groups with that in votes drawn from a line, and then a plane.

    Parameters
    ----------
    matrix : VoteMatrix
    numbers : collection of int
        The numbers of groups to test.
    moderated_out : iterable of str
        Statements that take no part.
    settings : GroupSettings, optional
    draws : int
        How many sets of votes are drawn, of the line and of the plane each.

    Returns
    -------
    dict
        The separation for each number for which groups can be found: from a line where they may be
        parts of one, and otherwise from a plane.
    """
    s = settings or GroupSettings()
    out = set(moderated_out)
    positions = place(matrix, out, s)
    observed = _halfway_and_silhouette(positions, numbers, s)
    used = [at for at, statement in enumerate(matrix.statements) if statement not in out]
    placed = {statement: at for at, statement in enumerate(positions.statements)}
    loadings = positions.components[:, [placed[matrix.statements[at]] for at in used]]
    generator = np.random.default_rng([s.seed, 11])
    found: dict[int, Separation] = {}
    for dimensions in NODES:
        asked = [k for k in observed if dimensions == 1 or (k in found and found[k].apart)]
        if not asked:
            break
        continuum = fit_continuum(matrix.votes[:, used], loadings[:dimensions])
        expected: dict[int, list[tuple[float, float]]] = {k: [] for k in asked}
        for _ in range(draws):
            votes = matrix.votes.copy()
            votes[:, used] = continuum.drawn(matrix.seen[:, used], generator)
            drawn = replace(matrix, votes=votes)
            for k, one in _halfway_and_silhouette(place(drawn, out, s), asked, s).items():
                expected[k].append(one)
        found |= {
            k: replace(_compared(observed[k], np.array(some)), dimensions=dimensions)
            for k, some in expected.items()
            if len(some) > 1
        }
    return found


def _compared(observed: tuple[float, float], drawn: FloatArray) -> Separation:
    """drawn: the share halfway and the silhouette in each set of drawn votes, (draws, 2)."""
    mean, spread = drawn.mean(axis=0), np.maximum(drawn.std(axis=0, ddof=1), 1e-9)
    scores = (drawn - mean) / spread @ [-1.0, 1.0]
    score = float((np.array(observed) - mean) / spread @ [-1.0, 1.0])
    return Separation(
        halfway=observed[0],
        halfway_expected=float(mean[0]),
        halfway_spread=float(spread[0]),
        silhouette=observed[1],
        silhouette_expected=float(mean[1]),
        score=score / max(float(scores.std(ddof=1)), 1e-9),
    )


def _halfway_and_silhouette(
    positions: Positions, numbers: Collection[int], s: GroupSettings
) -> dict[int, tuple[float, float]]:
    try:
        found = partitions(positions, s, numbers=numbers)
    except InputError:
        return {}  # Everybody is in one place.
    inside = positions.inside
    return {
        k: (share_halfway(positions.places[inside], labels[inside]), silhouette)
        for k, (labels, silhouette) in found.items()
    }
