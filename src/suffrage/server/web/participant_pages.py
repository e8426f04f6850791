"""The pages of participants. Each form leads on to a page that can be loaded again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from suffrage.consult.consultation import OUTCOMES
from suffrage.server.store import (
    demographics,
    exposures,
    invitations,
    participants,
    statements,
    stored_judgements,
    stored_votes,
    withdrawals,
)
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.database import NotFoundError, RefusedError
from suffrage.server.store.driver import Driver
from suffrage.server.store.participants import Participant, Scopes
from suffrage.server.store.puzzles import PARTS, Proof, make_puzzle
from suffrage.server.web import protection
from suffrage.server.web.consent import consent_text
from suffrage.server.web.mine import (
    everything_of,
    reasons_told,
    results_audience,
    results_for,
)
from suffrage.server.web.organise.words import Words
from suffrage.server.web.rate_limits import TooManyError
from suffrage.server.web.visit import (
    AJoined,
    APage,
    APerson,
    Form,
    Visit,
    choose_language,
    drawing_of,
    field,
    languages_for,
    render,
    spend,
)

router = APIRouter(include_in_schema=False)

# The votes as forms send them.
VOTES = {"agree": 1, "pass": 0, "disagree": -1}

# A contact that is one address of a mailbox or of a page, and nothing else.
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
WEB_PAGE = re.compile(r"https?://[^\s<>\"]+")

REASONS = ("clear", "accurate", "fair", "respectful", "useful", "harmful", "too_long")


@router.get("/")
def front_page(request: Request) -> Response:
    """Where the server's bare address leads."""
    language = choose_language(request, None)
    return render(request, "front.html", language, offered=languages_for(request, None))


@router.get("/c/{slug}")
def landing_page(v: APage) -> Response:
    """What it is about, and how to take part."""
    intro = v.say(v.what.settings.intro)
    return v.page("landing.html", intro=intro, question=v.say(v.what.question))


@router.get("/c/{slug}/join")
def join_page(v: APage, t: str = "") -> Response:
    """Nothing is used up by looking: programs fetch links before people do."""
    token = t[:200]
    usable = bool(token) and invitations.is_usable_invitation(v.store, v.what.id, token)
    if v.participant is not None and not usable:
        mine = (v.store, v.what.id, token, v.participant.id)
        if not token or invitations.is_own_invitation(*mine):
            return _on(v, v.participant)
    return offer_to_join(v, token if usable else "", bad=bool(token) and not usable)


@router.post("/c/{slug}/join")
def post_join(v: APage, form: Form) -> Any:
    """With an invitation, without one where that is allowed, or with the code to come back."""
    spend(v.request, "join")
    code, token = field(form, "code", 100), field(form, "token", 200)
    kept = kept_vote(form)
    try:
        if code or kept:
            joined = participants.come_back(v.store, v.what.id, code)
        else:
            proof = Proof(field(form, "puzzle", 100), field(form, "solution", 200))
            joined = participants.join_consultation(
                v.store, v.what.id, token or None, v.language.code, proof
            )
    except RefusedError as error:
        if error.reason == "puzzle":
            return offer_to_join(v, "", bad_puzzle=True)
        if error.reason not in ("used", "invited"):
            raise
        typed = bool(code or kept)
        return offer_to_join(v, "", bad=not typed, bad_code=typed, code=code, kept=kept)
    response = _on(v, joined.participant)
    if kept and joined.participant.takes_part:
        response = v.go(_record_kept_vote(v, joined.participant, kept))
    protection.drop_cookie(v.request, response, protection.VISIT)
    protection.set_cookie(
        v.request,
        response,
        f"in-{v.what.slug}",
        joined.session,
        participants.SESSION_DAYS * 24 * 3600,
    )
    return response


def kept_vote(form: FormData) -> dict[str, str]:
    """The vote that a form brings along, empty without one."""
    vote = {name: field(form, name, 64) for name in ("statement", "vote", "important", "exposure")}
    whole = vote["statement"] and vote["vote"] in VOTES
    return {name: value for name, value in vote.items() if value} if whole else {}


