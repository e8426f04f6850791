"""What every request passes: headers, sizes, hosts, forged forms, and a log without secrets."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData, Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from suffrage.server.store.secret_keys import Secrets, new_token

MOST_BODY = 64 * 1024
MOST_FIELDS = 200
VISIT = "visit"
CSRF_FIELD = "csrf"

CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
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

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ForgedError(Exception):
    """A form that did not come from one of our own pages."""


class Guard:
    """ASGI middleware: refuses bodies that are too large, sets headers, logs path, status and time.

    The log has no query, cookie, address or body: queries may contain invitations.
    """

    def __init__(
        self,
        app: Any,
        secure: bool,
        most_body: int = MOST_BODY,
        observe: Callable[[str, str, int, float], None] = lambda *_: None,
    ) -> None:
        self.app = app
        # Is given method, path, status and seconds of each request.
        self.observe = observe
        self.secure = secure
        self.most_body = most_body
        every = dict(HEADERS)
        if secure:
            every["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        self.always = [(name.lower().encode(), value.encode()) for name, value in every.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        path = scope["path"]
        if _is_too_long(scope, self.most_body_of(path)):
            answer = PlainTextResponse("The request is too large.", 413)
            await answer(scope, receive, self._sending(send, scope, began))
            return
        limited = _Limited(receive, self.most_body_of(path))
        try:
            await self.app(scope, limited, self._sending(send, scope, began))
        except _TooLongError:
            answer = PlainTextResponse("The request is too large.", 413)
            await answer(scope, receive, self._sending(send, scope, began))

    def most_body_of(self, path: str) -> int:
        """Organisers import files; nobody else sends more than a form."""
        return 20 * 1024 * 1024 if path.startswith("/admin/c/") else self.most_body

    def _sending(self, send: Send, scope: Scope, began: float) -> Send:
        static = scope["path"].startswith("/static/")
        always = self.always if static else [*self.always, (b"cache-control", b"no-store")]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [header for header in always if header[0] not in there]
                took, status = time.perf_counter() - began, message["status"]
                self.observe(scope["method"], scope["path"], status, took)
                log.info("%s %s %d %.0f ms", scope["method"], scope["path"], status, took * 1000)
            await send(message)

        return with_headers


class _TooLongError(Exception):
    pass


class _Limited:
    """Receives no more than so many bytes, whatever the length that was announced."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive = receive
        self.left = most

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise _TooLongError
        return message


def _is_too_long(scope: Scope, most: int) -> bool:
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
