"""What the organisers' pages show, as plain values computed from the tables and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import polars as pl
from sqlalchemy import func, select

from suffrage.consult.consultation import Consultation
from suffrage.consult.pairing import PairDesign, core_coverage, pairs_of
from suffrage.consult.participation import Stratum, participation
from suffrage.consult.quality import Quality, quality
from suffrage.report.plain_words import name_in_words
from suffrage.server.store import invitations, participants
from suffrage.server.store.consultations import ConsultationSettings, StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import exposure
from suffrage.server.store.participants import Participant
from suffrage.server.store.statements import Moderation, StoredStatement, list_statements
from suffrage.server.texts import near_duplicates

# A page left open over lunch says nothing about reading speed.
MOST_SECONDS = 600


@dataclass(frozen=True)
class ParticipantRow:
    """One person in the list: what the store knows, and how they answered."""

    person: Participant
    quality: Quality


def participants_who_count(content: Consultation) -> pl.Series:
    """Who counts: everybody who is not excluded."""
    return content.participants.filter(~pl.col("excluded"))["participant"]


def strata_of(content: Consultation, settings: ConsultationSettings) -> list[Stratum]:
    """Return participation by stratum of those who count, next to the targets."""
    own = content.demographics.filter(
        pl.col("participant").is_in(participants_who_count(content).implode())
    )
    values = {d.item: tuple(o.value for o in d.options) for d in settings.demographics}
    return participation(own, settings.targets, values)


def spoken_languages(store: Store, consultation_id: str) -> dict[str, str]:
    """Return the language of each statement."""
    return {s.id: s.language for s in list_statements(store, consultation_id)}


def item_labels(
    about: StoredConsultation, language: str, strata: Sequence[Stratum] = ()
) -> dict[str | tuple[str, str], str]:
    """What items about people, and their values, are called in a language.

    strata: those of imported files too, which nobody asked here.
    """
    found: dict[str | tuple[str, str], str] = {}
    for row in strata:
        found[row.item] = name_in_words(row.item)
        found[row.item, row.value] = name_in_words(row.value)
    for item in about.settings.demographics:
        found[item.item] = about.text(item.label, language)[0] or item.item
        for option in item.options:
            found[item.item, option.value] = about.text(option.label, language)[0] or option.value
    return found


@dataclass(frozen=True)
class InvitationCounts:
    """Invitations of one stratum: how many were made, used, and are still good."""

    stratum: str
    made: int
    used: int
    open: int


def invitations_by_stratum(store: Store, consultation_id: str) -> list[InvitationCounts]:
    """Invitations by stratum."""
    found = invitations.list_invitations(store, consultation_id)
    return [
        InvitationCounts(
            name,
            len(some),
            sum(i.used_at is not None for i in some),
            sum(i.used_at is None and i.revoked_at is None for i in some),
        )
        for name in dict.fromkeys(i.stratum for i in found)
        if (some := [i for i in found if i.stratum == name])
    ]


def seconds_each(store: Store, consultation_id: str) -> dict[str, float]:
    """Each participant's median time from seeing a question to answering it."""
    e = exposure.c
    query = select(e.participant_id, e.answered_at - e.shown_at).where(
        e.consultation_id == consultation_id, e.answered_at.is_not(None)
    )
    times: dict[str, list[float]] = {}
    with store.read() as c:
        for person, took in c.execute(query):
            if 0 <= took <= MOST_SECONDS * 1000:
                times.setdefault(person, []).append(took / 1000)
    return {person: median(some) for person, some in times.items()}


def participant_rows(
    store: Store, consultation_id: str, content: Consultation
) -> list[ParticipantRow]:
    """Everybody who takes part, with their figures, in the order of joining."""
    known = set(content.participants["participant"])
    found = [p for p in participants.list_participants(store, consultation_id) if p.id in known]
    times = seconds_each(store, consultation_id)
    figures = quality((p.id for p in found), content.votes, content.comparisons, times)
    return [ParticipantRow(p, figures[p.id]) for p in found]


def count_flags(rows: Sequence[ParticipantRow]) -> dict[str, int]:
    """How many who count carry each flag."""
    return dict(
        Counter(
            flag for row in rows if row.person.excluded_at is None for flag in row.quality.flags
        ).most_common()
    )


def shown_and_answered(store: Store, consultation_id: str) -> dict[str, tuple[int, int]]:
    """For each kind of question: how often it was shown, and how often answered."""
    e = exposure.c
    query = (
        select(e.kind, func.count(), func.count(e.answered_at))
        .where(e.consultation_id == consultation_id)
        .group_by(e.kind)
    )
    with store.read() as c:
        return {kind: (int(shown), int(done)) for kind, shown, done in c.execute(query)}


@dataclass(frozen=True)
class Queued:
    """A statement in the queue."""

    statement: StoredStatement
    # Accepted or waiting ones that say nearly the same, with their likeness.
    near: tuple[tuple[StoredStatement, float], ...]
    decided: Moderation | None


def moderation_queue(
    chosen: Sequence[StoredStatement],
    everything: Sequence[StoredStatement],
    log: Sequence[Moderation],
) -> list[Queued]:
    """Return what a moderator needs to know of each statement."""
    by_id = {s.id: s for s in everything}
    others = [(s.id, s.text) for s in everything if s.state in ("accepted", "pending")]
    last = {m.statement_id: m for m in log}
    return [
        Queued(
            s,
            tuple(
                (by_id[n.id], n.likeness)
                for n in near_duplicates(s.text, (o for o in others if o[0] != s.id))
            ),
            last.get(s.id),
        )
        for s in chosen
    ]


@dataclass(frozen=True)
class CoreCoverage:
    """How far the common core is covered: pairs, and those enough people of a stratum saw."""

    pairs: int
    core: int
    wanted: int
    by_stratum: Mapping[str, int]


def cover_core(content: Consultation, design: PairDesign, item: str | None) -> CoreCoverage:
    """Coverage of the core, by one demographic item where there is one."""
    pairs = pairs_of(dict(content.answers.select("answer", "prompt").iter_rows()), design)
    strata_of: dict[str, str] = {}
    if item is not None:
        own = content.demographics.filter(pl.col("item") == item)
        strata_of = dict(own.select("participant", "value").iter_rows())
    kept = content.comparisons.filter(
        pl.col("participant").is_in(participants_who_count(content).implode())
    )
    covered = core_coverage(pairs, kept, strata_of)
    return CoreCoverage(
        pairs=len(pairs),
        core=int(pairs.core.sum()),
        wanted=design.core_raters,
        by_stratum={
            name: int((counts[pairs.core] >= design.core_raters).sum())
            for name, counts in sorted(covered.items())
        },
    )
