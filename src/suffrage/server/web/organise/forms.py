"""Forms of the organisers' pages: what was typed stays, and each mistake is next to its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from markupsafe import Markup
from starlette.datastructures import FormData

from suffrage.errors import InputError
from suffrage.server.store.database import NotFoundError
from suffrage.server.texts import whole_number
from suffrage.server.web.languages import N_

FieldKind = Literal[
    "line", "sentence", "email", "long", "choice", "tick", "number", "colour", "moment", "zone"
]
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
MOST_CHARACTERS = {"line": 300, "sentence": 300, "email": 300, "long": 5000}


@dataclass(frozen=True)
class Sent:
    """What a form sent."""

    form: FormData = field(default_factory=FormData)
    # An uploaded file's bytes, None without one.
    file: bytes | None = None
    # The name the file has where it comes from.
    file_name: str = ""

    def get(self, name: str, most: int = 20_000) -> str:
        """One text, "" where it is absent."""
        value = self.form.get(name)
        return value[:most] if isinstance(value, str) else ""

    def all(self, name: str) -> list[str]:
        """Every text of a name."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def file_text(self) -> str:
        """The file as text, "" without one. Raises InputError where it is not UTF-8."""
        try:
            return (self.file or b"").decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("the file is not text in UTF-8; save it as UTF-8.") from error


