"""Texts as vectors of their words, weighted by how few texts have them (TF-IDF)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.text_overlap import words_in


@dataclass(frozen=True)
class WordWeights:
    """The words that two or more of some texts have, and what each word weighs.

    A word weighs ln((1 + n) / (1 + n with it)) + 1, of n texts. Any other word counts only toward
    the length of a text, as a word of one text does.
    """

    weights: Mapping[str, float]
    # Of a word that is not among them.
    rare: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> WordWeights:
        """The weights in these texts."""
        found_in = Counter(word for text in texts for word in set(words_in(text)))
        count = len(texts)
        shared = {
            word: math.log((1 + count) / (1 + number)) + 1
            for word, number in sorted(found_in.items())
            if number > 1
        }
        return cls(shared, math.log((1 + count) / 2) + 1)

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Each text as a vector, so that the product of two is the cosine between them.

        Returns
        -------
        array, shape (texts, words)
            A vector's length is 1 together with the words that are left out.
        """
        places = {word: place for place, word in enumerate(self.weights)}
        found = np.zeros((len(texts), len(places)))
        for row, text in enumerate(texts):
            counts = Counter(words_in(text))
            weighed = {word: n * self.weights.get(word, self.rare) for word, n in counts.items()}
            length = math.sqrt(sum(weight**2 for weight in weighed.values()))
            for word, weight in weighed.items():
                if word in places:
                    found[row, places[word]] = weight / length
        return found
