"""The logo and the colour of a consultation, for the pages of participants."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from suffrage.server.store import logos
from suffrage.server.store.database import NotFoundError
from suffrage.server.web.look import look_css
from suffrage.server.web.visit import APage

router = APIRouter(include_in_schema=False)
# The address changes with what it gives.
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


@router.get("/c/{slug}/logo")
def logo(v: APage) -> Response:
    """The picture at the top."""
    kind, content = logos.find_logo(v.store, v.what.id)
    return Response(content, media_type=kind, headers=_headers(v.request))


@router.get("/c/{slug}/look.css")
def look(v: APage) -> Response:
    """The style sheet of the colour."""
    colour = v.what.settings.colour
    if not colour:
        raise NotFoundError("this consultation has no colour of its own.")
    return Response(look_css(colour), media_type="text/css", headers=_headers(v.request))


def _headers(request: Request) -> dict[str, str]:
    return _KEPT if request.query_params.get("v") else {}
