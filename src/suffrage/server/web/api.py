"""The participants' JSON API, under /api/v1/c/{slug}.

A session's token comes with every call as `Authorization: Bearer ...`. Cookies are not read, so
that no other site can make a browser act here. Bodies are JSON and say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from suffrage.consult.pairing import INSTRUCTED_OUTCOME
from suffrage.server.store import (
    consultations,
    demographics,
    participants,
    statements,
    stored_judgements,
    stored_votes,
    withdrawals,
)
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import RefusedError, Store
from suffrage.server.store.driver import Driver
from suffrage.server.store.participants import Participant, Scopes
from suffrage.server.store.puzzles import PARTS, Proof, make_puzzle
from suffrage.server.web.consent import consent_text
from suffrage.server.web.etags import tagged
from suffrage.server.web.languages import languages
from suffrage.server.web.mine import everything_of, results_for
from suffrage.server.web.visit import choose_language, done_together, refuse_draft, spend, store_of

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")]
Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")]
AnId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")]
AText = Annotated[str, Field(max_length=5000, pattern=r"^[^\x00]*$")]
ShortText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class _Reply(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class SessionRequest(_Body):
    """Joins with an invitation, comes back with a code, or neither where it is open to all."""

    token: ShortText | None = None
    """Of an invitation."""
    code: ShortText | None = None
    """To come back with."""
    language: Annotated[str, Field(max_length=20, pattern=r"^[A-Za-z-]*$")] = "en"
    puzzle: ShortText = ""
    """The text of a puzzle, where joining without an invitation needs one."""
    solution: ShortText = ""
    """Of that puzzle."""


class PuzzleReply(_Reply):
    """What to solve before joining without an invitation.

    For each part, from 0, find a number n for which the SHA-256 hash of `mark`, the part as four
    decimal digits and n as eight hexadecimal digits (small letters) begins with `zero_bits` zero
    bits. The solution is these eight digits of every part, one after another. It lets one person
    in, once, within half an hour.
    """

    puzzle: str | None = None
    """To send back with the solution. Null where joining needs none."""
    mark: str = ""
    parts: int = 0
    zero_bits: int = 0


class SessionReply(_Reply):
    """A new session."""

    session: str
    """For the Authorization header; shown once."""
    participant: str
    code: str
    """To come back with, or to withdraw."""
    verified: bool


class ConsentRequest(_Body):
    """Each scope on its own."""

    take_part: bool
    publish_votes: bool = False
    publish_texts: bool = False
    training: bool = False


class VoteRequest(_Body):
    """A vote on a statement."""

    vote: Literal[-1, 0, 1]
    """1 agree, 0 pass, -1 disagree."""
    important: bool = False
    exposure: AnId | None = None
    """What `next` returned, so that the probability of the showing is kept with the vote."""
    next: bool = False
    """Whether the receipt brings what `next` would return after it, which saves a call."""


class ReceiptReply(_Reply):
    """What was stored; it is sent after the commit."""

    id: str
    at: int
    """Milliseconds since 1970."""
    new: bool
    """False where it changed nothing."""


class StatementRequest(_Body):
    """A statement of one's own."""

    text: AText
    language: Annotated[str, Field(max_length=20, pattern=r"^[A-Za-z-]*$")] = "en"
    different: bool = False
    """Send it although similar statements were shown."""


class NearReply(BaseModel):
    """A statement there is already."""

    id: str
    text: str
    likeness: float


class StatementReply(_Reply):
    """What was stored, or why nothing was."""

    id: str | None
    state: str | None
    near: list[NearReply]
    """Similar statements; where there are any, nothing was stored."""


class ComparisonRequest(_Body):
    """Which of the two answers of an exposure is better."""

    exposure: AnId
    outcome: Literal["left", "right", "tie", "both_bad", "skip"]
    confidence: Annotated[int, Field(ge=1, le=3)] | None = None
    reasons: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    response_ms: Annotated[int, Field(ge=0, le=86_400_000)] | None = None


class ReactionRequest(_Body):
    """What somebody thinks of one answer."""

    value: Literal[-1, 1]
    """1 likes it, -1 dislikes it."""
    reasons: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    exposure: AnId | None = None


