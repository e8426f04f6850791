"""The pages of participants. Each form leads on to a page that can be loaded again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from suffrage.consult.consultation import OUTCOMES
from suffrage.server.store import (
    demographics,
    exposures,
    invitations,
    participants,
    sittings,
    statements,
    stored_judgements,
    stored_votes,
    withdrawals,
)
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.database import RefusedError
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import Exposure
from suffrage.server.store.participants import Participant, Scopes
from suffrage.server.store.sittings import Sitting
from suffrage.server.store.statements import StoredStatement
from suffrage.server.store.stored_votes import Receipt
from suffrage.server.web import protection
from suffrage.server.web.consent import consent_text
from suffrage.server.web.drawing import Drawing
from suffrage.server.web.mine import everything_of, results_for
from suffrage.server.web.stencils import Stencils, mark
from suffrage.server.web.visit import (
    APage,
    Form,
    Visit,
    answered,
    checked_form,
    choose_language,
    done_together,
    field,
    render,
    session_of,
    spend,
    staff_languages,
    visit_within,
)

router = APIRouter(include_in_schema=False)

VALUES = {"agree": 1, "pass": 0, "disagree": -1}
REASONS = ("clear", "accurate", "fair", "respectful", "useful", "harmful", "too_long")


def drawing(request: Request) -> Drawing:
    """What draws for all participants of this process."""
    found: Drawing = request.app.state.drawing
    return found


@router.get("/")
def front_page(request: Request) -> Response:
    """Where the server's bare address leads."""
    language = choose_language(request, None)
    return render(request, "front.html", language, offered=staff_languages(request))


@router.get("/c/{slug}")
def landing_page(v: APage) -> Response:
    """What it is about, and how to take part."""
    intro = v.say(v.what.settings.intro)
    return v.page("landing.html", intro=intro, question=v.say(v.what.question))


@router.get("/c/{slug}/join")
def join_page(v: APage, t: str = "") -> Response:
    """Nothing is used up by looking: programs fetch links before people do."""
    if v.participant is not None and not t:
        return _on(v, v.participant)
    good = bool(t) and invitations.is_usable_invitation(v.store, v.what.id, t[:200])
    return _join_page(v, t[:200] if good else "", bad=bool(t) and not good)


@router.post("/c/{slug}/join")
def post_join(v: APage, form: Form) -> Any:
    """With an invitation, without one where that is allowed, or with the code to come back."""
    spend(v.request, "join")
    code, token = field(form, "code", 100), field(form, "token", 200)
    try:
        if code:
            joined = participants.come_back(v.store, v.what.id, code)
        else:
            joined = participants.join_consultation(
                v.store, v.what.id, token or None, v.language.code
            )
    except RefusedError as error:
        if error.reason not in ("used", "invited"):
            raise
        return _join_page(v, "", bad=not code, bad_code=bool(code))
    response = _on(v, joined.participant)
    protection.drop_cookie(v.request, response, protection.VISIT)
    protection.set_cookie(
        v.request,
        response,
        f"in-{v.what.slug}",
        joined.session,
        participants.SESSION_DAYS * 24 * 3600,
    )
    return response


@router.post("/c/{slug}/leave")
def post_leave(v: APage, form: Form) -> Any:
    """End this browser's session."""
    name = f"in-{v.what.slug}"
    session = v.request.cookies.get(protection.cookie_name(v.request, name))
    if session:
        participants.end_session(v.store, v.what.id, session)
    response = v.go("")
    protection.drop_cookie(v.request, response, name)
    return response


@router.get("/c/{slug}/consent")
def consent_page(v: APage) -> Response:
    """What is asked for, each thing on its own."""
    if v.participant is None:
        return v.go("join")
    return v.page("consent.html", consent=consent_text(v.what, v.language))


@router.post("/c/{slug}/consent")
def post_consent(v: APage, form: Form) -> Any:
    """Consent to take part comes first; the rest is free."""
    if v.participant is None:
        return v.go("join")
    spend(v.request, "write", v.participant.id)
    text = consent_text(v.what, v.language)
    given = {name: form.get(name) == "yes" for name in text.scopes}
    if not given["take_part"] and not v.participant.takes_part:
        return v.page("consent.html", 422, consent=text, missing=True)
    first = not v.participant.takes_part
    participants.give_consent(v.store, v.what.id, v.participant.id, Scopes(**given), text.whole)
    if not given["take_part"]:
        return v.go("consent")
    if first:
        return v.go("about-you" if v.what.settings.demographics else "vote")
    return v.go("mine?saved=consent")


