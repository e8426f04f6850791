"""Statistical disclosure control: what may be published about few people, as pure functions.

Tables of counts are suppressed and rounded. Joined rows are generalised until everybody is one of
k alike. Counts with noise are differentially private. `risk` measures how often a few votes single
a person out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from suffrage.arrays import BoolArray, IntArray, VoteArray
from suffrage.consult.votes import UNSEEN

# Statistics New Zealand's and the Ministry of Social Development's practice for counts of people.
SMALLEST_CELL = 6
ROUNDING_BASE = 3
SUPPRESSED = -1
UNKNOWN = "not given"
RARE = "rare values"
ANY = "any"
# Where there are more distinct numbers, they are published in ranges.
MANY_NUMBERS = 8
OR = " or "

# Details that identify somebody wherever they are in a text: e-mail addresses, web accounts,
# telephone numbers, New Zealand tax (IRD) and health (NHI) numbers, street addresses.
PERSONAL = {
    "e-mail": re.compile(
        r"[\w.+-]+\s?(?:@|[(\[]\s?at\s?[)\]])\s?[\w-]+"
        r"(?:\.|\s?[(\[]\s?dot\s?[)\]]\s?)[\w.-]+",
        re.IGNORECASE,
    ),
    "account": re.compile(r"(?<![\w@])@\w{3,}|https?://\S+", re.IGNORECASE),
    "telephone": re.compile(r"(?<!\w)\+?\(?\d(?:[\s().-]?\d){6,14}(?!\w)"),
    "IRD number": re.compile(r"(?<!\d)\d{2,3}[- ]\d{3}[- ]\d{3}(?!\d)"),
    "NHI number": re.compile(r"\b[A-HJ-NP-Z]{3}(?:\d{4}|\d{2}[A-HJ-NP-Z]{2})\b"),
    "address": re.compile(
        r"\b\d{1,4}[A-Za-z]?\s+(?:\w+\s+){1,3}"
        r"(?:street|st|road|rd|avenue|ave|drive|lane|terrace|place|crescent|close)\b",
        re.IGNORECASE,
    ),
}

# Years and dates, such as 2019-2023 or 2023-07-18: they look like telephone numbers.
_YEAR = r"(?:1[89]|20)\d\d"
_YEARS = re.compile(
    rf"(?<!\d[\s().-])(?<![\w+]){_YEAR}"
    rf"(?:(?:\s*[-–/,]\s*|\s+)(?:{_YEAR}|[01]?\d[-/][0-3]?\d))+(?![\s().-]?\d)(?!\w)"
)


def personal_in(text: str) -> str | None:
    """Return the first kind of personal detail that a text seems to contain; None without any.

    This is a rule of thumb: it misses names, and takes some numbers for telephone numbers.

    Examples
    --------
    >>> personal_in("Write to me at ana@example.org")
    'e-mail'
    """
    without_years = _YEARS.sub(" ", text)
    for kind, pattern in PERSONAL.items():
        if pattern.search(without_years if kind == "telephone" else text):
            return kind
    return None


def without_rare(values: Sequence[str], smallest: int = SMALLEST_CELL) -> list[str]:
    """Return the values, with all values that fewer than `smallest` people gave replaced by one.

    A suppressed count under its own label would still show that somebody is there, and a label may
    be something that a person wrote themselves.
    """
    counts = Counter(values)
    return [value if counts[value] >= smallest else RARE for value in values]


def are_numbers(values: Sequence[str]) -> bool:
    """Return whether the values are many different numbers, such as ages."""
    known = {value for value in values if value != UNKNOWN}
    return len(known) > MANY_NUMBERS and all(_is_number(value) for value in known)


def in_bands(values: Sequence[str]) -> list[str]:
    """Return numbers in bands of ten.

    Examples
    --------
    >>> in_bands(["34", "not given"])
    ['30 to 39', 'not given']
    """

    def band(value: str) -> str:
        low = int(float(value) // 10 * 10)
        return f"{low} to {low + 9}"

    return [value if value == UNKNOWN else band(value) for value in values]


def keyed_number(key: bytes, *label: Hashable) -> float:
    """Return a number from 0 to 1 that depends on a secret key and a label alone.

    Without the key it looks random.
    """
    digest = hmac.new(key, repr(label).encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def rounded(count: int, key: bytes, *label: Hashable) -> int:
    """Round a count at random to base 3: with 2/3 to the nearer multiple, with 1/3 to the other.

    The same count of the same cell is always rounded in the same way, so that publishing it again
    shows nothing new. The expectation over keys is the count.
    """
    rest = count % ROUNDING_BASE
    up = keyed_number(key, *label, count) < rest / ROUNDING_BASE
    return count - rest + (ROUNDING_BASE if up else 0)


def suppressed_cells(counts: IntArray, smallest: int = SMALLEST_CELL) -> BoolArray:
    """Return which cells of a table must be suppressed.

    These are cells below `smallest`, and further cells as long as the total of a row or column
    would give a hidden cell away. In the end no row or column has exactly one hidden cell, nor
    hidden cells with fewer than `smallest` people together, unless all its cells are hidden.

    Parameters
    ----------
    counts : array, shape (rows, columns) or (categories,)
    smallest : int
        The smallest count that may be published.

    Returns
    -------
    array of bool, the shape of `counts`
    """
    table = counts.reshape(1, -1) if counts.ndim == 1 else counts
    hidden = table < smallest
    lines: list[Any] = (
        [np.s_[row, :] for row in range(table.shape[0])] if table.shape[1] > 1 else []
    )
    if counts.ndim == 2:
        lines += [np.s_[:, column] for column in range(table.shape[1])]
    changed = True
    while changed:
        changed = False
        for line in lines:
            own, values = hidden[line], table[line]
            open_cells = np.flatnonzero(~own)
            revealing = own.sum() == 1 or (own.any() and values[own].sum() < smallest)
            if revealing and open_cells.size:
                own[open_cells[values[open_cells].argmin()]] = True
                changed = True
    return hidden.reshape(counts.shape)


def safe_counts(counts: IntArray, key: bytes, *label: Hashable) -> IntArray:
    """Return a table as it may be published: each cell is SUPPRESSED, or rounded at random."""
    hidden = suppressed_cells(counts)
    safe = np.full(counts.shape, SUPPRESSED, dtype=np.int64)
    for at in np.ndindex(*counts.shape):
        if not hidden[at]:
            safe[at] = rounded(int(counts[at]), key, *label, at)
    return safe


# --- joined rows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class JoinRule:
    """What joined rows must meet: k people alike in attributes, and mixed sensitive attributes."""

    # The fewest people in a class of equal rows.
    k: int = 10
    # l, the fewest distinct values of each sensitive attribute in a class.
    distinct: int = 3
    # t, used instead of l where it is given: the largest distance (total variation) of a sensitive
    # attribute's distribution in a class from its distribution over everyone.
    closeness: float | None = None

    def __post_init__(self) -> None:
        if self.k < 5:
            raise ValueError("k must be 5 or more")
        if self.closeness is None and self.distinct < 2:
            raise ValueError("l must be 2 or more")
        if self.closeness is not None and not 0 < self.closeness <= 1:
            raise ValueError("t must lie in 0 to 1")

    def mixed(self, own: Sequence[str], everyone: Sequence[str]) -> bool:
        """Return whether a class's values of one sensitive attribute are mixed enough."""
        if self.closeness is None:
            return len(set(own) - {UNKNOWN}) >= self.distinct
        return category_distance(own, everyone) <= self.closeness + 1e-12