class StatementOut(BaseModel):
    """A statement to vote on."""

    id: str
    text: str
    language: str


class AnswerOut(BaseModel):
    """An answer; which model gave it is not told."""

    id: str
    text: str
    language: str


class NextReply(_Reply):
    """What comes next; all is empty where nothing is left.

    It is a statement, or a prompt with left and right answer, or a prompt with one answer.
    """

    exposure: str | None = None
    statement: StatementOut | None = None
    prompt: str | None = None
    left: AnswerOut | None = None
    right: AnswerOut | None = None
    choose: str | None = None
    """The outcome to ask for, of a pair that tests whether people read; show it."""
    answer: AnswerOut | None = None


class VoteReply(ReceiptReply):
    """The receipt of a vote."""

    next: NextReply | None = None
    """What comes next, where it was asked for."""


class ErrorReply(_Reply):
    """Every error."""

    error: dict[str, str]
    """reason: one word for programs. message: for people."""


@dataclass(frozen=True)
class Call:
    """A call on behalf of one participant."""

    store: Store
    what: StoredConsultation
    person: Participant


def consultation(request: Request, slug: Slug) -> StoredConsultation:
    """The consultation that is asked for."""
    what = consultations.find_consultation(store_of(request), slug)
    refuse_draft(what)
    request.state.what = what
    return what


AConsultation = Annotated[StoredConsultation, Depends(consultation)]


@dataclass(frozen=True)
class Bearer:
    """Who says they have a session, before that is looked up."""

    slug: str
    token: str

    def call_within(self, d: Driver, request: Request) -> Call:
        """Whose session it is, within a transaction. Answers 401 where nobody's."""
        store = store_of(request)
        seen = participants.enter(d, store.secrets, self.slug, self.token)
        if seen.participant is None:
            refuse_draft(seen.consultation)
        request.state.what = seen.consultation
        if seen.participant is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return Call(store, seen.consultation, seen.participant)


async def bearer(slug: Slug, authorization: Annotated[str, Header(max_length=300)] = "") -> Bearer:
    """The session that is claimed, "" where none is."""
    scheme, _, token = authorization.partition(" ")
    return Bearer(slug, token if scheme.lower() == "bearer" else "")


ABearer = Annotated[Bearer, Depends(bearer)]


def caller(request: Request, claimed: ABearer) -> Call:
    """Who calls, by their session in this consultation. Answers 401 without one."""
    with store_of(request).read() as c:
        return claimed.call_within(Driver(c), request)


async def is_json(content_type: Annotated[str, Header()] = "") -> None:
    """A form of another site cannot send this type without being asked first."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise HTTPException(415)


Caller = Annotated[Call, Depends(caller)]
JSON_ONLY = [Depends(is_json)]
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorReply} for code in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
}


class _Route(APIRoute):
    """Described to programs without the "endpoint" of the function's name."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        name = options.pop("name", None) or endpoint.__name__.removesuffix("_endpoint")
        super().__init__(path, endpoint, name=name, **options)


router = APIRouter(
    prefix="/api/v1/c/{slug}", tags=["participants"], responses=_ERRORS, route_class=_Route
)


@router.get("")
def about_endpoint(what: AConsultation) -> dict[str, Any]:
    """What the consultation is about and how it is run."""
    s = what.settings
    return {
        "slug": what.slug,
        "title": dict(what.title),
        "question": dict(what.question),
        "phase": what.phase,
        "languages": list(s.languages),
        "open_to_all": s.open_to_all,
        "proof_of_work": s.proof_of_work,
        "statement_characters": s.statement_characters,
        "demographics": [item.model_dump(mode="json") for item in s.demographics],
        "consent_version": s.consent_version,
    }


@router.get("/puzzle")
def puzzle_endpoint(request: Request, what: AConsultation) -> PuzzleReply:
    """A puzzle to solve before joining without an invitation, where the consultation wants it."""
    if not what.settings.proof_of_work:
        return PuzzleReply()
    made = make_puzzle(store_of(request).secrets, what.id, what.settings.proof_of_work)
    return PuzzleReply(puzzle=made.text, mark=made.mark, parts=PARTS, zero_bits=made.zero_bits)


