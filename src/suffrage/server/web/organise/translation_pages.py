"""Where organisers translate statements: what was written stays, and is what people vote on."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.errors import InputError
from suffrage.server.store import statements
from suffrage.server.store.statements import StoredStatement
from suffrage.server.web.organise.desk import Desk, add_section
from suffrage.server.web.organise.forms import MistakesError, Sent

A_PAGE = 25


def _target(desk: Desk) -> str:
    """The language to translate into: the one of the address, or the second one there is."""
    known = desk.about.settings.languages
    wanted = desk.query("into")
    return wanted if wanted in known else known[min(1, len(known) - 1)]


def _to_translate(desk: Desk, into: str) -> list[StoredStatement]:
    found = statements.list_statements(desk.store, desk.id, ["accepted", "pending"])
    return [s for s in found if s.language != into]


def _translations(desk: Desk) -> Response:
    into = _target(desk)
    found = _to_translate(desk, into)
    known = statements.translations_into(desk.store, desk.id, into)
    pages = max(1, -(-len(found) // A_PAGE))
    at = desk.page_number(pages)
    values = {
        "into": into,
        "languages": desk.about.settings.languages,
        "rows": found[(at - 1) * A_PAGE : at * A_PAGE],
        "known": known,
        "left": sum(s.id not in known for s in found),
        "most": desk.about.settings.statement_characters * 2,
        "page": at,
        "pages": pages,
        "may": desk.may("moderate"),
    }
    return desk.page("translations.html", "settings", values)


def _translate(desk: Desk, sent: Sent) -> str:
    into = _target(desk)
    known = statements.translations_into(desk.store, desk.id, into)
    most = desk.about.settings.statement_characters * 2
    changed, wrong = {}, []
    for s in _to_translate(desk, into):
        name = f"text:{s.id}"
        if name not in sent.form:
            continue
        text = sent.get(name).strip()
        if len(text) > most:
            problem = InputError(
                "this is %(count)s characters long; use at most %(most)s.",
                count=len(text),
                most=most,
            )
            wrong.append((name, problem))
        elif text != known.get(s.id, ("", ""))[0]:
            changed[s.id] = text
    if wrong:
        raise MistakesError(wrong)
    for id, text in changed.items():
        statements.translate_statement(desk.store, desk.id, id, into, text, "human", desk.member.id)
    return urlencode({"done": "translated", "count": len(changed)})


router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)
add_section(router, "/translations", _translations, _translate, do="moderate")
