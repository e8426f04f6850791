"""E-mail through the SMTP server that the operator names."""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

from suffrage.errors import InputError

PASSWORD = "SUFFRAGE_SMTP_PASSWORD"
# Seconds for which the mail server may say nothing.
PATIENCE = 20.0
# The schemes of an address, with the port each has where none is named.
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
log = logging.getLogger("suffrage.consult")


@dataclass(frozen=True)
class MailSettings:
    """The mail server, and in whose name mails are sent."""

    # smtp, smtp+starttls or smtps.
    scheme: str
    host: str
    port: int
    # Such as "The council <consult@example.org>".
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class RefusedAddressError(Exception):
    """The mail server will never take a mail to this address."""


def mail_settings(url: str | None, sender: str | None) -> MailSettings | None:
    """Read the address of a mail server, such as smtp+starttls://user@mail.example.org:587.

    The password is in `SUFFRAGE_SMTP_PASSWORD`, because the arguments of a process can be read by
    everybody on the machine.

    Raises
    ------
    InputError
        The address is not one, holds a password, or names no sender.
    """
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise InputError(
            f'--smtp is "{parts.scheme}://{parts.hostname or ""}"; write it as '
            "smtp+starttls://user@mail.example.org, smtps://... or smtp://..."
        )
    if parts.password is not None:
        raise InputError(
            f"--smtp holds a password, which others on this machine can read; export it as "
            f"{PASSWORD} and leave it out."
        )
    if not sender or not is_address(parseaddr(sender)[1]):
        raise InputError('name who sends mails with --mail-from "The council <name@example.org>".')
    return MailSettings(
        parts.scheme,
        parts.hostname,
        parts.port or PORTS[parts.scheme],
        sender,
        unquote(parts.username or ""),
        os.environ.get(PASSWORD, ""),
    )


def is_address(text: str) -> bool:
    """Whether a text is an e-mail address that can be sent to.

    Examples
    --------
    >>> is_address("ana@example.org"), is_address("ana@example"), is_address("a b@example.org")
    (True, False, False)
    """
    if not 3 <= len(text) <= 254 or not text.isascii() or not text.isprintable():
        return False
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        return False
    name, dot, last = address.domain.rpartition(".")
    return bool(address.username and name and dot and len(last) >= 2 and ".." not in address.domain)


def send_mail(settings: MailSettings, to: str, subject: str, body: str, reply_to: str = "") -> None:
    """Hand one mail over to the mail server.

    Raises
    ------
    RefusedAddressError
        The server refuses the address for good.
    OSError, smtplib.SMTPException
        The server cannot be reached now, or refuses.
    """
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = to
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=parseaddr(settings.sender)[1].rpartition("@")[2])
    # Automatic answers such as "out of the office" are not wanted.
    mail["Auto-Submitted"] = "auto-generated"
    if reply_to and is_address(reply_to):
        mail["Reply-To"] = reply_to
    mail.set_content(body)
    with _connection(settings) as server:
        if settings.user:
            server.login(settings.user, settings.password)
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            if codes and min(codes) >= 500:
                raise RefusedAddressError from error
            raise


def _connection(settings: MailSettings) -> smtplib.SMTP:
    if settings.scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=PATIENCE, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=PATIENCE)
    if settings.scheme == "smtp+starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except Exception:
            server.close()
            raise
    return server
