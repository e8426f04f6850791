"""How alike the options of questions are, by their words and places, as a kernel.

A ridge regression with this kernel predicts the answers to a question from those to the questions
that it is most like: an option counts by its own words, by the same words under a like question,
and by its place under a like question. Sums and products of kernels are kernels, so that no such
pair needs a feature of its own.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, sections 2.2, 4.2.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from suffrage.arrays import FloatArray, IntArray
from suffrage.survey import Item
from suffrage.text_vectors import WordWeights

# What each part weighs: an option's words; its words and its question's; its place and its
# question's words; its words and its place.
WORDS, WORDS_IN_QUESTION, PLACE_IN_QUESTION, WORDS_AT_PLACE = 0.3, 1.0, 1.0, 0.3
# How far apart two places, from -1 to 1, are alike.
PLACE_WIDTH = 0.7
# Items whose rows are computed at a time, so that what is in between stays small.
ITEMS_AT_A_TIME = 200

SmallFloats = npt.NDArray[np.float32]


def option_kernel(items: Sequence[Item]) -> SmallFloats:
    """The kernel of all options of some items, item after item.

    Parameters
    ----------
    items : sequence of Item

    Returns
    -------
    array of float32, shape (options of all items, options of all items)
        Symmetric and positive semidefinite, its mean diagonal 1. Centred within each item: what
        all of an item's options share tells nothing about which of them is chosen.
    """
    asked = _cosines([item.question for item in items])
    texts = sorted({text for item in items for text in item.texts})
    number = {text: place for place, text in enumerate(texts)}
    said = _cosines(texts)
    sizes = np.array([len(item.texts) for item in items])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    question = np.repeat(np.arange(len(items)), sizes)
    option = np.array([number[text] for item in items for text in item.texts])
    place = np.concatenate([np.linspace(-1, 1, size) for size in sizes]).astype(np.float32)
    kernel = np.empty((len(option), len(option)), np.float32)
    for first in range(0, len(items), ITEMS_AT_A_TIME):
        last = min(first + ITEMS_AT_A_TIME, len(items))
        rows = slice(starts[first], starts[last] if last < len(items) else len(option))
        places = np.exp(-np.square((place[rows, None] - place) / np.float32(PLACE_WIDTH)))
        words = said[np.ix_(option[rows], option)]
        context = asked[np.ix_(question[rows], question)]
        part = WORDS * words + WORDS_AT_PLACE * words * places
        part += context * (WORDS_IN_QUESTION * words + PLACE_IN_QUESTION * places)
        part = _centred(part.T, starts, sizes).T
        kernel[rows] = _centred(part, starts[first:last] - starts[first], sizes[first:last])
    kernel /= np.float32(max(float(np.diagonal(kernel).mean()), 1e-12))
    return kernel


def _cosines(texts: Sequence[str]) -> SmallFloats:
    """The cosine between the words of any two texts."""
    vectors = WordWeights.of(texts).vectors(texts).astype(np.float32)
    return np.asarray(vectors @ vectors.T)


def _centred(rows: SmallFloats, starts: IntArray, sizes: IntArray) -> SmallFloats:
    """Rows less the mean row of their item."""
    means = np.add.reduceat(rows, starts, axis=0) / sizes[:, None].astype(np.float32)
    return np.asarray(rows - np.repeat(means, sizes, axis=0), np.float32)


class KernelRidge:
    """Ridge regression with a kernel, whose predictions leave a part of the rows out.

    Parameters
    ----------
    kernel : array of float32, shape (rows, rows)
    weights : array, shape (rows,)
        What each row counts.
    penalty : float
        Above 0; what is added to the kernel's diagonal for a row of weight 1.
    """

    def __init__(self, kernel: SmallFloats, weights: FloatArray, penalty: float) -> None:
        self._kernel = kernel
        system = kernel.copy()
        system[np.diag_indices(len(kernel))] += (penalty / weights).astype(np.float32)
        self._inverse = _inverse(system)

    def left_out(self, targets: FloatArray, out: IntArray) -> FloatArray:
        """What the other rows predict for these.

        The inverse of the other rows' system follows from that of all rows by the formula for
        block matrices, so that no part needs an inverse of its own.

        Parameters
        ----------
        targets : array, shape (rows, targets)
            Those of `out` are not read.
        out : array, shape (rows left out,)

        Returns
        -------
        array, shape (rows left out, targets)
        """
        rest = np.setdiff1d(np.arange(len(targets)), out)
        known = targets[rest].astype(np.float32)
        across = self._inverse[np.ix_(out, rest)]
        inner = self._inverse[np.ix_(out, out)]
        full = np.zeros((len(targets), known.shape[1]), np.float32)
        full[rest] = known
        solved = (self._inverse @ full)[rest] - across.T @ np.linalg.solve(inner, across @ known)
        return np.asarray(self._kernel[np.ix_(out, rest)] @ solved, np.float64)


def _inverse(system: SmallFloats) -> SmallFloats:
    """The inverse of a positive definite matrix, in two halves: a third of the memory at once.

    The formula for block matrices with the Schur complement of the first half.
    """
    half = len(system) // 2
    if not half:
        return np.asarray(1 / system, np.float32)
    first, across = np.linalg.inv(system[:half, :half]), system[half:, :half]
    moved = across @ first
    second = np.linalg.inv(system[half:, half:] - moved @ across.T)
    found = np.empty_like(system)
    found[half:, half:] = second
    found[half:, :half] = -second @ moved
    found[:half, half:] = found[half:, :half].T
    found[:half, :half] = first - moved.T @ found[half:, :half]
    return found
