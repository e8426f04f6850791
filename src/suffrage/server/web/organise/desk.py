"""Who may see and do what on the organisers' pages, and how each page and form is answered.

A consultation in which somebody has no role does not exist for them (404); what their role does not
allow is refused (403). Whatever changes something is a form that must come from our own pages.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError
from suffrage.server.organisers_results import without_few_voters
from suffrage.server.store import audit
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import NotFoundError, Store
from suffrage.server.store.staff import MAY, Member, Role
from suffrage.server.store.stored_results import (
    ActsSoFar,
    Audience,
    StoredResults,
    acts_so_far,
    newest_results,
)
from suffrage.server.texts import whole_number
from suffrage.server.web import protection
from suffrage.server.web.languages import SOURCE, Language, languages, own_name
from suffrage.server.web.organise.forms import (
    FieldView,
    MistakesError,
    Problem,
    Sent,
    field_id,
)
from suffrage.server.web.organise.words import Words
from suffrage.server.web.visit import (
    choose_language,
    member_of,
    render,
    staff_languages,
    staff_who_may,
    store_of,
    with_visit,
)

# A form with many questions about people has more fields than any form of participants.
MOST_FIELDS = 3000


@dataclass(frozen=True)
class Desk:
    """A member of staff at a page of one consultation they have a role in."""

    request: Request
    store: Store
    member: Member
    about: StoredConsultation
    role: Role
    # Of a form that was refused: what it sent, and what is wrong with it.
    sent: Sent | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def id(self) -> str:
        """The consultation's id."""
        return self.about.id

    @property
    def address(self) -> str:
        """Where people find the consultation, such as https://consult.example.org/c/parks."""
        origin: str = self.request.app.state.settings.base_url
        return f"{origin.rstrip('/')}/c/{self.about.slug}"

    def may(self, what: str) -> bool:
        """Whether the role allows it: view, moderate, analyse, export or manage."""
        return self.role in MAY[what]

    def query(self, name: str, default: str = "") -> str:
        """A value of the address."""
        return str(self.request.query_params.get(name, default))

    def page_number(self, pages: int) -> int:
        """The page of a list that is asked for, 1 to `pages`."""
        return min(max(whole_number(self.query("page"), 999_999) or 1, 1), pages)

    @cached_property
    def content(self) -> Consultation:
        """All that was collected."""
        return _content(self.store, self.about)

    @cached_property
    def results(self) -> StoredResults | None:
        """The last results; without the right to look at single votes, those of the last step.

        Of these, statements that few people have voted on are left out.
        """
        audience: Audience = "organisers" if self.may("analyse") else "viewers"
        found = newest_results(self.store, self.id, audience)
        if found is None or audience == "organisers":
            return found
        return replace(found, result=without_few_voters(found.result))

    @cached_property
    def language(self) -> Language:
        """The reader's."""
        return choose_language(self.request, None)

    @cached_property
    def words(self) -> Words:
        """What the pages call things in it."""
        return Words(self.language)

    def _(self, text: str, **values: Any) -> str:
        """A text of the pages in the reader's language."""
        said = self.language.translations.gettext(text)
        return said % values if values else said

    def field(self, form: str, name: str, stored: object = "") -> FieldView:
        """A field with what was typed into it, or with what is stored."""
        sent = self.sent if self.sent is not None and self.sent.get("what") == form else None
        problem = next((p for p in self.problems if (p.form, p.name) == (form, name)), None)
        return FieldView(
            field_id(form, name),
            name,
            str(stored) if sent is None else sent.get(name),
            problem,
            None if sent is None else tuple(sent.all(name)),
            sent is not None and sent.file is not None,
        )

    def language_pairs(self) -> list[tuple[str, str]]:
        """The languages of the consultation, each with its name in itself."""
        return [(code, own_name(code)) for code in self.about.settings.languages]

    def page_languages(self) -> list[Language]:
        """Every language that there are pages for participants in."""
        return list(languages(self.request.app.state.settings.locales).values())

    def page_language(self, code: str) -> Language:
        """A language of the pages, English where there is none of this code."""
        known = languages(self.request.app.state.settings.locales)
        return known.get(code, known[SOURCE])

    def told_options(self, options: Mapping[str, str]) -> list[tuple[str, str]]:
        """What may be chosen, in the reader's language."""
        return [(value, self._(words)) for value, words in options.items()]

    def problems_of(self, error: InputError, form: str) -> tuple[Problem, ...]:
        """What is wrong with a form, as its page shows it."""
        return problems_of(error, form, self.language)

    def language_name(self, code: str) -> str:
        """A language's name in itself."""
        return own_name(code)

    def viewed(self, what: str, object: str = "") -> None:
        """Put into the audit log that something sensitive was looked at."""
        with self.store.write() as c:
            audit.append_entry(c, self.id, self.member.id, f"{what}.view", object)

    def page(
        self,
        template: str,
        section: str,
        values: Mapping[str, Any] | None = None,
    ) -> Response:
        """A page of this consultation."""
        return render(
            self.request,
            f"admin/{template}",
            self.language,
            422 if self.problems else 200,
            staff_languages(self.request),
            desk=self,
            title_of=self.about.text(self.about.title, self.language.code),
            base=f"/admin/c/{self.id}",
            section=section,
            done=self.words.done(self.query("done"), self.query("count")),
            words=self.words,
            **(values or {}),
        )