class MistakesError(InputError):
    """What is wrong with a form: each mistake with the name of its field."""

    def __init__(
        self, found: Sequence[tuple[str, InputError]], labels: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(found[0][1].message, **found[0][1].values)
        self.found = tuple(found)
        # What fields are called, by their names, where the mistake alone does not say it.
        self.labels = labels or {}


@contextmanager
def at_field(name: str) -> Iterator[None]:
    """Say of an InputError that is raised within which field it concerns."""
    try:
        yield
    except (NotFoundError, MistakesError):
        raise
    except InputError as error:
        raise MistakesError([(name, error)]) from error


@dataclass(frozen=True)
class Problem:
    """One mistake as a page shows it."""

    # The form it was made in, and the field; "" where it concerns no single field.
    form: str
    name: str
    text: str
    language: str
    # What the field is called, for the list of mistakes at the top.
    label: str = ""

    @property
    def id(self) -> str:
        """The id of the field."""
        return field_id(self.form, self.name) if self.name else ""


def field_id(form: str, name: str) -> str:
    """Return the id of a field: the same name may be in several forms of a page.

    Examples
    --------
    >>> field_id("", "title:en"), field_id("invite", "count")
    ('title-en', 'invite-count')
    """
    return re.sub(r"[^\w-]", "-", f"{form}-{name}" if form else name)


@dataclass(frozen=True)
class FieldView:
    """One field as a template writes it."""

    id: str
    name: str
    # What was typed, or what is stored.
    value: str
    problem: Problem | None
    # Of boxes and choices: every value that was sent; None where no form was sent.
    sent: tuple[str, ...] | None = None
    # Whether a file was sent with the form, which the browser does not keep.
    had_file: bool = False

    def ties(self, hint: object = "", about: str = "") -> Markup:
        """The attributes that tie the field to its hint, its problem and what it is about."""
        ids = [about] if about else []
        ids += [f"{self.id}-problem"] if self.problem else []
        ids += [f"{self.id}-hint"] if hint else []
        wrong = Markup(' aria-invalid="true"') if self.problem else Markup("")
        described = Markup(' aria-describedby="{}"').format(" ".join(ids)) if ids else Markup("")
        return wrong + described

    def has(self, value: str, stored: bool) -> bool:
        """Whether a box or a choice is on: as it was sent, or else as it is stored."""
        return stored if self.sent is None else value in self.sent


@dataclass(frozen=True)
class Ask:
    """One question of a form. Its texts are marked for translation."""

    # The key of the setting.
    name: str
    kind: FieldKind
    label: str
    hint: str = ""
    # Asked once for each language of the consultation.
    each_language: bool = False
    # What may be chosen, with its words.
    options: Mapping[str, str] = field(default_factory=dict)
    least: int = 0
    most: int = 0
    required: bool = False

    def names(self, languages: Sequence[str]) -> list[tuple[str, str]]:
        """The names of its fields, each with its language ("" for all)."""
        return (
            [(f"{self.name}:{of}", of) for of in languages]
            if self.each_language
            else [(self.name, "")]
        )

    def stored(self, value: Any, zone: str) -> str:
        """A setting as its field shows it."""
        if self.kind == "tick":
            return "yes" if value else ""
        if self.kind == "moment":
            return local_moment(value, zone)
        return "" if value is None else str(value)


def local_moment(value: datetime | None, zone: str) -> str:
    """Return a moment as a field for date and time shows it, in a time zone.

    Examples
    --------
    >>> local_moment(datetime(2026, 12, 1, 20, 0, tzinfo=UTC), "Pacific/Auckland")
    '2026-12-02T09:00'
    """
    return "" if value is None else value.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


def time_zones() -> list[str]:
    """Return the time zones by the names of places, with UTC first."""
    places = {zone for zone in available_timezones() if "/" in zone}
    return ["UTC", *sorted(zone for zone in places if not zone.startswith(("Etc/", "SystemV/")))]


def read_answers(asks: Sequence[Ask], sent: Sent, languages: Sequence[str]) -> dict[str, Any]:
    """Return the settings that a form's answers mean.

    Raises
    ------
    MistakesError
        Some answers cannot be used. It has all of them, in the order of the form.
    """
    found: dict[str, Any] = {}
    wrong: list[tuple[str, InputError]] = []
    zone = sent.get("time_zone") or "UTC"
    for ask in asks:
        texts = {}
        for name, of in ask.names(languages):
            try:
                value = _READ[ask.kind](ask, sent.get(name).strip(), zone)
            except InputError as error:
                wrong.append((name, error))
                continue
            texts[of] = value
            first = not of or of == languages[0]
            if ask.required and first and not value:
                wrong.append((name, InputError("this is needed; write something here.")))
        found[ask.name] = (
            {of: text for of, text in texts.items() if text} if ask.each_language else texts.get("")
        )
    if wrong:
        labels = {name: ask.label for ask in asks for name, _ in ask.names(languages)}
        raise MistakesError(wrong, labels)
    return found


def _words(ask: Ask, text: str, zone: str) -> str:
    most = MOST_CHARACTERS[ask.kind]
    if len(text) > most:
        raise InputError(
            "this is %(count)s characters long; use at most %(most)s.", count=len(text), most=most
        )
    return text


def _sentence(ask: Ask, text: str, zone: str) -> str:
    """Return what was typed into a field that grows, where people may start new lines."""
    return _words(ask, " ".join(text.split()), zone)


def _choice(ask: Ask, text: str, zone: str) -> str:
    if text not in ask.options:
        raise InputError("choose one of these.")
    return text


def _number(ask: Ask, text: str, zone: str) -> int:
    number = whole_number(text, ask.most)
    if number is None or number < ask.least:
        raise InputError(
            "write a whole number from %(least)s to %(most)s.", least=ask.least, most=ask.most
        )
    return number


def _colour(ask: Ask, text: str, zone: str) -> str:
    if text and not COLOUR.fullmatch(text):
        raise InputError("write a colour as # and six of 0 to 9 and a to f, such as #0b4f5c.")
    return text.lower()


def _moment(ask: Ask, text: str, zone: str) -> str | None:
    if not text:
        return None
    try:
        there = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise InputError(
            "write day and time as 2026-12-01 09:00: year, month, day, then hours and minutes."
        ) from error
    return there.astimezone(UTC).isoformat()


def _zone(ask: Ask, text: str, zone: str) -> str:
    if text not in time_zones():
        raise InputError("choose one of the time zones in the list.")
    return text


_READ: Mapping[FieldKind, Callable[[Ask, str, str], Any]] = {
    "line": _words,
    "sentence": _sentence,
    "email": _words,
    "long": _words,
    "choice": _choice,
    "tick": lambda ask, text, zone: text == "yes",
    "number": _number,
    "colour": _colour,
    "moment": _moment,
    "zone": _zone,
}

# What every summary of mistakes begins with, as the templates say it.
SUMMARY = N_("There is a problem")
