"""How alike the options of questions are, by their words and places, as a kernel.

A ridge regression with this kernel predicts the answers to a question from those to the questions
that it is most like: an option counts by its own words, by the same words under a like question,
and by its place under a like question. Sums and products of kernels are kernels, so that no such
pair needs a feature of its own.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, sections 2.2, 4.2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class _Options:
    """The options of some items, item after item."""

    # The number of each option's question and of its text, and its place from -1 to 1, (options,).
    question: IntArray
    text: IntArray
    place: SmallFloats
    # Of each item, its first option, and how many it has.
    starts: IntArray
    sizes: IntArray
    # All texts, each once.
    texts: list[str]

    @classmethod
    def of(cls, items: Sequence[Item]) -> _Options:
        texts = sorted({text for item in items for text in item.texts})
        number = {text: place for place, text in enumerate(texts)}
        sizes = np.array([len(item.texts) for item in items])
        return cls(
            np.repeat(np.arange(len(items)), sizes),
            np.array([number[text] for item in items for text in item.texts]),
            np.concatenate([np.linspace(-1, 1, size) for size in sizes]).astype(np.float32),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]),
            sizes,
            texts,
        )


class WordKernel:
    """How alike options are to the options of known items.

    Parameters
    ----------
    items : sequence of Item
        The known items. Only their questions and the texts of their options are read; words
        weigh by how few of these have them.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._known = _Options.of(items)
        self._items = list(items)
        questions = [item.question for item in items]
        self._question_words = WordWeights.of(questions)
        self._option_words = WordWeights.of(self._known.texts)
        self._questions = self._question_words.vectors(questions).astype(np.float32)
        self._texts = self._option_words.vectors(self._known.texts).astype(np.float32)

    def own(self) -> SmallFloats:
        """The kernel of the known options, (known options, known options).

        Symmetric and positive semidefinite, and centred within each item: what all of an item's
        options share tells nothing about which of them is chosen.
        """
        found = np.empty((len(self._known.text),) * 2, np.float32)
        first = 0
        for rows in self._blocks(self._items):
            found[first : first + len(rows)] = rows
            first += len(rows)
        return found

    def features(self, items: Sequence[Item]) -> list[FloatArray]:
        """Of each item, how alike its options are to the known, (options, known options)."""
        found: list[FloatArray] = []
        for number, rows in enumerate(self._blocks(items)):
            block = items[number * ITEMS_AT_A_TIME : (number + 1) * ITEMS_AT_A_TIME]
            edges = np.cumsum([len(item.texts) for item in block])[:-1]
            found += [own.astype(np.float64) for own in np.split(rows, edges)]
        return found

    def _blocks(self, items: Sequence[Item]) -> list[SmallFloats]:
        """The rows of all options of some items, so many items at a time."""
        parts = range(0, len(items), ITEMS_AT_A_TIME)
        return [self._rows(items[first : first + ITEMS_AT_A_TIME]) for first in parts]

    def _rows(self, items: Sequence[Item]) -> SmallFloats:
        new, known = _Options.of(items), self._known
        asked = self._question_words.vectors([item.question for item in items])
        said = self._option_words.vectors(new.texts)
        context = (asked.astype(np.float32) @ self._questions.T)[new.question][:, known.question]
        words = (said.astype(np.float32) @ self._texts.T)[new.text][:, known.text]
        places = np.exp(-np.square((new.place[:, None] - known.place) / np.float32(PLACE_WIDTH)))
        part = WORDS * words + WORDS_AT_PLACE * words * places
        part += context * (WORDS_IN_QUESTION * words + PLACE_IN_QUESTION * places)
        part = _centred(part.T, known.starts, known.sizes).T
        return _centred(part, new.starts, new.sizes)


def _centred(rows: SmallFloats, starts: IntArray, sizes: IntArray) -> SmallFloats:
    """Rows less the mean row of their item."""
    means = np.add.reduceat(rows, starts, axis=0) / sizes[:, None].astype(np.float32)
    return np.asarray(rows - np.repeat(means, sizes, axis=0), np.float32)


class KernelRidge:
    """Ridge regression with a kernel, on all rows or with a part of them left out.

    Parameters
    ----------
    kernel : array of float32, shape (rows, rows)
    weights : array, shape (rows,)
        What each row counts.
    penalty : float
        Above 0; for a row of weight 1, in units of the kernel's mean diagonal.
    """

    def __init__(self, kernel: SmallFloats, weights: FloatArray, penalty: float) -> None:
        self._kernel = kernel
        scale = max(float(np.diagonal(kernel).mean()), 1e-12)
        system = kernel.copy()
        system[np.diag_indices(len(kernel))] += (penalty * scale / weights).astype(np.float32)
        self._inverse = _inverse(system)

    def coefficients(self, targets: FloatArray) -> FloatArray:
        """What a kernel's columns are multiplied with, (rows, targets)."""
        return np.asarray(self._inverse @ targets.astype(np.float32), np.float64)

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