def category_distance(own: Sequence[str], everyone: Sequence[str]) -> float:
    """Return the total variation between two samples' distributions of categories, 0 to 1.

    References
    ----------
    Li, Li and Venkatasubramanian (2007), t-Closeness; here for categories at equal distance.

    Examples
    --------
    >>> category_distance(["a", "a"], ["a", "b"])
    0.5
    """
    a, b = Counter(own), Counter(everyone)
    return sum(abs(a[x] / len(own) - b[x] / len(everyone)) for x in a.keys() | b.keys()) / 2


def generalised(
    columns: Mapping[str, Sequence[str]], sensitive: Mapping[str, Sequence[str]], rule: JoinRule
) -> tuple[dict[str, list[str]], list[str]]:
    """Make attributes so coarse that the rule holds.

    Everybody begins in one class. Classes are split by one attribute after another as long as
    every part keeps the rule; categories that are too small for a part of their own are joined.

    Parameters
    ----------
    columns : mapping
        The values of each attribute, one for each person.
    sensitive : mapping
        The values of each sensitive attribute, one for each person.
    rule : JoinRule

    Returns
    -------
    coarse : dict
        The attributes, made coarse.
    given_up : list of str
        Sensitive attributes that are not mixed even over everyone.

    Raises
    ------
    ValueError
        There are fewer than k people.

    References
    ----------
    LeFevre, DeWitt and Ramakrishnan (2006), Mondrian Multidimensional K-Anonymity.
    """
    count = len(next(iter(columns.values()))) if columns else 0
    if count < rule.k:
        raise ValueError(f"{count} people are fewer than k ({rule.k})")
    given_up = [name for name, values in sensitive.items() if not rule.mixed(values, values)]
    kept = {name: values for name, values in sensitive.items() if name not in given_up}

    def allowed(rows: list[int]) -> bool:
        return len(rows) >= rule.k and all(
            rule.mixed([values[r] for r in rows], values) for values in kept.values()
        )

    coarse = {name: [ANY] * count for name in columns}
    # Each class with the attributes it may still be split by.
    waiting = [(list(range(count)), frozenset(columns))]
    while waiting:
        rows, open_to = waiting.pop()
        best: tuple[float, str, list[tuple[str, list[int]]]] | None = None
        for name in sorted(open_to):
            parts = _parts([(columns[name][r], r) for r in rows], allowed)
            if parts and (best is None or _entropy(parts) > best[0] + 1e-12):
                best = (_entropy(parts), name, parts)
        if best is None:
            continue
        for label, part in best[2]:
            for r in part:
                coarse[best[1]][r] = label
            waiting.append((part, open_to - {best[1]}))
    return coarse, given_up


