"""What the votes of a running consultation show at one moment: one computation for both audiences.

Organisers see each computation (`organisers_results`), participants one in several people's votes
(`participants_results`): see `is_next_step`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.analysis import (
    OpinionAnalysis,
    analyse,
    analysis_without,
    analysis_without_votes,
)
from suffrage.consult.groups.group_names import KnownGroup
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.polis.conversation import Conversation, conversation_of
from suffrage.consult.votes import only_people, without_votes
from suffrage.errors import InputError

if TYPE_CHECKING:
    # Needs SQLAlchemy, which a look into a consultation does not.
    from suffrage.server.store.consultations import ConsultationSettings

RESAMPLES = 20


@dataclass(frozen=True, eq=False)
class ConsultationResults:
    """What is found in a consultation now."""

    content: Consultation
    # Statements and votes as the analysis takes them, without excluded participants.
    conversation: Conversation
    # The groups; None where there are none yet.
    analysis: OpinionAnalysis | None
    # Why there are none.
    waiting: InputError | None

    @property
    def people(self) -> int:
        """How many people who count have voted."""
        return int(self.conversation.votes.seen.any(axis=1).sum())

    @property
    def votes(self) -> int:
        """How many votes they gave."""
        return int(self.conversation.votes.seen.sum())


def find_results(
    content: Consultation,
    settings: GroupSettings | None = None,
    resamples: int = RESAMPLES,
    known: Sequence[KnownGroup] | None = None,
) -> ConsultationResults:
    """Find the groups in the votes on accepted statements.

    known: groups found before, whose letters are carried over; by default those in the content.
    """
    conversation = conversation_of(content)
    s = settings or GroupSettings()
    try:
        _need_people(conversation, s)
        analysis = analyse(conversation, s, strict=True, resamples=resamples, known=known)
    except InputError as error:
        return ConsultationResults(content, conversation, None, error)
    return ConsultationResults(content, conversation, analysis, None)


def results_without(
    found: ConsultationResults, gone: Collection[str], settings: GroupSettings | None = None
) -> ConsultationResults:
    """Count these results again as if some people were left out; the groups stay as they are.

    It takes a small part of the time in which groups are found: see `analysis_without`.
    """
    content = _leaving_out(found.content, gone)
    votes = found.conversation.votes
    kept = only_people(votes, (person for person in votes.participants if person not in gone))
    conversation = replace(found.conversation, votes=kept)
    if found.analysis is None:
        return ConsultationResults(content, conversation, None, found.waiting)
    try:
        _need_people(conversation, settings or GroupSettings())
        analysis = analysis_without(found.analysis, gone)
    except InputError as error:
        return ConsultationResults(content, conversation, None, error)
    return ConsultationResults(content, conversation, analysis, None)


def results_without_votes(
    found: ConsultationResults, pairs: Collection[tuple[str, str]]
) -> ConsultationResults:
    """Count these results again without single votes; the groups stay as they are.

    pairs: participants and statements.
    """
    if not pairs:
        return found
    keys = pl.DataFrame(
        list(pairs), schema={"participant": pl.String, "statement": pl.String}, orient="row"
    )
    content = replace(
        found.content, votes=found.content.votes.join(keys, on=keys.columns, how="anti")
    )
    conversation = replace(found.conversation, votes=without_votes(found.conversation.votes, pairs))
    analysis = found.analysis and analysis_without_votes(found.analysis, pairs)
    return ConsultationResults(content, conversation, analysis, found.waiting)


def _need_people(conversation: Conversation, s: GroupSettings) -> None:
    """Raise InputError where too few people have voted on enough statements."""
    votes = conversation.votes
    away = set(conversation.moderated_out(strict=True))
    accepted = votes.only(x for x in votes.statements if x not in away)
    needed = max(min(s.least_votes, len(accepted.statements)), 1)
    enough = int((accepted.seen.sum(axis=1) >= needed).sum())
    if enough < s.least_people:
        # Among people who have hardly voted there is nothing to find, and it would change.
        raise InputError(
            "%(enough)s people have voted on %(needed)s statements or more; %(least)s are needed",
            enough=enough,
            needed=needed,
            least=s.least_people,
        )


def with_opinion_groups(conversation: Conversation, content: Consultation) -> Conversation:
    """Return a conversation with the opinion group of everybody who has one.

    conversation: of this content. Where no groups can be found yet, nobody has one.
    """
    analysis = find_results(content).analysis
    return replace(conversation, group_ids=analysis.groups.by_participant() if analysis else {})


def is_next_step(people: int, last: int | None, settings: ConsultationSettings) -> bool:
    """Whether participants may see these results.

    Two results that they see count at least `batch` people more or fewer, so that the difference
    does not say whose votes are in it. After a withdrawal that is not enough: see `HeldVotes`.

    Parameters
    ----------
    people : int
        How many people's votes these results count.
    last : int, optional
        How many there were at the step that participants see now; None where they see none.
    """
    if people < settings.least_people:
        return False
    return last is None or abs(people - last) >= settings.batch


def without_some(
    content: Consultation,
    count: int,
    spared: Collection[str],
    draw: random.Random,
    near: Sequence[Collection[str]] = (),
) -> tuple[Consultation, tuple[str, ...]]:
    """Leave some people out, so that results without one who withdrew differ by several people.

    Parameters
    ----------
    count : int
        How many to leave out, of those who voted and count; with `near`, for each of these.
    spared : collection of str
        Who was left out last time, and is now only where there are too few others: otherwise these
        results could differ from the last ones by one person.
    draw : random.Random
    near : sequence of collections of str
        The groups of those who withdrew: others of the same group are taken first, because the
        counts of a group fall by one person's votes where nobody else of it is left out.

    Returns
    -------
    tuple of Consultation and tuple of str
        The consultation in which they do not count, and who they are.
    """
    voted = set(content.votes["participant"])
    who = content.participants.filter(~pl.col("excluded"))["participant"].to_list()
    possible = sorted(voted.intersection(who))
    chosen: list[str] = []
    for group in near or ((),):
        left = [id for id in possible if id not in chosen]
        drawn = draw.sample(left, len(left))
        drawn.sort(key=lambda id: (id in spared, id not in group))
        chosen += drawn[:count]
    return _leaving_out(content, chosen), tuple(chosen)


def _leaving_out(content: Consultation, people: Collection[str]) -> Consultation:
    """The consultation in which these people do not count."""
    left_out = pl.col("excluded") | pl.col("participant").is_in(list(people))
    return replace(content, participants=content.participants.with_columns(excluded=left_out))
