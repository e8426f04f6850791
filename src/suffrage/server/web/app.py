"""The application: pages, API and staff's sign-in, made from the settings of a deployment."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from suffrage import __version__
from suffrage.errors import InputError, SuffrageError
from suffrage.server.store.buckets import buckets_of
from suffrage.server.store.database import NotFoundError, RefusedError, open_store
from suffrage.server.store.expiry import delete_expired
from suffrage.server.store.faults import SENTENCES, fault_log, fault_of, trace_of
from suffrage.server.store.schedule import keep_to_dates
from suffrage.server.store.waiting_room import WaitingRoom
from suffrage.server.texts import start_and_rest
from suffrage.server.watcher import start_watching
from suffrage.server.web import api, look_pages, public_pages, staff_pages, voting_pages
from suffrage.server.web import participant_pages as pages
from suffrage.server.web.invitation_sender import send_due_mails
from suffrage.server.web.languages import Language
from suffrage.server.web.metrics import Metrics, metrics_endpoint
from suffrage.server.web.next_tasks import Drawing
from suffrage.server.web.organise import (
    invitation_pages,
    new_pages,
    preview_pages,
    principle_pages,
    release_pages,
    settings_pages,
    translation_pages,
)
from suffrage.server.web.organise.organiser_pages import router as organise
from suffrage.server.web.participant_pages import refusal
from suffrage.server.web.picture import groups_picture
from suffrage.server.web.protection import CSRF_FIELD, ForgedError, Guard
from suffrage.server.web.rate_limits import Limits, OneAddressWatch, TooManyError
from suffrage.server.web.readiness import Readiness
from suffrage.server.web.server_settings import ServerSettings
from suffrage.server.web.stencils import Stencils
from suffrage.server.web.visit import (
    ElsewhereError,
    ForbiddenError,
    LogInError,
    Visit,
    choose_language,
    languages_for,
    render,
    visit,
    with_visit,
)

STATIC = Path(__file__).parent / "static"
API = "/api/"
LOOK_AFTER_WATCHER = 5.0
# Seconds between looks for what is due by date, and for mails to send.
DO_EVERY = 3.0
# The consultation of a participants' page.
PAGE_OF = re.compile(r"/c/([a-z0-9-]{1,64})/")
# Seconds between two deletions of what has expired.
DELETE_EVERY = 300.0
# Seconds after which something may be sent again that the database could not store.
RETRY_AFTER = 10
# What refuses one act of those that wait together, and leaves the others.
REFUSALS = (SuffrageError, TooManyError, HTTPException, ElsewhereError)
# After these a form may be sent again as it is.
SEND_AGAIN = ("forged", "too_many", "failed")
log = logging.getLogger("suffrage.consult")

# Routers of the organisers' pages, mounted after the staff's sign-in.
ORGANISER_ROUTERS: tuple[APIRouter, ...] = (
    organise,
    settings_pages.router,
    invitation_pages.router,
    new_pages.router,
    translation_pages.router,
    preview_pages.router,
    principle_pages.router,
    release_pages.router,
)


def create_app(settings: ServerSettings, more: tuple[APIRouter, ...] = ()) -> FastAPI:
    """Return the application, with its store open. more: further routers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = app.state.store
        tasks = [
            asyncio.create_task(_keep_doing(partial(keep_to_dates, store))),
            asyncio.create_task(_keep_doing(partial(delete_expired, store), DELETE_EVERY)),
        ]
        if settings.results:
            tasks.append(asyncio.create_task(_keep_watching(settings.store)))
        if settings.mail is not None:
            send = partial(
                send_due_mails,
                store,
                settings.mail,
                settings.base_url,
                settings.locales,
            )
            tasks.append(asyncio.create_task(_keep_doing(send)))
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await run_in_threadpool(app.state.room.close)
        app.state.store.close()

    app = FastAPI(
        title="Suffrage consultation",
        version=__version__,
        description="Take part in a public consultation.",
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.store = open_store(settings.store)
    for said in app.state.store.unsafe_settings():
        log.warning("%s", said)
    app.state.room = WaitingRoom(app.state.store, REFUSALS)
    app.state.limits = Limits(settings.limits, buckets_of(app.state.store))
    app.state.one_address = OneAddressWatch(log)
    app.state.drawing = Drawing(app.state.store, settings.seed)
    app.state.environment_of = environment_of
    app.state.stencils = Stencils()
    app.state.metrics = Metrics()
    app.state.readiness = Readiness(app.state.store)
    for router in (
        api.router,
        pages.router,
        voting_pages.router,
        look_pages.router,
        public_pages.router,
        staff_pages.router,
        *ORGANISER_ROUTERS,
        *more,
    ):
        # None has a prefix or a dependency to add, so its routes are the application's as they are.
        app.router.routes.extend(router.routes)
    app.router.routes[:0] = voting_pages.VOTING
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/healthz", healthy, include_in_schema=False)
    app.add_api_route("/readyz", ready, include_in_schema=False)
    app.add_api_route("/metrics", metrics_endpoint, include_in_schema=False)
    _answer_errors(app)
    if settings.hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts))
    app.add_middleware(
        Guard, secure=settings.secure, observe=app.state.metrics.observe, failed=_failed
    )
    return app


