"""Which items of another survey ask what was trained on, in whatever wording.

Surveys put the same question under other stems ("How strongly do you agree...", "Please tell us
whether you agree..."), so that whole questions alone show too little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from suffrage.survey import Item
from suffrage.text_overlap import COMMON_WORD, jaccard, only_words, words_in
from suffrage.training_data.split import NEAR_DUPLICATE

# The part of the shorter question's telling words that the other one has too.
CONTAINED = 0.75
# Fewer telling words in common than this say nothing.
FEWEST_WORDS = 3
# Words are compared by their first letters, so that "increases" meets "increase".
STEM = 5
_PARTS = re.compile(r":\s|\n|[\"“”]|(?<=[.?!])\s")


def overlapping(items: Sequence[Item], trained: Sequence[Item]) -> dict[str, str]:
    """The items that ask nearly what a trained item asks.

    Two questions overlap when

    - they are the same but for punctuation,
    - their telling words overlap (Jaccard above `NEAR_DUPLICATE`, as in the study's own split),
    - the longer has `CONTAINED` of the telling words of the shorter, or
    - the statements to judge, which they end on, overlap.

    This errs toward removing items: those that share a statement's words are removed as well.

    Returns
    -------
    dict
        From the id of an item to that of the first trained item that it overlaps with.
    """
    questions = [item.question for item in (*items, *trained)]
    counts = Counter(word for text in set(questions) for word in _stems(text))
    limit = max(2, COMMON_WORD * len(set(questions)))
    common = {word for word, n in counts.items() if n > limit}
    known = [
        (item.id, only_words(item.question), *_compared(item.question, common)) for item in trained
    ]
    found = {}
    for item in items:
        plain = only_words(item.question)
        words, end = _compared(item.question, common)
        for name, other, other_words, other_end in known:
            if plain == other or _near(words, other_words) or _same_end(end, other_end):
                found[item.id] = name
                break
    return found


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in words_in(text) if len(word) > 3}


def _compared(question: str, common: set[str]) -> tuple[set[str], set[str]]:
    """The telling words of a question, and all longer words of the last part that has several."""
    parts = [found for part in _PARTS.split(question) if len(found := _stems(part)) > 1]
    return _stems(question) - common, parts[-1] if parts else set()


def _near(first: set[str], second: set[str]) -> bool:
    if jaccard(first, second) > NEAR_DUPLICATE:
        return True
    shared = len(first & second)
    return shared >= FEWEST_WORDS and shared >= CONTAINED * min(len(first), len(second))


def _same_end(first: set[str], second: set[str]) -> bool:
    return len(first & second) > 1 and jaccard(first, second) > NEAR_DUPLICATE
