"""Statistical disclosure control: what may be told of few people, as pure functions.

Tables of counts are suppressed and rounded; joined rows are generalised until everybody stands among
k alike; noisy counts are differentially private. `risk` tells how far a row of votes is a fingerprint.
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
# Numbers of more kinds are told in ranges.
MANY_NUMBERS = 8
OR = " or "

# Held to be identifying wherever they stand in a text: e-mail, web accounts, telephone, New Zealand tax
# (IRD) and health (NHI) numbers, street addresses.
PERSONAL = {
    "e-mail": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
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


def personal_in(text: str) -> str | None:
    """The first kind of personal detail a text seems to hold, None without any.

    A rule of thumb: it misses names, and takes some numbers for telephones.
    """
    return next((kind for kind, pattern in PERSONAL.items() if pattern.search(text)), None)


def without_rare(values: Sequence[str], smallest: int = SMALLEST_CELL) -> list[str]:
    """The values, with those that fewer than `smallest` people gave as one.

    A suppressed count under its own label would still tell that somebody is there, and a label may
    be what somebody wrote themselves.
    """
    counts = Counter(values)
    return [value if counts[value] >= smallest else RARE for value in values]


def are_numbers(values: Sequence[str]) -> bool:
    """Whether these are numbers of more than a few kinds, such as ages."""
    known = {value for value in values if value != UNKNOWN}
    return len(known) > MANY_NUMBERS and all(_is_number(value) for value in known)


def in_bands(values: Sequence[str]) -> list[str]:
    """Numbers in bands of ten, such as "30 to 39"."""

    def band(value: str) -> str:
        low = int(float(value) // 10 * 10)
        return f"{low} to {low + 9}"

    return [value if value == UNKNOWN else band(value) for value in values]


def keyed_number(key: bytes, *label: Hashable) -> float:
    """A number in 0 to 1 that follows from a secret key and a label, and looks random without it."""
    digest = hmac.new(key, repr(label).encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def rounded(count: int, key: bytes, *label: Hashable) -> int:
    """Random rounding to base 3: to the nearer multiple with 2/3, to the farther one with 1/3.

    The same count of the same cell is always rounded alike, so that asking again tells no more.
    Unbiased: its expectation over keys is the count.
    """
    rest = count % ROUNDING_BASE
    up = keyed_number(key, *label, count) < rest / ROUNDING_BASE
    return count - rest + (ROUNDING_BASE if up else 0)


def suppressed_cells(counts: IntArray, smallest: int = SMALLEST_CELL) -> BoolArray:
    """Which cells of a table may not be told: (rows, columns), or (categories,).

    Cells below `smallest`; and, as long as a row's or column's total would give them away, the
    smallest further cell of it: no line has exactly one hidden cell, nor hidden cells that
    together make fewer than `smallest` people (unless all are hidden).
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
    """A table as it may be published: SUPPRESSED, or rounded at random."""
    hidden = suppressed_cells(counts)
    told = np.full(counts.shape, SUPPRESSED, dtype=np.int64)
    for at in np.ndindex(*counts.shape):
        if not hidden[at]:
            told[at] = rounded(int(counts[at]), key, *label, at)
    return told


# --- joined rows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class JoinRule:
    """What rows that join attributes must meet: k alike, and the sensitive attributes mixed among them.

    distinct: l, least distinct values of each sensitive attribute in a class; closeness: instead,
    the largest distance (total variation) of its distribution in a class from that of everyone.
    """

    k: int = 10
    distinct: int = 3
    closeness: float | None = None

    def __post_init__(self) -> None:
        if self.k < 5:
            raise ValueError("k must be 5 or more")
        if self.closeness is None and self.distinct < 2:
            raise ValueError("l must be 2 or more")
        if self.closeness is not None and not 0 < self.closeness <= 1:
            raise ValueError("t must lie in 0 to 1")

    def mixed(self, own: Sequence[str], everyone: Sequence[str]) -> bool:
        """Whether a class's values of one sensitive attribute are mixed enough."""
        if self.closeness is None:
            return len(set(own) - {UNKNOWN}) >= self.distinct
        return category_distance(own, everyone) <= self.closeness + 1e-12


def category_distance(own: Sequence[str], everyone: Sequence[str]) -> float:
    """Total variation between two samples' distributions of categories, 0 to 1.

    Source: Li, Li and Venkatasubramanian (2007), t-closeness, for categories at equal distance.
    """
    a, b = Counter(own), Counter(everyone)
    return sum(abs(a[x] / len(own) - b[x] / len(everyone)) for x in a.keys() | b.keys()) / 2


def generalised(
    columns: Mapping[str, Sequence[str]], sensitive: Mapping[str, Sequence[str]], rule: JoinRule
) -> tuple[dict[str, list[str]], list[str]]:
    """Attributes made so coarse that the rule holds, and the sensitive attributes given up.

    columns: values by attribute, one a person. Everybody begins as one class and is split by one
    attribute after another as long as every part keeps the rule; categories too small for a part
    of their own are joined. A sensitive attribute that is not mixed even over everyone is given up:
    the attribute, not the people. Source: LeFevre, DeWitt and Ramakrishnan (2006), Mondrian.
    Raises ValueError where there are fewer than k people.
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

    told = {name: [ANY] * count for name in columns}
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
                told[best[1]][r] = label
            waiting.append((part, open_to - {best[1]}))
    return told, given_up


def _parts(
    given: list[tuple[str, int]], allowed: Callable[[list[int]], bool]
) -> list[tuple[str, list[int]]]:
    """A split into parts that each keep the rule, or none: rare categories joined, numbers halved."""
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
            # The smallest fitting category keeps the rare ones company.
            smallest = min(groups[:-1], key=lambda g: (sum(len(by_value[v]) for v in g), g))
            groups.remove(smallest)
            groups[-1] = sorted([*groups[-1], *smallest])
    if len(groups) < 2:
        return []
    return [(OR.join(g), sorted(r for v in g for r in by_value[v])) for g in groups]


def _ranges(
    given: list[tuple[str, int]], allowed: Callable[[list[int]], bool]
) -> list[tuple[str, list[int]]]:
    """Numbers in as many ranges of about equal size as keep the rule; the unknown apart."""
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
    """Where published rows break the rule, in words; empty where they keep it.

    Classes are found anew, as equal rows, without knowledge of how they were made.
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
    """Counts with two-sided geometric noise: epsilon-differentially private.

    most: how many of the counts one person can change by one (votes are clipped to it), so that the
    noise has scale most / epsilon, as Laplace's would; whole numbers leave no trace of their making in
    floating point. Negative counts stay: cut off, they would be biased.
    Source: Dwork, McSherry, Nissim and Smith (2006); Ghosh, Roughgarden and Sundararajan (2009).
    """
    if epsilon <= 0 or most < 1:
        raise ValueError("epsilon and most must be above 0")
    stays = 1 - np.exp(-epsilon / most)
    first, second = generator.geometric(stays, (2, *counts.shape))
    return np.asarray(counts + first - second)


# --- re-identification -----------------------------------------------------------------------


@dataclass(frozen=True)
class Risk:
    """How often `known` of a person's votes single them out. tried: people tested; shares 0 to 1."""

    known: int
    unique: float
    tried: int


def risk(
    votes: VoteArray, known: Sequence[int], generator: np.random.Generator, most: int = 500
) -> list[Risk]:
    """A self-test: of people who voted on enough, how many are unique given a few of their votes.

    votes: (people, statements), UNSEEN where none. Each of at most `most` people is tested with
    votes drawn from their own.
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
