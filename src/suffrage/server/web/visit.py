"""One request to a page: which consultation, whose, in which language, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from suffrage.server.store import consultations, participants, staff, staff_sessions
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import NotFoundError, Store
from suffrage.server.store.driver import Driver
from suffrage.server.store.participants import Participant
from suffrage.server.store.staff import Member, Role
from suffrage.server.store.waiting_room import WaitingRoom
from suffrage.server.web import protection
from suffrage.server.web.languages import Language, direction, languages, own_name, preferred
from suffrage.server.web.next_tasks import Drawing
from suffrage.server.web.rate_limits import Limits, network

LANGUAGE = "language"
# Of organisers' pages, which are in fewer languages than those of participants.
STAFF_LANGUAGE = "staff-language"
STAFF = "staff"
# The page of a member's own account.
ACCOUNT = "/admin/account"
YEAR = 365 * 24 * 3600

_Answered = TypeVar("_Answered")


class LogInError(Exception):
    """Nobody is logged in; the page leads to the sign-in."""

    page = "/admin/login"


class ChangePasswordError(LogInError):
    """A member is logged in with a password that somebody else knows; they change it first."""

    page = ACCOUNT


class ElsewhereError(Exception):
    """This page is not for the reader yet; another one is."""

    def __init__(self, visit: Visit, page: str) -> None:
        super().__init__(page)
        self.visit = visit
        self.page = page


class ForbiddenError(Exception):
    """The member of staff may not do this here."""


@dataclass
class Visit:
    """A request to a page of one consultation."""

    request: Request
    store: Store
    what: StoredConsultation
    # None before joining.
    participant: Participant | None
    language: Language

    @property
    def is_open(self) -> bool:
        """Whether people may act in this consultation now."""
        return self.what.phase == "open"

    @property
    def offered(self) -> list[Language]:
        """The languages of this consultation that there are pages in."""
        return offered(self.request, self.what)

    @property
    def person(self) -> str:
        """A mark of the person whose unsent votes this browser keeps; "" without a session."""
        who = self.participant
        return self.store.secrets.hash("unsent", who.id)[:16] if who else ""

    def _(self, text: str, **values: Any) -> str:
        """A text of the pages in the reader's language."""
        said = self.language.translations.gettext(text)
        return said % values if values else said

    def say(self, texts: Mapping[str, str]) -> tuple[str, str]:
        """A consultation's text in the reader's language, with the language it is in."""
        return self.what.text(texts, self.language.code)

    def url(self, page: str = "") -> str:
        """The address of a page of this consultation."""
        return f"/c/{self.what.slug}" + (f"/{page}" if page else "")

    @property
    def has_answers(self) -> bool:
        """Whether there are answers to compare and to like."""
        return bool(drawing_of(self.request).questions(self.what)[1])

    @property
    def origin(self) -> str:
        """Where people find the server, such as https://consult.example.org."""
        origin: str = self.request.app.state.settings.base_url
        return origin.rstrip("/")

    @property
    def address(self) -> str:
        """The whole address of this page, without what is asked of it."""
        return self.origin + self.request.url.path

    def go(self, page: str) -> RedirectResponse:
        """After a form, to a page that can be loaded again."""
        response = RedirectResponse(self.url(page), 303)
        with_visit(self.request, response)
        return response

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of this consultation."""
        return answered(self.request, self.text(template, **values), self.language, status)

    def text(self, template: str, **values: Any) -> str:
        """The same as text."""
        title, title_language = self.say(self.what.title)
        context = {
            "visit": self,
            "what": self.what,
            "participant": self.participant,
            "title": title,
            "title_language": title_language,
            "person": self.person,
            **values,
        }
        return rendered(self.request, template, self.language, self.offered, **context)


@dataclass
class PersonVisit(Visit):
    """A visit of somebody who has joined."""

    participant: Participant


def store_of(request: Request) -> Store:
    """The open store of the server."""
    found: Store = request.app.state.store
    return found


def drawing_of(request: Request) -> Drawing:
    """What draws for all participants of this process."""
    found: Drawing = request.app.state.drawing
    return found


def spend(request: Request, act: str, caller: str | None = None) -> None:
    """Count an act against the caller's allowances. Raises TooManyError."""
    limits: Limits = request.app.state.limits
    if act == "join":
        request.app.state.one_address.joined(request.client.host if request.client else None)
    limits.spend(act, network_of(request), caller)


def network_of(request: Request) -> str:
    """The network that a request comes from."""
    return network(request.client.host if request.client else None)


def offered(request: Request, what: StoredConsultation) -> list[Language]:
    """The languages of a consultation that there are pages in; English where none is."""
    known = languages(request.app.state.settings.locales)
    return [known[c] for c in what.settings.languages if c in known] or [known["en"]]


