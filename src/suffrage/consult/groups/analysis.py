"""A whole analysis of one conversation: groups, their stability, what they agree on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import settings
from suffrage.consult.csv_files import read_csv_as_text
from suffrage.consult.groups.consensus import share
from suffrage.consult.groups.group_names import KnownGroup, known_groups
from suffrage.consult.groups.opinion_groups import GroupSettings, OpinionGroups
from suffrage.consult.groups.stability import (
    ConsensusReading,
    GroupDifferences,
    ResamplesDone,
    Stability,
    group_differences,
    read_consensus,
    stable_groups,
)
from suffrage.consult.people import raked_to_population
from suffrage.consult.polis.conversation import Conversation
from suffrage.consult.votes import VoteMatrix, only_people, tally, without_votes
from suffrage.errors import InputError
from suffrage.population.latent_classes import adjusted_rand_index
from suffrage.survey.weighting import Representativeness, WeightingSpec


@dataclass(frozen=True, eq=False)
class OpinionAnalysis:
    """What one conversation shows. Readings and differences are over `votes.statements`."""

    conversation: Conversation
    # Votes on the statements that take part, after moderation.
    votes: VoteMatrix
    groups: OpinionGroups
    # Every number of groups tried.
    tried: tuple[Stability, ...]
    resamples: int
    differences: GroupDifferences
    sample: ConsensusReading
    # Only where margins of the population were given.
    population: ConsensusReading | None
    representativeness: Representativeness | None
    # The adjusted Rand index with the groups that the file names, if it names any.
    exported_agreement: float | None

    @property
    def stability(self) -> Stability:
        """The stability of the number of groups reported."""
        return next(row for row in self.tried if row.groups == self.groups.count)


def analyse(
    conversation: Conversation,
    wanted: GroupSettings | None = None,
    strict: bool = False,
    resamples: int = 50,
    people: pl.DataFrame | None = None,
    margins: WeightingSpec | None = None,
    advance: ResamplesDone | None = None,
    known: Sequence[KnownGroup] | None = None,
) -> OpinionAnalysis:
    """Find groups and read consensus.

    Parameters
    ----------
    conversation : Conversation
    wanted : GroupSettings, optional
    strict : bool
        Whether statements that nobody has decided on are left out too.
    resamples : int
        How many resamples of participants show the groups' stability.
    people : DataFrame, optional
        Demographics by participant, for a reading of the population. Needs `margins`.
    margins : WeightingSpec, optional
        The population's shares. Needs `people`.
    advance : callable, optional
        Called after each resample with the number done and the number in all.
    known : sequence of KnownGroup, optional
        Groups found before, whose numbers are carried over; by default those that the conversation
        names.

    Raises
    ------
    InputError
        No groups can be found, only one of `people` and `margins` is given, or the margins cannot
        be met.
    """
    if (people is None) != (margins is None):
        raise InputError("people and margins go together: give both, or neither.")
    s = wanted or GroupSettings()
    out = conversation.moderated_out(strict)
    if known is None:
        known = known_groups(conversation.group_numbers())
    found, tried = stable_groups(conversation.votes, out, s, resamples, advance, known)
    away = set(out)
    votes = conversation.votes.only(x for x in conversation.votes.statements if x not in away)
    # Zeroed columns take part in finding groups, and in no result about them.
    reported = replace(found, settings=replace(found.settings, groups=found.count))
    differences = _without(group_differences(conversation.votes, reported, out), conversation, away)
    sample = read_consensus(votes, found.labels, found.count, seed=s.seed)
    population, raked = None, None
    if people is not None and margins is not None:
        weights, raked = raked_to_population(people, votes.participants, found.labels, margins)
        population = read_consensus(votes, found.labels, found.count, weights, s.seed)
    return OpinionAnalysis(
        conversation=conversation,
        votes=votes,
        groups=found,
        tried=tuple(tried),
        resamples=resamples,
        differences=differences,
        sample=sample,
        population=population,
        representativeness=raked,
        exported_agreement=_exported_agreement(conversation, found),
    )


def analysis_without(analysis: OpinionAnalysis, gone: Collection[str]) -> OpinionAnalysis:
    """Return the same groups without some people, with every count made again.

    This takes about as long as counting votes. Where the groups lie, how stable they are and which
    differences are beyond chance stay as they were found. Of the numbers of groups tried, only the
    one reported is kept. There is no reading of the population.

    Raises
    ------
    InputError
        Nobody is left in one of the groups.
    """
    a = analysis
    people = a.votes.participants
    kept = np.array([person not in gone for person in people], dtype=bool)
    stay = {person for person, stays in zip(people, kept, strict=True) if stays}
    positions, labels, k = a.groups.positions, a.groups.labels[kept], a.groups.count
    if np.unique(labels[labels >= 0]).size < k:
        raise InputError("no groups: nobody is left in one of those that were found.")
    conversation = replace(
        a.conversation,
        votes=only_people(a.conversation.votes, stay),
        group_ids={one: of for one, of in a.conversation.group_ids.items() if one in stay},
    )
    places = replace(
        positions,
        participants=tuple(person for person in positions.participants if person in stay),
        places=positions.places[kept],
        inside=positions.inside[kept],
    )
    groups = replace(a.groups, positions=places, labels=labels)
    left = replace(
        a,
        conversation=conversation,
        groups=groups,
        tried=(replace(a.stability, sizes=tuple(groups.sizes.tolist())),),
        population=None,
        representativeness=None,
        exported_agreement=_exported_agreement(conversation, groups),
    )
    return _counted_again(left, only_people(a.votes, stay))


def analysis_without_votes(
    analysis: OpinionAnalysis, pairs: Collection[tuple[str, str]]
) -> OpinionAnalysis:
    """Return the same people in the same groups without single votes, with counts made again.

    pairs: participants and statements.
    """
    a = analysis
    conversation = replace(a.conversation, votes=without_votes(a.conversation.votes, pairs))
    return _counted_again(replace(a, conversation=conversation), without_votes(a.votes, pairs))


def _counted_again(analysis: OpinionAnalysis, votes: VoteMatrix) -> OpinionAnalysis:
    """The same groups with other votes of their people."""
    a, labels, k = analysis, analysis.groups.labels, analysis.groups.count
    whole = tally(votes.votes, labels, k)
    rest = whole.rest()
    return replace(
        a,
        votes=votes,
        differences=replace(
            a.differences,
            agrees_more=share(whole.agrees, whole.seen) - share(rest.agrees, rest.seen),
            disagrees_more=share(whole.disagrees, whole.seen) - share(rest.disagrees, rest.seen),
        ),
        sample=read_consensus(votes, labels, k, seed=a.groups.settings.seed),
    )


def read_margins(path: Path) -> WeightingSpec:
    """Read a population's margins from a YAML file, as a study has them under `weights`."""
    return settings.validated(WeightingSpec, settings.read_yaml(path), path.name)


def read_people(path: Path) -> pl.DataFrame:
    """Read demographics from a CSV file with a column `participant`; empty cells are unknown."""
    return read_csv_as_text(path)


def _without(
    differences: GroupDifferences, conversation: Conversation, away: set[str]
) -> GroupDifferences:
    kept = [at for at, s in enumerate(conversation.votes.statements) if s not in away]
    return GroupDifferences(**{name: part[:, kept] for name, part in vars(differences).items()})


def _exported_agreement(conversation: Conversation, found: OpinionGroups) -> float | None:
    exported = conversation.group_labels()
    both = (exported >= 0) & (found.labels >= 0)
    if both.sum() < 2:
        return None
    a, b = exported[both].astype(np.int16), found.labels[both].astype(np.int16)
    return adjusted_rand_index(a, b, np.ones(a.size))
