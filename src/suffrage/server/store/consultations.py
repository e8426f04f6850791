"""Consultations themselves: made, opened, closed, and how they are run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from sqlalchemy import Connection, Text, cast, insert, select, update

from suffrage import settings as reading
from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.database import (
    NotFoundError,
    RefusedError,
    Store,
    found,
    now,
)
from suffrage.server.store.database_schema import PHASES, consultation
from suffrage.server.store.mail_addresses import forget_addresses
from suffrage.server.store.puzzles import MOST_BITS
from suffrage.server.store.secret_keys import new_id
from suffrage.server.store.site_origins import MOST_ORIGINS, origin_of

Phase = Literal["draft", "open", "closed", "archived"]
_Readers = Literal["participants", "organisers", "everyone"]
TextsByLanguage = dict[str, str]
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DemographicOption(_Settings):
    """One choice: what is stored, and what is read in each language."""

    value: Annotated[str, Field(min_length=1, max_length=80)]
    label: TextsByLanguage


class DemographicItem(_Settings):
    """One question about the person; always skippable, always of given choices."""

    item: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    label: TextsByLanguage
    options: Annotated[tuple[DemographicOption, ...], Field(min_length=2)]


class ConsultationSettings(_Settings):
    """How a consultation is run."""

    # Of the pages, the first where nothing else is known.
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en",)
    intro: TextsByLanguage = {}
    # People may take part without an invitation; they are marked as unverified.
    open_to_all: bool = False
    # Without an invitation, joining takes about 2 ** proof_of_work hashes; 0 for no puzzle.
    proof_of_work: Annotated[int, Field(ge=0, le=MOST_BITS)] = 0
    # Who may write statements.
    statements_by: Literal["participants", "organisers"] = "participants"
    # before: nothing written is shown until it is accepted. after: it is shown at once unless it
    # looks like personal details.
    moderation: Literal["before", "after"] = "before"
    moderation_policy: TextsByLanguage = {}
    statement_characters: Annotated[int, Field(ge=80, le=1000)] = 200
    statements_each: Annotated[int, Field(ge=0, le=100)] = 10
    # To whom results are shown while people can vote, and when it has closed.
    results: _Readers = "participants"
    results_when_closed: _Readers = "everyone"
    # Results are shown to those with so many votes of their own, once so many people have voted,
    # and are renewed each time so many more have.
    least_votes: Annotated[int, Field(ge=0)] = 7
    least_people: Annotated[int, Field(ge=5)] = 15
    batch: Annotated[int, Field(ge=5)] = 5
    # The part of the draw of statements that is even.
    floor: Annotated[float, Field(ge=0, le=1)] = 0.2
    # The goal of one sitting.
    minutes: Annotated[int, Field(ge=1, le=120)] = 15
    core_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    demographics: tuple[DemographicItem, ...] = ()
    organiser: str = ""
    contact: str = ""
    licence: str = "CC-BY-4.0"
    consent_version: str = "1"
    consent_more: TextsByLanguage = {}
    withdrawal: TextsByLanguage = {}
    # When it opens and closes by itself; the server keeps to it while it runs.
    opens: AwareDatetime | None = None
    closes: AwareDatetime | None = None
    # The place whose time the pages of organisers show and ask for.
    time_zone: str = "UTC"
    # The colour of buttons and of the bar at the top, such as #0b4f5c; "" for our own.
    colour: Annotated[str, Field(pattern=r"^(#[0-9a-f]{6})?$")] = ""
    # The mark of the picture that `logos` keeps; "" for none.
    logo: str = ""
    # Origins of the sites that may show the results in a frame, such as https://www.example.org.
    embedded_by: Annotated[tuple[str, ...], Field(max_length=MOST_ORIGINS)] = ()
    # Demographic item -> value -> share of the population: who is still missing, and raking.
    targets: dict[str, dict[str, float]] = {}

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be a time zone such as Pacific/Auckland") from error
        return name

    @field_validator("embedded_by")
    @classmethod
    def _known_origins(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(map(origin_of, written)))
        except InputError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _opens_first(self) -> ConsultationSettings:
        if self.opens and self.closes and self.closes <= self.opens:
            raise ValueError("closes must be later than opens")
        return self


@dataclass(frozen=True)
class StoredConsultation:
    """One consultation, as it stands. Times in milliseconds."""

    id: str
    slug: str
    # By language.
    title: Mapping[str, str]
    question: Mapping[str, str]
    phase: Phase
    settings: ConsultationSettings
    created: int
    opened: int | None
    closed: int | None

    def text(self, texts: Mapping[str, str], language: str) -> tuple[str, str]:
        """Return the text in a language, or in the first one there is, and that language."""
        for wanted in (language, *self.settings.languages, *texts):
            if texts.get(wanted):
                return texts[wanted], wanted
        return "", language


def create_consultation(
    store: Store,
    slug: str,
    title: Mapping[str, str],
    question: Mapping[str, str],
    settings: ConsultationSettings | None = None,
    actor: str = "command line",
) -> StoredConsultation:
    """Make a consultation, in draft. Raises InputError where the slug is taken or not valid."""
    if not SLUG.fullmatch(slug):
        raise InputError(
            f'slug "{slug}": use lowercase letters, digits and hyphens, at most 64 (water-2026).'
        )
    with store.write() as c:
        if c.scalar(select(consultation.c.id).where(consultation.c.slug == slug)):
            raise InputError(f'slug "{slug}" is taken in this store; choose another.')
        id = new_id()
        c.execute(
            insert(consultation).values(
                id=id,
                slug=slug,
                title=dict(title),
                question=dict(question),
                phase="draft",
                settings=(settings or ConsultationSettings()).model_dump(mode="json"),
                created=now(),
            )
        )
        audit.append_entry(c, id, actor, "consultation.create", slug)
    return find_consultation(store, slug)


def find_consultation(store: Store, slug: str) -> StoredConsultation:
    """Return the consultation of a slug. Raises NotFoundError."""
    query = select(*STORED).where(consultation.c.slug == slug)
    with store.read() as c:
        return consultation_of_row(tuple(found(c, query, "consultation")))


def find_consultation_by_id(c: Connection, consultation_id: str) -> StoredConsultation:
    """Return the consultation of an id, within a transaction. Raises NotFoundError."""
    query = select(*STORED).where(consultation.c.id == consultation_id)
    return consultation_of_row(tuple(found(c, query, "consultation")))


def list_consultations(store: Store) -> list[StoredConsultation]:
    """Return every consultation of the store, by slug."""
    query = select(*STORED).order_by(consultation.c.slug)
    with store.read() as c:
        return [consultation_of_row(tuple(row)) for row in c.execute(query)]


def set_phase(
    store: Store,
    consultation_id: str,
    phase: Phase,
    actor: str,
    only_from: Phase | None = None,
) -> None:
    """Open, close, reopen or archive it.

    Parameters
    ----------
    only_from : str, optional
        Do nothing where it is in another phase by now.

    Raises
    ------
    InputError
        There is no such phase, or it is opened after the date on which it closes, or without an
        organiser and a contact.
    """
    if phase not in PHASES:
        raise InputError(
            'phase is "%(phase)s"; it must be one of %(known)s.',
            phase=phase,
            known=", ".join(PHASES),
        )
    with store.write() as c:
        before = find_consultation_by_id(c, consultation_id)
        if only_from not in (None, before.phase):
            return
        changes: dict[str, Any] = {"phase": phase}
        closes = before.settings.closes
        if phase == "open" and closes is not None and closes.timestamp() * 1000 <= now():
            raise InputError(
                "the date on which it closes has passed; choose a later one, or none, first."
            )
        if phase == "open":
            if not says_who_asks(before.settings):
                raise InputError(
                    "people read who asks them before they consent: set organiser and contact "
                    "first."
                )
            changes |= {"opened": before.opened or now(), "closed": None}
        elif before.phase == "open":
            changes["closed"] = now()
        c.execute(update(consultation).where(consultation.c.id == consultation_id).values(changes))
        if phase in ("closed", "archived"):
            forget_addresses(c, consultation_id)
        detail = {"from": before.phase, "to": phase}
        audit.append_entry(c, consultation_id, actor, "consultation.phase", phase, detail)


def says_who_asks(settings: ConsultationSettings) -> bool:
    """Whether people can read who asks and whom they can ask, before they consent."""
    return bool(settings.organiser.strip() and settings.contact.strip())


def set_texts(
    store: Store,
    consultation_id: str,
    title: Mapping[str, str],
    question: Mapping[str, str],
    actor: str,
) -> None:
    """Change title and question."""
    with store.write() as c:
        before = find_consultation_by_id(c, consultation_id)
        c.execute(
            update(consultation)
            .where(consultation.c.id == consultation_id)
            .values(title=dict(title), question=dict(question))
        )
        detail = {
            "from": {"title": dict(before.title), "question": dict(before.question)},
            "to": {"title": dict(title), "question": dict(question)},
        }
        audit.append_entry(c, consultation_id, actor, "consultation.texts", "", detail)


def set_settings(
    store: Store, consultation_id: str, changes: Mapping[str, Any], actor: str
) -> ConsultationSettings:
    """Change some settings and leave the others.

    Raises
    ------
    InputError
        A key or value is wrong, or an open consultation would no longer say who asks.
    """
    with store.write() as c:
        what = find_consultation_by_id(c, consultation_id)
        before = what.settings.model_dump(mode="json")
        after = reading.validated(ConsultationSettings, {**before, **changes}, "settings")
        if what.phase == "open" and says_who_asks(what.settings) and not says_who_asks(after):
            raise InputError(
                "people read who asks them before they consent: keep organiser and contact while "
                "the consultation is open."
            )
        plain = after.model_dump(mode="json")
        c.execute(
            update(consultation).where(consultation.c.id == consultation_id).values(settings=plain)
        )
        changed = {
            key: {"from": before[key], "to": plain[key]}
            for key in plain
            if plain[key] != before.get(key)
        }
        audit.append_entry(c, consultation_id, actor, "consultation.settings", "", changed)
    return after


def require_open(c: Connection, consultation_id: str) -> StoredConsultation:
    """Return the consultation, if people may act in it now. Raises RefusedError "closed"."""
    what = find_consultation_by_id(c, consultation_id)
    require_open_phase(what.phase)
    return what


def require_open_phase(phase: str | None) -> None:
    """Refuse an act in any phase but "open", and where there is no consultation (None)."""
    if phase is None:
        raise NotFoundError("there is no such consultation.")
    if phase != "open":
        raise RefusedError("closed", "this consultation is not open now.")


# A consultation as `consultation_of_row` reads it: JSON comes as text from either database.
STORED = tuple(
    cast(column, Text) if column.name in ("title", "question", "settings") else column
    for column in (consultation.c[name] for name in StoredConsultation.__dataclass_fields__)
)


@lru_cache(maxsize=64)
def consultation_of_row(row: tuple[Any, ...]) -> StoredConsultation:
    """Return the consultation of a driver's row of the columns `STORED`.

    It is made once for as long as the row stays as it is.
    """
    values = dict(zip(StoredConsultation.__dataclass_fields__, row, strict=True))
    return StoredConsultation(
        **{
            **values,
            "title": json.loads(values["title"]),
            "question": json.loads(values["question"]),
            "settings": _settings(values["settings"]),
        }
    )


@lru_cache(maxsize=64)
def _settings(text: str) -> ConsultationSettings:
    """Settings as stored, without keys of another version; checked once, not at every request."""
    known = ConsultationSettings.model_fields
    kept = {key: value for key, value in json.loads(text).items() if key in known}
    return ConsultationSettings.model_validate(kept)
