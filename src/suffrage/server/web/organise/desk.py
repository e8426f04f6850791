"""Who may see and do what on the organisers' pages, and how each page and form is answered.

A consultation in which somebody has no role does not exist for them (404); what their role does not
allow is refused (403). Whatever changes something is a form that must come from our own pages.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import NotFoundError, Store
from suffrage.server.store.staff import MAY, Member, Role
from suffrage.server.store.stored_results import (
    ActsSoFar,
    StoredResults,
    acts_so_far,
    newest_results,
)
from suffrage.server.texts import whole_number
from suffrage.server.web import protection
from suffrage.server.web.languages import Language
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


@dataclass(frozen=True)
class Sent:
    """What a form sent."""

    form: FormData = field(default_factory=FormData)
    # An uploaded file's bytes, None without one.
    file: bytes | None = None

    def get(self, name: str, most: int = 20_000) -> str:
        """One text, "" where it is absent."""
        value = self.form.get(name)
        return value[:most] if isinstance(value, str) else ""

    def all(self, name: str) -> list[str]:
        """Every text of a name."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def file_text(self) -> str:
        """The file as text, "" without one. Raises InputError where it is not UTF-8."""
        try:
            return (self.file or b"").decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("the file is not text in UTF-8; save it as UTF-8.") from error


@dataclass(frozen=True)
class Desk:
    """A member of staff at a page of one consultation they have a role in."""

    request: Request
    store: Store
    member: Member
    about: StoredConsultation
    role: Role

    @property
    def id(self) -> str:
        """The consultation's id."""
        return self.about.id

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
        """The last results."""
        return newest_results(self.store, self.id, "organisers")

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

    def viewed(self, what: str, object: str = "") -> None:
        """Put into the audit log that something sensitive was looked at."""
        with self.store.write() as c:
            audit.append_entry(c, self.id, self.member.id, f"{what}.view", object)

    def page(
        self,
        template: str,
        section: str,
        values: Mapping[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        """A page of this consultation."""
        return render(
            self.request,
            f"admin/{template}",
            self.language,
            status,
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


def desk_form(act: Act, do: str) -> Any:
    """Return the endpoint of a form, for staff who may `do`.

    act: returns where to go on, as the query of the same page ("done=..."), or a whole response. A
    person's mistake is answered with 422, and nothing is changed.
    """
    allowed = staff_who_may(do)

    async def endpoint(request: Request, consultation_id: str) -> Response:
        sent = await request.form(max_files=1, max_fields=protection.MOST_FIELDS)
        protection.refuse_nul(sent)
        upload = sent.get("file")
        file = await upload.read() if isinstance(upload, UploadFile) else None
        given = Sent(sent, file)
        return await run_in_threadpool(_acted, request, consultation_id, allowed, given, act)

    return endpoint


def _acted(
    request: Request, consultation_id: str, allowed: Callable[..., Any], given: Sent, act: Act
) -> Response:
    state = request.app.state
    protection.check_form(request, given.form, state.store.secrets, state.settings.base_url)
    desk = _desk(request, consultation_id, allowed)

    def answer(desk: Desk) -> Response:
        went = act(desk, given)
        return went if isinstance(went, Response) else _back(request, went)

    return _told(desk, answer)


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
        return desk.page("refused.html", "", {"problem": desk.language.told(error)}, 422)


def _back(request: Request, query: str) -> Response:
    """The same page again, so that reloading it sends nothing twice."""
    kept = [(k, v) for k, v in parse_qsl(request.url.query) if k not in ("done", "undo", "count")]
    whole = urlencode([*kept, *parse_qsl(query)])
    path = request.url.path
    response: Response = with_visit(
        request, RedirectResponse(f"{path}?{whole}" if whole else path, 303)
    )
    return response


def short_id(id: str) -> str:
    """Return a few characters made of an id, to distinguish people in a list without their id."""
    return hashlib.sha256(id.encode()).hexdigest()[:6]
