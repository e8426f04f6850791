"""What every request passes: headers, sizes, hosts, forged forms, and a log without secrets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from suffrage.server.store.secret_keys import Secrets, new_token

MOST_BODY = 64 * 1024
MOST_FIELDS = 200
# Seconds within which a whole request must arrive: a form, and a file of an organiser.
BODY_SECONDS = 30.0
FILE_SECONDS = 300.0
VISIT = "visit"
CSRF_FIELD = "csrf"


def content_policy(framed_by: Sequence[str] = ()) -> str:
    """Return the policy of a page. framed_by: the origins that may show it in a frame."""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            f"frame-ancestors {' '.join(framed_by) or repr('none')}",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


POLICY_HEADER = "Content-Security-Policy"
# An older way to say who may frame a page, which knows no list of origins.
FRAME_HEADER = b"x-frame-options"
HEADERS = {
    POLICY_HEADER: content_policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that a browser hides the Origin of its own forms too.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}

log = logging.getLogger("suffrage.consult")

AsgiMessage = MutableMapping[str, Any]
AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]


class ForgedError(Exception):
    """A form that did not come from one of our own pages."""


def _plainly(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return PlainTextResponse("Something went wrong on our side.", 500)


class Guard:
    """ASGI middleware: sizes and times of requests, headers, and answers to what nobody foresaw.

    It logs path, status and time of every request. The log has no query, cookie, address or body:
    queries may contain invitations.
    """

    def __init__(
        self,
        app: Any,
        secure: bool,
        most_body: int = MOST_BODY,
        observe: Callable[[str, str, int, float], None] = lambda *_: None,
        failed: Callable[[Request, Exception], Response] = _plainly,
    ) -> None:
        self.app = app
        # Is given method, path, status and seconds of each request.
        self.observe = observe
        # Logs an error that no other part of the application handles, and answers the request.
        self.failed = failed
        self.secure = secure
        self.most_body = most_body
        every = dict(HEADERS)
        if secure:
            every["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        self.always = [(name.lower().encode(), value.encode()) for name, value in every.items()]

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        sending = _Sending(send, scope, self._headers_of(path), self.observe)
        most, seconds = self.most_body_of(path), FILE_SECONDS if _is_file(path) else BODY_SECONDS
        if "\0" in path or b"%00" in scope.get("query_string", b""):
            await _refusal("There is no such address.", 404)(scope, receive, sending)
            return
        if _is_too_long(scope, most):
            await _refusal("The request is too large.", 413)(scope, receive, sending)
            return
        try:
            await self.app(scope, _Limited(receive, most, seconds), sending)
        except Exception as error:
            if sending.begun:
                raise  # the connection is closed, so that half an answer is not taken for a whole
            answer = await self._answer_to(error, scope)
            if answer is not None:
                await answer(scope, receive, sending)

    async def _answer_to(self, error: Exception, scope: AsgiScope) -> Response | None:
        if isinstance(error, ClientDisconnect):
            return None
        if isinstance(error, _TooLongError):
            return _refusal("The request is too large.", 413)
        if isinstance(error, _TooSlowError):
            return _refusal("The request took too long to arrive.", 408)
        try:
            return await run_in_threadpool(self.failed, Request(scope), error)
        except Exception as another:  # the page that says so fails too
            return _plainly(Request(scope), another)

    def most_body_of(self, path: str) -> int:
        """Organisers import files; nobody else sends more than a form."""
        return 20 * 1024 * 1024 if _is_file(path) else self.most_body

    def _headers_of(self, path: str) -> list[tuple[bytes, bytes]]:
        static = path.startswith("/static/")
        return self.always if static else [*self.always, (b"cache-control", b"no-store")]


def _is_file(path: str) -> bool:
    return path.startswith(("/admin/c/", "/admin/import"))


def _refusal(said: str, status: int) -> Response:
    # What has not been read of the request cannot be skipped.
    return PlainTextResponse(said, status, {"Connection": "close"})


class _Sending:
    """Adds the headers that every answer has, and logs and counts the answer as it begins."""

    def __init__(
        self,
        send: Send,
        scope: AsgiScope,
        always: list[tuple[bytes, bytes]],
        observe: Callable[[str, str, int, float], None],
    ) -> None:
        self.send = send
        self.scope = scope
        self.always = always
        self.observe = observe
        self.began = time.perf_counter()
        # Whether the answer has begun, so that no other one can be given.
        self.begun = False

    async def __call__(self, message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = message["headers"] = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            if POLICY_HEADER.lower().encode() in there:
                there.add(FRAME_HEADER)  # the page's own policy says who may frame it
            headers += [header for header in self.always if header[0] not in there]
            took, status = time.perf_counter() - self.began, message["status"]
            method, path = self.scope["method"], self.scope["path"]
            self.observe(method, path, status, took)
            log.info("%s %s %d %.0f ms", method, path, status, took * 1000)
        await self.send(message)


class _TooLongError(Exception):
    pass


class _TooSlowError(Exception):
    pass


class _Limited:
    """Receives no more than so many bytes, whatever length was announced, and not for longer."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self.receive = receive
        self.left = most
        self.until = asyncio.get_running_loop().time() + seconds
        self.whole = False

    async def __call__(self) -> AsgiMessage:
        if self.whole:  # only the end of the connection can still come, whenever that is
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.until):
                message = await self.receive()
        except TimeoutError as error:
            raise _TooSlowError from error
        if message["type"] == "http.request":
            self.whole = not message.get("more_body", False)
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise _TooLongError
        return message