@router.post("/session", status_code=201, dependencies=JSON_ONLY)
def session_endpoint(request: Request, what: AConsultation, body: SessionRequest) -> SessionReply:
    """Join, or come back."""
    spend(request, "join")
    store = store_of(request)
    if body.code:
        joined = participants.come_back(store, what.id, body.code)
    else:
        proof = Proof(body.puzzle, body.solution)
        joined = participants.join_consultation(store, what.id, body.token, body.language, proof)
    person = joined.participant
    return SessionReply(
        session=joined.session,
        participant=person.id,
        code=participants.return_code(store, what.id, person.id),
        verified=person.verified,
    )


@router.post("/consent", status_code=204, dependencies=JSON_ONLY)
def consent_endpoint(request: Request, call: Caller, body: ConsentRequest) -> None:
    """Agree to the text of the consent page, each scope on its own."""
    spend(request, "write", call.person.id)
    known = languages(request.app.state.settings.locales)
    text = consent_text(call.what, known.get(call.person.language, known["en"]))
    scopes = Scopes(body.take_part, body.publish_votes, body.publish_texts, body.training)
    participants.give_consent(call.store, call.what.id, call.person.id, scopes, text.whole)


@router.delete("/consent", status_code=204)
def revoke_endpoint(request: Request, call: Caller) -> None:
    """Take all consent back; what was given stays and is not counted. `DELETE me` deletes it."""
    spend(request, "write", call.person.id)
    participants.give_consent(
        call.store, call.what.id, call.person.id, Scopes(take_part=False), "revoked"
    )


@router.put("/demographics", status_code=204, dependencies=JSON_ONLY)
def demographics_endpoint(
    request: Request, call: Caller, body: dict[ShortText, ShortText | None]
) -> None:
    """Answers about oneself, by item; null takes one back."""
    spend(request, "write", call.person.id)
    demographics.set_demographics(call.store, call.what.id, call.person.id, body)


@router.get("/next")
async def next_item_endpoint(
    request: Request,
    bearer: ABearer,
    kind: Annotated[Literal["vote", "comparison", "reaction"], Query()] = "vote",
) -> NextReply:
    """What to show next; the same again until it is answered."""

    def look(d: Driver) -> NextReply | Call:
        call = bearer.call_within(d, request)
        spend(request, "write", call.person.id)
        if call.what.phase != "open":
            raise RefusedError("closed", "this consultation is not open now.")
        return _next_vote(d, request, call) if kind == "vote" else call

    found = await done_together(request, bearer.token, look)
    if isinstance(found, NextReply):
        return found
    shown = _next_pair if kind == "comparison" else _next_answer
    return await run_in_threadpool(shown, request, found)


@router.put("/votes/{statement_id}", dependencies=JSON_ONLY)
async def vote_endpoint(
    request: Request, bearer: ABearer, statement_id: Id, body: VoteRequest
) -> VoteReply:
    """Vote. The same again changes nothing, so that a lost reply can be asked for again."""

    def cast(d: Driver) -> VoteReply:
        call = bearer.call_within(d, request)
        spend(request, "vote", call.person.id)
        done = stored_votes.record_vote(
            d,
            call.what.id,
            call.person.id,
            statement_id,
            body.vote,
            body.important,
            body.exposure,
        )
        after = _next_vote(d, request, call, voted=True) if body.next else None
        return VoteReply(**vars(done), next=after)

    reply = await done_together(request, bearer.token, cast)
    request.app.state.metrics.votes += reply.new
    return reply


def _next_vote(d: Driver, request: Request, call: Call, voted: bool = False) -> NextReply:
    drawn = request.app.state.drawing.next_statement(d, call.what, call.person.id, voted)
    if drawn is None:
        return NextReply()
    return NextReply(exposure=drawn[0].id, statement=StatementOut(**_text(drawn[1])))