def staff_languages(request: Request) -> list[Language]:
    """The languages of the organisers' pages, whatever a consultation offers."""
    known = languages(request.app.state.settings.locales).values()
    return [language for language in known if not language.for_participants_only]


def languages_for(request: Request, what: StoredConsultation | None) -> list[Language]:
    """The languages that a page can be read in.

    A page of participants that belongs to no consultation, such as one that is missing, can be read
    in every language.
    """
    if what is not None:
        return offered(request, what)
    if request.url.path.startswith("/admin"):
        return staff_languages(request)
    return list(languages(request.app.state.settings.locales).values())


def choose_language(
    request: Request, what: StoredConsultation | None, remembered: bool = True
) -> Language:
    """By the reader's own choice, then their browser's, then the consultation's first.

    remembered: whether a choice that a cookie remembers counts.
    """
    codes = [one.code for one in languages_for(request, what)]
    known = languages(request.app.state.settings.locales)
    return known[_wanted_of(request, codes, remembered) or codes[0]]


def unserved_language(request: Request) -> Language | None:
    """The language that a reader of organisers' pages wants, where they are not in it."""
    known = languages(request.app.state.settings.locales)
    wanted = _wanted_of(request, list(known))
    return known[wanted] if wanted and known[wanted].for_participants_only else None


def _wanted_of(request: Request, codes: list[str], remembered: bool = True) -> str | None:
    """Which of these languages the reader chose here, or before, or else in the browser."""
    cookies = (_language_cookie(request), LANGUAGE) if remembered else ()
    chosen = [request.cookies.get(protection.cookie_name(request, name)) for name in cookies]
    browser = preferred(request.headers.get("accept-language", ""), codes)
    every = (request.query_params.get("lang"), *chosen, browser)
    return next((code for code in every if code in codes), None)


def _language_cookie(request: Request) -> str:
    return STAFF_LANGUAGE if request.url.path.startswith("/admin") else LANGUAGE


def visit(request: Request, slug: str) -> Visit:
    """The visit of a page under /c/{slug}. Raises NotFoundError for a consultation there is not."""
    with store_of(request).read() as c:
        return visit_within(Driver(c), request, slug)


def visit_within(d: Driver, request: Request, slug: str) -> Visit:
    """As `visit`, within a transaction."""
    store = store_of(request)
    seen = participants.enter(d, store.secrets, slug, session_of(request, slug))
    if seen.participant is None:
        refuse_draft(seen.consultation, request)
    request.state.what = seen.consultation
    language = choose_language(request, seen.consultation)
    return Visit(request, store, seen.consultation, seen.participant, language)


def refuse_draft(what: StoredConsultation, request: Request | None = None) -> None:
    """Raise NotFoundError for a draft, which does not exist yet for anybody but its staff.

    request: of a browser, in which a member of staff may be logged in.
    """
    if what.phase != "draft":
        return
    if request is not None:
        with suppress(LogInError):
            if staff.role_of(store_of(request), what.id, member_of(request).id) is not None:
                return
    raise NotFoundError("there is no such consultation.")


def public_visit(request: Request, slug: str) -> Visit:
    """As `visit`, of nobody in particular: no cookie is read, so all who ask see the same.

    A draft is not found, even by its own staff.
    """
    what = consultations.find_consultation(store_of(request), slug)
    refuse_draft(what)
    request.state.what = what
    language = choose_language(request, what, remembered=False)
    return Visit(request, store_of(request), what, None, language)


def joined_visit(v: Annotated[Visit, Depends(visit)]) -> PersonVisit:
    """The visit of somebody who has joined. Raises ElsewhereError."""
    if v.participant is None:
        raise ElsewhereError(v, "join")
    return PersonVisit(v.request, v.store, v.what, v.participant, v.language)


def person_visit(v: Annotated[Visit, Depends(visit)]) -> PersonVisit:
    """The visit of somebody who takes part. Raises ElsewhereError."""
    joined = joined_visit(v)
    if not joined.participant.takes_part:
        raise ElsewhereError(v, "consent")
    return joined


def session_of(request: Request, slug: str) -> str:
    """The session this browser has in a consultation, "" without one."""
    return request.cookies.get(protection.cookie_name(request, f"in-{slug}"), "")


async def done_together(
    request: Request, session: str, act: Callable[[Driver], _Answered]
) -> _Answered:
    """Have an act done in one transaction with those of others who wait; see `WaitingRoom`."""
    room: WaitingRoom = request.app.state.room
    return await room.ask(session, act)


