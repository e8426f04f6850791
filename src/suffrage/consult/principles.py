"""Principles: what every opinion group supports, in the form a model can be trained on.

Source: Huang et al. (2024), Collective Constitutional AI. As they recommend, this differs from
their procedure in three ways. The wording comes from a template and is not a rewriting, every
principle is traced to statements and to the votes of each group, and statements that are merged
keep the weight they had together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.consult.consultation import (
    Consultation,
    accepted_opinions,
    accepted_statements,
    votes_of,
)
from suffrage.consult.groups.consensus import (
    LEAST_VOTERS,
    MAJORITY,
    consensus_root,
    group_informed_consensus,
    lowest_share,
    share,
)
from suffrage.consult.groups.group_names import groups_of_people
from suffrage.consult.groups.opinion_groups import GroupSettings, OpinionGroups
from suffrage.consult.groups.stability import DRAWS, ResamplesDone, Stability, stable_groups
from suffrage.consult.merged_statements import (
    SAME_STATEMENT,
    Merge,
    merged_statements,
    nearly_same,
    statement_words,
)
from suffrage.consult.people import ReadAs, people_for, people_weights
from suffrage.consult.votes import Tallies, VoteMatrix, id_order, only_people, tally
from suffrage.errors import InputError
from suffrage.survey.weighting import WeightingSpec

TEMPLATE = "Choose the answer most consistent with: {}"


@dataclass(frozen=True)
class PrincipleSettings:
    """How principles are found."""

    # The share (A + 1) / (S + 2) that the group that agrees least must exceed.
    least_share: float = MAJORITY
    # How many people of every group must have voted on a statement.
    least_voters: int = LEAST_VOTERS
    # The overlap of distinctive words from which statements are merged; above 1 none are.
    same: float = SAME_STATEMENT
    # Further merges, decided by a person.
    merges: tuple[Merge, ...] = ()
    # Whether participants count as they are, or weighted to the population.
    read_as: ReadAs = "sample"
    margins: WeightingSpec | None = None
    groups: GroupSettings = field(default_factory=GroupSettings)
    resamples: int = 50
    # Use all votes and all accepted texts, whatever people consented to: for reading only, not for
    # training.
    everyone: bool = False


@dataclass(frozen=True)
class Support:
    """How many people support a statement, or several statements counted as one.

    Dictionaries are by group. Intervals are 95% intervals of draws from Beta distributions.
    """

    # (A + 1) / (S + 2) of each group.
    by_group: dict[str, float]
    # The geometric mean of the groups' shares.
    root: float
    root_interval: tuple[float, float]
    # The lowest of the groups' shares.
    lowest: float
    lowest_interval: tuple[float, float]
    # The share of all participants together.
    everyone: float
    # Votes, weighted where participants are read as the population.
    agrees: dict[str, float]
    disagrees: dict[str, float]
    passes: dict[str, float]


@dataclass(frozen=True)
class DerivedPrinciple:
    """One principle and where it comes from."""

    id: str
    text: str
    # Statements, the best supported first; the principle has the wording of the first.
    sources: tuple[str, ...]
    # Support of all sources together, with every vote on each of them counted.
    support: Support
    # How many more people of the least agreeing group would have to disagree to undo it.
    turned_by: int


@dataclass(frozen=True)
class Principles:
    """A consultation's principles, merged and unmerged, and the evidence for them."""

    title: str
    merged: tuple[DerivedPrinciple, ...]
    unmerged: tuple[DerivedPrinciple, ...]
    # Statements that every group seems to support, by too few votes to be sure: no principles.
    uncertain: tuple[DerivedPrinciple, ...]
    # The text of every statement.
    texts: Mapping[str, str]
    # People in each group, weighted where participants are read as the population.
    group_sizes: Mapping[str, float]
    stability: Stability
    settings: PrincipleSettings
    # How many participants' votes count.
    participants: int
    # Statements that became no principle, by reason.
    left_out: Mapping[str, tuple[str, ...]]
    # Statements that pass in the sample and not in the population, and the other way round; empty
    # where only the sample was read.
    only_in_sample: tuple[str, ...]
    only_in_population: tuple[str, ...]
    # Pairs of principles that a person may find to say the same, with their overlap of words.
    to_judge: tuple[tuple[str, str, float], ...]
    consultation_hash: str

    def constitution(self, merged: bool = True) -> dict[str, Any]:
        """The content of the file that `ccai` reads.

        `stands_for` keeps under merging the weight the statements had apart.
        """
        chosen = self.merged if merged else self.unmerged
        return {
            "title": self.title,
            "principles": [
                {
                    "id": p.id,
                    "text": p.text,
                    "support": round(p.support.everyone, 6),
                    "group_support": {g: round(s, 6) for g, s in p.support.by_group.items()},
                    "sources": [f"statement {s}: {self.texts[s]}" for s in p.sources],
                    "stands_for": len(p.sources),
                }
                for p in chosen
            ],
        }

    def trace(self) -> dict[str, Any]:
        """Everything behind the principles, for whoever wants to check them."""
        s = self.settings
        return {
            "title": self.title,
            "consultation": self.consultation_hash,
            "participants": self.participants,
            "read_as": s.read_as,
            "everyone_whatever_consent": s.everyone,
            "least_share": s.least_share,
            "least_voters": s.least_voters,
            "merged_from_word_overlap": s.same,
            "merged_by_hand": [vars(merge) for merge in s.merges],
            "template": TEMPLATE,
            "groups": {
                "sizes": dict(self.group_sizes),
                "agreement_in_resamples": self.stability.agreement,
                "overlap_in_resamples": list(self.stability.overlap),
                "stable": self.stability.trusted,
                "verdict": self.stability.verdict,
            },
            "left_out": {reason: list(ids) for reason, ids in self.left_out.items()},
            "to_judge": [
                {"statement": one, "same_as": other, "word_overlap": round(alike, 3)}
                for one, other, alike in self.to_judge
            ],
            "only_in_sample": list(self.only_in_sample),
            "only_in_population": list(self.only_in_population),
            "principles": [_traced(p, self.texts) for p in self.merged],
            "unmerged": [_traced(p, self.texts) for p in self.unmerged],
            "uncertain": [_traced(p, self.texts) for p in self.uncertain],
        }


