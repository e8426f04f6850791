"""Features of an item's options: where they are, and the words of their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.survey import Item
from suffrage.text_vectors import WordWeights

# Directions that the words of questions and of options are projected on.
QUESTION_WIDTH, OPTION_WIDTH = 150, 150


def place_features(options: int) -> FloatArray:
    """Where each option is, from -1 to 1, and that squared less a third, (options, 2)."""
    place = np.linspace(-1, 1, options)
    return np.column_stack([place, place**2 - 1 / 3])


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Options by the words of their texts, and of their question at each place.

    Words are weighted by TF-IDF and projected on the directions in which the training texts vary
    most (latent semantic analysis).
    """

    questions: WordWeights
    options: WordWeights
    # Shape (words, directions).
    question_directions: FloatArray
    option_directions: FloatArray

    @classmethod
    def of(cls, items: Sequence[Item], seed: int = 0) -> TextFeatures:
        """What the texts of these items give."""
        asked = [item.question for item in items]
        said = list(dict.fromkeys(text for item in items for text in item.texts))
        questions, options = WordWeights.of(asked), WordWeights.of(said)
        return cls(
            questions,
            options,
            main_directions(questions.vectors(asked), QUESTION_WIDTH, seed),
            main_directions(options.vectors(said), OPTION_WIDTH, seed),
        )

    def features(self, items: Sequence[Item]) -> list[FloatArray]:
        """Each item's options, (options, features)."""
        asked = self.questions.vectors([item.question for item in items])
        asked = asked @ self.question_directions
        texts = list(dict.fromkeys(text for item in items for text in item.texts))
        said = self.options.vectors(texts) @ self.option_directions
        row = {text: place for place, text in enumerate(texts)}
        found = []
        for item, question in zip(items, asked, strict=True):
            own = said[[row[text] for text in item.texts]]
            places = place_features(len(own))
            # A question says where on a scale people are: it counts differently at each place.
            crossed = [column[:, None] * question for column in places.T]
            found.append(np.column_stack([own, *crossed, places]))
        return found

    def arrays(self) -> dict[str, FloatArray]:
        """What `from_parts` needs, besides `words`."""
        return {
            "question_directions": self.question_directions,
            "option_directions": self.option_directions,
        }

    def words(self) -> dict[str, tuple[dict[str, float], float]]:
        """The words with their weights, and the weight of any other, as JSON takes them."""
        return {
            "questions": (dict(self.questions.weights), self.questions.rare),
            "options": (dict(self.options.weights), self.options.rare),
        }

    @classmethod
    def from_parts(
        cls,
        arrays: Mapping[str, FloatArray],
        words: Mapping[str, tuple[Mapping[str, float], float]],
    ) -> TextFeatures:
        """Put together again what `arrays` and `words` gave."""
        return cls(
            WordWeights(*words["questions"]),
            WordWeights(*words["options"]),
            arrays["question_directions"],
            arrays["option_directions"],
        )


def main_directions(vectors: FloatArray, count: int, seed: int = 0) -> FloatArray:
    """The first right singular vectors of a matrix, by randomised subspace iteration.

    Parameters
    ----------
    vectors : array, shape (texts, words)
    count : int
        How many, at most the smaller side of the matrix.
    seed : int
        Of the random start.

    Returns
    -------
    array, shape (words, directions)
        Orthonormal.

    References
    ----------
    Halko, Martinsson and Tropp (2011), Finding structure with randomness, SIAM Review 53.
    """
    count = min(count, *vectors.shape)
    more = min(count + 10, *vectors.shape)
    start = np.random.default_rng([seed, 4]).normal(size=(vectors.shape[1], more))
    basis, _ = np.linalg.qr(vectors @ start)
    for _ in range(3):
        other, _ = np.linalg.qr(vectors.T @ basis)
        basis, _ = np.linalg.qr(vectors @ other)
    _, _, right = np.linalg.svd(basis.T @ vectors, full_matrices=False)
    return np.asarray(right[:count].T)
