"""Which items of another survey ask what was trained on, in whatever wording.

Surveys put the same question under other stems ("How strongly do you agree...", "Please tell us
whether you agree..."), so that whole questions alone show too little.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from suffrage.survey import Item
from suffrage.text_overlap import COMMON_WORD, only_words, words_in
from suffrage.training_data.split import NEAR_DUPLICATE, differ_after_a_long_beginning

# The part of the shorter question's distinctive words that the other one has too.
CONTAINED = 0.75
# Fewer distinctive words in common than this say nothing.
FEWEST_WORDS = 3
# Words are compared by their first letters, so that "increases" meets "increase".
STEM = 5
_PARTS = re.compile(r":\s|\n|[\"“”]|(?<=[.?!])\s")


def overlapping(
    items: Sequence[Item], trained: Sequence[Item], apart: bool = False
) -> dict[str, str]:
    """The items that ask nearly what a trained item asks.

    Two questions overlap when

    - they are the same but for punctuation,
    - their distinctive words overlap (Jaccard above `NEAR_DUPLICATE`, as in the study's own split),
    - the longer has `CONTAINED` of the distinctive words of the shorter, or
    - the statements to judge, which they end on, overlap.

    This errs toward removing items: those that share a statement's words are removed as well.

    Parameters
    ----------
    items, trained : sequence of Item
    apart : bool
        Whether two questions of one battery, which begin with the same many words and then ask
        different things, do not overlap.

    Returns
    -------
    dict
        From the id of an item to that of the first trained item that it overlaps with.
    """
    questions = [item.question for item in (*items, *trained)]
    counts = Counter(word for text in set(questions) for word in _stems(text))
    limit = max(2, COMMON_WORD * len(set(questions)))
    common = {word for word, n in counts.items() if n > limit}
    exact: dict[str, int] = {}
    told, ended = _Shared(_near_or_within), _Shared(_same_end)
    for place, item in enumerate(trained):
        exact.setdefault(only_words(item.question), place)
        words, end = _compared(item.question, common)
        told.add(words)
        ended.add(end)
    found = {}
    for item in items:
        words, end = _compared(item.question, common)
        places = [*told.meeting(words), *ended.meeting(end)]
        same = exact.get(only_words(item.question))
        for place in sorted(places if same is None else [*places, same]):
            other = trained[place]
            if not (apart and differ_after_a_long_beginning(item.question, other.question)):
                found[item.id] = other.id
                break
    return found


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in words_in(text) if len(word) > 3}


def _compared(question: str, common: set[str]) -> tuple[set[str], set[str]]:
    """A question's distinctive words, and all longer words of the last part that has several."""
    parts = [found for part in _PARTS.split(question) if len(found := _stems(part)) > 1]
    return _stems(question) - common, parts[-1] if parts else set()


def _near_or_within(shared: int, first: int, second: int) -> bool:
    """Whether two sets of so many words, some of them shared, are of questions that overlap."""
    if shared > NEAR_DUPLICATE * (first + second - shared):
        return True
    return shared >= FEWEST_WORDS and shared >= CONTAINED * min(first, second)


def _same_end(shared: int, first: int, second: int) -> bool:
    return shared > 1 and shared > NEAR_DUPLICATE * (first + second - shared)


class _Shared:
    """Sets of words, each found by the words that it shares with another set.

    overlap: whether sets overlap, from the number of shared words and of the words of each.
    """

    def __init__(self, overlap: Callable[[int, int, int], bool]) -> None:
        self._overlap = overlap
        self._sizes: list[int] = []
        self._by_word: dict[str, list[int]] = defaultdict(list)

    def add(self, words: set[str]) -> None:
        """Add one more set."""
        for word in words:
            self._by_word[word].append(len(self._sizes))
        self._sizes.append(len(words))

    def meeting(self, words: set[str]) -> list[int]:
        """The places of the sets that overlap with this one."""
        shared: Counter[int] = Counter()
        for word in words:
            shared.update(self._by_word.get(word, ()))
        return [
            place
            for place, count in shared.items()
            if self._overlap(count, len(words), self._sizes[place])
        ]
