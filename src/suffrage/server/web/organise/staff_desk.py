"""The organisers' page of a consultation's staff: roles, links to set a password, who may sign in.

An owner decides on the accounts of people all of whose roles are in consultations of that owner.
Anybody else's account is changed on the command line (`suffrage consult staff`).
"""

from __future__ import annotations

from typing import Any, cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from suffrage.errors import InputError
from suffrage.server.store import staff
from suffrage.server.store.sign_in_tries import list_refusals
from suffrage.server.store.staff import Member, Role
from suffrage.server.store.staff_links import LINK_HOURS, link_address, make_link
from suffrage.server.web.organise.desk import Desk
from suffrage.server.web.organise.forms import Sent

REFUSALS = 20


def show_staff(desk: Desk) -> Response:
    """Who has a role, and, for owners, the forms."""
    return _page(desk)


def change_staff(desk: Desk, sent: Sent) -> str | Response:
    """Give a role, make a link, or decide who may sign in."""
    if sent.get("what") == "role":
        return _give_role(desk, sent)
    member = _in_charge_of(desk, sent)
    if sent.get("what") == "link":
        return _with_link(desk, member)
    if sent.get("what") in ("disable", "enable"):
        disabled = sent.get("what") == "disable"
        staff.disable_member(desk.store, member.id, desk.member.id, disabled)
        return urlencode({"done": "disabled" if disabled else "enabled"})
    raise InputError("this form is not known; load the page again.")


def _give_role(desk: Desk, sent: Sent) -> str | Response:
    role = None if sent.get("role") == "none" else cast(Role, sent.get("role"))
    member = staff.member_of_email(desk.store, sent.get("email"))
    if member is not None:
        staff.set_role(desk.store, desk.id, member.id, role, desk.member.id)
        return urlencode({"done": "role"})
    if role is None:
        raise InputError("nobody has this address yet.")
    member = staff.add_member(desk.store, sent.get("email"), None, desk.member.id)
    staff.set_role(desk.store, desk.id, member.id, role, desk.member.id)
    return _with_link(desk, member)


def _in_charge_of(desk: Desk, sent: Sent) -> Member:
    member = staff.member_of_email(desk.store, sent.get("email"))
    if member is None:
        raise InputError("nobody has this address yet.")
    if not staff.is_in_charge_of(desk.store, desk.member.id, member.id):
        raise InputError(
            "this account is not yours to change: it is your own, or the person also works for "
            "another consultation. Whoever runs the server can change it."
        )
    return member


def _with_link(desk: Desk, member: Member) -> Response:
    token = make_link(desk.store, member.id, desk.member.id)
    link = link_address(desk.request.app.state.settings.base_url, token)
    return _page(desk, link=link, link_for=member.email)


def _page(desk: Desk, **more: Any) -> Response:
    owner = desk.may("manage")
    members = staff.list_members(desk.store, desk.id)
    mine = {
        member.id
        for member, _ in members
        if owner and staff.is_in_charge_of(desk.store, desk.member.id, member.id)
    }
    refusals = [
        refusal
        for member, _ in members
        if owner
        for refusal in list_refusals(desk.store, member.id, REFUSALS)
    ]
    values = {
        "members": members,
        "roles": get_args(Role),
        "mine": mine,
        "refusals": sorted(refusals, key=lambda r: -r.at)[:REFUSALS],
        "hours": LINK_HOURS,
        "may": owner,
        "link": "",
        "link_for": "",
        **more,
    }
    return desk.page("staff.html", "staff", values)