def _record_kept_vote(v: Visit, person: Participant, kept: dict[str, str]) -> str:
    """Record it, and return the page that says so."""
    spend(v.request, "vote", person.id)
    try:
        with v.store.write() as c:
            done = stored_votes.record_vote(
                Driver(c),
                v.what.id,
                person.id,
                kept["statement"],
                VOTES[kept["vote"]],
                kept.get("important") == "yes",
                kept.get("exposure"),
            )
    except (RefusedError, NotFoundError):
        # The statement may be gone, or the consultation closed: the next page says what is open.
        return "vote"
    v.request.app.state.metrics.votes += done.new
    return f"vote?recorded={kept['statement']}"


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
def consent_page(v: AJoined) -> Response:
    """What is asked for, each thing on its own."""
    return v.page("consent.html", consent=consent_text(v.what, v.language))


@router.post("/c/{slug}/consent")
def post_consent(form: Form, v: AJoined) -> Any:
    """Consent to take part comes first; the rest is free."""
    spend(v.request, "write", v.participant.id)
    text = consent_text(v.what, v.language)
    given = {name: form.get(name) == "yes" for name in text.scopes}
    if not given["take_part"] and not v.participant.takes_part:
        problem = v._("To take part, tick the first box. If you do not want to, close this page.")
        return v.page("consent.html", 422, consent=text, problem=problem, ticked=given)
    first = not v.participant.takes_part
    participants.give_consent(v.store, v.what.id, v.participant.id, Scopes(**given), text.whole)
    if not given["take_part"]:
        return v.go("consent")
    return v.go("code" if first else "mine?saved=consent")


@router.get("/c/{slug}/code")
def code_page(v: APerson) -> Response:
    """The code to come back with, shown once when somebody has started, with why to keep it."""
    code = participants.return_code(v.store, v.what.id, v.participant.id)
    further = "about-you" if v.what.settings.demographics else "vote"
    return v.page("code.html", code=code, further=further)


@router.get("/c/{slug}/about-you")
def about_you_page(v: APerson) -> Response:
    """Questions about the person, every one of which may be left out."""
    given = demographics.demographics_of(v.store, v.what.id, v.participant.id)
    return v.page("about_you.html", given=given)


@router.post("/c/{slug}/about-you")
def post_about_you(form: Form, v: APerson) -> Any:
    """What is given is stored, what is emptied is deleted."""
    spend(v.request, "write", v.participant.id)
    if not field(form, "skip"):
        given = {item.item: field(form, item.item, 80) for item in v.what.settings.demographics}
        demographics.set_demographics(v.store, v.what.id, v.participant.id, dict(given))
    return v.go("mine?saved=about" if field(form, "from") == "mine" else "vote")


@router.get("/c/{slug}/statement/new")
def write_statement_page(v: APerson) -> Response:
    """Where a statement is written."""
    return _statement_page(v, "", v.language.code)


@router.post("/c/{slug}/statement/new")
def post_statement(form: Form, v: APerson) -> Any:
    """Like statements are shown first; who finds theirs different sends it all the same.

    The allowance of statements counts those that are stored. What is refused comes back with the
    reason, and costs nothing of it.
    """
    spend(v.request, "write", v.participant.id)
    text, language = field(form, "text", 20_000), _written_in(v, form)
    mine = (v.store, v.what.id, v.participant.id, text, language)
    try:
        statements.check_statement(*mine)
        if not form.get("different"):
            near = statements.similar_statements(v.store, v.what.id, text)
            if near:
                return _statement_page(v, text, language, near=near)
        spend(v.request, "statement", v.participant.id)
        made = statements.propose_statement(*mine)
    except RefusedError as error:
        if error.reason not in ("empty", "length", "too_many", "language"):
            raise
        return _statement_page(v, text, language, refusal(v, error), 422)
    except TooManyError as error:
        problem = v._(
            "You have sent many statements in a short time. Your text is kept here: send it again "
            "in %(minutes)s minutes.",
            minutes=ceil(error.seconds / 60),
        )
        response = _statement_page(v, text, language, problem, 429)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    return v.go(f"statement/sent?state={made.state}")


