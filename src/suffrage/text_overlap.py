"""Which words tell short texts apart, and how many of them two texts share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

# A word in more than this share of all texts says nothing about any one of them.
COMMON_WORD = 0.25
_ENDING = re.compile(r"(?<=\w{3})(?:s|ed|ing)$")


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation, in their order.

    Examples
    --------
    >>> words_in("Trees, more trees!")
    ['trees', 'more', 'trees']
    """
    return re.findall(r"\w+", text.lower())


def only_words(text: str) -> str:
    """Return a text in lower case with its words apart by one space, and no punctuation.

    Examples
    --------
    >>> only_words("Trees, more trees!")
    'trees more trees'
    """
    return " ".join(words_in(text))


def telling_words(
    texts: Mapping[str, str],
    rare_up_to: int = 2,
    shortest: int = 1,
    without_endings: bool = False,
) -> dict[str, frozenset[str]]:
    """Return the words of each text that few of the other texts contain.

    Parameters
    ----------
    texts : mapping
        Texts by key.
    rare_up_to : int
        A word in at most this many texts always counts, so that near-duplicates among a few
        texts do not make a word common.
    shortest : int
        Shorter words are left out.
    without_endings : bool
        Whether the endings -s, -ed and -ing are cut off, so that "tree" and "trees" are one word.

    Returns
    -------
    dict
        For each key the words that are in at most `rare_up_to` texts, or in at most a quarter
        of all texts.

    Examples
    --------
    >>> sorted(telling_words({"a": "More trees", "b": "More buses", "c": "More parks"})["a"])
    ['trees']
    """
    words = {
        key: frozenset(_ENDING.sub("", w) if without_endings else w for w in words_in(text))
        for key, text in texts.items()
    }
    counts = Counter(word for found in words.values() for word in found)
    limit = max(float(rare_up_to), COMMON_WORD * len(texts))
    return {
        key: frozenset(w for w in found if counts[w] <= limit and len(w) >= shortest)
        for key, found in words.items()
    }


def jaccard(first: AbstractSet[str], second: AbstractSet[str]) -> float:
    """Return the shared part of two sets of words, from 0 to 1; 0 where one is empty.

    Examples
    --------
    >>> jaccard({"more", "trees"}, {"more", "buses"})
    0.3333333333333333
    """
    return len(first & second) / len(first | second) if first and second else 0.0


class ContainedTexts:
    """Texts that are looked for in many others, each only where one of its words is.

    Parameters
    ----------
    texts : mapping
        By key, as `only_words` gives them.

    Examples
    --------
    >>> known = ContainedTexts({"a": "plant more trees", "b": "build a road"})
    >>> list(known.within("should we plant more trees in the north"))
    ['a']
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._by_word: dict[str, list[tuple[str, str]]] = {}
        for key, text in texts.items():
            # The words at the ends may be parts of longer ones.
            inner = text.split()[1:-1]
            word = max(inner, key=len) if inner else ""
            self._by_word.setdefault(word, []).append((key, text))

    def within(self, text: str) -> Iterator[str]:
        """Yield the key of each text that is part of this one, or equal to it."""
        for word in ("", *dict.fromkeys(text.split())):
            for key, known in self._by_word.get(word, ()):
                if known and known in text:
                    yield key