def _next_pair(request: Request, call: Call) -> NextReply:
    pair = request.app.state.drawing.next_pair(call.what, call.person.id)
    if pair is None:
        return NextReply()
    shown, prompt, left, right = pair
    return NextReply(
        exposure=shown.id,
        prompt=prompt.text,
        left=AnswerOut(**_text(left)),
        right=AnswerOut(**_text(right)),
        choose=INSTRUCTED_OUTCOME if shown.attention == "instructed" else None,
    )


def _next_answer(request: Request, call: Call) -> NextReply:
    single = request.app.state.drawing.next_answer(call.what, call.person.id)
    if single is None:
        return NextReply()
    return NextReply(
        exposure=single[0].id, prompt=single[1].text, answer=AnswerOut(**_text(single[2]))
    )


@router.post("/statements", dependencies=JSON_ONLY)
def propose_endpoint(request: Request, call: Caller, body: StatementRequest) -> StatementReply:
    """Write a statement. Where like ones are there they come back first, and nothing is stored."""
    if not body.different:
        spend(request, "write", call.person.id)
        near = statements.similar_statements(call.store, call.what.id, body.text)
        if near:
            return StatementReply(id=None, state=None, near=[NearReply(**vars(n)) for n in near])
    spend(request, "statement", call.person.id)
    made = statements.propose_statement(
        call.store, call.what.id, call.person.id, body.text, body.language
    )
    return StatementReply(id=made.id, state=made.state, near=[])


@router.post("/comparisons", dependencies=JSON_ONLY)
def compare_endpoint(request: Request, call: Caller, body: ComparisonRequest) -> ReceiptReply:
    """Say which answer is better; one outcome to one showing."""
    spend(request, "vote", call.person.id)
    done = stored_judgements.record_comparison(
        call.store,
        call.what.id,
        call.person.id,
        body.exposure,
        body.outcome,
        body.confidence,
        body.reasons,
        body.response_ms,
    )
    return ReceiptReply(**vars(done))


@router.put("/reactions/{answer_id}", dependencies=JSON_ONLY)
def react_endpoint(
    request: Request, call: Caller, answer_id: Id, body: ReactionRequest
) -> ReceiptReply:
    """Like or dislike an answer; a later one replaces it."""
    spend(request, "vote", call.person.id)
    done = stored_judgements.record_reaction(
        call.store,
        call.what.id,
        call.person.id,
        answer_id,
        body.value,
        body.reasons,
        body.exposure,
    )
    return ReceiptReply(**vars(done))


@router.get("/me")
def me_endpoint(request: Request, call: Caller) -> dict[str, Any]:
    """Everything the store holds of the caller."""
    language = choose_language(request, call.what)
    return everything_of(call.store, call.what, call.person, language)


@router.delete("/me")
def withdraw_endpoint(
    request: Request,
    call: Caller,
    keep_statements: Annotated[bool, Query()] = False,
) -> dict[str, str]:
    """Withdraw: everything is deleted. The receipt is an entry of the audit log."""
    spend(request, "write", call.person.id)
    receipt = withdrawals.withdraw_participant(
        call.store, call.what.id, call.person.id, keep_statements
    )
    return {"receipt": receipt.short}


@router.get("/results")
def results_endpoint(
    request: Request,
    what: AConsultation,
    authorization: Annotated[str, Header(max_length=300)] = "",
) -> Response:
    """The newest results, as the results page would show them to the caller."""
    store = store_of(request)
    token = authorization.partition(" ")[2]
    person = participants.participant_of_session(store, what.id, token) if token else None
    shown = results_for(store, what, person)
    found = shown["computation"]
    content = {
        "why_not": shown["why"] or None,
        "own_votes": shown["own"],
        "version": found.version if found else None,
        "people": found.people if found else None,
        "votes": found.votes if found else None,
        "computed": shown["computed"] or None,
        "log_head": str(shown["log_head"]) if shown["log_head"] else None,
        "standing": asdict(shown["standing"]) if shown["standing"] else None,
        "result": shown["result"],
    }
    text = json.dumps(content, ensure_ascii=False)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    return tagged(request, text, "application/json", headers)


def _text(thing: Any) -> dict[str, str]:
    return {"id": thing.id, "text": thing.text, "language": thing.language}
