"""Where staff log in and out, and the list of their consultations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from suffrage.server.store import consultations, staff
from suffrage.server.web import protection
from suffrage.server.web.organise.new_pages import may_make
from suffrage.server.web.organise.words import Words
from suffrage.server.web.visit import (
    STAFF,
    AMember,
    Form,
    choose_language,
    field,
    render,
    spend,
    staff_languages,
    store_of,
    with_visit,
)

router = APIRouter(prefix="/admin", include_in_schema=False)


@router.get("/login")
def log_in_page(request: Request) -> HTMLResponse:
    """The form."""
    return _page(request, "login.html")


@router.post("/login")
def post_log_in(request: Request, form: Form) -> Any:
    """Ten attempts an hour, for a network and for an address."""
    email = field(form, "email", 200).strip().lower()
    spend(request, "login", email)
    found = staff.log_in_member(store_of(request), email, field(form, "password", 1024))
    if found is None:
        return _page(request, "login.html", 403, email=email, failed=True)
    response = RedirectResponse("/admin", 303)
    # A name given before log-in must not be one after it.
    protection.drop_cookie(request, response, protection.VISIT)
    protection.set_cookie(request, response, STAFF, found[1], staff.SESSION_HOURS * 3600)
    return response


@router.post("/logout")
def post_log_out(request: Request, form: Form) -> Any:
    """End the session here and in the store."""
    token = request.cookies.get(protection.cookie_name(request, STAFF))
    if token:
        staff.log_out_member(store_of(request), token)
    response = RedirectResponse("/admin/login", 303)
    protection.drop_cookie(request, response, STAFF)
    return with_visit(request, response)


@router.get("")
def staff_page(request: Request, member: AMember) -> HTMLResponse:
    """The consultations this member has a role in."""
    store = store_of(request)
    roles = staff.roles_of(store, member.id)
    theirs = [a for a in consultations.list_consultations(store) if a.id in roles]
    return _page(
        request,
        "staff.html",
        member=member,
        consultations=theirs,
        roles=roles,
        may_make=may_make(request, member),
    )


def _page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    language = choose_language(request, None)
    offered = staff_languages(request)
    return render(request, template, language, status, offered, words=Words(language), **values)
