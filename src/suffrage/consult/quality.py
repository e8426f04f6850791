"""Signs that a participant did not read what they answered. They flag; nobody is left out by them.

Sincere people trip each of them: agreeing with everything is common among people who mean it. So
every figure is shown with its reason, exclusion is an organiser's act that can be undone, and
results are worth reading with and without the flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from suffrage.consult.pairing import INSTRUCTED_OUTCOME
from suffrage.errors import InputError

SPEED, STRAIGHT, INSTRUCTED, REPEATS, SIDE = (
    "speed",
    "straight-lining",
    "instructed pair missed",
    "repeated pairs contradicted",
    "always one side",
)
SWAPPED = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class QualitySettings:
    """From where on a sign is one.

    fast: times the median participant's median time an act, below which somebody is fast.
    least_votes, least_choices: fewer tell nothing of straight lines or sides. contradicted: repeated
    pairs; one alone is common between answers somebody finds equally good. side: how improbable
    a share of left choices must be for somebody who has no preference, two-sided.
    """

    fast: float = 1 / 3
    least_votes: int = 10
    least_choices: int = 8
    contradicted: int = 2
    side: float = 0.001

    def __post_init__(self) -> None:
        for name in ("fast", "side"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1.")


@dataclass(frozen=True)
class Quality:
    """One participant's figures. None: too little to tell.

    seconds: median between their acts. same: share of their commonest vote. instructed_missed,
    instructed: of the pairs that say what to choose. contradicted, repeats: repeated pairs in which
    the other answer was chosen. left: share of left among left and right. flags: what is unusual.
    """

    participant: str
    votes: int
    comparisons: int
    seconds: float | None
    same: float | None
    instructed: int
    instructed_missed: int
    repeats: int
    contradicted: int
    left: float | None
    flags: tuple[str, ...]


def quality(
    participants: Iterable[str],
    votes: pl.DataFrame,
    comparisons: pl.DataFrame,
    seconds: Mapping[str, float] | None = None,
    settings: QualitySettings | None = None,
) -> dict[str, Quality]:
    """The figures of each participant.

    votes, comparisons: tables of a `Consultation`. seconds: each participant's median time between
    two acts, where it is known.
    """
    s = settings or QualitySettings()
    times = dict(seconds or {})
    slow = _median(list(times.values()))
    voted = {
        row["participant"]: row
        for row in votes.group_by("participant")
        .agg(
            pl.len().alias("votes"),
            pl.col("vote").value_counts().struct.field("count").max().alias("commonest"),
        )
        .iter_rows(named=True)
    }
    judged: dict[str, list[dict[str, str]]] = {}
    for row in comparisons.sort("order").iter_rows(named=True):
        judged.setdefault(row["participant"], []).append(row)
    found = {}
    for person in participants:
        own = judged.get(person, [])
        count = int(voted[person]["votes"]) if person in voted else 0
        same = voted[person]["commonest"] / count if count and count >= s.least_votes else None
        asked = [row for row in own if row["check"] == "instructed"]
        missed = sum(row["outcome"] != INSTRUCTED_OUTCOME for row in asked)
        repeats, contradicted = _repeats(own)
        chosen = [
            row["outcome"]
            for row in own
            if row["check"] is None and row["outcome"] in ("left", "right")
        ]
        left = chosen.count("left") / len(chosen) if len(chosen) >= s.least_choices else None
        time = times.get(person)
        flags = [
            name
            for name, holds in (
                (SPEED, time is not None and slow is not None and time < s.fast * slow),
                (STRAIGHT, same == 1),
                (INSTRUCTED, missed > 0),
                (REPEATS, contradicted >= s.contradicted),
                (SIDE, left is not None and _two_sided(chosen.count("left"), len(chosen)) < s.side),
            )
            if holds
        ]
        found[person] = Quality(
            participant=person,
            votes=count,
            comparisons=len(own),
            seconds=time,
            same=same,
            instructed=len(asked),
            instructed_missed=missed,
            repeats=repeats,
            contradicted=contradicted,
            left=left,
            flags=tuple(flags),
        )
    return found


def left_rate(comparisons: pl.DataFrame) -> tuple[float, float, float] | None:
    """The share of left among all left and right choices, with its 95 % interval (Wilson 1927).

    None where nobody chose a side. Beyond a half, a side is being preferred for itself, because
    sides are drawn evenly.
    """
    kept = comparisons.filter(
        pl.col("check").is_null() & pl.col("outcome").is_in(["left", "right"])
    )["outcome"]
    n = kept.len()
    if not n:
        return None
    p, z = int((kept == "left").sum()) / n, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * ((p * (1 - p) + z**2 / (4 * n)) / n) ** 0.5 / (1 + z**2 / n)
    return p, middle - half, middle + half


def _repeats(own: list[dict[str, str]]) -> tuple[int, int]:
    """Repeated pairs with a choice both times, and those where the other answer was chosen."""
    first: dict[frozenset[str], str] = {}
    repeats = contradicted = 0
    for row in own:
        outcome = row["outcome"]
        two = frozenset((row["left"], row["right"]))
        winner = row[outcome] if outcome in SWAPPED else ""
        if row["check"] is None:
            first.setdefault(two, winner)
        elif row["check"] == "repeat" and first.get(two) and winner:
            repeats += 1
            contradicted += winner != first[two]
    return repeats, contradicted


def _two_sided(count: int, of: int) -> float:
    """Exact two-sided p of a count under even odds."""
    from math import comb

    tail = min(count, of - count)
    return float(min(1.0, 2 * sum(comb(of, k) for k in range(tail + 1)) / 2**of))


def _median(values: list[float]) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2
