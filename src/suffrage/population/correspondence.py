"""The contrast to latent classes: k-means on the axes of a multiple correspondence analysis.

Also the topics of items: which items are answered together, by hierarchical clustering.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suffrage.arrays import FloatArray, IntArray, PositionArray
from suffrage.errors import require
from suffrage.population.latent_classes import one_hot
from suffrage.survey import effective_sample_size

KMEANS_STARTS = 20


def principal_coordinates(
    columns: Sequence[PositionArray], options: Sequence[int], weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return respondents on the axes of a multiple correspondence analysis, and the axes' inertias.

    This is the correspondence analysis of the indicator matrix Z, respondents by options, with
    masses from the weights: the singular values of D_r^-1/2 (P - r c') D_c^-1/2, P = Z / sum Z.
    A missing answer leaves its item's columns empty. Axes with inertia above 1/J are kept,
    corrected by (J/(J-1) (lambda - 1/J))^2.

    Parameters
    ----------
    columns : sequence of J arrays, shape (respondents,)
        Positions 0..K_j-1, or negative for no answer.
    options : sequence of int
        K_j of each item.
    weights : array, shape (respondents,)
        Not negative.

    Returns
    -------
    coordinates : array, shape (respondents, axes)
        With at least one axis; zeros for respondents who answered nothing.
    inertias : array, shape (axes,)
        Corrected, largest first.

    References
    ----------
    Greenacre and Blasius (2006), Multiple Correspondence Analysis, chapter 2.
    Benzecri (1979) for the correction.
    """
    table = one_hot(columns, options) * weights[:, None]
    used = table.sum(axis=0) > 0
    answered = table.sum(axis=1) > 0
    p = table[np.ix_(answered, used)] / table.sum()
    r, c = p.sum(axis=1), p.sum(axis=0)
    scaled = (p - np.outer(r, c)) / np.sqrt(np.outer(r, c))
    # The option side is small: its Gram matrix gives the axes without a decomposition of the rows.
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    order = np.argsort(-values)
    items = len(columns)
    kept = [k for k in order if values[k] > 1 / items] or [int(order[0])]
    inertia = np.square(items / (items - 1) * (values[kept] - 1 / items))
    coordinates = np.zeros((table.shape[0], len(kept)))
    axes = scaled @ vectors[:, kept] / np.sqrt(r)[:, None]
    # Respondents spread along an axis as its corrected inertia says.
    spread = np.sqrt((r[:, None] * np.square(axes)).sum(axis=0))
    coordinates[answered] = axes / np.maximum(spread, 1e-12) * np.sqrt(inertia)
    return coordinates, inertia


def corresponding_clusters(
    columns: Sequence[PositionArray],
    options: Sequence[int],
    weights: FloatArray,
    clusters: int,
    generator: np.random.Generator,
) -> PositionArray:
    """Return each respondent's cluster by k-means on the principal coordinates.

    Parameters
    ----------
    columns, options, weights
        As for `principal_coordinates`.
    clusters : int
        How many.
    generator : numpy Generator
        Draws the seed of the k-means' starts.

    Returns
    -------
    array of int, shape (respondents,)
        0..clusters-1.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed.
    """
    require("sklearn", "segments", "segments")
    from sklearn.cluster import KMeans

    coordinates, _ = principal_coordinates(columns, options, weights)
    seed = int(generator.integers(2**31))
    found = KMeans(clusters, n_init=KMEANS_STARTS, random_state=seed).fit_predict(
        coordinates, sample_weight=weights
    )
    return np.asarray(found, dtype=np.int16)


def association(first: PositionArray, second: PositionArray, weights: FloatArray) -> float:
    """Return the bias-corrected Cramer's V of two items, over those who answered both.

    Parameters
    ----------
    first, second : array, shape (respondents,)
        Positions, or negative for no answer.
    weights : array, shape (respondents,)
        Not negative.

    Returns
    -------
    float
        0 (independent, or too few answers) to 1.

    References
    ----------
    Bergsma (2013), Journal of the Korean Statistical Society 42: 323-328.
    """
    both = (first >= 0) & (second >= 0)
    w = weights[both]
    if both.sum() < 2 or w.sum() == 0:
        return 0.0
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first[both], second[both]), w / w.sum())
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return 0.0
    n = effective_sample_size(w)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    phi = float((np.square(table - expected) / expected).sum())
    rows, columns = table.shape
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return min(1.0, float(np.sqrt(corrected / smaller))) if smaller > 0 else 0.0


def item_topics(
    columns: Sequence[PositionArray], weights: FloatArray, topics: int | None = None
) -> tuple[IntArray, FloatArray]:
    """Group items that are answered together, by average-linkage clustering on 1 - Cramer's V.

    Parameters
    ----------
    columns : sequence of arrays, shape (respondents,)
        One for each item: positions, or negative for no answer.
    weights : array, shape (respondents,)
        Not negative.
    topics : int, optional
        How many; the number with the highest mean silhouette when None.

    Returns
    -------
    topic : array of int, shape (items,)
        The number of each item's topic.
    associations : array, shape (items, items)
        Cramer's V of each two items.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed.
    """
    require("sklearn", "segments", "topics of items")
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    count = len(columns)
    v = np.eye(count)
    for i in range(count):
        for j in range(i):
            v[i, j] = v[j, i] = association(columns[i], columns[j], weights)

    def clustered(number: int) -> IntArray:
        found = AgglomerativeClustering(number, metric="precomputed", linkage="average")
        return np.asarray(found.fit_predict(1 - v), dtype=np.int64)

    if topics is not None or count < 4:
        return clustered(min(topics or 1, count)), v
    tried = {number: clustered(number) for number in range(2, count - 1)}
    best = max(
        tried,
        key=lambda number: float(silhouette_score(1 - v, tried[number], metric="precomputed")),
    )
    return tried[best], v
