"""A Polis conversation, and how it becomes a `Consultation` and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from suffrage.arrays import IntArray
from suffrage.consult.consultation import PARTICIPANT, SCHEMAS, Consultation, votes_of
from suffrage.consult.people import Consent
from suffrage.consult.votes import UNSEEN, VoteMatrix, id_order
from suffrage.plurals import plural

# Longer ids of groups are names, not numbers.
MOST_DIGITS = 6


@dataclass(frozen=True)
class PolisStatement:
    """One statement of a Polis conversation."""

    id: str
    text: str
    # 1 accepted, 0 undecided, -1 moderated out.
    moderated: int = 0
    # The id of the participant who wrote it, where the file says so.
    author: str | None = None
    # Milliseconds since 1970.
    created: int | None = None
    # Whether it is about the consultation itself.
    meta: bool = False
    # Whether the organisers put it in.
    seed: bool = False


@dataclass(frozen=True)
class Conversation:
    """A conversation's statements and votes."""

    # The topic, url, description and other entries of summary.csv, without its counts.
    about: Mapping[str, str]
    statements: tuple[PolisStatement, ...]
    # The last vote of every participant on every statement.
    votes: VoteMatrix
    # The log of votes, sorted by statement, participant and time: columns statement, participant,
    # vote, at (milliseconds) and perhaps important. None where a file has only last votes.
    events: pl.DataFrame | None = None
    # The opinion group of each participant who has one.
    group_ids: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        statements = plural(len(self.statements), "statement")
        people = plural(len(self.votes.participants), "participant", ",")
        return f"<Conversation {self.about.get('topic', '')!r}: {statements}, {people}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conversation):
            return NotImplemented
        same_log = (
            self.events is None and other.events is None
            if self.events is None or other.events is None
            else self.events.equals(other.events)
        )
        return (
            same_log
            and dict(self.about) == dict(other.about)
            and self.statements == other.statements
            and self.votes == other.votes
            and dict(self.group_ids) == dict(other.group_ids)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def group_labels(self) -> IntArray:
        """Return the number of each participant's group, in the order of group ids; -1 without one.

        Shape (participants,), in the order of the votes.
        """
        groups = sorted(set(self.group_ids.values()), key=id_order)
        place = {group: at for at, group in enumerate(groups)}
        return np.array(
            [
                place[self.group_ids[p]] if p in self.group_ids else -1
                for p in self.votes.participants
            ],
            dtype=np.int64,
        )

    def group_numbers(self) -> dict[str, int]:
        """Return the number of each participant's group: the id where ids are numbers."""
        ids = sorted(set(self.group_ids.values()), key=id_order)
        plain = all(id.isascii() and id.isdigit() and len(id) < MOST_DIGITS for id in ids)
        number = {id: int(id) if plain else at for at, id in enumerate(ids)}
        return {person: number[id] for person, id in self.group_ids.items()}

    def moderated_out(self, strict: bool = False) -> tuple[str, ...]:
        """Return the statements that take no part: moderated out, or about the consultation itself.

        With `strict`, statements that nobody has decided on are returned too.
        """
        least = 1 if strict else 0
        return tuple(s.id for s in self.statements if s.moderated < least or s.meta)


def sorted_log(events: pl.DataFrame) -> pl.DataFrame:
    """Return a log of votes by statement, participant and time.

    Events at one time keep their order.
    """
    ranks = {}
    for column in ("statement", "participant"):
        ids = sorted(events[column].unique().to_list(), key=id_order)
        ranks[column] = pl.col(column).replace_strict(ids, range(len(ids)), return_dtype=pl.Int64)
    return events.sort(ranks["statement"], ranks["participant"], "at", maintain_order=True)


def consultation_of(
    conversation: Conversation,
    slug: str,
    language: str = "en",
    consents: Collection[Consent] = (),
    question: str | None = None,
) -> Consultation:
    """Return a Polis conversation's statements and last votes as a consultation.

    Parameters
    ----------
    conversation : Conversation
    slug : str
        The consultation's name in addresses.
    language : str
        Of the statements.
    consents : collection of {"votes", "texts", "training"}
        What every participant is known to have consented to. Polis files say nothing about
        consent, and unknown consent counts as none.
    question : str, optional
        What was asked, where the conversation does not say it.
    """
    matrix = conversation.votes
    about = conversation.about
    return Consultation(
        slug=slug,
        title=about.get("topic", slug),
        question=about.get("conversation-description") or question or "",
        languages=(language,),
        created="",
        statements=_statement_rows(conversation, language),
        participants=_participant_rows(conversation, language, consents),
        votes=_vote_rows(matrix),
    )


def _statement_rows(conversation: Conversation, language: str) -> pl.DataFrame:
    states = {1: "accepted", 0: "pending", -1: "rejected"}
    voters = set(conversation.votes.participants)
    rows = [
        {
            "statement": s.id,
            "text": s.text,
            "language": language,
            "seed": s.seed,
            "state": states[s.moderated],
            "author": s.author if s.author in voters else None,
            "order": at,
            "meta": s.meta,
        }
        for at, s in enumerate(conversation.statements)
    ]
    return pl.DataFrame(rows, schema=dict(SCHEMAS["statements"]))


def _participant_rows(
    conversation: Conversation, language: str, consents: Collection[Consent]
) -> pl.DataFrame:
    people = conversation.votes.participants
    numbers = conversation.group_numbers()
    rows = participants_with_consents(people, language, consents)
    groups = [numbers.get(person) for person in people]
    return rows.with_columns(pl.Series("group", groups, pl.Int32))


def participants_with_consents(
    participants: Sequence[str], language: str, consents: Collection[Consent]
) -> pl.DataFrame:
    """Return the table of participants of whom nothing is known but what all consented to."""
    return pl.DataFrame({PARTICIPANT: list(participants)}).with_columns(
        verified=False,
        language=pl.lit(language),
        excluded=False,
        exclusion_reason=pl.lit(None, pl.String),
        consent_votes=pl.lit("votes" in consents),
        consent_texts=pl.lit("texts" in consents),
        consent_training=pl.lit("training" in consents),
        weight=pl.lit(None, pl.Float64),
    )


def _vote_rows(matrix: VoteMatrix) -> pl.DataFrame:
    rows, columns = (matrix.votes != UNSEEN).nonzero()
    return pl.DataFrame(
        {
            PARTICIPANT: [matrix.participants[row] for row in rows],
            "statement": [matrix.statements[column] for column in columns],
            "vote": matrix.votes[rows, columns],
        }
    ).with_columns(
        important=False,
        order=pl.int_range(pl.len(), dtype=pl.Int32).over(PARTICIPANT),
        probability=pl.lit(None, pl.Float64),
    )


def conversation_of(consultation: Consultation) -> Conversation:
    """Return the statements and last votes of a consultation as a Polis conversation.

    Excluded participants are left out, and statements held back as flagged count as undecided.
    A statement names its author only where the author voted, as in Polis' own exports.
    """
    states = {"accepted": 1, "pending": 0, "flagged": 0, "rejected": -1}
    matrix = votes_of(consultation)
    voters = set(matrix.participants)
    statements = tuple(
        PolisStatement(
            row["statement"],
            row["text"],
            moderated=states[row["state"]],
            author=row["author"] if row["author"] in voters else None,
            meta=row["meta"],
            seed=row["seed"],
        )
        for row in consultation.statements.sort("order").iter_rows(named=True)
    )
    about = {"topic": consultation.title, "conversation-description": consultation.question}
    groups = consultation.participants.drop_nulls("group").select(PARTICIPANT, "group")
    ids = {person: str(number) for person, number in groups.iter_rows()}
    return Conversation(about, statements, matrix, group_ids=ids)