def _parts(
    given: list[tuple[str, int]], allowed: Callable[[list[int]], bool]
) -> list[tuple[str, list[int]]]:
    """Parts that each keep the rule, or none: rare categories joined, numbers in ranges."""
    values = sorted({value for value, _ in given})
    if are_numbers(values):
        return _ranges(given, allowed)
    by_value = {value: [r for v, r in given if v == value] for value in values}
    fine = [value for value in values if allowed(by_value[value])]
    rare = [value for value in values if value not in fine]
    groups = [[value] for value in fine]
    if rare:
        groups.append(rare)
        while groups and not allowed([r for v in groups[-1] for r in by_value[v]]):
            if len(groups) == 1:
                return []
            # The smallest category of its own joins the rare ones.
            smallest = min(groups[:-1], key=lambda g: (sum(len(by_value[v]) for v in g), g))
            groups.remove(smallest)
            groups[-1] = sorted([*groups[-1], *smallest])
    if len(groups) < 2:
        return []
    return [(OR.join(g), sorted(r for v in g for r in by_value[v])) for g in groups]


def _ranges(
    given: list[tuple[str, int]], allowed: Callable[[list[int]], bool]
) -> list[tuple[str, list[int]]]:
    """Numbers in as many ranges of about equal size as keep the rule; the unknown are a part."""
    unknown = [r for value, r in given if value == UNKNOWN]
    if unknown and not allowed(unknown):
        return []
    known = sorted((float(value), r) for value, r in given if value != UNKNOWN)
    numbers = np.array([value for value, _ in known])
    for count in (8, 6, 5, 4, 3, 2):
        cuts = np.unique(np.quantile(numbers, np.arange(1, count) / count, method="higher"))
        edges = [-np.inf, *(cut for cut in cuts if numbers[0] < cut), np.inf]
        parts = []
        for low, high in pairwise(edges):
            inside = [(value, r) for value, r in known if low <= value < high]
            if inside:
                label = f"{inside[0][0]:g} to {inside[-1][0]:g}"
                parts.append((label, sorted(r for _, r in inside)))
        if len(parts) > 1 and all(allowed(rows) for _, rows in parts):
            return parts + ([(UNKNOWN, unknown)] if unknown else [])
    return []


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _entropy(parts: Sequence[tuple[str, list[int]]]) -> float:
    sizes = np.array([len(rows) for _, rows in parts], dtype=np.float64)
    p = sizes / sizes.sum()
    return float(-(p * np.log(p)).sum())


