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
    who = what.settings.organiser or _("the organisers of this consultation")
    more, _language = what.text(what.settings.consent_more, language.code)
    until, _language = what.text(what.settings.withdrawal, language.code)
    paragraphs = [
        _(
            "This consultation is run by %(who)s. Its purpose is to learn what people hold to be "
            "right, and to use that to shape how an artificial intelligence answers."
        )
        % {"who": who},
        _(
            "Taking part is voluntary. You may skip any question, and stop at any time. "
            "You need to be 18 or older."
        ),
        _(
            "We store your votes, what you write, and what you choose to tell about yourself. "
            "We do not store your name, your network address, or the time of day in anything we "
            "publish."
        ),
        _(
            "You can withdraw on the page My answers: everything you gave is deleted at once. "
            "What has been published before cannot be called back; it is left out of the next "
            "publication."
        ),
        _(
            "There is a risk that somebody who knows several of your answers recognises the "
            "others. That is why publishing your votes is a choice of its own."
        ),
        _("What you agree to have published may be used by anyone under the licence %(licence)s.")
        % {"licence": what.settings.licence},
    ]
    paragraphs += [text for text in (until, more) if text]
    if what.settings.contact:
        paragraphs.append(_("Questions: %(contact)s") % {"contact": what.settings.contact})
    return ConsentText(
        tuple(paragraphs),
        {
            "take_part": _("I am 18 or older and want to take part. My answers are counted."),
            "votes": _("My votes may be published, without anything else about me."),
            "texts": _("The statements I write may be published, without my name."),
            "training": _("My answers may be used to train an artificial intelligence."),
        },
        language.code,
    )