def _traced(p: DerivedPrinciple, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": p.id,
        "text": p.text,
        "statements": {s: texts[s] for s in p.sources},
        "turned_by": p.turned_by,
        **{key: getattr(p.support, key) for key in p.support.__dataclass_fields__},
    }


def find_principles(
    consultation: Consultation,
    settings: PrincipleSettings | None = None,
    people: Sequence[str] | None = None,
    without: Sequence[str] = (),
    advance: ResamplesDone | None = None,
) -> Principles:
    """Find the statements that every opinion group surely supports, as principles.

    A statement becomes one where enough people of every group voted on it and the 95% interval of
    the least agreeing group's share is above `least_share`. Where the share is above it and the
    interval is not, or too few voted, the statement is listed as uncertain.

    Parameters
    ----------
    consultation : Consultation
    settings : PrincipleSettings, optional
    people : sequence of str, optional
        Participants whose votes count. By default all who consented to training.
    without : sequence of str
        Statements that may not become a principle and do not help to find the groups.
    advance : callable, optional
        Called after each resample with the number done and the number in all.

    Raises
    ------
    InputError
        Nobody may be counted, no statement passes, or a merge names an unknown statement.

    References
    ----------
    Huang et al. (2024), Collective Constitutional AI.
    """
    s = settings or PrincipleSettings()
    people = _who_counts(consultation, s) if people is None else people
    states = consultation.statements
    accepted = accepted_opinions(consultation)["statement"].to_list()
    texts = dict(states.select("statement", "text").iter_rows())
    counted = _count_votes(consultation, people, set(accepted) - set(without), s, advance)
    passed = counted.statements_above(counted.lowest, s.least_share)
    usable = usable_texts(consultation, s.everyone)
    refused = tuple(x for x in passed if x not in usable)
    alone = {
        x: _principle(counted, [x], texts, s)
        for x in counted.best_first([x for x in passed if x in usable])
    }
    best_first = [x for x, p in alone.items() if counted.is_sure(p, s)]
    if not best_first:
        raise _nothing_is_sure(consultation.slug, counted, len(alone), len(refused), s)
    words = statement_words({x: texts[x] for x in accepted})
    merged = merged_statements(best_first, texts, words, counted.votes, s.same, s.merges)
    sample = set(counted.statements_above(counted.lowest_in_sample, s.least_share))
    return Principles(
        title=f"What every group of {consultation.title} supports",
        merged=tuple(_principle(counted, sources, texts, s) for sources in merged),
        unmerged=tuple(alone[x] for x in best_first),
        uncertain=tuple(p for x, p in alone.items() if x not in set(best_first)),
        texts=texts,
        group_sizes=counted.group_sizes(),
        stability=counted.stability,
        settings=s,
        participants=len(people),
        left_out={
            "not supported by every group": tuple(
                x for x in counted.votes.statements if x not in set(passed)
            ),
            "text without consent of its author": refused,
            "held out": tuple(sorted(set(without) & set(accepted), key=id_order)),
            "about the consultation itself": _about_the_consultation(consultation),
        },
        only_in_sample=tuple(
            x for x in counted.votes.statements if x in sample and x not in set(passed)
        ),
        only_in_population=tuple(x for x in passed if x not in sample),
        to_judge=nearly_same([sources[0] for sources in merged], words),
        consultation_hash=consultation.content_hash,
    )