@router.get("/c/{slug}/about-you")
def about_you_page(v: APage) -> Response:
    """Questions about the person, every one of which may be left out."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    given = demographics.demographics_of(v.store, v.what.id, v.participant.id)
    return v.page("about_you.html", given=given)


@router.post("/c/{slug}/about-you")
def post_about_you(v: APage, form: Form) -> Any:
    """What is given is stored, what is emptied is deleted."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    spend(v.request, "write", v.participant.id)
    if not field(form, "skip"):
        given = {item.item: field(form, item.item, 80) for item in v.what.settings.demographics}
        demographics.set_demographics(v.store, v.what.id, v.participant.id, dict(given))
    return v.go("mine?saved=about" if field(form, "from") == "mine" else "vote")


async def vote_page(request: Request) -> Response:
    """The next statement."""
    slug, recorded = request.path_params["slug"], request.query_params.get("recorded", "")

    def look(d: Driver) -> tuple[Visit, _Standing | None]:
        v = visit_within(d, request, slug)
        if v.participant is None or not v.participant.takes_part:
            return v, None
        return v, _standing(d, v, v.participant.id, recorded)

    v, standing = await done_together(request, session_of(request, slug), look)
    if standing is None:
        return _not_in(v) or v.go("join")
    return _vote_page(v, standing)


@router.get("/c/{slug}/vote/{statement_id}")
def chosen_statement_page(v: APage, statement_id: str) -> Response:
    """A statement of one's choice, as to change a vote."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    found = statements.find_statement(v.store, v.what.id, statement_id[:64])
    mine = stored_votes.votes_by(v.store, v.what.id, v.participant.id)
    if found.state != "accepted" and found.id not in {x.statement_id for x in mine}:
        return v.page("gone.html", 404)
    with v.store.write() as c:
        standing = _standing(Driver(c), v, v.participant.id, "", found)
    return _vote_page(v, standing, next((x for x in mine if x.statement_id == found.id), None))


async def post_vote(request: Request) -> Response:
    """Store a vote, and draw what comes next; its confirmation stands on the next page."""
    form = await checked_form(request)
    slug, statement_id = request.path_params["slug"], field(form, "statement", 64)
    value = VALUES.get(field(form, "vote", 20))
    from_mine = field(form, "from") == "mine"

    def cast(d: Driver) -> tuple[Visit, Receipt | None]:
        v = visit_within(d, request, slug)
        if v.participant is None or not v.participant.takes_part:
            return v, None
        spend(request, "vote", v.participant.id)
        if value is None:
            return v, None
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
            drawing(request).next_statement(d, v.what, v.participant.id, voted=True)
        return v, done

    v, done = await done_together(request, session_of(request, slug), cast)
    if done is None:
        return _not_in(v) or v.go("vote")
    request.app.state.metrics.votes += done.new
    return v.go("mine?saved=vote" if from_mine else f"vote?recorded={statement_id}")


@router.get("/c/{slug}/statement/new")
def write_statement_page(v: APage) -> Response:
    """Where a statement is written."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    return v.page("statement.html", text="", near=[], problem="")


@router.post("/c/{slug}/statement/new")
def post_statement(v: APage, form: Form) -> Any:
    """Like statements are shown first; who finds theirs different sends it all the same."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    text = field(form, "text", 5000)
    if not form.get("different"):
        spend(v.request, "write", v.participant.id)
        near = statements.similar_statements(v.store, v.what.id, text)
        if near:
            return v.page("statement.html", 200, text=text, near=near, problem="")
    spend(v.request, "statement", v.participant.id)
    try:
        made = statements.propose_statement(
            v.store, v.what.id, v.participant.id, text, _written_in(v, form)
        )
    except RefusedError as error:
        if error.reason not in ("empty", "length", "too_many", "language"):
            raise
        problem = refusal(v, error)
        return v.page("statement.html", 422, text=text, near=[], problem=problem)
    return v.go(f"statement/sent?state={made.state}")


@router.get("/c/{slug}/statement/sent")
def statement_sent_page(v: APage, state: str = "") -> Response:
    """What happens with a statement now."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    return v.page("sent.html", state=state)


