"""The page of invitations: made as links or sent by e-mail, listed, sent again and revoked."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.consult.csv_files import neutralised
from suffrage.errors import InputError
from suffrage.server.mail import is_address
from suffrage.server.store import invitation_mail, invitations
from suffrage.server.store.database import DAY, NotFoundError, now
from suffrage.server.store.invitation_mail import Mail, MailKind
from suffrage.server.store.invitations import Invitation
from suffrage.server.texts import whole_number
from suffrage.server.web.languages import N_
from suffrage.server.web.organise import page_figures as figures
from suffrage.server.web.organise.desk import Desk, add_section, file_response
from suffrage.server.web.organise.forms import MistakesError, Sent, at_field

A_PAGE = 50
MOST_AT_ONCE = 5000
STATES = {
    "open": N_("Not used yet"),
    "used": N_("Used"),
    "expired": N_("Expired"),
    "revoked": N_("Revoked"),
}
# Why a mail was not sent, as `mail_failed` records it.
FAILURES = {
    "refused": N_("The address does not exist, or takes no mail."),
    "unreachable": N_("The mail server could not be reached, or refused."),
}


@dataclass(frozen=True)
class _Row:
    """An invitation in the list."""

    invitation: Invitation
    # One of `STATES`.
    state: str
    mail: Mail | None


def _invitations(desk: Desk) -> Response:
    rows = _rows(desk)
    wanted = desk.query("state", "open")
    wanted = wanted if wanted in STATES else "open"
    kept = [row for row in rows if row.state == wanted]
    pages = max(1, -(-len(kept) // A_PAGE))
    at = desk.page_number(pages)
    mails = [row.mail for row in rows if row.mail]
    values = {
        "states": [
            (state, desk._(word), sum(row.state == state for row in rows))
            for state, word in STATES.items()
        ],
        "state": wanted,
        "rows": kept[(at - 1) * A_PAGE : at * A_PAGE],
        "page": at,
        "pages": pages,
        "failures": {why: desk._(words) for why, words in FAILURES.items()},
        "invited": figures.invitations_by_stratum(desk.store, desk.id),
        "waiting": sum(mail.due is not None for mail in mails),
        "failed": sum(mail.due is None and bool(mail.failed) for mail in mails),
        "to_remind": len(_to_remind(rows)),
        "mail": desk.request.app.state.settings.mail,
        "languages": desk.language_pairs(),
        "may": desk.may("manage"),
    }
    return desk.page("invitations.html", "invitations", values)


def _rows(desk: Desk) -> list[_Row]:
    mails = invitation_mail.list_mails(desk.store, desk.id)
    found = invitations.list_invitations(desk.store, desk.id)
    return [_Row(one, _state(one), mails.get(one.id)) for one in reversed(found)]


def _to_remind(rows: list[_Row]) -> list[str]:
    """The invitations that were sent, can still be used and do not wait to be sent again."""
    return [
        row.mail.invitation_id
        for row in rows
        if row.mail and row.state == "open" and row.mail.due is None and row.mail.sent > 0
    ]


def _state(one: Invitation) -> str:
    if one.used_at is not None:
        return "used"
    if one.revoked_at is not None:
        return "revoked"
    return "expired" if one.expires is not None and one.expires <= now() else "open"


def _act(desk: Desk, sent: Sent) -> str | Response:
    me, what = desk.member.id, sent.get("what")
    if what == "links":
        return _links(desk, sent)
    if what == "revoke":
        invitations.revoke_invitation(desk.store, desk.id, sent.get("id"), me)
        return "done=revoked"
    if desk.request.app.state.settings.mail is None:
        raise InputError("this server sends no mail; start it with --smtp, or send the links.")
    if what == "mail":
        return _mail(desk, sent)
    if what == "resend":
        mail = invitation_mail.list_mails(desk.store, desk.id).get(sent.get("id"))
        if mail is None:
            raise NotFoundError("the address of this invitation is not kept any more.")
        _require_open(desk)
        kind: MailKind = "reminder" if mail.sent else "invitation"
        ids = [mail.invitation_id]
        invitation_mail.send_again(desk.store, desk.id, kind, me, ids)
        return "done=resent"
    if what == "remind":
        _require_open(desk)
        ids = _to_remind(_rows(desk))
        count = invitation_mail.send_again(desk.store, desk.id, "reminder", me, ids)
        return urlencode({"done": "reminded", "count": count})
    raise InputError("this form is not known; load the page again.")


def _require_open(desk: Desk) -> None:
    if desk.about.phase != "open":
        raise InputError("open the consultation first, so that the links work.")


def _mail(desk: Desk, sent: Sent) -> str:
    _require_open(desk)
    with at_field("addresses"):
        addresses = addresses_of(sent.file_text() or sent.get("addresses", 500_000))
    language = sent.get("language")
    languages = desk.about.settings.languages
    count = invitation_mail.invite_addresses(
        desk.store,
        desk.id,
        addresses,
        desk.member.id,
        language if language in languages else languages[0],
        sent.get("stratum").strip()[:80],
        _expires(sent),
    )
    return urlencode({"done": "invited", "count": count})


def addresses_of(text: str) -> list[str]:
    """Return the addresses in a text: one per line, or with commas or semicolons between.

    Raises
    ------
    InputError
        There is none, there are too many, or one is no address. It says which line that is on.

    Examples
    --------
    >>> addresses_of("ana@example.org, Bo Li <bo@example.org>")
    ['ana@example.org', 'bo@example.org']
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for part in re.split("[,;\t]", line):
            named = re.fullmatch(r".*<([^<>]*)>", part.strip())
            address = (named.group(1) if named else part).strip().strip('"')
            if number == 1 and address.casefold() in ("email", "e-mail", "address"):
                continue  # the heading of a table
            if address and not is_address(address):
                raise InputError(
                    "line %(line)s: “%(text)s” is not an email address.",
                    line=number,
                    text=address[:80],
                )
            found += [address] if address else []
    if not found:
        raise InputError("write one address per line.")
    if len(found) > MOST_AT_ONCE:
        raise InputError("these are too many; use at most %(most)s at once.", most=MOST_AT_ONCE)
    return list(dict.fromkeys(found))


def _expires(sent: Sent) -> int | None:
    days = whole_number(sent.get("days").strip(), 365)
    if sent.get("days").strip() and not days:
        problem = InputError("write a number of days from 1 to 365, or leave it empty.")
        raise MistakesError([("days", problem)])
    return now() + days * DAY if days else None


def _links(desk: Desk, sent: Sent) -> Response:
    """Invitations as a file, because their links are kept nowhere."""
    count = whole_number(sent.get("count").strip(), MOST_AT_ONCE)
    if not count:
        problem = InputError("write a number from 1 to %(most)s.", most=MOST_AT_ONCE)
        raise MistakesError([("count", problem)])
    expires = _expires(sent)
    stratum = sent.get("stratum").strip()[:80]
    tokens = invitations.create_invitations(
        desk.store, desk.id, count, desk.member.id, stratum, expires
    )
    # Not of the request: whoever sends it chooses its host.
    start = f"{desk.address}/join?t="
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("stratum", "link"))
    rows.writerows((neutralised(stratum), f"{start}{token}") for token in tokens)
    name = f"{desk.about.slug}-invitations.csv"
    return file_response(out.getvalue(), name, "text/csv; charset=utf-8")


router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)
add_section(router, "/invitations", _invitations, _act)
