"""Principles: what every opinion group supports, put in the form a model can be trained by.

Source: Huang et al. (2024), Collective Constitutional AI, with what they would change: the wording is a
template and not a rewriting, every principle is traced to statements and to the votes of each group,
and statements merged into one keep the weight they had together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.consult.consultation import Consultation, votes_of
from suffrage.consult.groups.consensus import (
    Tallies,
    consensus_root,
    group_informed_consensus,
    lowest_share,
    share,
    tally,
)
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.groups.stability import DRAWS, Advance, Stability, stable_groups
from suffrage.consult.people import ReadAs, people_for, people_weights
from suffrage.consult.votes import UNSEEN, VoteMatrix, id_order
from suffrage.errors import InputError
from suffrage.survey.weighting import WeightingSpec

TEMPLATE = "Choose the answer most consistent with: {}"
# Every group's share must be above it: more than half of each are for it.
LEAST_SHARE = 0.5
# Share of telling words two statements must have in common (Jaccard) to be one principle.
SAME_STATEMENT = 0.8
# From here on a person is asked to judge, below `SAME_STATEMENT` nothing is merged unasked.
NEARLY_SAME = 0.45
# And of those who voted on both (from so many on), so many must have voted alike.
VOTED_ON_BOTH = 5
VOTED_ALIKE = 0.8
# A word in more than this share of all statements tells nothing about one of them.
COMMON_WORD = 0.25
_ENDING = re.compile(r"(?<=\w{3})(?:s|ed|ing)$")
NEGATIONS = frozenset(
    {"not", "no", "never", "none", "without", "cannot", "nor", "wrong", "less", "fewer", "against"}
)


@dataclass(frozen=True)
class Merge:
    """Two statements held by a person to say the same, and why: published with the principles."""

    statement: str
    same_as: str
    why: str


@dataclass(frozen=True)
class PrincipleSettings:
    """How principles are found.

    least_share: of the group that agrees least, (A + 1) / (S + 2). same: word overlap at which
    statements are merged; above 1 none are. merges: further ones, by hand. read_as, margins: whose
    reading decides.
    everyone: all votes and accepted texts whatever was consented to, for reading and not for training.
    """

    least_share: float = LEAST_SHARE
    same: float = SAME_STATEMENT
    merges: tuple[Merge, ...] = ()
    read_as: ReadAs = "sample"
    margins: WeightingSpec | None = None
    groups: GroupSettings = field(default_factory=GroupSettings)
    resamples: int = 50
    everyone: bool = False


@dataclass(frozen=True)
class Support:
    """How far a statement, or several as one, is supported.

    by_group: (A + 1) / (S + 2) by group. root, lowest: geometric mean and least of them, with 95 %
    intervals of Beta draws. agrees, disagrees, passes: votes by group, weighted where read so.
    """

    by_group: dict[str, float]
    root: float
    root_interval: tuple[float, float]
    lowest: float
    lowest_interval: tuple[float, float]
    everyone: float
    agrees: dict[str, float]
    disagrees: dict[str, float]
    passes: dict[str, float]


@dataclass(frozen=True)
class Principle:
    """One principle and where it comes from.

    sources: statements, the best supported first; its wording is the principle's. support: of all of
    them, a vote on each counted. turned_by: further disagreeing voters of the least agreeing group
    that would take it below the cut.
    """

    id: str
    text: str
    sources: tuple[str, ...]
    support: Support
    turned_by: int


@dataclass(frozen=True)
class Principles:
    """A consultation's principles, merged and unmerged, and what they rest on.

    left_out: by reason, the statements that became none. other_reading: ids of statements that
    pass in the sample and not in the population (or the other way round) where both were read.
    to_judge: principles a person may find to say the same, with their word overlap.
    """

    title: str
    merged: tuple[Principle, ...]
    unmerged: tuple[Principle, ...]
    texts: Mapping[str, str]
    group_sizes: Mapping[str, float]
    stability: Stability
    settings: PrincipleSettings
    participants: int
    left_out: Mapping[str, tuple[str, ...]]
    only_in_sample: tuple[str, ...]
    only_in_population: tuple[str, ...]
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
            "merged_from_word_overlap": s.same,
            "merged_by_hand": [vars(merge) for merge in s.merges],
            "template": TEMPLATE,
            "groups": {
                "sizes": dict(self.group_sizes),
                "agreement_in_resamples": self.stability.agreement,
                "overlap_in_resamples": list(self.stability.overlap),
                "stable": self.stability.trusted,
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
        }


def _traced(p: Principle, texts: Mapping[str, str]) -> dict[str, Any]:
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
    advance: Advance | None = None,
) -> Principles:
    """The statements that every opinion group supports, as principles.

    people: whose votes count, default all who consented to training; without: statements that may
    not become one (they still help to find the groups, where they do not stand for what is held out).
    Raises InputError where nobody may be counted, or no statement passes.
    """
    s = settings or PrincipleSettings()
    if people is None:
        people = people_for(consultation, "taking part" if s.everyone else "training")
    if not people:
        raise InputError(
            f"consultation {consultation.slug}: nobody consented to training. Principles for reading "
            "only can be had with --everyone."
        )
    states = consultation.statements
    accepted = states.filter(pl.col("state") == "accepted")["statement"].to_list()
    away = [x for x in states["statement"].to_list() if x not in set(accepted) - set(without)]
    matrix = _only_people(votes_of(consultation), people)
    found, tried = stable_groups(matrix, away, s.groups, s.resamples, advance)
    stability = next(row for row in tried if row.groups == found.count)
    weights, _ = people_weights(consultation, people, s.read_as, s.margins)
    votes = matrix.only(x for x in matrix.statements if x not in set(away))
    w = None if s.read_as == "sample" else np.array([weights[p] for p in votes.participants])
    t = tally(votes.votes, found.labels, found.count, w)
    t = t if w is None else t.effective()
    plain = tally(votes.votes, found.labels, found.count)
    texts = dict(states.select("statement", "text").iter_rows())
    lowest = lowest_share(t.agrees, t.seen)
    passed = [at for at in range(len(votes.statements)) if lowest[at] > s.least_share]
    usable = _usable_texts(consultation, s.everyone)
    refused = [votes.statements[at] for at in passed if votes.statements[at] not in usable]
    passed = [at for at in passed if votes.statements[at] in usable]
    if not passed:
        raise InputError(
            f"consultation {consultation.slug}: no statement has more than {s.least_share:.0%} of "
            f"every one of {found.count} groups behind it ({len(votes.statements)} statements, "
            f"{len(refused)} more without the consent of their author); lower --least-share."
        )
    consensus = group_informed_consensus(t.agrees, t.seen)
    best_first = sorted(passed, key=lambda at: (-consensus[at], id_order(votes.statements[at])))
    named_best_first = [votes.statements[at] for at in best_first]
    for merge in s.merges:
        for statement in (merge.statement, merge.same_as):
            if statement not in texts:
                raise InputError(f'merges: there is no statement "{statement}".')
    merged = _merged(named_best_first, texts, accepted, s, votes)
    column = {statement: at for at, statement in enumerate(votes.statements)}

    def principle(sources: Sequence[str]) -> Principle:
        own = _together(t, [column[x] for x in sources])
        everyone = _together(t.together(), [column[x] for x in sources])
        return Principle(
            id="+".join(sources[:1]) + (f"+{len(sources) - 1}" if len(sources) > 1 else ""),
            text=TEMPLATE.format(_sentence(texts[sources[0]])),
            sources=tuple(sources),
            support=_support(
                own, float(share(everyone.agrees, everyone.seen)[0, 0]), s.groups.seed
            ),
            turned_by=_turned_by(own, s.least_share),
        )

    counted = found.labels >= 0
    sizes = np.bincount(found.labels[counted], None if w is None else w[counted], found.count)
    other = lowest_share(plain.agrees, plain.seen)
    read_twice = w is not None
    return Principles(
        title=f"What every group of {consultation.title} supports",
        merged=tuple(principle(sources) for sources in merged),
        unmerged=tuple(principle([votes.statements[at]]) for at in best_first),
        texts=texts,
        group_sizes={str(g): float(size) for g, size in enumerate(sizes)},
        stability=stability,
        settings=s,
        participants=len(people),
        left_out={
            "not supported by every group": tuple(
                votes.statements[at] for at in range(lowest.size) if lowest[at] <= s.least_share
            ),
            "text without consent of its author": tuple(refused),
            "held out": tuple(sorted(set(without) & set(accepted), key=id_order)),
        },
        only_in_sample=tuple(
            votes.statements[at]
            for at in range(lowest.size)
            if read_twice and other[at] > s.least_share >= lowest[at]
        ),
        only_in_population=tuple(
            votes.statements[at]
            for at in range(lowest.size)
            if read_twice and lowest[at] > s.least_share >= other[at]
        ),
        to_judge=_to_judge([sources[0] for sources in merged], texts, accepted),
        consultation_hash=consultation.content_hash,
    )


def read_merges(path: Path) -> tuple[Merge, ...]:
    """Merges from a CSV file with the columns statement, same_as and why.

    Raises InputError naming the file, and the line where a reason is missing.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: not readable as CSV in UTF-8 ({error}).") from error
    if set(frame.columns) != {"statement", "same_as", "why"}:
        raise InputError(f"{path.name}: the columns must be statement, same_as and why.")
    for line, row in enumerate(frame.iter_rows(named=True), 2):
        if None in row.values():
            raise InputError(f"{path.name} line {line}: a cell is empty; a merge needs its reason.")
    return tuple(Merge(**row) for row in frame.iter_rows(named=True))


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


