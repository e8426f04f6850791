"""The pages for voting, which most requests are for: made once and filled for each person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from suffrage.server.store import sittings, statements, stored_votes
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import Exposure
from suffrage.server.store.sittings import Sitting
from suffrage.server.store.statements import StoredStatement
from suffrage.server.store.stored_votes import Receipt
from suffrage.server.texts import start_and_rest
from suffrage.server.web import protection
from suffrage.server.web.participant_pages import VOTES, kept_vote, offer_to_join
from suffrage.server.web.stencils import Stencils, mark
from suffrage.server.web.visit import (
    APerson,
    ElsewhereError,
    PersonVisit,
    Visit,
    answered,
    checked_form,
    done_together,
    drawing_of,
    field,
    person_visit,
    session_of,
    spend,
    visit_within,
)

router = APIRouter(include_in_schema=False)


async def vote_page(request: Request) -> Response:
    """The next statement."""
    slug, recorded = request.path_params["slug"], request.query_params.get("recorded", "")

    def look(d: Driver) -> tuple[PersonVisit, _Standing]:
        v = person_visit(visit_within(d, request, slug))
        return v, _standing(d, v, recorded)

    v, standing = await done_together(request, session_of(request, slug), look)
    return _vote_page(v, standing)


@router.get("/c/{slug}/vote/{statement_id}")
def chosen_statement_page(v: APerson, statement_id: str) -> Response:
    """A statement of one's choice, as to change a vote."""
    found = statements.find_statement(v.store, v.what.id, statement_id[:64])
    mine = stored_votes.votes_by(v.store, v.what.id, v.participant.id)
    if found.state != "accepted" and found.id not in {x.statement_id for x in mine}:
        return v.page("gone.html", 404)
    with v.store.write() as c:
        standing = _standing(Driver(c), v, "", found)
    return _vote_page(v, standing, next((x for x in mine if x.statement_id == found.id), None))


async def post_vote(request: Request) -> Response:
    """Store a vote, and draw what comes next; the next page confirms it."""
    form = await checked_form(request)
    slug, statement_id = request.path_params["slug"], field(form, "statement", 64)
    value = VOTES.get(field(form, "vote", 20))
    from_mine = field(form, "from") == "mine"

    def cast(d: Driver) -> tuple[PersonVisit, Receipt]:
        v = person_visit(visit_within(d, request, slug))
        spend(request, "vote", v.participant.id)
        if value is None:
            raise ElsewhereError(v, "vote")
        done = stored_votes.record_vote(
            d,
            v.what.id,
            v.participant.id,
            statement_id,
            value,
            form.get("important") == "yes",
            field(form, "exposure", 64) or None,
        )
        if not from_mine:
            drawing_of(request).next_statement(d, v.what, v.participant.id, voted=True)
        return v, done

    try:
        v, done = await done_together(request, session_of(request, slug), cast)
    except ElsewhereError as elsewhere:
        kept = kept_vote(form)
        if elsewhere.page != "join" or not kept:
            raise
        # Their session has ended: the vote is recorded when they have entered their code.
        return await run_in_threadpool(offer_to_join, elsewhere.visit, "", kept=kept)
    request.app.state.metrics.votes += done.new
    return v.go("mine?saved=vote" if from_mine else f"vote?recorded={statement_id}")


# They are asked for with every vote, so they come before all other addresses and bypass FastAPI.
VOTING = (
    Route("/c/{slug}/vote", vote_page, methods=["GET"]),
    Route("/c/{slug}/vote", post_vote, methods=["POST"]),
)


@dataclass(frozen=True)
class _Standing:
    """What the page for voting shows somebody: what is drawn, and how far they are."""

    exposure: Exposure | None
    statement: StoredStatement | None
    translation: tuple[str, str] | None
    sitting: Sitting
    recorded: str
    all: int
    pairs: bool


def _standing(
    d: Driver, v: PersonVisit, recorded: str, chosen: StoredStatement | None = None
) -> _Standing:
    """Read it within a transaction. chosen: a statement of their own choice in place of a draw."""
    draw, exposure, statement = drawing_of(v.request), None, chosen
    if chosen is None and v.is_open:
        drawn = draw.next_statement(d, v.what, v.participant.id)
        exposure, statement = drawn or (None, None)
    minutes = v.what.settings.minutes if v.is_open else None
    sitting = sittings.current_sitting(d, v.what.id, v.participant.id, recorded[:64], minutes)
    translated = draw.translations(v.what, v.language.code)
    return _Standing(
        exposure,
        statement,
        translated.get(statement.id) if statement else None,
        sitting,
        recorded if sitting.recorded else "",
        max(len(draw.accepted(v.what)), sitting.done),
        bool(draw.questions(v.what)[1]),
    )


def _vote_page(v: Visit, standing: _Standing, mine: Any = None) -> Response:
    s, sitting = standing.statement, standing.sitting
    whole = s is None or start_and_rest(s.text)[1] or standing.translation
    if s is None or whole or standing.exposure is None or sitting.block is None:
        return _whole_vote_page(v, standing, mine)
    stencils: Stencils = v.request.app.state.stencils
    kind = (v.language.code, v.request.url.path, s.language, s.seed, bool(standing.recorded))
    stencil = stencils.of(v.what, (*kind, standing.pairs), lambda: _cut_vote_page(v, standing))
    filled = stencil.filled(
        csrf=protection.csrf_token(v.request, v.store.secrets),
        person=v.person,
        statement=s.id,
        text=s.text,
        exposure=standing.exposure.id,
        recorded=standing.recorded,
        done=sitting.done,
        all=standing.all,
        started=sitting.block.started,
        goal=sitting.block.goal,
    )
    return answered(v.request, filled, v.language)


def _cut_vote_page(v: Visit, standing: _Standing) -> str:
    """The page with marks in place of what differs from one person to the next."""
    exposure, statement, block = standing.exposure, standing.statement, standing.sitting.block
    assert exposure is not None and statement is not None and block is not None
    return v.text(
        "vote.html",
        csrf=mark("csrf"),
        person=mark("person"),
        exposure=replace(exposure, id=mark("exposure")),
        statement=replace(statement, id=mark("statement"), text=mark("text")),
        translation=None,
        mine=None,
        recorded=mark("recorded") if standing.recorded else "",
        done=mark("done"),
        all=mark("all"),
        block={"started": mark("started"), "goal": mark("goal")},
        pairs=standing.pairs,
    )


def _whole_vote_page(v: Visit, standing: _Standing, mine: Any) -> Response:
    return v.page(
        "vote.html",
        exposure=standing.exposure,
        statement=standing.statement,
        translation=standing.translation,
        mine=mine,
        recorded=standing.recorded,
        done=standing.sitting.done,
        all=standing.all,
        block=standing.sitting.block if v.is_open else None,
        pairs=standing.pairs,
    )