_last: dict[tuple[str, str], tuple[ActsSoFar, Consultation]] = {}
_reading = threading.Lock()


def _content(store: Store, about: StoredConsultation) -> Consultation:
    """Return the tables, read again only after something happened."""
    key = (str(store.engine.url), about.id)
    with _reading:
        state = acts_so_far(store, about.id)
        kept = _last.get(key)
        if kept is None or kept[0] != state:
            kept = (state, to_consultation(store, about.slug))
            _last[key] = kept
        return kept[1]


Show = Callable[[Desk], Response]
Act = Callable[[Desk, Sent], "str | Response"]


def desk_page(show: Show, view: str = "view") -> Any:
    """Return the endpoint of a page under /admin/c/{consultation_id}, for staff who may `view`."""
    allowed = staff_who_may(view)

    def endpoint(request: Request, consultation_id: str) -> Response:
        return _told(_desk(request, consultation_id, allowed), show)

    return endpoint


def desk_form(act: Act, do: str, show: Show) -> Any:
    """Return the endpoint of a form, for staff who may `do`.

    Parameters
    ----------
    act : callable
        Returns where to go on, as the query of the same page ("done=..."), or a whole response.
    do : str
        What the form does: view, moderate, analyse, export or manage.
    show : callable
        The page that the form is on. After a person's mistake it is shown again with 422, with what
        was typed and what is wrong, and nothing is changed.
    """
    allowed = staff_who_may(do)

    async def endpoint(request: Request, consultation_id: str) -> Response:
        sent = await request.form(max_files=1, max_fields=MOST_FIELDS)
        protection.refuse_nul(sent)
        given = await sent_of(sent)
        return await run_in_threadpool(_acted, request, consultation_id, allowed, given, act, show)

    return endpoint


async def sent_of(form: FormData) -> Sent:
    """Return what a form sent, with the file read."""
    upload = form.get("file")
    if not isinstance(upload, UploadFile) or not upload.filename:
        return Sent(form)
    return Sent(form, await upload.read(), upload.filename)


def _acted(
    request: Request,
    consultation_id: str,
    allowed: Callable[..., Any],
    given: Sent,
    act: Act,
    show: Show,
) -> Response:
    state = request.app.state
    protection.check_form(request, given.form, state.store.secrets, state.settings.base_url)
    desk = _desk(request, consultation_id, allowed)
    try:
        went = act(desk, given)
    except NotFoundError:
        raise
    except InputError as error:
        problems = problems_of(error, given.get("what"), desk.language)
        return show(replace(desk, sent=given, problems=problems))
    return went if isinstance(went, Response) else back_to(request, went)


def problems_of(error: InputError, form: str, language: Language) -> tuple[Problem, ...]:
    """Return what is wrong with a form, as its page shows it."""
    if not isinstance(error, MistakesError):
        return (Problem(form, "", *language.told(error)),)
    told = language.translations.gettext
    labels = {name: told(label) for name, label in error.labels.items()}
    return tuple(
        Problem(form, name, *language.told(one), labels.get(name, "")) for name, one in error.found
    )


def _desk(request: Request, consultation_id: str, allowed: Callable[..., Any]) -> Desk:
    member = member_of(request)
    found = allowed(request, consultation_id, member)
    return Desk(request, store_of(request), member, found.what, found.role)


def _told(desk: Desk, show: Show) -> Response:
    try:
        return show(desk)
    except NotFoundError:
        raise
    except InputError as error:
        refused = replace(desk, problems=problems_of(error, "", desk.language))
        return refused.page("refused.html", "")


def back_to(request: Request, query: str) -> Response:
    """The same page again, so that reloading it sends nothing twice."""
    kept = [
        (k, v)
        for k, v in parse_qsl(request.url.query)
        if k not in ("done", "undo", "count", "wait")
    ]
    whole = urlencode([*kept, *parse_qsl(query)])
    path = request.url.path
    response: Response = with_visit(
        request, RedirectResponse(f"{path}?{whole}" if whole else path, 303)
    )
    return response


def short_id(id: str) -> str:
    """Return a few characters made of an id, to distinguish people in a list without their id."""
    return hashlib.sha256(id.encode()).hexdigest()[:6]


def add_section(
    router: APIRouter,
    path: str,
    show: Show,
    act: Act | None = None,
    view: str = "view",
    do: str = "manage",
) -> None:
    """Add a page at a path, and what its forms do.

    Parameters
    ----------
    view, do : str
        What a role must allow to see the page, and to send its forms.
    """
    router.add_api_route(path, desk_page(show, view), methods=["GET"], response_model=None)
    if act is not None:
        router.add_api_route(path, desk_form(act, do, show), methods=["POST"], response_model=None)


def file_response(content: str | bytes, name: str, kind: str) -> Response:
    """Return a file to download."""
    return Response(
        content,
        media_type=kind,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
