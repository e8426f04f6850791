"""Answers that a program asks for again and again, sent only when they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response


def tagged(request: Request, content: str, media_type: str, headers: Mapping[str, str]) -> Response:
    """Return the content with its ETag; 304 without it, where the request names that tag.

    headers: of both.
    """
    tag = f'"{hashlib.sha256(content.encode()).hexdigest()[:24]}"'
    every = {"ETag": tag, **headers}
    known = request.headers.get("if-none-match", "")[:2000].split(",")
    # A proxy that compresses marks the tag as weak, with W/.
    if tag in (one.strip().removeprefix("W/") for one in known):
        return Response(status_code=304, headers=every)
    return Response(content, media_type=media_type, headers=every)
