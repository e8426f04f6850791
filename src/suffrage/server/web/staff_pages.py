"""Where staff log in and out, set their passwords, and find their consultations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from suffrage.errors import InputError
from suffrage.server.store import consultations, staff, staff_links, staff_sessions
from suffrage.server.store.sign_in_tries import WaitError, list_refusals
from suffrage.server.web import protection
from suffrage.server.web.languages import N_, SOURCE
from suffrage.server.web.organise.new_pages import may_make
from suffrage.server.web.organise.words import Words
from suffrage.server.web.rate_limits import TooManyError
from suffrage.server.web.visit import (
    ACCOUNT,
    STAFF,
    AMember,
    Form,
    choose_language,
    field,
    network_of,
    render,
    spend,
    staff_languages,
    store_of,
    unserved_language,
    with_visit,
)

router = APIRouter(prefix="/admin", include_in_schema=False)
# The cookie of a browser in which a member has signed in.
BROWSER = "browser"
ONLY_IN = N_("Pages for organisers are in %(languages)s only.")


@router.get("/login")
def log_in_page(request: Request) -> HTMLResponse:
    """The form."""
    return _page(request, "login.html", unserved=_unserved(request))


def _unserved(request: Request) -> tuple[Markup, str] | None:
    """What is said to somebody whose language these pages are not in, and the language it is in."""
    wanted = unserved_language(request)
    if wanted is None:
        return None
    names = wanted.listed_in_themselves(staff_languages(request))
    said = wanted.translations.gettext(ONLY_IN)
    return escape(said) % {"languages": names}, SOURCE if said == ONLY_IN else wanted.code


@router.post("/login")
def post_log_in(request: Request, form: Form) -> Any:
    """Let a member in. After wrong passwords there is a wait, for this network or browser only."""
    email = field(form, "email", 200).strip().lower()
    store = store_of(request)
    known = request.cookies.get(protection.cookie_name(request, BROWSER), "")
    if not staff_sessions.is_known_browser(store, email, known):
        spend(request, "login")
    try:
        found = staff_sessions.log_in_member(
            store, email, field(form, "password", 1024), network_of(request), known
        )
    except WaitError as error:
        raise TooManyError(error.seconds) from error
    if found is None:
        return _page(request, "login.html", 403, email=email, failed=True)
    return _come_in(request, found, "/admin")


def _come_in(request: Request, found: staff_sessions.SignedIn, page: str) -> RedirectResponse:
    """To a page, with the cookies of a new session and of the browser."""
    response = RedirectResponse(page, 303)
    # A name given before sign-in must not be one after it.
    protection.drop_cookie(request, response, protection.VISIT)
    hours, days = staff_sessions.SESSION_HOURS, staff_sessions.BROWSER_DAYS
    protection.set_cookie(request, response, STAFF, found.session, hours * 3600)
    protection.set_cookie(request, response, BROWSER, found.browser, days * 24 * 3600)
    return response


@router.post("/logout")
def post_log_out(request: Request, form: Form) -> Any:
    """End the session here and in the store."""
    token = request.cookies.get(protection.cookie_name(request, STAFF))
    if token:
        staff_sessions.log_out_member(store_of(request), token)
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


@router.get("/account")
def account_page(request: Request, member: AMember, done: str = "") -> HTMLResponse:
    """A member's own account: the password, and sign-ins that were refused."""
    return _account(request, member, done=done == "password")


@router.post("/account")
def post_password(request: Request, form: Form, member: AMember) -> Any:
    """Change the password. It ends all sessions but a new one here."""
    spend(request, "login")
    store, new = store_of(request), field(form, "new", 1024)
    try:
        _require_twice(form, new)
        staff.change_own_password(store, member.id, field(form, "old", 1024), new)
    except InputError as error:
        return _account(request, member, 422, problem=error)
    return _come_in(
        request, staff_sessions.sign_in_again(store, member.id), f"{ACCOUNT}?done=password"
    )


@router.get("/password")
def link_page(request: Request, t: str = "") -> HTMLResponse:
    """Where a one-time link leads. Opening it does not use it up."""
    member = staff_links.member_of_link(store_of(request), t)
    status = 403 if member is None else 200
    return _page(request, "set_password.html", status, member=member, token_of_link=t)


@router.post("/password")
def post_link(request: Request, form: Form) -> Any:
    """Set the password, and let the member in."""
    spend(request, "login")
    store, token, new = store_of(request), field(form, "t", 100), field(form, "new", 1024)
    member = staff_links.member_of_link(store, token)
    if member is None:
        return _page(request, "set_password.html", 403, member=None, token_of_link="")
    try:
        _require_twice(form, new)
        staff_links.set_password_by_link(store, token, new)
    except InputError as error:
        values = {"member": member, "token_of_link": token, "problem": error}
        return _page(request, "set_password.html", 422, **values)
    return _come_in(request, staff_sessions.sign_in_again(store, member.id), "/admin")


def _require_twice(form: Form, new: str) -> None:
    if new != field(form, "again", 1024):
        raise InputError("the two new passwords are not the same.")


def _account(
    request: Request, member: staff.Member, status: int = 200, **values: Any
) -> HTMLResponse:
    refusals = list_refusals(store_of(request), member.id, 20)
    return _page(request, "account.html", status, member=member, refusals=refusals, **values)


def _page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    language = choose_language(request, None)
    offered = staff_languages(request)
    problem = values.pop("problem", None)
    values["problem"] = None if problem is None else language.told(problem)
    return render(request, template, language, status, offered, words=Words(language), **values)