@router.get("/c/{slug}/compare")
def compare_page(v: APage, recorded: str = "") -> Response:
    """Two answers side by side; which model gave which is not told."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    drawn = drawing(v.request).next_pair(v.what, v.participant.id) if _open(v) else None
    return v.page(
        "compare.html",
        drawn=drawn,
        recorded=recorded,
        reasons=REASONS,
        done=len(stored_judgements.comparisons_by(v.store, v.what.id, v.participant.id)),
    )


@router.post("/c/{slug}/compare")
def post_comparison(v: APage, form: Form) -> Any:
    """Store which is better, and why if somebody says so."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    spend(v.request, "vote", v.participant.id)
    outcome, sure = field(form, "outcome", 20), field(form, "confidence", 1)
    if outcome not in OUTCOMES:
        return v.go("compare")
    took = field(form, "took", 9)
    stored_judgements.record_comparison(
        v.store,
        v.what.id,
        v.participant.id,
        field(form, "exposure", 64),
        outcome,
        int(sure) if sure in ("1", "2", "3") else None,
        _reasons(form),
        int(took) if took.isascii() and took.isdigit() else None,
    )
    return v.go("compare?recorded=yes")


@router.get("/c/{slug}/answers")
def answers_page(v: APage, recorded: str = "") -> Response:
    """One answer to like or dislike."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    drawn = drawing(v.request).next_answer(v.what, v.participant.id) if _open(v) else None
    return v.page(
        "answers.html",
        drawn=drawn,
        recorded=recorded,
        reasons=REASONS,
        done=len(stored_judgements.reactions_by(v.store, v.what.id, v.participant.id)),
    )


@router.post("/c/{slug}/answers")
def post_reaction(v: APage, form: Form) -> Any:
    """Store a like or dislike, or pass over."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    spend(v.request, "vote", v.participant.id)
    said, exposure = field(form, "reaction", 20), field(form, "exposure", 64)
    if said == "skip":
        exposures.pass_over(v.store, v.what.id, v.participant.id, exposure)
        return v.go("answers")
    value = {"like": 1, "dislike": -1}.get(said)
    if value is None:
        return v.go("answers")
    stored_judgements.record_reaction(
        v.store,
        v.what.id,
        v.participant.id,
        field(form, "answer", 64),
        value,
        _reasons(form),
        exposure or None,
    )
    return v.go("answers?recorded=yes")


@router.get("/c/{slug}/mine")
def mine_page(v: APage, saved: str = "") -> Response:
    """All a participant gave: to see, change, take along or take back."""
    if (away := _not_in(v)) or v.participant is None:
        return away or v.go("join")
    all_of = {s.id: s for s in statements.list_statements(v.store, v.what.id)}
    prompts = {p.id: p for p in answers.list_prompts(v.store, v.what.id)}
    id = v.participant.id
    return v.page(
        "mine.html",
        saved=saved,
        votes=[(x, all_of[x.statement_id]) for x in stored_votes.votes_by(v.store, v.what.id, id)],
        written=[s for s in all_of.values() if s.author_id == id],
        comparisons=stored_judgements.comparisons_by(v.store, v.what.id, id),
        reactions=stored_judgements.reactions_by(v.store, v.what.id, id),
        prompts=prompts,
        about=demographics.demographics_of(v.store, v.what.id, id),
        code=participants.return_code(v.store, v.what.id, id),
        consent=consent_text(v.what, v.language),
    )


