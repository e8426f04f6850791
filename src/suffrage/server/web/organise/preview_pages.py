"""How a consultation will look to the people who take part, before it is open."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.server.store import statements
from suffrage.server.web.consent import consent_text
from suffrage.server.web.organise.desk import Desk, add_section
from suffrage.server.web.visit import Visit, offered

SHOWN = 3


def _preview(desk: Desk) -> Response:
    languages = offered(desk.request, desk.about)
    wanted = desk.query("lang")
    language = next((one for one in languages if one.code == wanted), languages[0])
    # It is looked at only: the organisers' own pages stay in theirs.
    desk.request.state.language_passes = True
    v = Visit(desk.request, desk.store, desk.about, None, language)
    translated = statements.translations_into(desk.store, desk.id, language.code)
    first = statements.list_statements(desk.store, desk.id, ["accepted"])[:SHOWN]
    return v.page(
        "preview.html",
        base=f"/admin/c/{desk.id}",
        question=v.say(desk.about.question),
        intro=v.say(desk.about.settings.intro),
        own=v.say(desk.about.settings.moderation_policy),
        consent=consent_text(desk.about, language),
        statements=[(s, translated.get(s.id)) for s in first],
    )


router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)
add_section(router, "/preview", _preview)
