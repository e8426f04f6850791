"""Where a reader stands among the groups, from their own votes as they are now.

It needs no new computation of the groups: a person's place follows from their votes and from the
plane in which the groups were found, as in `opinion_groups.place`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import dist, sqrt
from typing import Any

# With fewer votes a place says little.
LEAST_OWN_VOTES = 10
# Somebody is between groups where the nearest is not nearer than this part of the next.
CLEARLY_NEARER = 0.8


@dataclass(frozen=True)
class Likeness:
    """How a reader's votes compare with what most people of one group said."""

    # The place of the group in the results.
    group: int
    # The statements on which both say agree, or both disagree.
    same: int
    # The statements on which the reader and most of the group took a side.
    compared: int


@dataclass(frozen=True)
class ReaderStanding:
    """Where a reader stands."""

    # The place in the results of the nearest group.
    group: int
    # The places of the groups that are as near within rounding, the nearest first.
    between: tuple[int, ...]
    # The reader's place in the plane of the groups.
    place: tuple[float, float]
    # How many votes it rests on.
    votes: int
    likeness: tuple[Likeness, ...]


def standing_of(result: Mapping[str, Any], votes: Mapping[str, int]) -> ReaderStanding | None:
    """Return where somebody stands; None with fewer votes than `LEAST_OWN_VOTES`.

    Parameters
    ----------
    result : mapping
        As `participants_results` makes it.
    votes : mapping
        The reader's votes by statement, 1, 0 or -1.
    """
    plane = result["plane"]
    used = [(at, votes[id]) for at, id in enumerate(plane["statements"]) if id in votes]
    if len(used) < LEAST_OWN_VOTES:
        return None
    lift = sqrt(len(plane["statements"]) / len(used))
    x, y = (
        lift * sum((vote - plane["centre"][at]) * component[at] for at, vote in used)
        for component in plane["components"]
    )
    far = [dist((x, y), centre) for centre in plane["centres"]]
    nearest, *others = sorted(range(len(far)), key=lambda group: far[group])
    likeness = tuple(_likeness(result, votes, group) for group in range(len(far)))
    return ReaderStanding(
        group=nearest,
        between=tuple(
            other
            for other in others
            if far[nearest] >= CLEARLY_NEARER * far[other]
            or _no_less_like(likeness[other], likeness[nearest])
        ),
        place=(x, y),
        votes=len(used),
        likeness=likeness,
    )


def _likeness(result: Mapping[str, Any], votes: Mapping[str, int], group: int) -> Likeness:
    same = compared = 0
    for row in result["all"]:
        shares, vote = row["groups"][group], votes.get(row["id"], 0)
        if not shares or not vote or max(shares["agree"], shares["disagree"]) <= 50:
            continue
        compared += 1
        same += (shares["agree"] > 50) == (vote > 0)
    return Likeness(group, same, compared)


def _no_less_like(other: Likeness, nearest: Likeness) -> bool:
    """Whether a reader said the same as often as with the nearest group, in number and in share.

    The page shows these numbers: a group named as the nearest next to them would contradict them.
    """
    return (
        0 < nearest.same <= other.same
        and nearest.same * other.compared <= other.same * nearest.compared
    )