@router.get("/c/{slug}/mine/download")
def download_mine(v: APage) -> Response:
    """The same as a file."""
    if v.participant is None:
        return v.go("join")
    content = everything_of(v.store, v.what, v.participant)
    return Response(
        json.dumps(content, ensure_ascii=False, indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{v.what.slug}-my-answers.json"'},
    )


@router.get("/c/{slug}/mine/withdraw")
def withdraw_page(v: APage) -> Response:
    """Asked once more, because it cannot be undone."""
    if v.participant is None:
        return v.go("join")
    return v.page("withdraw.html", missing=False)


@router.post("/c/{slug}/mine/withdraw")
def post_withdrawal(v: APage, form: Form) -> Any:
    """Delete everything, and show a receipt."""
    if v.participant is None:
        return v.go("join")
    spend(v.request, "write", v.participant.id)
    if form.get("sure") != "yes":
        return v.page("withdraw.html", 422, missing=True)
    keep = form.get("keep") == "yes"
    receipt = withdrawals.withdraw_participant(v.store, v.what.id, v.participant.id, keep)
    response = v.go(f"withdrawn?receipt={receipt[:16]}")
    protection.drop_cookie(v.request, response, f"in-{v.what.slug}")
    return response


@router.get("/c/{slug}/withdrawn")
def withdrawn_page(v: APage, receipt: str = "") -> Response:
    """That it is done."""
    known = receipt if receipt.isascii() and receipt.isalnum() and len(receipt) == 16 else ""
    return v.page("withdrawn.html", receipt=known)


@router.get("/c/{slug}/results")
def results_page(v: APage) -> Response:
    """What came out, once enough people voted, and after some votes of one's own."""
    shown = results_for(v.store, v.what, v.participant)
    return v.page("results.html", **{**shown, "computed": v.language.day(shown["computed"])})


@router.get("/c/{slug}/moderation-policy")
def policy_page(v: APage) -> Response:
    """What is not shown, and why."""
    own = v.say(v.what.settings.moderation_policy)
    return v.page("policy.html", own=own)


@router.get("/c/{slug}/privacy")
def privacy_page(v: APage) -> Response:
    """What is stored, for how long, and who sees it."""
    return v.page("privacy.html", consent=consent_text(v.what, v.language))


@router.get("/c/{slug}/help")
def help_page(v: APage) -> Response:
    """How it works, and whom to ask."""
    return v.page("help.html")


def refusal(v: Visit, error: RefusedError) -> str:
    """Why something was refused, in the reader's language."""
    _ = v.language.translations.gettext
    said = {
        "closed": _("This consultation is not open now. Nothing was stored."),
        "consent": _("Nothing is stored before you agree to take part."),
        "withdrawn": _("You have withdrawn from this consultation."),
        "used": _("This invitation or code is not valid, or was used before."),
        "invited": _("This consultation is by invitation."),
        "statements": _("In this consultation the organisers write the statements."),
        "empty": _("Write your statement first."),
        "length": _("Your statement is too long. Use at most %(most)d characters.")
        % {"most": v.what.settings.statement_characters},
        "too_many": _("You have written as many statements as one person can. Thank you."),
        "language": _("Choose one of the languages of this consultation."),
        "replay": _("You have answered this before. Your first answer stands."),
        "state": _("This statement is no longer open to votes."),
        "not_offered": _("That is not one of the choices."),
    }
    return said.get(error.reason, _("This cannot be done now."))


def _on(v: Visit, person: Participant) -> RedirectResponse:
    """Where somebody who has joined goes on."""
    return v.go("vote" if person.takes_part else "consent")


def _not_in(v: Visit) -> RedirectResponse | None:
    if v.participant is None:
        return v.go("join")
    return None if v.participant.takes_part else v.go("consent")


def _open(v: Visit) -> bool:
    return v.what.phase == "open"


# Asked for with every vote, so they stand before all other addresses, and without FastAPI's frame.
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
    d: Driver, v: Visit, participant_id: str, recorded: str, chosen: StoredStatement | None = None
) -> _Standing:
    """Read it within a transaction. chosen: a statement of their own choice in place of a draw."""
    draw, exposure, statement = drawing(v.request), None, chosen
    if chosen is None and _open(v):
        drawn = draw.next_statement(d, v.what, participant_id)
        exposure, statement = drawn or (None, None)
    minutes = v.what.settings.minutes if _open(v) else None
    sitting = sittings.current_sitting(d, v.what.id, participant_id, recorded[:64], minutes)
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
    if s is None or standing.exposure is None or standing.translation or sitting.block is None:
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
        block=standing.sitting.block if _open(v) else None,
        pairs=standing.pairs,
    )


def _written_in(v: Visit, form: Any) -> str:
    wanted = field(form, "language", 20)
    return wanted if wanted else v.language.code


def _reasons(form: Any) -> str:
    chips = [x for x in form.getlist("reason") if isinstance(x, str) and x in REASONS]
    return "; ".join([*chips, *filter(None, [field(form, "why", 400).strip()])])


def _join_page(v: Visit, invitation: str, bad: bool, bad_code: bool = False) -> Response:
    return v.page(
        "join.html",
        403 if bad or bad_code else 200,
        invitation=invitation,
        joinable=bool(invitation) or v.what.settings.open_to_all,
        bad=bad,
        bad_code=bad_code,
    )
