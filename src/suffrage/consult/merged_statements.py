"""Statements that say nearly the same, merged by their words and by how people voted on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suffrage.consult.csv_files import read_csv_as_text
from suffrage.consult.votes import UNSEEN, VoteMatrix
from suffrage.errors import InputError
from suffrage.text_overlap import jaccard, telling_words, words_in

# The share of distinctive words (Jaccard) that two statements must have in common to be merged.
SAME_STATEMENT = 0.8
# From this share on, a person is asked whether two statements say the same.
NEARLY_SAME = 0.45
# Where at least this many people voted on both statements, this share must have voted alike.
VOTED_ON_BOTH = 5
VOTED_ALIKE = 0.8
# Of few statements, near-duplicates alone would make a word common.
RARE_UP_TO = 5
SHORTEST_WORD = 3
NEGATIONS = frozenset(
    {"not", "no", "never", "none", "without", "cannot", "nor", "wrong", "less", "fewer", "against"}
)


@dataclass(frozen=True)
class Merge:
    """Two statements that a person judged to say the same. Published with the principles."""

    statement: str
    same_as: str
    # The reason, in words.
    why: str


def read_merges(path: Path) -> tuple[Merge, ...]:
    """Read merges from a CSV file with the columns statement, same_as and why.

    Raises
    ------
    InputError
        The file cannot be read, has other columns, or a cell is empty.
    """
    frame = read_csv_as_text(path)
    if set(frame.columns) != {"statement", "same_as", "why"}:
        raise InputError(f"{path.name}: the columns must be statement, same_as and why.")
    for line, row in enumerate(frame.iter_rows(named=True), 2):
        if None in row.values():
            raise InputError(f"{path.name} line {line}: a cell is empty; a merge needs its reason.")
    return tuple(Merge(**row) for row in frame.iter_rows(named=True))


def statement_words(texts: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the words of each statement that few other statements contain."""
    return telling_words(texts, RARE_UP_TO, SHORTEST_WORD, without_endings=True)


def merged_statements(
    best_first: Sequence[str],
    texts: Mapping[str, str],
    words: Mapping[str, frozenset[str]],
    votes: VoteMatrix,
    same: float = SAME_STATEMENT,
    by_hand: Sequence[Merge] = (),
) -> list[list[str]]:
    """Group statements that say nearly the same, the best supported first in each group.

    Each statement joins the first better supported one that it resembles. Numbers and negations
    must be the same, because "should" and "should not" have nearly all words in common. People
    must also have voted alike on both, because one word can reverse a meaning. Statements that a
    person merged are merged without these tests.

    Parameters
    ----------
    best_first : sequence of str
        Statements, the best supported first.
    texts : mapping
        The text of each statement.
    words : mapping
        The distinctive words of each statement, from `statement_words`.
    votes : VoteMatrix
        Votes on these statements.
    same : float
        The overlap of distinctive words from which statements are merged; above 1 none are.
    by_hand : sequence of Merge
        Merges that a person decided on.

    Raises
    ------
    InputError
        A merge by hand names a statement that does not exist.
    """
    for merge in by_hand:
        for statement in (merge.statement, merge.same_as):
            if statement not in texts:
                raise InputError(f'merges: there is no statement "{statement}".')
    chosen = {frozenset((merge.statement, merge.same_as)) for merge in by_hand}

    def say_the_same(one: str, other: str) -> bool:
        return (
            jaccard(words[one], words[other]) >= same
            and _numbers_and_negations(texts[one]) == _numbers_and_negations(texts[other])
            and _voted_alike(votes, one, other)
        )

    found: list[list[str]] = []
    for statement in best_first:
        for group in found:
            chosen_by_hand = any(frozenset((member, statement)) in chosen for member in group)
            if chosen_by_hand or say_the_same(group[0], statement):
                group.append(statement)
                break
        else:
            found.append([statement])
    return found


def nearly_same(
    statements: Sequence[str], words: Mapping[str, frozenset[str]]
) -> tuple[tuple[str, str, float], ...]:
    """Return pairs of statements that a person should judge, with their overlap, largest first."""
    pairs = [
        (later, earlier, overlap)
        for at, later in enumerate(statements)
        for earlier in statements[:at]
        if (overlap := jaccard(words[later], words[earlier])) >= NEARLY_SAME
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])))


def _numbers_and_negations(text: str) -> frozenset[str]:
    words = words_in(text.lower().replace("n't", " not"))
    return frozenset(word for word in words if word.isdigit() or word in NEGATIONS)


def _voted_alike(votes: VoteMatrix, one: str, other: str) -> bool:
    """Whether those who voted on both gave the same vote, or too few did to tell."""
    first, second = (votes.votes[:, votes.statements.index(x)] for x in (one, other))
    both = (first != UNSEEN) & (second != UNSEEN)
    if both.sum() < VOTED_ON_BOTH:
        return True
    return bool((first[both] == second[both]).mean() >= VOTED_ALIKE)