def telling_words(texts: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The words of each text that few others have, without the endings -s, -ed and -ing."""
    words = {
        key: frozenset(_ENDING.sub("", word) for word in re.findall(r"\w+", text.lower()))
        for key, text in texts.items()
    }
    counts = Counter(word for found in words.values() for word in found)
    # Of few statements, near-duplicates alone would make a word common.
    limit = max(5.0, COMMON_WORD * len(texts))
    return {
        key: frozenset(w for w in found if counts[w] <= limit and len(w) > 2)
        for key, found in words.items()
    }


def _merged(
    best_first: Sequence[str],
    texts: Mapping[str, str],
    accepted: Sequence[str],
    s: PrincipleSettings,
    votes: VoteMatrix,
) -> list[list[str]]:
    """Statements that say nearly the same, the best supported first in each.

    Each joins the first better supported one it is like. Numbers and negations must be the same:
    "should" and "should not" have nearly all words in common. And people must have voted alike on
    both, because one word can turn a meaning. What a person merged is merged without these tests.
    """
    by_hand = {frozenset((m.statement, m.same_as)) for m in s.merges}
    telling = telling_words({x: texts[x] for x in accepted})

    def marks(statement: str) -> frozenset[str]:
        words = re.findall(r"\w+", texts[statement].lower().replace("n't", " not"))
        return frozenset(w for w in words if w.isdigit() or w in NEGATIONS)

    found: list[list[str]] = []
    for statement in best_first:
        for group in found:
            alike = _overlap(telling[group[0]], telling[statement])
            if any(frozenset((member, statement)) in by_hand for member in group) or (
                alike >= s.same
                and marks(group[0]) == marks(statement)
                and _voted_alike(votes, group[0], statement)
            ):
                group.append(statement)
                break
        else:
            found.append([statement])
    return found


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _to_judge(
    leads: Sequence[str], texts: Mapping[str, str], accepted: Sequence[str]
) -> tuple[tuple[str, str, float], ...]:
    """Pairs of principles with many words in common, most alike first; never merged unasked."""
    telling = telling_words({x: texts[x] for x in accepted})
    pairs = [
        (later, earlier, alike)
        for at, later in enumerate(leads)
        for earlier in leads[:at]
        if (alike := _overlap(telling[later], telling[earlier])) >= NEARLY_SAME
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])))


def _voted_alike(votes: VoteMatrix, one: str, other: str) -> bool:
    """Whether those who voted on both gave the same vote, or too few did to tell."""
    first, second = (votes.votes[:, votes.statements.index(x)] for x in (one, other))
    both = (first != UNSEEN) & (second != UNSEEN)
    if both.sum() < VOTED_ON_BOTH:
        return True
    return bool((first[both] == second[both]).mean() >= VOTED_ALIKE)


def _together(t: Tallies, columns: Sequence[int]) -> Tallies:
    """Votes on several statements as one, (groups, 1)."""
    return Tallies(
        *(
            part[:, list(columns)].sum(axis=1, keepdims=True)
            for part in (t.agrees, t.disagrees, t.seen, t.squares)
        )
    )


def _support(t: Tallies, everyone: float, seed: int) -> Support:
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
        return {str(g): round(float(x), 6) for g, x in enumerate(column)}

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
    """d with (A + 1) / (S + d + 2) = cut in the group where the fewest further voters do it."""
    needed = (t.agrees[:, 0] + 1) / cut - t.seen[:, 0] - 2
    return max(ceil(float(needed.min()) - 1e-9), 0) if cut > 0 else 0


def _only_people(matrix: VoteMatrix, people: Sequence[str]) -> VoteMatrix:
    wanted = set(people)
    rows = [at for at, person in enumerate(matrix.participants) if person in wanted]
    kept = tuple(matrix.participants[at] for at in rows)
    return replace(matrix, participants=kept, votes=matrix.votes[rows])


def _usable_texts(consultation: Consultation, everyone: bool) -> set[str]:
    """Statements whose wording may be used: the organisers' own, and of those who consented to it.

    A principle is published and trained on, so its author must allow both.
    """
    rows = consultation.statements
    if everyone:
        return set(rows["statement"])
    allowed = set(people_for(consultation, "texts")) & set(people_for(consultation, "training"))
    kept = rows.filter(pl.col("seed") | pl.col("author").is_in(list(allowed)))
    return set(kept["statement"])


def _sentence(text: str) -> str:
    """A statement on one line."""
    return " ".join(text.split())
