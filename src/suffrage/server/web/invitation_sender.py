"""Sends the invitations and reminders that organisers asked for, one after another."""

from __future__ import annotations

import logging
import smtplib
from pathlib import Path

from suffrage.server.mail import MailSettings, RefusedAddressError, send_mail
from suffrage.server.store.consultations import StoredConsultation, find_consultation_by_id
from suffrage.server.store.database import Store
from suffrage.server.store.invitation_mail import (
    Mail,
    link_token,
    mail_failed,
    mail_sent,
    take_due_mail,
)
from suffrage.server.web.languages import SOURCE, languages
from suffrage.server.web.organise.words import zoned_day

# So that a server that stops waits for few mails only.
AT_ONCE = 20
log = logging.getLogger("suffrage.consult")


def send_due_mails(
    store: Store, settings: MailSettings, base_url: str, locales: Path | None = None
) -> int:
    """Send what is due, at most `AT_ONCE` mails. Returns how many were handed over.

    What fails is tried again later; the reason is on the page of invitations.
    """
    handed_over = 0
    for _ in range(AT_ONCE):
        mail = take_due_mail(store)
        if mail is None:
            break
        with store.read() as c:
            what = find_consultation_by_id(c, mail.consultation_id)
        subject, body = mail_text(what, mail, _link(store, what, mail, base_url), locales)
        try:
            send_mail(settings, mail.address, subject, body, what.settings.contact)
        except RefusedAddressError:
            mail_failed(store, mail, "refused", for_good=True)
        except (OSError, smtplib.SMTPException) as error:
            # Never the address: logs are read by others, and kept longer.
            log.warning("a mail could not be sent (%s)", type(error).__name__)
            mail_failed(store, mail, "unreachable")
        else:
            mail_sent(store, mail)
            handed_over += 1
    return handed_over


def _link(store: Store, what: StoredConsultation, mail: Mail, base_url: str) -> str:
    return f"{base_url}/c/{what.slug}/join?t={link_token(store, mail.invitation_id)}"


def mail_text(
    what: StoredConsultation, mail: Mail, link: str, locales: Path | None = None
) -> tuple[str, str]:
    """Return subject and body of an invitation or a reminder, in the language of its mail."""
    known = languages(locales)
    language = known.get(mail.language, known[SOURCE])
    _ = language.translations.gettext
    title, _of = what.text(what.title, language.code)
    question, _of = what.text(what.question, language.code)
    who = what.settings.organiser or _("The organisers")
    reminder = mail.kind == "reminder"
    subject = _("Reminder: %(title)s") if reminder else _("You are invited: %(title)s")
    closes, num = what.settings.closes, what.settings.minutes
    minutes = language.translations.ngettext(
        "It takes about %(num)s minute.", "It takes about %(num)s minutes.", num
    ) % {"num": num}
    parts = [
        _("Hello,"),
        _("%(who)s invites you to take part in “%(title)s”.") % {"who": who, "title": title},
        question,
        _("You vote on short statements: agree, disagree or pass.") + " " + minutes,
        _("Take part here:") + f"\n{link}",
        _("This link is yours alone. Please do not pass it on: it lets in one person, once."),
        _("You have until %(day)s.") % {"day": zoned_day(closes, what.settings, language.code)}
        if closes
        else "",
        _(
            "We sent this to you because you are on the list of people who are asked. We delete "
            "your address as soon as you start, and never connect it with your answers. "
            "If you do not want to take part, you need not do anything."
        ),
        _("Questions: %(contact)s") % {"contact": what.settings.contact}
        if what.settings.contact
        else "",
        who,
    ]
    draft = "(Draft translation, not checked yet.)" if language.draft else ""
    return subject % {"title": title}, "\n\n".join(part for part in (draft, *parts) if part) + "\n"