async def _keep_watching(store: str) -> None:
    """Have groups found in another process, and start it again should it end."""
    worker = start_watching(store)
    try:
        while True:
            await asyncio.sleep(LOOK_AFTER_WATCHER)
            if worker.poll() is not None:
                log.warning(
                    "the process that finds groups ended (%s); a new one", worker.returncode
                )
                worker = start_watching(store)
    finally:
        worker.terminate()


async def _keep_doing(act: Callable[[], object], seconds: float = DO_EVERY) -> None:
    """Do something every so often, whatever fails; a failure is logged when it changes."""
    last = ""
    while True:
        try:
            await run_in_threadpool(act)
            last = ""
        except Exception as error:
            fault = fault_of(error)
            said = SENTENCES[fault] if fault is not None else f"{type(error).__name__}: {error}"
            if said != last:
                log.warning("%s", said)
            last = said
        await asyncio.sleep(seconds)


def healthy() -> Response:
    """The process answers."""
    return PlainTextResponse("ok")


def ready(request: Request) -> Response:
    """The database can be read, and something was just stored in it."""
    problem = request.app.state.readiness.problem()
    return PlainTextResponse(problem or "ok", 503 if problem else 200)


@cache
def environment_of(language: Language) -> Environment:
    """Return the Jinja environment of a language, with every template it has compiled."""
    environment = Environment(
        loader=PackageLoader("suffrage.server.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        language.translations, newstyle=True
    )
    environment.globals["groups_picture"] = groups_picture
    environment.globals["start_and_rest"] = start_and_rest
    return environment


def _answer_errors(app: FastAPI) -> None:
    """Answer every error as JSON in the API and as a page elsewhere."""
    answers: dict[type[Exception], Callable[[Request, Any], Response]] = {
        NotFoundError: lambda request, _: _error(request, 404, "not_found"),
        RefusedError: _refused,
        InputError: _wrong,
        ForgedError: lambda request, _: _error(request, 403, "forged"),
        ForbiddenError: lambda request, _: _error(request, 403, "forbidden"),
        LogInError: _not_logged_in,
        ElsewhereError: lambda _, error: error.visit.go(error.page),
        TooManyError: _too_many,
        HTTPException: _http_error,
        RequestValidationError: _invalid,
    }
    for kind, handler in answers.items():
        app.add_exception_handler(kind, handler)


def _error(request: Request, status: int, reason: str, message: str = "") -> Response:
    """An error's answer. reason: one word, by which programs and the page know what it is."""
    if request.url.path.startswith(API):
        content = {"error": {"reason": reason, "message": message or reason}}
        return JSONResponse(content, status)
    what = getattr(request.state, "what", None)
    language = choose_language(request, what)
    title = what.text(what.title, language.code) if what else ("", "en")
    return render(
        request,
        "error.html",
        language,
        status,
        languages_for(request, what),
        reason=reason,
        message=message,
        sent=_sent_before(request) if reason in SEND_AGAIN else [],
        what=what,
        title=title[0],
        title_language=title[1],
        participant=None,
    )


def _sent_before(request: Request) -> list[tuple[str, str]]:
    """The fields of the form that was refused, to be sent again; only of participants' pages."""
    form = getattr(request.state, "sent", None)
    if form is None or not request.url.path.startswith("/c/"):
        return []
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return [(name, value) for name, value in fields if name != CSRF_FIELD]


def _refused(request: Request, error: RefusedError) -> Response:
    forbidden = ("consent", "withdrawn", "used", "invited", "puzzle")
    what = getattr(request.state, "what", None)
    said = str(error)
    if what is not None:
        language = choose_language(request, what)
        said = refusal(Visit(request, request.app.state.store, what, None, language), error)
    return _error(request, 403 if error.reason in forbidden else 409, error.reason, said)


def _wrong(request: Request, error: InputError) -> Response:
    said = str(error)
    if not request.url.path.startswith(API):
        what = getattr(request.state, "what", None)
        said = choose_language(request, what).told(error)[0]
    return _error(request, 422, "wrong", said)


def _not_logged_in(request: Request, error: LogInError) -> Response:
    if request.url.path.startswith(API):
        return _error(request, 401, "log_in")
    return with_visit(request, RedirectResponse(error.page, 303))


def _too_many(request: Request, error: TooManyError) -> Response:
    response = _error(request, 429, "too_many", str(error.seconds))
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _http_error(request: Request, error: HTTPException) -> Response:
    reasons = {401: "log_in", 404: "not_found", 405: "method", 415: "json"}
    slug = PAGE_OF.match(request.url.path)
    if error.status_code == 404 and slug:
        # No such page, of a consultation that there is: said in one of its languages.
        with suppress(NotFoundError):
            visit(request, slug.group(1))
    response = _error(request, error.status_code, reasons.get(error.status_code, "wrong"))
    response.headers.update(error.headers or {})
    return response


def _invalid(request: Request, error: RequestValidationError) -> Response:
    problem: Any = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"][1:])
    return _error(request, 422, "wrong", f"{place}: {problem['msg']}")


def _failed(request: Request, error: Exception) -> Response:
    """The answer to what nobody foresaw, and to a database that stores nothing now."""
    fault = fault_of(error)
    if fault is None:
        log.error("%s %s failed\n%s", request.method, request.url.path, trace_of(error))
        return _error(request, 500, "failed")
    fault_log.tell(fault)
    in_api = request.url.path.startswith(API)
    said = f"{SENTENCES[fault]}; send it again later."
    response = _error(request, 503, "unavailable" if in_api else "failed", said)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response