def _who_counts(consultation: Consultation, s: PrincipleSettings) -> tuple[str, ...]:
    people = people_for(consultation, "taking part" if s.everyone else "training")
    if not people:
        raise InputError(
            f"consultation {consultation.slug}: nobody consented to training. Principles for "
            "reading only can be had with --everyone."
        )
    return people


def _nothing_is_sure(
    slug: str, counted: _CountedVotes, uncertain: int, refused: int, s: PrincipleSettings
) -> InputError:
    return InputError(
        f"consultation {slug}: no statement surely has more than {s.least_share:.0%} of every one "
        f"of {counted.groups.count} groups behind it ({len(counted.votes.statements)} statements; "
        f"{uncertain} seem to, with fewer than {s.least_voters} voters in a group or an interval "
        f"that reaches lower; {refused} are without the consent of their author); collect more "
        "votes, or lower --least-share or --least-voters."
    )


def _about_the_consultation(consultation: Consultation) -> tuple[str, ...]:
    accepted = set(accepted_statements(consultation)["statement"])
    return tuple(sorted(accepted - set(accepted_opinions(consultation)["statement"]), key=id_order))


@dataclass(frozen=True, eq=False)
class _CountedVotes:
    """The votes that count, and how each opinion group voted."""

    # Votes on the statements that may become a principle.
    votes: VoteMatrix
    groups: OpinionGroups
    stability: Stability
    # How much each participant counts, shape (participants,); None in the sample.
    weights: FloatArray | None
    # Votes by group, in as many effective voters as they are worth where they are weighted.
    tallies: Tallies
    # The share of the group that agrees least, shape (statements,): as read, and in the sample.
    lowest: FloatArray
    lowest_in_sample: FloatArray
    # The people who voted, of the group with fewest of them, shape (statements,).
    fewest_voters: FloatArray

    def is_sure(self, principle: DerivedPrinciple, s: PrincipleSettings) -> bool:
        """Whether enough people voted on each statement, and the interval is above the cut."""
        voters = [
            self.fewest_voters[self.votes.statements.index(x)] >= s.least_voters
            for x in principle.sources
        ]
        return all(voters) and principle.support.lowest_interval[0] > s.least_share

    def statements_above(self, lowest: FloatArray, cut: float) -> list[str]:
        """The statements whose least agreeing group is above the cut."""
        return [x for x, least in zip(self.votes.statements, lowest, strict=True) if least > cut]

    def best_first(self, statements: Iterable[str]) -> list[str]:
        """Sorted by group-informed consensus, the highest first."""
        consensus = group_informed_consensus(self.tallies.agrees, self.tallies.seen)
        value = dict(zip(self.votes.statements, consensus.tolist(), strict=True))
        return sorted(statements, key=lambda x: (-value[x], id_order(x)))

    def group_sizes(self) -> dict[str, float]:
        """Participants in each group, weighted where they are."""
        labels = self.groups.labels
        inside = labels >= 0
        weights = None if self.weights is None else self.weights[inside]
        sizes = np.bincount(labels[inside], weights, self.groups.count)
        return {
            str(number): float(size)
            for number, size in zip(self.groups.numbers, sizes, strict=True)
        }


