"""Signs that a participant did not read what they answered. A sign excludes nobody.

Sincere people show every one of these signs too: some people do agree with everything. So every
figure is shown with its reason, only an organiser excludes somebody, and can undo it, and results
should be read with and without the people who have a sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from statistics import median

import numpy as np
import polars as pl

from suffrage.consult.pairing import INSTRUCTED_OUTCOME
from suffrage.errors import InputError
from suffrage.population.distributions import share_intervals

SPEED, STRAIGHT, INSTRUCTED, REPEATS, SIDE = (
    "speed",
    "straight-lining",
    "instructed pair missed",
    "repeated pairs contradicted",
    "always one side",
)
SIDES = ("left", "right")


@dataclass(frozen=True)
class QualitySettings:
    """The limits from which a figure counts as a sign."""

    # Somebody is fast whose median time for an act is below this part of the median of all
    # participants.
    fast: float = 1 / 3
    # Straight lines need at least so many votes, and sides so many choices of a side.
    least_votes: int = 10
    least_choices: int = 8
    # How many repeated pairs must be contradicted. One alone is common between answers that
    # somebody finds equally good.
    contradicted: int = 2
    # How improbable the share of left choices must be without a preference, two-sided.
    side: float = 0.001

    def __post_init__(self) -> None:
        for name in ("fast", "side"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1.")


@dataclass(frozen=True)
class Quality:
    """One participant's figures; None where there is too little to tell."""

    participant: str
    votes: int
    comparisons: int
    # The median time between their acts.
    seconds: float | None
    # The share of their most frequent vote.
    same: float | None
    # Pairs that say what to choose, and how many of them were answered otherwise.
    instructed: int
    instructed_missed: int
    # Repeated pairs with a choice both times, and how many of them got the other answer.
    repeats: int
    contradicted: int
    # The share of left among choices of left and right.
    left: float | None
    # The signs that apply.
    flags: tuple[str, ...]


def quality(
    participants: Iterable[str],
    votes: pl.DataFrame,
    comparisons: pl.DataFrame,
    seconds: Mapping[str, float] | None = None,
    settings: QualitySettings | None = None,
) -> dict[str, Quality]:
    """Return the figures of each participant.

    Parameters
    ----------
    participants : iterable of str
    votes, comparisons : DataFrame
        Tables of a `Consultation`.
    seconds : mapping, optional
        Each participant's median time between two acts, where it is known.
    settings : QualitySettings, optional
    """
    s = settings or QualitySettings()
    times = dict(seconds or {})
    usual = median(times.values()) if times else None
    voted = {
        person: (int(count), int(most))
        for person, count, most in votes.group_by("participant")
        .agg(pl.len(), pl.col("vote").value_counts().struct.field("count").max().alias("most"))
        .iter_rows()
    }
    judged: dict[str, list[dict[str, str]]] = {}
    for row in comparisons.sort("order").iter_rows(named=True):
        judged.setdefault(row["participant"], []).append(row)
    return {
        person: _quality_of(
            person, *voted.get(person, (0, 0)), judged.get(person, []), times.get(person), usual, s
        )
        for person in participants
    }


def _quality_of(
    person: str,
    votes: int,
    most_frequent: int,
    judged: list[dict[str, str]],
    time: float | None,
    usual_time: float | None,
    s: QualitySettings,
) -> Quality:
    """One participant's figures, from how often they voted and gave their most frequent vote."""
    same = most_frequent / votes if votes and votes >= s.least_votes else None
    instructed = [row for row in judged if row["check"] == "instructed"]
    missed = sum(row["outcome"] != INSTRUCTED_OUTCOME for row in instructed)
    repeats, contradicted = _repeats(judged)
    sides = [row["outcome"] for row in judged if row["check"] is None and row["outcome"] in SIDES]
    lefts = sides.count("left")
    left = lefts / len(sides) if len(sides) >= s.least_choices else None
    signs = {
        SPEED: time is not None and usual_time is not None and time < s.fast * usual_time,
        STRAIGHT: same == 1,
        INSTRUCTED: missed > 0,
        REPEATS: contradicted >= s.contradicted,
        SIDE: left is not None and _two_sided(lefts, len(sides)) < s.side,
    }
    return Quality(
        participant=person,
        votes=votes,
        comparisons=len(judged),
        seconds=time,
        same=same,
        instructed=len(instructed),
        instructed_missed=missed,
        repeats=repeats,
        contradicted=contradicted,
        left=left,
        flags=tuple(name for name, applies in signs.items() if applies),
    )


def left_rate(comparisons: pl.DataFrame) -> tuple[float, float, float] | None:
    """Return the share of left among all choices of left and right, with its 95% interval.

    The interval is Wilson's (1927). Sides are drawn evenly, so that an interval that does not
    contain a half shows that people prefer one side for itself. None where nobody chose a side.
    """
    kept = comparisons.filter(pl.col("check").is_null() & pl.col("outcome").is_in(SIDES))["outcome"]
    n = kept.len()
    if not n:
        return None
    share = np.array([int((kept == "left").sum()) / n])
    low, high = share_intervals(share, np.zeros(1), n)
    return float(share[0]), float(low[0]), float(high[0])


def _repeats(own: list[dict[str, str]]) -> tuple[int, int]:
    """Count repeated pairs with a choice both times, and those where the answer changed."""
    first: dict[frozenset[str], str] = {}
    repeats = contradicted = 0
    for row in own:
        outcome = row["outcome"]
        two = frozenset((row["left"], row["right"]))
        winner = row[outcome] if outcome in SIDES else ""
        if row["check"] is None:
            first.setdefault(two, winner)
        elif row["check"] == "repeat" and first.get(two) and winner:
            repeats += 1
            contradicted += winner != first[two]
    return repeats, contradicted


def _two_sided(count: int, of: int) -> float:
    """Exact two-sided p-value of a count under even odds."""

    tail = min(count, of - count)
    return float(min(1.0, 2 * sum(comb(of, k) for k in range(tail + 1)) / 2**of))
