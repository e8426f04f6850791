"""Whether values form a circle, as theory says: scaling in the plane, and how well it fits.

There are two independent tests. The correspondence index counts how many of theory's predictions
about correlations hold, without any drawing. Multidimensional scaling places the values in the
plane, and their angles are compared with theory's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require

SHUFFLES = 999
FEWEST_VALUES = 5


@dataclass(frozen=True, eq=False)
class Circle:
    """Values in the plane, rotated to be as near as possible to where theory puts them."""

    values: tuple[str, ...]
    # Shape (values, 2), of mean 0.
    points: FloatArray
    # Theory's angle of each value in degrees, shape (values,).
    theory: FloatArray
    # Kruskal's stress-1 of the points; 0 is perfect.
    stress: float
    # The share of theory's predictions that hold less the share that fail, from -1 to 1.
    correspondence: float
    # The share of random orders of the values with at least that correspondence.
    p_value: float
    # The mean absolute angle to theory in degrees; 90 is expected by chance before the rotation.
    off: float


def circle(
    values: tuple[str, ...], scores: FloatArray, weights: FloatArray, places: FloatArray, seed: int
) -> Circle:
    """Recover the circle of values from scores.

    Parameters
    ----------
    values : tuple of str
        The names of the values.
    scores : array, shape (respondents, values)
        NaN where missing; only complete rows count.
    weights : array, shape (respondents,)
    places : array, shape (values,)
        Each value's place on theory's circle in degrees; values with equal places are neighbours
        without an order.
    seed : int
        Of the random orders behind the p-value.

    Raises
    ------
    InputError
        There are fewer than five values or complete rows, or a value does not vary.
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
    """Return the correspondence index of a circular order, and its p-value.

    For every two pairs of values at different distances, theory predicts that the pair that is
    nearer on the circle has the higher correlation. The index is (predictions that hold -
    predictions that fail) / predictions, and ties count for neither. The p-value is the share of
    orders that reach the index, among 999 random ones and the one observed.

    Parameters
    ----------
    correlation : array, shape (values, values)
    places : array, shape (values,)
        Degrees.
    seed : int

    References
    ----------
    Hubert and Arabie (1987), Psychological Bulletin 102; Tracey (1997), RANDALL.
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
    """Return points in the plane whose distances have the order of these, and Kruskal's stress-1.

    This is ordinal multidimensional scaling by majorisation (scikit-learn's SMACOF). It starts at
    Torgerson's (1952) classical solution, so that theory's order does not influence it.

    distances: shape (n, n).
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
    """Return the points rotated or mirrored so that their directions are nearest to theory's.

    This is orthogonal Procrustes analysis on directions (Schönemann 1966): nothing is stretched.
    """
    radians = np.deg2rad(places)
    target = np.column_stack([np.cos(radians), np.sin(radians)])
    length = np.linalg.norm(points, axis=1, keepdims=True)
    directions = points / np.where(length > 0, length, 1)
    u, _, vt = np.linalg.svd(directions.T @ target)
    return np.asarray(points @ (u @ vt))


def angles_off(points: FloatArray, places: FloatArray) -> FloatArray:
    """Return how far each point's direction is from theory's, in degrees from 0 to 180."""
    found = np.rad2deg(np.arctan2(points[:, 1], points[:, 0]))
    return _apart(found, places)


def priorities(scores: Mapping[str, float], degrees: Mapping[str, float]) -> FloatArray:
    """Return where somebody's priorities are on theory's circle, shape (2,).

    2 / n sum_v s_v (cos t_v, sin t_v), with s_v the score of value v less the mean of all n values
    and t_v its place on the circle. The direction shows which values count most, and the distance
    from the middle how much more than those on the other side.

    Parameters
    ----------
    scores : mapping
        By value; a constant added to all changes nothing.
    degrees : mapping
        Each value's place on theory's circle.

    Examples
    --------
    >>> around = {"north": 90.0, "west": 180.0, "south": 270.0, "east": 0.0}
    >>> priorities({"north": 4.0, "west": 3.0, "south": 2.0, "east": 3.0}, around).round(6).tolist()
    [0.0, 1.0]
    """
    radians = np.deg2rad([degrees[value] for value in scores])
    heights = np.array(list(scores.values()))
    heights = heights - heights.mean()
    sums = np.array([heights @ np.cos(radians), heights @ np.sin(radians)])
    return np.asarray(2 / len(heights) * sums + 0.0)


def _apart(a: FloatArray, b: FloatArray) -> FloatArray:
    gap = np.abs(a - b) % 360
    return np.asarray(np.minimum(gap, 360 - gap))