def _is_too_long(scope: AsgiScope, most: int) -> bool:
    length = Headers(scope=scope).get("content-length", "0")
    return not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= most)


def visit_of(request: Request) -> str:
    """Return the random name of this browser's visit, a new one where it has none.

    The response sets a new one as a cookie.
    """
    known: str | None = getattr(request.state, VISIT, None)
    if known is None:
        known = request.cookies.get(cookie_name(request, VISIT)) or ""
        if not 20 <= len(known) <= 64:
            known = new_token()
            request.state.new_visit = True
        request.state.visit = known
    return known


def csrf_token(request: Request, secrets: Secrets) -> str:
    """The token that this browser's forms must bring back."""
    return secrets.hash("csrf", visit_of(request))


def refuse_nul(form: FormData) -> None:
    """Refuse a text with a NUL, which no key types and PostgreSQL cannot store. Answers 400."""
    if any(isinstance(text, str) and "\0" in text for pair in form.multi_items() for text in pair):
        raise HTTPException(400)


def is_from_here(request: Request, base_url: str) -> bool:
    """Whether the browser says itself that one of our own pages sent this."""
    try:
        check_origin(request, base_url)
    except ForgedError:
        return False
    said = request.headers.get("sec-fetch-site") == "same-origin"
    return said or request.headers.get("origin") is not None


def check_origin(request: Request, base_url: str) -> None:
    """Refuse what another site made the browser send. Raises ForgedError."""
    origin = request.headers.get("origin")
    if origin is not None:
        ours = {_origin(base_url), f"{request.url.scheme}://{request.headers.get('host', '')}"}
        if origin not in ours:
            raise ForgedError
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForgedError


def check_form(request: Request, form: FormData, secrets: Secrets, base_url: str) -> None:
    """Refuse a form without our token for this browser. Raises ForgedError."""
    check_origin(request, base_url)
    given = form.get(CSRF_FIELD)
    had = request.cookies.get(cookie_name(request, VISIT))
    if not had or not isinstance(given, str) or not secrets.is_hash("csrf", had, given):
        raise ForgedError


def cookie_name(request: Request, name: str) -> str:
    """With https the browser itself holds the cookie to this host, path and protocol."""
    secure: bool = request.app.state.settings.secure
    return f"__Host-suffrage-{name}" if secure else f"suffrage-{name}"


def set_cookie(
    request: Request, response: Any, name: str, value: str, seconds: int | None = None
) -> None:
    """Set one of our cookies; no script can read it, no other site send it with a form."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.app.state.settings.secure,
    )


def drop_cookie(request: Request, response: Any, name: str) -> None:
    """Take one of our cookies away."""
    response.delete_cookie(
        cookie_name(request, name),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.app.state.settings.secure,
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
