"""The pages of principles: found in the votes, chosen, written and changed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.consult.principles import TEMPLATE, PrincipleSettings, find_principles
from suffrage.errors import InputError
from suffrage.server.consultation_results import RESAMPLES
from suffrage.server.store import staff, statements
from suffrage.server.store import stored_principles as principles
from suffrage.server.store.background_work import find_work
from suffrage.server.web.organise import intake
from suffrage.server.web.organise import page_figures as figures
from suffrage.server.web.organise.desk import Desk, add_section
from suffrage.server.web.organise.forms import Sent, at_field
from suffrage.server.web.organise.waiting import (
    in_background,
    redirected,
    waiting_page,
    work_view,
)


def _principles(desk: Desk) -> Response:
    if waiting := waiting_page(desk, "principles", "/principles", "/principles/found"):
        return waiting
    everything = statements.list_statements(desk.store, desk.id)
    names = {m.id: m.name or m.email for m, _ in staff.list_members(desk.store, desk.id)}
    values = {
        "principles": principles.list_principles(desk.store, desk.id),
        "texts": {s.id: s for s in everything},
        "accepted": [s for s in everything if s.state == "accepted"],
        "names": names,
        "support": _support(desk),
        "work": work_view(desk, "principles"),
        "may": desk.may("analyse"),
    }
    return desk.page("principles.html", "principles", values)


def _support(desk: Desk) -> dict[str, dict[str, Any]]:
    """What the last results say of each statement."""
    last = desk.results
    return {} if last is None else {row["statement"]: row for row in last.result.get("all", [])}


def _write_principle(desk: Desk, sent: Sent) -> str | Response:
    if sent.get("remove"):
        principles.remove_principle(desk.store, desk.id, sent.get("remove"), desk.member.id)
        return urlencode({"done": "removed"})
    if sent.get("what") == "find":
        return _find_principles(desk)
    if sent.get("what") == "file":
        with at_field("file"):
            read = intake.principles_of_constitution(sent.file_text())
        # All are looked at before the first is written.
        for _, ids in read:
            for id in ids:
                statements.find_statement(desk.store, desk.id, id)
        for text, ids in read:
            why = desk._("From a constitution made of this consultation's votes.")
            principles.write_principle(desk.store, desk.id, text, ids, desk.member.id, why)
        return urlencode({"done": "principles", "count": len(read)})
    with at_field("text" if not sent.get("text").strip() else "source"):
        principles.write_principle(
            desk.store,
            desk.id,
            sent.get("text"),
            sent.all("source"),
            desk.member.id,
            sent.get("rationale"),
            sent.get("id") or None,
        )
    return urlencode({"done": "principle"})


def _find_principles(desk: Desk) -> Response:
    return in_background(desk, "principles", lambda: _found_now(desk), "/principles/found")


def _found_now(desk: Desk) -> dict[str, Any]:
    """The statements that every opinion group supports. Without texts: one may be taken back."""
    found = find_principles(desk.content, PrincipleSettings(resamples=RESAMPLES))
    return {
        "people": found.participants,
        "uncertain": len(found.uncertain),
        "found": [{"sources": list(p.sources), "lowest": p.support.lowest} for p in found.merged],
    }


def _found(desk: Desk) -> Response:
    """What was found last, for organisers to choose from."""
    work = find_work(desk.store, desk.id, "principles")
    if work is None or work.outcome is None:
        return redirected(desk, "/principles")
    known = {frozenset(p.sources) for p in principles.list_principles(desk.store, desk.id)}
    values = {
        **work.outcome,
        "found": [(p, frozenset(p["sources"]) in known) for p in work.outcome["found"]],
        "texts": {s.id: s.text for s in statements.list_statements(desk.store, desk.id)},
        "spoken": figures.spoken_languages(desk.store, desk.id),
        "moment": work.ended,
    }
    return desk.page("principles_found.html", "principles", values)


def _keep_principles(desk: Desk, sent: Sent) -> Response:
    """Keep those that were ticked, each named by the statements it comes from."""
    texts = {s.id: s.text for s in statements.list_statements(desk.store, desk.id)}
    chosen = [tuple(sources.split(" ")) for sources in sent.all("sources")]
    if not chosen:
        raise InputError("choose a principle: tick those you want to keep.")
    # All are looked at before the first is written.
    for sources in chosen:
        for id in sources:
            statements.find_statement(desk.store, desk.id, id)
    why = desk._("Every opinion group supports it: found in the votes.")
    for sources in chosen:
        wording = TEMPLATE.format(" ".join(texts[sources[0]].split()))
        principles.write_principle(desk.store, desk.id, wording, sources, desk.member.id, why)
    done = urlencode({"done": "principles", "count": len(chosen)})
    return redirected(desk, f"/principles?{done}")


router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)
add_section(router, "/principles", _principles, _write_principle, do="analyse")
add_section(router, "/principles/found", _found, _keep_principles, view="analyse", do="analyse")
