"""Names of opinion groups that stay the same when the groups are found again.

Groups are found again each time, in an order that depends on their sizes. A group therefore takes
over the number of the earlier group that it shares most people with. Its letter and its colour
follow from the number, on every page and in every file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from suffrage.consult.consultation import PARTICIPANT, Consultation
from suffrage.consult.group_letters import COLOURS
from suffrage.consult.groups.opinion_groups import OUTSIDE, OpinionGroups

# A group is the same as an earlier one if it shares this part of their people, or more: two random
# halves of the same people share a third.
LEAST_OVERLAP = 0.25


@dataclass(frozen=True)
class KnownGroup:
    """A group as it was found last."""

    number: int
    # The ids of its people.
    members: frozenset[str]
    # Whether it was among the groups that were found last. The number of one that was not is kept
    # for it, in case it comes back.
    current: bool = True


def known_groups(numbers: Mapping[str, int]) -> list[KnownGroup]:
    """Return the groups of people whose numbers are known, by participant."""
    members: dict[int, set[str]] = {}
    for person, number in numbers.items():
        members.setdefault(number, set()).add(person)
    return [KnownGroup(number, frozenset(of)) for number, of in sorted(members.items())]


def groups_of_people(consultation: Consultation) -> list[KnownGroup]:
    """Return the groups that a consultation's table of participants names."""
    rows = consultation.participants.drop_nulls("group").select(PARTICIPANT, "group")
    return known_groups(dict(rows.iter_rows()))


def carried_over(found: OpinionGroups, known: Sequence[KnownGroup]) -> OpinionGroups:
    """Return the same groups with the numbers of the known groups they continue, lowest first.

    The pair of a group and a known group with the largest overlap (Jaccard) is taken first. The
    overlap is counted among people who are in a group now and were in one before, so that newcomers
    change no letter. A group that overlaps with no known group that is left by
    `LEAST_OVERLAP` takes the lowest number that no group had and whose colour is free. Without
    known groups, they keep their order by size.
    """
    if not known:
        return found
    people = found.positions.participants
    own = [
        {people[at] for at in np.flatnonzero(found.labels == group)} for group in range(found.count)
    ]
    numbers = _continued(own, known)
    taken = set(numbers.values())
    used = {group.number for group in known} | taken
    for group in range(found.count):
        if group not in numbers:
            numbers[group] = _free_number(used, taken)
            used.add(numbers[group])
            taken.add(numbers[group])
    return _in_order(found, [numbers[group] for group in range(found.count)])


def _in_order(found: OpinionGroups, numbers: Sequence[int]) -> OpinionGroups:
    """Return the groups sorted by these numbers. numbers: of each group as it stands now."""
    order = np.argsort(numbers)
    place = np.argsort(order)
    labels = np.where(found.labels >= 0, place[np.maximum(found.labels, 0)], OUTSIDE)
    earlier = tuple(found.order[at] for at in order)
    return replace(
        found,
        labels=labels.astype(found.labels.dtype),
        numbers=tuple(int(numbers[at]) for at in order),
        order=earlier,
    )


def remembered(found: OpinionGroups, known: Sequence[KnownGroup]) -> list[KnownGroup]:
    """Return what is known after these groups were found: they, and those that are gone."""
    people = np.array(found.positions.participants, dtype=object)
    now = [
        KnownGroup(number, frozenset(people[found.labels == group].tolist()))
        for group, number in enumerate(found.numbers)
    ]
    gone = [replace(group, current=False) for group in known if group.number not in found.numbers]
    return sorted([*now, *gone], key=lambda group: group.number)


def _continued(own: Sequence[Set[str]], known: Sequence[KnownGroup]) -> dict[int, int]:
    """The number of each group that continues a known one."""
    now = frozenset[str]().union(*own)
    current = frozenset[str]().union(*(group.members for group in known if group.current))
    pairs = sorted(
        (-_overlap(members & (group.members | current), group.members & now), group.number, at)
        for at, members in enumerate(own)
        for group in known
    )
    numbers: dict[int, int] = {}
    for overlap, number, at in pairs:
        if -overlap >= LEAST_OVERLAP and at not in numbers and number not in numbers.values():
            numbers[at] = number
    return numbers


def _overlap(one: Set[str], other: Set[str]) -> float:
    """Jaccard's overlap of two sets: the part of all their members that is in both."""
    together = one | other
    return len(one & other) / len(together) if together else 0.0


def _free_number(used: Collection[int], taken: Collection[int]) -> int:
    """The lowest number that was never used and whose colour none of the groups now has."""
    colours = {number % COLOURS for number in taken}
    crowded = len(colours) >= COLOURS
    number = 0
    while number in used or (number % COLOURS in colours and not crowded):
        number += 1
    return number