def _count_votes(
    consultation: Consultation,
    people: Sequence[str],
    statements: set[str],
    s: PrincipleSettings,
    advance: ResamplesDone | None,
) -> _CountedVotes:
    """Find the groups of these people by their votes on these statements, and count the votes."""
    away = [x for x in consultation.statements["statement"].to_list() if x not in statements]
    matrix = only_people(votes_of(consultation), people)
    known = groups_of_people(consultation)
    groups, tried = stable_groups(matrix, away, s.groups, s.resamples, advance, known)
    votes = matrix.only(statements)
    by_person, _ = people_weights(consultation, people, s.read_as, s.margins)
    sample = tally(votes.votes, groups.labels, groups.count)
    weights, tallies = None, sample
    if s.read_as == "population":
        weights = np.array([by_person[p] for p in votes.participants])
        tallies = tally(votes.votes, groups.labels, groups.count, weights).effective()
    return _CountedVotes(
        votes=votes,
        groups=groups,
        stability=next(row for row in tried if row.groups == groups.count),
        weights=weights,
        tallies=tallies,
        lowest=lowest_share(tallies.agrees, tallies.seen),
        lowest_in_sample=lowest_share(sample.agrees, sample.seen),
        fewest_voters=sample.seen.min(axis=0),
    )


def _principle(
    counted: _CountedVotes, sources: Sequence[str], texts: Mapping[str, str], s: PrincipleSettings
) -> DerivedPrinciple:
    """Statements that say the same as one principle, in the words of the first."""
    columns = [counted.votes.statements.index(x) for x in sources]
    own = counted.tallies.as_one_statement(columns)
    all_together = own.together()
    everyone = float(share(all_together.agrees, all_together.seen)[0, 0])
    more = len(sources) - 1
    return DerivedPrinciple(
        id=sources[0] + (f"+{more}" if more else ""),
        text=TEMPLATE.format(" ".join(texts[sources[0]].split())),
        sources=tuple(sources),
        support=_support(own, counted.groups.numbers, everyone, s.groups.seed),
        turned_by=_turned_by(own, s.least_share),
    )


def _support(t: Tallies, numbers: Sequence[int], everyone: float, seed: int) -> Support:
    """Shares and intervals of one statement.

    t: shape (groups, 1). numbers: of the groups. everyone: the share of all who agree.
    """
    generator = np.random.default_rng([seed, 10])
    drawn = generator.beta(
        t.agrees[:, 0] + 1, np.maximum(t.seen - t.agrees, 0)[:, 0] + 1, (DRAWS, len(t.seen))
    )
    groups = len(t.seen)
    shares = share(t.agrees, t.seen)[:, 0]
    root = consensus_root(group_informed_consensus(t.agrees, t.seen), groups)

    def interval(draws: FloatArray) -> tuple[float, float]:
        low, high = np.quantile(draws, [0.025, 0.975])
        return float(low), float(high)

    def named(column: FloatArray) -> dict[str, float]:
        return {str(g): round(float(x), 6) for g, x in zip(numbers, column, strict=True)}

    return Support(
        by_group=named(shares),
        root=float(root[0]),
        root_interval=interval(consensus_root(drawn.prod(axis=1), groups)),
        lowest=float(shares.min()),
        lowest_interval=interval(drawn.min(axis=1)),
        everyone=everyone,
        agrees=named(t.agrees[:, 0]),
        disagrees=named(t.disagrees[:, 0]),
        passes=named(t.passes[:, 0]),
    )


def _turned_by(t: Tallies, cut: float) -> int:
    """Return how many further voters of the group where fewest are needed bring it to the cut.

    The number is the smallest d with (A + 1) / (S + d + 2) <= cut.
    """
    needed = (t.agrees[:, 0] + 1) / cut - t.seen[:, 0] - 2
    return max(ceil(float(needed.min()) - 1e-9), 0) if cut > 0 else 0


def usable_texts(consultation: Consultation, everyone: bool = False) -> set[str]:
    """Statements whose wording may be used: the organisers' own, and those with consent.

    A principle is published and trained on, so its author must have allowed both.
    """
    rows = consultation.statements
    if everyone:
        return set(rows["statement"])
    allowed = set(people_for(consultation, "texts")) & set(people_for(consultation, "training"))
    kept = rows.filter(pl.col("seed") | pl.col("author").is_in(list(allowed)))
    return set(kept["statement"])


def write_principles(found: Principles, folder: Path) -> None:
    """Write `constitution.yaml` (merged), `unmerged.yaml` and `principles.json`, all or nothing."""

    def fill(draft: Path) -> None:
        for name, merged in (("constitution.yaml", True), ("unmerged.yaml", False)):
            text = yaml.safe_dump(
                found.constitution(merged), sort_keys=False, allow_unicode=True, width=100
            )
            (draft / name).write_text(text, encoding="utf-8")
        storage.write_json(draft / "principles.json", found.trace())

    storage.write_folder(folder, fill)
