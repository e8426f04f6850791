"""The languages of the pages: gettext catalogues, which one a reader gets, and their direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal
from markupsafe import Markup

from suffrage.errors import InputError

LOCALES = Path(__file__).parent / "locale"
SOURCE = "en"


@dataclass(frozen=True)
class Language:
    """One language of the pages."""

    code: str
    # In the language itself.
    name: str
    # ltr or rtl.
    direction: str
    # Whether the translation is unchecked, which the page then says.
    draft: bool
    translations: NullTranslations
    # Whether it has the texts of participants' pages only, and none of organisers'.
    for_participants_only: bool = False

    def day(self, iso: str) -> str:
        """A date as people of the language write it. iso: such as 2026-11-25."""
        try:
            return format_date(date.fromisoformat(iso), "d MMMM y", Locale.parse(self.code))
        except (UnknownLocaleError, ValueError):
            return iso

    def day_of(self, milliseconds: int) -> str:
        """The date of a moment, in UTC. milliseconds: since 1970."""
        return self.day(datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat())

    def figure(self, number: int) -> str:
        """A number as people of the language write it, such as 12,345."""
        try:
            return format_decimal(number, locale=Locale.parse(self.code))
        except (UnknownLocaleError, ValueError):
            return f"{number:,}"

    def listed(self, names: Sequence[str]) -> str:
        """Names as people of the language list them, such as A, B, and C."""
        try:
            return format_list(names, "standard", Locale.parse(self.code))
        except (UnknownLocaleError, ValueError):
            return ", ".join(names)

    def listed_in_themselves(self, others: Sequence[Language]) -> Markup:
        """Languages as people of this one list them, each with its own name, marked as such."""
        name = Markup('<span lang="{}" dir="auto">{}</span>')
        return Markup(self.listed([name.format(one.code, one.name) for one in others]))

    def told(self, error: InputError) -> tuple[str, str]:
        """What went wrong, with the language it is in: English where there is no translation."""
        said = self.translations.gettext(error.message) if error.message else ""
        of = self.code if said != error.message else SOURCE
        said = said % error.values if error.values else said
        return said[:1].upper() + said[1:], of


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Mark a text for translation where it is written; it is translated where it is shown."""
    return text


@cache
def languages(more: Path | None = None) -> dict[str, Language]:
    """Return every language that has a catalogue, English first.

    more: a further folder of catalogues.
    """
    found = {SOURCE: _language(SOURCE, None)}
    for folder in (LOCALES, more):
        for path in sorted(folder.glob("*/LC_MESSAGES/messages.mo")) if folder else ():
            code = path.parts[-3]
            found[code] = _language(code, path)
    return found


def preferred(header: str, offered: Iterable[str]) -> str | None:
    """The offered language a browser's Accept-Language likes best."""
    return _preferred(header[:500], tuple(offered))


@lru_cache(maxsize=1024)
def _preferred(header: str, known: tuple[str, ...]) -> str | None:
    ranked = []
    for at, part in enumerate(header.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        ranked.append((-weight, at, tag.split("-")[0].lower()))
    return next((tag for weight, _, tag in sorted(ranked) if weight < 0 and tag in known), None)


def direction(code: str) -> str:
    """ltr or rtl, of any language's code."""
    try:
        return str(Locale.parse(code.replace("-", "_")).text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def own_name(code: str) -> str:
    """A language's name in itself."""
    if code in _NAMES:
        return _NAMES[code]
    try:
        name = Locale.parse(code.replace("-", "_")).display_name or code
    except (UnknownLocaleError, ValueError):
        name = code
    return name[:1].upper() + name[1:]


def _language(code: str, path: Path | None) -> Language:
    translations = NullTranslations()
    if path is not None:
        with path.open("rb") as file:
            translations = GNUTranslations(file)
    # A catalogue says of itself that a translator has read it; what says nothing is a draft.
    status = translations.gettext("translation status: draft or checked")
    scope = translations.gettext("translation scope: everything or participants")
    return Language(
        code=code,
        name=own_name(code),
        direction=direction(code),
        draft=code != SOURCE and status != "checked",
        translations=translations,
        for_participants_only=scope == "participants",
    )


# Where the name the speakers use is not the one in Unicode's tables.
_NAMES = {"mi": "Te reo Māori"}
