"""Whether values lie in a circle, as theory says: scaling in the plane, and how well it fits.

Two answers, by independent roads: the correspondence index counts which of theory's predictions
about correlations hold, without any drawing; multidimensional scaling draws the values, and
angles are then held against theory's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require

SHUFFLES = 999
FEWEST_VALUES = 5


@dataclass(frozen=True, eq=False)
class Circle:
    """Values in the plane, turned so that they lie as near as they can to where theory puts them.

    points: (values, 2), of mean 0. theory: theory's angle of each value in degrees.
    stress: Kruskal's stress-1 of the drawing, 0 is perfect. correspondence: from -1 to 1, the
    share of theory's predictions that hold less the share that fail; p_value: the share of random
    orders of the values that do as well. off: mean absolute angle to theory in degrees (90 is
    expected by chance before turning).
    """

    values: tuple[str, ...]
    points: FloatArray
    theory: FloatArray
    stress: float
    correspondence: float
    p_value: float
    off: float


def circle(
    values: tuple[str, ...], scores: FloatArray, weights: FloatArray, places: FloatArray, seed: int
) -> Circle:
    """Recover the circle from scores.

    scores: (respondents, values), NaN where missing (complete rows count); places: each value's
    place on theory's circle in degrees; equal places are neighbours without an order.
    Raises InputError with fewer than five values or respondents, or a value that does not vary.
    """
    complete = ~np.isnan(scores).any(axis=1)
    if len(values) < FEWEST_VALUES or complete.sum() < FEWEST_VALUES:
        raise InputError(
            f"a circle needs {FEWEST_VALUES} values and respondents who have a score on each; "
            f"there are {len(values)} values and {int(complete.sum())} such respondents."
        )
    x, w = scores[complete], weights[complete] / weights[complete].sum()
    centred = x - w @ x
    covariance = (centred * w[:, None]).T @ centred
    spread = np.sqrt(np.diag(covariance))
    varies = np.ptp(x, axis=0) > 0
    if not varies.all():
        alike = ", ".join(v for v, does in zip(values, varies, strict=True) if not does)
        raise InputError(f"everyone has the same score on {alike}: it has no place on a circle.")
    correlation = covariance / np.outer(spread, spread)
    index, p_value = correspondence_index(correlation, places, seed)
    points, stress = ordinal_scaling(np.sqrt(np.maximum(2 - 2 * correlation, 0)))
    points = turned(points, places)
    return Circle(
        values, points, places, stress, index, p_value, float(angles_off(points, places).mean())
    )


def correspondence_index(
    correlation: FloatArray, places: FloatArray, seed: int
) -> tuple[float, float]:
    """Hubert and Arabie's (1987) correspondence index of a circular order, and its p-value.

    Theory predicts that a pair nearer on the circle correlates more than a pair farther apart, for
    every two pairs of different distance. The index is (held - failed) / predictions, ties count
    for neither. The p-value is of random orders of the values (Tracey 1997): the share of
    999 of them, and the one observed, that reach the index.
    """
    rows, columns = np.triu_indices(len(places), 1)
    between = _apart(places[rows], places[columns])
    predicted = np.sign(np.subtract.outer(between, between).round(9))

    def index(order: npt.NDArray[np.intp]) -> float:
        found = correlation[np.ix_(order, order)][rows, columns]
        observed = np.sign(np.subtract.outer(found, found))
        return float((predicted * -observed).sum() / np.abs(predicted).sum())

    generator = np.random.default_rng(seed)
    own = index(np.arange(len(places)))
    chance = [index(generator.permutation(len(places))) for _ in range(SHUFFLES)]
    reached = 1 + sum(other >= own - 1e-12 for other in chance)
    return own, reached / (SHUFFLES + 1)


def ordinal_scaling(distances: FloatArray) -> tuple[FloatArray, float]:
    """Points in the plane whose distances follow the order of these, and Kruskal's stress-1.

    distances: (n, n). Ordinal multidimensional scaling by majorisation (scikit-learn's SMACOF),
    begun at Torgerson's (1952) classical solution, so that nothing of theory's order enters.
    """
    import warnings

    manifold = require("sklearn.manifold", "segments", "the circle of values")
    n = len(distances)
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances**2 @ centring)
    start = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 1e-12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        points, stress = manifold.smacof(
            distances,
            metric=False,
            init=start,
            n_init=1,
            max_iter=3000,
            eps=1e-9,
            normalized_stress=True,
            random_state=0,
        )
    return np.asarray(points - points.mean(axis=0)), float(stress)


def turned(points: FloatArray, places: FloatArray) -> FloatArray:
    """The points turned, or mirrored, so that their directions are nearest to theory's.

    Orthogonal Procrustes on directions (Schönemann 1966): only turning, no stretching.
    """
    radians = np.deg2rad(places)
    target = np.column_stack([np.cos(radians), np.sin(radians)])
    length = np.linalg.norm(points, axis=1, keepdims=True)
    directions = points / np.where(length > 0, length, 1)
    u, _, vt = np.linalg.svd(directions.T @ target)
    return np.asarray(points @ (u @ vt))


def angles_off(points: FloatArray, places: FloatArray) -> FloatArray:
    """How far each point's direction is from theory's, in degrees from 0 to 180."""
    found = np.rad2deg(np.arctan2(points[:, 1], points[:, 0]))
    return _apart(found, places)


def _apart(a: FloatArray, b: FloatArray) -> FloatArray:
    gap = np.abs(a - b) % 360
    return np.asarray(np.minimum(gap, 360 - gap))