def breaks_of(
    columns: Mapping[str, Sequence[str]], sensitive: Mapping[str, Sequence[str]], rule: JoinRule
) -> list[str]:
    """Return where published rows break the rule, in words; empty where they keep it.

    Classes are found as equal rows, without knowledge of how the rows were made.
    """
    rows = list(zip(*columns.values(), strict=True)) if columns else []
    classes: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(rows):
        classes.setdefault(row, []).append(at)
    found = []
    for row, members in classes.items():
        where = ", ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True))
        if len(members) < rule.k:
            found.append(f"{where}: {len(members)} people, k is {rule.k}")
        found += [
            f"{where}: {name} is not mixed"
            for name, values in sensitive.items()
            if not rule.mixed([values[at] for at in members], values)
        ]
    return found


# --- differential privacy --------------------------------------------------------------------


def private_counts(
    counts: IntArray, epsilon: float, most: int, generator: np.random.Generator
) -> IntArray:
    """Return counts with two-sided geometric noise: they are epsilon-differentially private.

    The noise has the scale most / epsilon, as Laplace noise would. It consists of whole numbers,
    because floating point numbers can show how they were made. Negative counts stay, because
    cutting them off would bias the counts.

    Parameters
    ----------
    counts : array of int
    epsilon : float
        Above 0.
    most : int
        How many of the counts one person can change by one; votes are limited to it.
    generator : numpy Generator

    References
    ----------
    Dwork, McSherry, Nissim and Smith (2006), Calibrating noise to sensitivity; Ghosh, Roughgarden
    and Sundararajan (2009), Universally utility-maximizing privacy mechanisms.
    """
    if epsilon <= 0 or most < 1:
        raise ValueError("epsilon and most must be above 0")
    stays = 1 - np.exp(-epsilon / most)
    first, second = generator.geometric(stays, (2, *counts.shape))
    return np.asarray(counts + first - second)


# --- re-identification -----------------------------------------------------------------------


@dataclass(frozen=True)
class Risk:
    """How often a few known votes single a person out."""

    # How many votes are known.
    known: int
    # The share of people tested whom these votes single out, 0 to 1.
    unique: float
    # How many people were tested.
    tried: int


def risk(
    votes: VoteArray, known: Sequence[int], generator: np.random.Generator, most: int = 500
) -> list[Risk]:
    """Test how many people are unique given a few of their votes, drawn at random.

    Parameters
    ----------
    votes : array, shape (people, statements)
        UNSEEN where there is no vote.
    known : sequence of int
        The numbers of known votes to try; only people who voted as often are tested.
    generator : numpy Generator
    most : int
        The most people to test for each number.
    """
    found = []
    given = votes != UNSEEN
    for m in known:
        able = np.flatnonzero(given.sum(axis=1) >= m)
        if able.size > most:
            able = np.sort(generator.choice(able, most, replace=False))
        alone = 0
        for person in able:
            drawn = generator.choice(np.flatnonzero(given[person]), m, replace=False)
            same = (votes[:, drawn] == votes[person, drawn]).all(axis=1)
            alone += int(same.sum() == 1)
        found.append(Risk(m, alone / able.size if able.size else 0.0, int(able.size)))
    return found


def unique_patterns(votes: VoteArray) -> int:
    """Return how many people are the only one who voted on exactly their statements.

    votes: shape (people, statements), UNSEEN where there is no vote. What they voted does not
    count.

    Examples
    --------
    >>> unique_patterns(np.array([[1, UNSEEN], [-1, UNSEEN], [1, 1]], dtype=np.int8))
    1
    """
    if not votes.size:
        return 0
    _, counts = np.unique(votes != UNSEEN, axis=0, return_counts=True)
    return int((counts == 1).sum())


def author_candidates(votes: VoteArray, written: Sequence[Sequence[int]]) -> list[int]:
    """Return for each author how many people have no vote on any of the author's statements.

    An author's votes on their own statements are not published, so their row is one of these.

    Parameters
    ----------
    votes : array, shape (people, statements)
    written : sequence of sequences of int
        The columns of each author's statements.

    Examples
    --------
    >>> author_candidates(np.array([[1, UNSEEN], [UNSEEN, 1], [1, 1]], dtype=np.int8), [[0], [1]])
    [1, 1]
    """
    return [int((votes[:, list(own)] == UNSEEN).all(axis=1).sum()) for own in written]