async def checked_form(request: Request) -> FormData:
    """A page's form, if it came from one of our pages. Raises ForgedError."""
    if request.headers.get("content-type", "") == "application/x-www-form-urlencoded":
        # What browsers send unless there is a file; the parser for those is slow.
        sent = (await request.body()).decode("latin-1")
        try:
            pairs: list[tuple[str, str | UploadFile]] = [
                *parse_qsl(sent, keep_blank_values=True, max_num_fields=protection.MOST_FIELDS)
            ]
        except ValueError as error:
            raise HTTPException(400) from error
        form = FormData(pairs)
    else:
        form = await request.form(max_files=1, max_fields=protection.MOST_FIELDS)
    protection.refuse_nul(form)
    state = request.app.state
    if protection.is_from_here(request, state.settings.base_url):
        # For the page that says why the form was refused: it offers to send it again.
        request.state.sent = form
    protection.check_form(request, form, state.store.secrets, state.settings.base_url)
    return form


APage = Annotated[Visit, Depends(visit)]
APublic = Annotated[Visit, Depends(public_visit)]
AJoined = Annotated[PersonVisit, Depends(joined_visit)]
APerson = Annotated[PersonVisit, Depends(person_visit)]
Form = Annotated[FormData, Depends(checked_form)]


def field(form: FormData, name: str, most: int = 4000) -> str:
    """One text of a form, "" where it is absent."""
    value = form.get(name)
    return value[:most] if isinstance(value, str) else ""


def with_visit(request: Request, response: Response) -> Response:
    """Set the cookie that ties forms to this browser, where it has none."""
    if getattr(request.state, "new_visit", False):
        protection.set_cookie(request, response, protection.VISIT, request.state.visit)
    wanted = request.query_params.get("lang")
    passes = getattr(request.state, "language_passes", False)
    if wanted and not passes and wanted in languages(request.app.state.settings.locales):
        protection.set_cookie(request, response, _language_cookie(request), wanted, YEAR)
    return response


def render(
    request: Request,
    template: str,
    language: Language,
    status: int = 200,
    offered: list[Language] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page in a language; staff and error pages too."""
    text = rendered(request, template, language, offered, **values)
    return answered(request, text, language, status)


def rendered(
    request: Request,
    template: str,
    language: Language,
    offered: list[Language] | None = None,
    **values: Any,
) -> str:
    """The text of a page."""
    environment = request.app.state.environment_of(language)
    if "csrf" not in values:
        values["csrf"] = protection.csrf_token(request, request.app.state.store.secrets)
    text: str = environment.get_template(template).render(
        request=request,
        language=language,
        offered=offered or [],
        direction=direction,
        own_name=own_name,
        path=request.url.path,
        switch=_switch(request),
        **values,
    )
    return text


def answered(request: Request, text: str, language: Language, status: int = 200) -> HTMLResponse:
    """A page's text as a response."""
    response = HTMLResponse(text, status, {"Content-Language": language.code})
    with_visit(request, response)
    return response


# What the address of the same page in another language keeps. A page that is the same for everybody
# must have nothing here.
KEPT = {
    "join": ("t",),
    "about-you": ("from",),
    "results": ("sort",),
    "withdrawn": ("receipt",),
}
KEPT_OF_STAFF = ("state", "show", "sort", "page")


def _switch(request: Request) -> Callable[[str], str]:
    """The address of the same page in another language."""
    path = request.url.path
    wanted = KEPT_OF_STAFF if path.startswith("/admin/") else KEPT.get(path.rsplit("/", 1)[-1], ())
    kept = [(k, v) for k, v in parse_qsl(request.url.query) if k in wanted]
    return lambda code: f"{request.url.path}?{urlencode([*kept, ('lang', code)])}"


@dataclass
class StaffVisit:
    """A consultation, and the role in it of who asks."""

    what: StoredConsultation
    role: Role


def member_of(request: Request) -> Member:
    """Who of the staff asks. Raises LogInError."""
    token = request.cookies.get(protection.cookie_name(request, STAFF))
    member = staff_sessions.member_of_session(store_of(request), token) if token else None
    if member is None:
        raise LogInError
    if member.must_change and request.url.path != ACCOUNT:
        raise ChangePasswordError
    return member


AMember = Annotated[Member, Depends(member_of)]


def staff_who_may(act: str) -> Callable[..., StaffVisit]:
    """Return a dependency for routes under /admin/c/{consultation_id}: staff who may `act` there.

    A consultation does not exist for staff without any role in it (404); with a role that does not
    allow the act, it is refused (403).
    """

    def allowed(request: Request, consultation_id: str, member: AMember) -> StaffVisit:
        store = store_of(request)
        role = staff.role_of(store, consultation_id, member.id)
        if role is None:
            raise NotFoundError("there is no such consultation.")
        if role not in staff.MAY[act]:
            raise ForbiddenError
        with store.read() as c:
            what = consultations.find_consultation_by_id(c, consultation_id)
        return StaffVisit(what, role)

    return allowed