def _statement_page(
    v: Visit, text: str, language: str, problem: str = "", status: int = 200, near: Any = ()
) -> Response:
    alike = [statements.find_statement(v.store, v.what.id, one.id) for one in near]
    values = {"text": text, "written_in": language, "problem": problem, "near": alike}
    return v.page("statement.html", status, **values)


@router.get("/c/{slug}/statement/sent")
def statement_sent_page(v: APerson, state: str = "") -> Response:
    """What happens with a statement now."""
    return v.page("sent.html", state=state)


@router.get("/c/{slug}/compare")
def compare_page(v: APerson, recorded: str = "") -> Response:
    """Two answers side by side; which model gave which is not told."""
    drawn = drawing_of(v.request).next_pair(v.what, v.participant.id) if v.is_open else None
    return v.page(
        "compare.html",
        drawn=drawn,
        recorded=recorded,
        reasons=REASONS,
        done=len(stored_judgements.comparisons_by(v.store, v.what.id, v.participant.id)),
    )


@router.post("/c/{slug}/compare")
def post_comparison(form: Form, v: APerson) -> Any:
    """Store which is better, and why if somebody says so."""
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
def answers_page(v: APerson, recorded: str = "") -> Response:
    """One answer to like or dislike."""
    drawn = drawing_of(v.request).next_answer(v.what, v.participant.id) if v.is_open else None
    return v.page(
        "answers.html",
        drawn=drawn,
        recorded=recorded,
        reasons=REASONS,
        done=len(stored_judgements.reactions_by(v.store, v.what.id, v.participant.id)),
    )


@router.post("/c/{slug}/answers")
def post_reaction(form: Form, v: APerson) -> Any:
    """Store a like or dislike, or pass over."""
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
def mine_page(v: APerson, saved: str = "") -> Response:
    """All a participant gave: to see, change, take along or take back."""
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
        decided=reasons_told(v.language, statements.last_reasons(v.store, v.what.id)),
        consent=consent_text(v.what, v.language),
    )


