"""A whole analysis of one conversation: groups, their stability, what they agree on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from suffrage import settings
from suffrage.consult.groups.opinion_groups import OUTSIDE, GroupSettings, OpinionGroups
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
from suffrage.consult.votes import VoteMatrix, id_order
from suffrage.errors import InputError
from suffrage.population.latent_classes import adjusted_rand_index
from suffrage.survey.weighting import Representativeness, WeightingSpec


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one conversation shows.

    votes: on the statements that take part, after moderation. found: groups. tried: every number of
    groups. differences, sample, population: over `votes.statements`; population where margins
    were given. exported_agreement: adjusted Rand index with the groups in the file, if any.
    """

    conversation: Conversation
    votes: VoteMatrix
    found: OpinionGroups
    tried: tuple[Stability, ...]
    resamples: int
    differences: GroupDifferences
    sample: ConsensusReading
    population: ConsensusReading | None
    representativeness: Representativeness | None
    exported_agreement: float | None

    @property
    def stability(self) -> Stability:
        """That of the number of groups reported."""
        return next(row for row in self.tried if row.groups == self.found.count)


def analyse(
    conversation: Conversation,
    wanted: GroupSettings | None = None,
    strict: bool = False,
    resamples: int = 50,
    people: pl.DataFrame | None = None,
    margins: WeightingSpec | None = None,
    advance: ResamplesDone | None = None,
) -> Analysis:
    """Find groups and read consensus.

    strict: statements nobody has decided on take no part either. people, margins: demographics by
    participant and the population's shares, for a reading of the population.
    """
    if (people is None) != (margins is None):
        raise InputError("people and margins go together: give both, or neither.")
    s = wanted or GroupSettings()
    out = conversation.moderated_out(strict)
    found, tried = stable_groups(conversation.votes, out, s, resamples, advance)
    away = set(out)
    votes = conversation.votes.only(x for x in conversation.votes.statements if x not in away)
    # Zeroed columns take part in finding groups, and in nothing that is told of them.
    told = replace(found, settings=replace(found.settings, groups=found.count))
    differences = _without(group_differences(conversation.votes, told, out), conversation, away)
    sample = read_consensus(votes, found.labels, found.count, seed=s.seed)
    population, raked = None, None
    if people is not None and margins is not None:
        weights, raked = raked_to_population(people, votes.participants, found.labels, margins)
        population = read_consensus(votes, found.labels, found.count, weights, s.seed)
    return Analysis(
        conversation=conversation,
        votes=votes,
        found=found,
        tried=tuple(tried),
        resamples=resamples,
        differences=differences,
        sample=sample,
        population=population,
        representativeness=raked,
        exported_agreement=_exported_agreement(conversation, found),
    )


def read_margins(path: Path) -> WeightingSpec:
    """Margins of a population from a YAML file: what a study says under `weights`."""
    return settings.validated(WeightingSpec, settings.read_yaml(path), path.name)


def read_people(path: Path) -> pl.DataFrame:
    """Demographics from a CSV file with a column `participant`; empty cells are unknown."""
    try:
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error


def _without(
    differences: GroupDifferences, conversation: Conversation, away: set[str]
) -> GroupDifferences:
    kept = [at for at, s in enumerate(conversation.votes.statements) if s not in away]
    return GroupDifferences(**{name: part[:, kept] for name, part in vars(differences).items()})


def _exported_agreement(conversation: Conversation, found: OpinionGroups) -> float | None:
    names = sorted(set(conversation.group_ids.values()), key=id_order)
    exported = np.array(
        [
            names.index(conversation.group_ids[p]) if p in conversation.group_ids else OUTSIDE
            for p in conversation.votes.participants
        ]
    )
    both = (exported >= 0) & (found.labels >= 0)
    if both.sum() < 2:
        return None
    a, b = exported[both].astype(np.int8), found.labels[both].astype(np.int8)
    return adjusted_rand_index(a, b, np.ones(a.size))
