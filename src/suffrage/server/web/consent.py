"""What people consent to, in words: shown on the page, and kept as the hash of these very words."""

from __future__ import annotations

from dataclasses import dataclass

from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.web.languages import SOURCE, Language, languages


@dataclass(frozen=True)
class ConsentText:
    """The text that somebody agrees to."""

    # Read before anything is given.
    paragraphs: tuple[str, ...]
    # What it means to tick each field of the form.
    scopes: dict[str, str]
    # The language the text is in.
    language: str

    @property
    def whole(self) -> str:
        """All of it, as hashed."""
        return "\n".join((*self.paragraphs, *(f"[{k}] {v}" for k, v in self.scopes.items())))


def consent_text(what: StoredConsultation, language: Language) -> ConsentText:
    """Return the consent text of a consultation in a language.

    It is in English where the language's translation is a draft: nobody can agree to words that may
    be wrong.
    """
    if language.draft:
        language = languages()[SOURCE]
    _ = language.translations.gettext
    who = what.settings.organiser or _("The organiser")
    more, _language = what.text(what.settings.consent_more, language.code)
    until, _language = what.text(what.settings.withdrawal, language.code)
    paragraphs = [
        _(
            "%(who)s runs this consultation. We want to know what people think is right. We "
            "use it to help decide how an AI answers."
        )
        % {"who": who},
        _(
            "Taking part is your choice. You can skip any question and stop at any time. You "
            "must be 18 or older."
        ),
        _(
            "We keep your votes, what you write, and what you tell us about yourself. What we "
            "publish never has your name, your network address or the time of day in it."
        ),
        _(
            "You can withdraw on the page My answers. We then delete all you gave us at once. "
            "Backup copies may keep it for a while. We cannot call back what we have already "
            "published, but we leave it out of the next release."
        ),
        _(
            "Someone who knows some of your answers might guess which of the others are yours. "
            "So you choose if we may publish your votes."
        ),
        _("Anyone may use what you let us publish, under the licence %(licence)s.")
        % {"licence": what.settings.licence},
    ]
    paragraphs += [text for text in (until, more) if text]
    if what.settings.contact:
        paragraphs.append(_("Questions: %(contact)s") % {"contact": what.settings.contact})
    return ConsentText(
        tuple(paragraphs),
        {
            "take_part": _("I am 18 or older and want to take part. You may count my answers."),
            "votes": _("You may publish my votes, with nothing else about me."),
            "texts": _("You may publish the statements I write, without my name."),
            "training": _("You may use my answers to train an AI."),
        },
        language.code,
    )