@router.get("/c/{slug}/mine/download")
def download_mine(v: AJoined) -> Response:
    """The same as a file."""
    content = everything_of(v.store, v.what, v.participant, v.language)
    return Response(
        json.dumps(content, ensure_ascii=False, indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{v.what.slug}-my-answers.json"'},
    )


@router.get("/c/{slug}/mine/withdraw")
def withdraw_page(v: AJoined) -> Response:
    """Asked once more, because it cannot be undone."""
    return v.page("withdraw.html", problem="", keep=False)


@router.post("/c/{slug}/mine/withdraw")
def post_withdrawal(form: Form, v: AJoined) -> Any:
    """Delete everything, and show a receipt."""
    spend(v.request, "write", v.participant.id)
    keep = form.get("keep") == "yes"
    if form.get("sure") != "yes":
        problem = v._("Tick the box to withdraw, or go back.")
        return v.page("withdraw.html", 422, problem=problem, keep=keep)
    receipt = withdrawals.withdraw_participant(v.store, v.what.id, v.participant.id, keep)
    response = v.go(f"withdrawn?receipt={receipt.short}")
    protection.drop_cookie(v.request, response, f"in-{v.what.slug}")
    return response


@router.get("/c/{slug}/withdrawn")
def withdrawn_page(v: APage, receipt: str = "") -> Response:
    """That it is done. Whoever comes without a receipt has not withdrawn."""
    if not re.fullmatch(r"[0-9]{1,9}:[0-9a-f]{16}", receipt, re.ASCII):
        return v.go("")
    return v.page("withdrawn.html", receipt=receipt)


@router.get("/c/{slug}/results")
def results_page(v: APage, sort: str = "") -> Response:
    """What came out, once enough people voted, and after some votes of one's own."""
    shown = results_for(v.store, v.what, v.participant)
    return v.page(
        "results.html",
        **shown,
        reasons=Words(v.language).reasons,
        sort=sort or "votes",
        # The list of all statements is unfolded for whoever chose its order.
        sorted=bool(sort),
        public=results_audience(v.what) == "everyone",
    )


@router.get("/c/{slug}/moderation-policy")
def policy_page(v: APage) -> Response:
    """What is not shown, and why."""
    own = v.say(v.what.settings.moderation_policy)
    return v.page("policy.html", own=own)


@router.get("/c/{slug}/privacy")
def privacy_page(v: APage) -> Response:
    """What is stored, for how long, and who sees it."""
    return v.page("privacy.html", consent=consent_text(v.what, v.language))


def contact_link(contact: str) -> str:
    """Return where a contact leads: an email address or a web page; "" for other words.

    >>> contact_link("council@example.org")
    'mailto:council@example.org'
    >>> contact_link("Phone 01 234")
    ''
    """
    if EMAIL.fullmatch(contact):
        return f"mailto:{contact}"
    return contact if WEB_PAGE.fullmatch(contact) else ""


@router.get("/c/{slug}/help")
def help_page(v: APage) -> Response:
    """How it works, and whom to ask."""
    return v.page("help.html", contact_link=contact_link(v.what.settings.contact))


def refusal(v: Visit, error: RefusedError) -> str:
    """Why something was refused, in the reader's language."""
    _ = v.language.translations.gettext
    said = {
        "closed": _("This consultation is not open. We saved nothing."),
        "consent": _("We save nothing until you agree to take part."),
        "withdrawn": _("You have withdrawn from this consultation."),
        "used": _("This invitation or code is not valid, or someone has used it."),
        "invited": _("You need an invitation to take part."),
        "puzzle": _("Joining needs the solution of a puzzle."),
        "statements": _("Only the organisers write statements here."),
        "empty": _("Write your statement first."),
        "length": _("Your statement is too long. Use at most %(most)d characters.")
        % {"most": v.what.settings.statement_characters},
        "too_many": _("You have written as many statements as you can. Thank you."),
        "language": _("Choose a language of this consultation."),
        "replay": _("You have answered this before. We keep your first answer."),
        "state": _("You can no longer vote on this statement."),
        "not_offered": _("Choose one of these."),
    }
    return said.get(error.reason, _("You cannot do this now."))


def _on(v: Visit, person: Participant) -> RedirectResponse:
    """Where somebody who has joined goes on."""
    return v.go("vote" if person.takes_part else "consent")


def _written_in(v: Visit, form: Any) -> str:
    wanted = field(form, "language", 20)
    return wanted if wanted else v.language.code


def _reasons(form: Any) -> str:
    chips = [x for x in form.getlist("reason") if isinstance(x, str) and x in REASONS]
    return "; ".join([*chips, *filter(None, [field(form, "why", 400).strip()])])


def offer_to_join(
    v: Visit,
    invitation: str,
    bad: bool = False,
    bad_code: bool = False,
    bad_puzzle: bool = False,
    code: str = "",
    kept: Mapping[str, str] | None = None,
) -> Response:
    """The page to start on, or to continue from with a code.

    Parameters
    ----------
    invitation : str
        The token of a usable one, "" without.
    bad, bad_code : bool
        Whether the invitation, or the code, cannot be used.
    bad_puzzle : bool
        Whether the page's puzzle was not solved.
    code : str
        What was entered.
    kept : mapping, optional
        The vote of somebody whose session has ended: it is recorded when they are back.
    """
    problem = ""
    if bad:
        problem = v._(
            "This invitation cannot be used. It was used before, is out of date, or was not copied "
            "whole. If you have already started, enter your code."
        )
    elif bad_code:
        problem = v._("We do not know this code. Check each character.")
    elif bad_puzzle:
        problem = v._(
            "Your browser has not solved the puzzle, or this page was open for too long. Press "
            "Start again."
        )
    without = v.what.settings.open_to_all and not kept
    bits = v.what.settings.proof_of_work if without and v.is_open and not invitation else 0
    return v.page(
        "join.html",
        403 if problem else 200,
        invitation=invitation,
        joinable=bool(invitation) or without,
        puzzle=make_puzzle(v.store.secrets, v.what.id, bits) if bits else None,
        parts=PARTS,
        bad=bad,
        bad_code=bad_code,
        problem=problem,
        code=code,
        kept=kept or {},
    )
