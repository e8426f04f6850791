"""The groups of a consultation, and how their members voted: those trained on and those held out.

Symbols: a cell is a group and a statement, on one side of the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.consult.consultation import votes_of
from suffrage.consult.groups.opinion_groups import nearest_groups
from suffrage.consult.votes import id_order, only_people
from suffrage.population import ValueSet
from suffrage.survey import effective_sample_size
from suffrage.training_data.consultation_source import (
    EVERYONE,
    OPINION_GROUP,
    ConsultationSource,
)
from suffrage.training_data.members import members_of
from suffrage.training_data.vote_records import VoteCounts

# Resamples of the people behind each cell.
RESAMPLES = 200
OPTIONS = 3

# As the report names them; a method's name has no space in it.
COMMONEST, AVERAGE, OTHERS = "commonest vote", "average vote", "other groups’ vote"
FLOORS = (COMMONEST, AVERAGE, OTHERS)
# The same share for agree, disagree and neither: the floor that knows nothing.
EVEN = "even vote"
# What members who were trained on said, as the answer to those held out.
PARTICIPANTS = "other members"


# What makes people a group: what they said of themselves, or how they vote.
GroupKind = Literal["everyone", "demographic", "opinion"]
# Whether training may see them.
PeopleSide = Literal["held_out", "seen"]


@dataclass(frozen=True)
class VotingGroup:
    """Participants whose votes a model's answer is compared with."""

    name: str
    kind: GroupKind
    # The population that the model is asked as.
    asked_as: str
    # The weight of each member, by side.
    members: Mapping[PeopleSide, Mapping[str, float]]


def asked_populations(
    source: ConsultationSource, value_sets: Sequence[ValueSet]
) -> dict[str, str | None]:
    """Whom a model is asked as: every value set, all participants, and groups that have words.

    The words are None for a value set, which the study knows how to describe.
    """
    found: dict[str, str | None] = {v.name: None for v in value_sets}
    if all(value_set.where for value_set in value_sets):
        found[EVERYONE] = source.everyone_described
    for label, words in source.described_groups().items():
        found[f"{OPINION_GROUP}{label}"] = words
    return found


def voting_groups(source: ConsultationSource, value_sets: Sequence[ValueSet]) -> list[VotingGroup]:
    """All participants, each value set with members, and each opinion group.

    An opinion group without words is compared with what the model answers for all participants.
    People held out are in the opinion group that they are nearest to, by their votes on statements
    trained on.
    """
    both: dict[PeopleSide, Mapping[str, float]] = {
        "held_out": source.held_out_weights,
        "seen": source.people,
    }
    whole = next((v.name for v in value_sets if not v.where), EVERYONE)
    found = [VotingGroup(EVERYONE, "everyone", whole, both)]
    for value_set in value_sets:
        members = source.members.get(value_set.name, ())
        if not value_set.where or not members:
            continue
        others = members_of(source.consultation, list(source.held_out_weights), value_set)
        found.append(
            VotingGroup(
                value_set.name, "demographic", value_set.name, _members(both, others, members)
            )
        )
    groups = source.opinion_groups
    if isinstance(groups, str):
        return found
    matrix = only_people(votes_of(source.consultation), source.held_out_weights)
    placed, away = groups.by_participant(), nearest_groups(groups, matrix)
    described = source.described_groups()
    for label in sorted(set(placed.values())):
        out = [p for p in source.held_out_weights if away.get(p) == label]
        own = [p for p in source.people if placed.get(p) == label]
        name = f"{OPINION_GROUP}{label}"
        asked = name if label in described else whole
        found.append(VotingGroup(name, "opinion", asked, _members(both, out, own)))
    return found


def _members(
    both: Mapping[PeopleSide, Mapping[str, float]], held_out: Sequence[str], seen: Sequence[str]
) -> dict[PeopleSide, Mapping[str, float]]:
    named: dict[PeopleSide, Sequence[str]] = {"held_out": held_out, "seen": seen}
    return {side: {p: both[side][p] for p in people} for side, people in named.items()}


@dataclass(frozen=True, eq=False)
class VotedCell:
    """How a group's members on one side voted on a statement."""

    shares: FloatArray
    """Of agree, disagree and neither, (3,)."""
    resampled: FloatArray
    """The same in each resample of the people, (RESAMPLES, 3)."""
    voters: int
    effective_voters: float
    """Their effective number (Kish)."""


class VotedCells:
    """The cells of one side of the people: each group's shares on each statement.

    Parameters
    ----------
    source : ConsultationSource
    side : str
        Which people.
    least_voters : int
        Cells with fewer voters are left out.
    """

    def __init__(self, source: ConsultationSource, side: PeopleSide, least_voters: int) -> None:
        people = source.held_out_weights if side == "held_out" else source.people
        self._side, self._least = side, least_voters
        self.statements = sorted(source.item_of, key=id_order)
        counts = VoteCounts.of(source.consultation, people, self.statements, 1.0)
        self._items = [item.id for item in counts.items]
        place = {person: at for at, person in enumerate(sorted(people, key=id_order))}
        self._voters = counts.voters
        self._who = np.array([place[person] for person in counts.voters], dtype=np.int64)
        self._chosen = np.eye(OPTIONS)[counts.positions]
        self._of_statement = counts.statements
        draws = np.random.default_rng([source.seed, 8 if side == "seen" else 9])
        even = np.full(len(place), 1 / max(len(place), 1))
        self._times = draws.multinomial(len(place), even, size=RESAMPLES).astype(np.float64)

    def of(self, group: VotingGroup) -> dict[str, VotedCell]:
        """The group's cells by the statement's item."""
        members = group.members[self._side]
        weights = np.array([members.get(person, 0.0) for person in self._voters])
        found = {}
        inside = np.flatnonzero(weights > 0)
        order = inside[np.argsort(self._of_statement[inside], kind="stable")]
        bounds = np.searchsorted(self._of_statement[order], np.arange(len(self._items) + 1))
        for at, item in enumerate(self._items):
            rows = order[bounds[at] : bounds[at + 1]]
            if rows.size < self._least:
                continue
            said = weights[rows, None] * self._chosen[rows]
            shares = said.sum(0) / said.sum()
            drawn = self._times[:, self._who[rows]] @ said
            total = drawn.sum(-1, keepdims=True)
            # A resample without any of the voters says nothing new.
            resampled = np.where(total > 0, drawn / np.where(total > 0, total, 1.0), shares)
            effective = effective_sample_size(weights[rows])
            found[item] = VotedCell(shares, resampled, int(rows.size), effective)
        return found


def decided_agreement(people: FloatArray, answer: FloatArray) -> FloatArray:
    """The share of agreeing and disagreeing votes that are the likelier of the two by an answer.

    Parameters
    ----------
    people : array, shape (..., 3)
        Shares of agree, disagree and neither.
    answer : array, shape (3,)
        A model's.

    Returns
    -------
    array, shape (...)
        A half where the answer is on neither side, or nobody took a side.

    Examples
    --------
    >>> people = np.array([0.6, 0.2, 0.2])
    >>> round(float(decided_agreement(people, np.array([0.4, 0.1, 0.5]))), 3)
    0.75
    """
    decided = people[..., 0] + people[..., 1]
    agree = np.where(decided > 0, people[..., 0] / np.where(decided > 0, decided, 1.0), 0.5)
    lead = answer[0] - answer[1]
    if lead == 0:
        return np.full_like(agree, 0.5)
    return np.asarray(agree if lead > 0 else 1 - agree)
