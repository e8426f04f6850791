"""Records of a consultation's votes: how each group of participants voted on each statement.

What they teach: shares, as a survey's answer distributions do. A statement is an item with the
options agree, disagree and neither, and a group of participants is a value set, so that the
survey's own record builders make the records.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray, IntArray
from suffrage.consult.consultation import Consultation
from suffrage.consult.votes import AGREE, DISAGREE, PASS, id_order
from suffrage.errors import InputError
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.distributions import grouped_shares
from suffrage.survey import Item
from suffrage.training_data.answers_in_context import RecordPersonas
from suffrage.training_data.consultation_source import (
    EVERYONE,
    OPINION_GROUP,
    ConsultationSource,
    VoteSettings,
    vote_item,
)
from suffrage.training_data.demonstrations import build_demonstrations
from suffrage.training_data.distribution_records import build_distributions, validation_rows
from suffrage.training_data.held_back_records import BuildRecords, with_asked
from suffrage.training_data.preference_pairs import build_preferences
from suffrage.training_data.records import RecordBuilder, Records, RecordSettings, origin
from suffrage.training_data.share_records import build_shares
from suffrage.training_data.split import ItemSplit, held_back

# Where a manifest says what of the votes the records were made from.
VOTES = "votes"
# So many voters are enough for a share that a training is only compared with. Few people are held
# back, and what chooses the best point is the mean over statements.
ENOUGH_TO_COMPARE = 5
# The position of each vote among the options of a statement's item.
_POSITIONS = {AGREE: 0, DISAGREE: 1, PASS: 2}


@dataclass(frozen=True, eq=False)
class VoteCounts:
    """The votes of some participants on some statements, one element for each vote."""

    items: Sequence[Item]
    # Who voted, and on which of the items: its place.
    voters: tuple[str, ...]
    statements: IntArray
    # The place of the option chosen.
    positions: IntArray
    # What the vote counts, before the voter's own weight.
    factors: FloatArray

    @classmethod
    def of(
        cls,
        consultation: Consultation,
        people: Mapping[str, float],
        statements: Sequence[str],
        important: float,
    ) -> VoteCounts:
        """The votes of these people on these statements.

        important: what a vote marked important counts; others count 1.
        """
        texts = dict(consultation.statements.select("statement", "text").iter_rows())
        place = {statement: at for at, statement in enumerate(statements)}
        votes = consultation.votes.filter(
            pl.col("participant").is_in(list(people)) & pl.col("statement").is_in(list(statements))
        ).sort("participant", "statement")
        return cls(
            items=[vote_item(statement, texts[statement]) for statement in statements],
            voters=tuple(votes["participant"]),
            statements=np.array([place[s] for s in votes["statement"]], dtype=np.int64),
            positions=np.array([_POSITIONS[v] for v in votes["vote"]], dtype=np.int64),
            factors=np.where(votes["important"].to_numpy(), important, 1.0),
        )

    def distributions(
        self, weights: Mapping[str, float], least_voters: int
    ) -> tuple[dict[str, AnswerDistribution], int]:
        """How a group voted on each statement, by item id, and how many cells have too few voters.

        weights: what each member of the group counts.
        """
        own = np.array([weights.get(person, 0.0) for person in self.voters]) * self.factors
        inside = own > 0
        found = grouped_shares(
            [self.positions[inside].astype(np.int16)],
            [len(_POSITIONS)],
            own[inside],
            self.statements[inside],
            len(self.items),
        )
        cells = {}
        too_few = 0
        nobody = np.zeros((0, len(_POSITIONS)))
        for at, item in enumerate(self.items):
            n = int(found.n[0, at])
            if n < least_voters:
                too_few += n > 0
                continue
            cells[item.id] = AnswerDistribution(
                item=item,
                shares=found.shares[0, at],
                standard_errors=found.standard_errors[0, at],
                n=n,
                n_eff=float(found.n_eff[0, at]),
                non_response={},
                replicates=nobody,
                first_halves=nobody,
                second_halves=nobody,
            )
        return cells, too_few


@dataclass(frozen=True)
class _Group:
    """Participants who are one population to a model."""

    name: str
    description: str
    # What each of them counts.
    weights: Mapping[str, float]


def vote_groups(
    source: ConsultationSource,
    value_sets: Sequence[ValueSet],
    settings: RecordSettings,
    people: Mapping[str, float],
) -> tuple[list[_Group], dict[str, str]]:
    """The groups whose votes are learnt, and why any kind of them is left out.

    Parameters
    ----------
    source : ConsultationSource
    value_sets : sequence of ValueSet
        The study's demographic groups.
    settings : RecordSettings
        Whether groups without a name can be described by their votes.
    people : mapping
        Those whose votes count, with their weights.
    """
    wanted, left_out = source.spec.votes, dict[str, str]()
    groups = []
    if "value_sets" in wanted.by:
        for value_set in value_sets:
            members = {p: people[p] for p in source.members[value_set.name] if p in people}
            if members:
                groups.append(_Group(value_set.name, value_set.description, members))
    if not settings.together:
        return groups, {}
    if "everyone" in wanted.by and not any(len(g.weights) == len(people) for g in groups):
        groups.append(_Group(EVERYONE, source.everyone_described, people))
    if "opinion_groups" in wanted.by:
        found, why = _opinion_groups(source, settings, people)
        groups += found
        if why:
            left_out["opinion_groups"] = why
    return groups, left_out


def _opinion_groups(
    source: ConsultationSource, settings: RecordSettings, people: Mapping[str, float]
) -> tuple[list[_Group], str]:
    """The opinion groups that prompts can describe, and why others are left out."""
    if settings.in_context is None and not set(source.spec.votes.describe) - {EVERYONE}:
        return [], (
            "nothing describes them; say in_context, or give them words under "
            "consultation.votes.describe"
        )
    found = source.opinion_groups
    if isinstance(found, str):
        return [], f"none were found: {found}"
    described = source.described_groups()
    members: dict[str, dict[str, float]] = {}
    for person, label in found.by_participant().items():
        if person in people:
            members.setdefault(label, {})[person] = people[person]
    groups = [
        _Group(f"{OPINION_GROUP}{label}", described.get(label, f"opinion group {label}"), own)
        for label, own in sorted(members.items())
        if settings.in_context is not None or label in described
    ]
    missing = len(members) - len(groups)
    return groups, f"{missing} of {len(members)} have no description" if missing else ""


@dataclass(frozen=True, eq=False)
class _Votes:
    """What one training learns from votes, and what is held back from it."""

    value_sets: list[ValueSet]
    # Which statements are trained on.
    split: ItemSplit
    # Statements held back, answered by participants held back.
    held_back: frozenset[str]
    facts: dict[str, Any]


def _counted_votes(
    value_sets: Sequence[ValueSet], generator: np.random.Generator, settings: RecordSettings
) -> _Votes:
    """Divide statements and people into those trained on and those held back, and count votes."""
    source = settings.consultation
    if source is None:
        raise InputError("records of votes need `consultation:` in the study.")
    wanted: VoteSettings = source.spec.votes
    split, back, away = source.statement_split, frozenset[str](), frozenset[str]()
    if settings.validation is not None:
        share = settings.validation.share
        items = [item for item in source.statement_items if split.trains_on(item.id)]
        back = held_back(items, share, generator, split.trained_before)
        away = source.held_back_people(share)
    trained = tuple(item for item in split.train if item not in back)
    ids = {item.id: statement for statement, item in source.item_of.items()}
    people = {p: weight for p, weight in source.people.items() if p not in away}
    statements = sorted((ids[item] for item in trained), key=id_order)
    groups, left_out = vote_groups(source, value_sets, settings, people)
    counts = VoteCounts.of(source.consultation, people, statements, wanted.important)
    held = VoteCounts.of(
        source.consultation,
        {p: source.people[p] for p in away},
        sorted((ids[item] for item in back), key=id_order),
        wanted.important,
    )
    least_asked = min(wanted.least_voters, ENOUGH_TO_COMPARE)
    found, cells, too_few = [], 0, 0
    for group in groups:
        own, few = counts.distributions(group.weights, wanted.least_voters)
        cells, too_few = cells + len(own), too_few + few
        if not own:
            continue
        # What is asked while training goes on is what people say who are in no share above.
        if group.name in source.members:
            members = {p: source.people[p] for p in source.members[group.name] if p in away}
        else:
            members = {p: source.people[p] for p in away} if group.name == EVERYONE else {}
        asked, _ = held.distributions(members, least_asked)
        found.append(_value_set(group, own | asked, source))
    if not found:
        raise InputError(
            f"consultation {source.consultation.slug}: no votes to train on: on no statement that "
            f"may be trained on have {wanted.least_voters} people of a value set voted who "
            "consented to training and are not held out; lower consultation.votes.least_voters, "
            "or hold out less."
        )
    asked_about = {i for v in found for i in v.distributions if i in back}
    if back and not asked_about:
        raise InputError(
            f"validation: on no statement held back have {least_asked} people of a group voted "
            "who are held back; raise validation, or leave it out."
        )
    facts = {
        "statements": len(trained),
        "cells": cells,
        "cells_with_too_few_voters": too_few,
        "least_voters": wanted.least_voters,
        "important": wanted.important,
        "people": {group.name: len(group.weights) for group in groups},
        "left_out": left_out,
        "held_back_statements": sorted(back),
        "held_back_people": len(away),
        "least_voters_held_back": least_asked,
    }
    return _Votes(found, replace(split, train=tuple(trained)), frozenset(asked_about), facts)


def _value_set(
    group: _Group, cells: dict[str, AnswerDistribution], source: ConsultationSource
) -> ValueSet:
    weights = np.array(list(group.weights.values()))
    n_eff = float(weights.sum() ** 2 / np.square(weights).sum())
    return ValueSet(
        name=group.name,
        description=group.description,
        where={},
        distributions=cells,
        n=len(group.weights),
        n_eff=n_eff,
        design_effect=len(group.weights) / n_eff if n_eff else math.nan,
        weighting=f"participants read as the {source.spec.read_as}",
        survey_hash=source.consultation.content_hash,
    )


def _records_of_votes(
    build: BuildRecords,
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """What the survey's builder makes of votes, with the number of voters and the errors."""
    votes = _counted_votes(value_sets, generator, settings)
    sample = settings.validation
    if build is build_distributions:
        own = replace(sample, items=votes.held_back) if sample else None
        # The builder takes what is held back away from the items trained on.
        whole = replace(votes.split, train=(*votes.split.train, *sorted(votes.held_back)))
        given = replace(settings, validation=own)
        records = build(votes.value_sets, whole, count, generator, given)
    else:
        trained = [
            replace(
                v,
                distributions={
                    i: d for i, d in v.distributions.items() if i not in votes.held_back
                },
            )
            for v in votes.value_sets
        ]
        given = replace(settings, validation=None)
        records = build(trained, votes.split, count, generator, given)
    rows = records.frame.to_dicts()
    if sample and build is not build_distributions:
        personas = RecordPersonas(
            votes.value_sets,
            votes.split,
            votes.held_back,
            settings.in_context,
            settings.seed,
            generator,
        )
        asked = validation_rows(votes.value_sets, votes.held_back, generator, settings, personas)
        rows = with_asked(records, asked).frame.to_dicts()
    by_name = {v.name: v.distributions for v in votes.value_sets}
    for row in rows:
        cell = by_name[row["value_set"]][row["item"]]
        row["voters"] = cell.n
        row["standard_errors"] = cell.standard_errors.tolist()
    assert settings.consultation is not None
    made_from = {
        **{key: value for key, value in records.made_from.items() if key != "validation"},
        **origin(value_sets, split, settings),
        "consultation": dict(settings.consultation.facts),
        VOTES: votes.facts,
    }
    return Records(records.kind, pl.DataFrame(rows, infer_schema_length=None), made_from)


def _builder(kind: str, build: BuildRecords) -> RecordBuilder:
    def build_votes(
        value_sets: Sequence[ValueSet],
        split: ItemSplit,
        count: int,
        generator: np.random.Generator,
        settings: RecordSettings,
    ) -> Records:
        # Shares are learnt all at once. How many there are in the survey says nothing here.
        wanted = sys.maxsize if build is build_shares else count
        return _records_of_votes(build, value_sets, split, wanted, generator, settings)

    return RecordBuilder(kind, build_votes, "votes")


DISTRIBUTIONS = _builder("distribution", build_distributions)
DEMONSTRATIONS = _builder("demonstration", build_demonstrations)
PREFERENCES = _builder("preference", build_preferences)
SHARES = _builder("shares", build_shares)
