"""The chat as a web page, for a browser on the same machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Form
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from suffrage.errors import InputError
from suffrage.evaluate.asking.interviews import Interview, SideAnswer
from suffrage.report.rendering import page_environment
from suffrage.report.terminal_pages.interviews import interview_notes, people_share
from suffrage.server.chat.preferences import OUTCOME_WORDS, BlindPair, PreferenceBox
from suffrage.server.listening import address_of
from suffrage.server.web.protection import Guard

HOST = "127.0.0.1"
# Exchanges that the page keeps, the newest first.
MOST_KEPT = 50
MOST_CHARACTERS = 2000


@dataclass
class ChatExchange:
    """One question and what the sides answered."""

    number: int
    answers: list[SideAnswer]
    # The same in a random order without names, until the person has chosen; None without a
    # consultation.
    pair: BlindPair | None = None
    # What was stored, in words; empty before, "skip" where the person did not want to say.
    outcome: str = ""

    @property
    def open(self) -> bool:
        """Whether the person has yet to say which answer is better."""
        return self.pair is not None and not self.outcome


@dataclass
class _Chat:
    """What the page shows. One person uses it, and one question is asked at a time."""

    interview: Interview
    box: PreferenceBox | None
    exchanges: list[ChatExchange] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: int = 0

    def ask(self, question: str, options: str) -> None:
        """Ask every side, and put the exchange on top."""
        texts = [line.strip() for line in options.splitlines() if line.strip()]
        with self.lock:
            answers = self.interview.ask(question[:MOST_CHARACTERS], texts)
            self.asked += 1
            pair = self.box.blind(answers) if self.box else None
            self.exchanges.insert(0, ChatExchange(self.asked, answers, pair))
            del self.exchanges[MOST_KEPT:]

    def prefer(self, number: int, outcome: str) -> None:
        """Store which answer is better, once."""
        with self.lock:
            found = next((one for one in self.exchanges if one.number == number), None)
            if found is None or not found.open or found.pair is None or self.box is None:
                raise InputError("this question is no longer open.")
            if outcome != "skip":
                self.box.store(found.pair, outcome)
            found.outcome = outcome


def chat_app(interview: Interview, box: PreferenceBox | None = None) -> FastAPI:
    """The page's application.

    Parameters
    ----------
    interview : Interview
        The sides that are asked.
    box : PreferenceBox, optional
        Where it is stored which of two answers the person prefers.
    """
    chat = _Chat(interview, box)
    app = FastAPI(title="Suffrage chat", openapi_url=None, docs_url=None, redoc_url=None)

    def page(problem: str = "", given: dict[str, str] | None = None) -> HTMLResponse:
        return HTMLResponse(_page(chat, problem, given or {}), 422 if problem else 200)

    @app.get("/")
    def _show() -> HTMLResponse:
        return page()

    @app.get("/chat.css")
    def _style() -> Response:
        return Response(_source("chat.css"), media_type="text/css")

    @app.post("/ask")
    def _ask(question: str = Form(""), options: str = Form("")) -> Response:
        try:
            chat.ask(question, options)
        except InputError as error:
            return page(str(error), {"question": question, "options": options})
        return RedirectResponse("/", 303)

    @app.post("/join")
    async def _join(request: Request) -> Response:
        given = await request.form()
        assert box is not None
        try:
            box.join({name: given.get(name) == "yes" for name in box.consent.scopes})
        except InputError as error:
            return page(str(error))
        return RedirectResponse("/", 303)

    @app.post("/prefer")
    def _prefer(exchange: int = Form(), outcome: str = Form()) -> Response:
        try:
            chat.prefer(exchange, outcome)
        except InputError as error:
            return page(str(error))
        return RedirectResponse("/", 303)

    @app.middleware("http")
    async def _own_forms_only(request: Request, call_next: Any) -> Response:
        if request.method == "POST" and not _is_own(request):
            return Response("This form did not come from this page.", 403)
        answer: Response = await call_next(request)
        return answer

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost", "testserver"])
    app.add_middleware(Guard, secure=False)
    return app


def serve_chat(app: FastAPI, listening: socket, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, to this machine only.

    Parameters
    ----------
    app : FastAPI
    listening : socket
        An open port, such as `open_port(HOST, 0)`; the caller closes it.
    ready : callable
        Called with the page's address before it is served.
    """
    import uvicorn

    ready(f"{address_of(listening)}/")
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def _is_own(request: Request) -> bool:
    """Whether a form was sent by this page: the browser says which page it was on."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _page(chat: _Chat, problem: str, given: dict[str, str]) -> str:
    box = chat.box
    names = [side.name for side in chat.interview.sides]
    content = {
        "names": names,
        "as_whom": _as_whom(chat),
        "notes": [side.note for side in chat.interview.sides if side.note],
        "known": [item.question for item in chat.interview.known_items],
        "exchanges": [_shown(one) for one in chat.exchanges],
        "box": box,
        "waiting": box is not None and any(one.open for one in chat.exchanges),
        "outcomes": OUTCOME_WORDS,
        "problem": problem[:1].upper() + problem[1:],
        "given": given,
    }
    return page_environment("suffrage.server.chat").get_template("chat.html").render(content)


def _as_whom(chat: _Chat) -> str:
    """Whose answers two models give, where both answer for the same people."""
    described = {str(side.persona) for side in chat.interview.sides if side.persona is not None}
    if len(chat.interview.sides) < 2 or len(described) != 1 or chat.box is not None:
        return ""
    same = all(side.persona is not None for side in chat.interview.sides)
    return f"Both answer as {described.pop()}." if same else ""


def _shown(exchange: ChatExchange) -> dict[str, Any]:
    """An exchange as the template shows it: a row for each option, a cell for each side."""
    pair = exchange.pair
    answers = list(pair.hidden) if pair and exchange.open else exchange.answers
    if pair and not exchange.open:
        answers = [pair.left, pair.right]
    rows = []
    if answers[0].item is not None:
        for place, text in enumerate(answers[0].shares):
            rows.append({"text": text, "cells": [_cell(one, place) for one in answers]})
    chosen = pair.preferred(exchange.outcome) if pair else ""
    return {
        "number": exchange.number,
        "question": answers[0].question,
        "heads": [one.side for one in answers],
        "rows": rows,
        "sentences": [list(one.shares.items()) for one in answers],
        "notes": interview_notes(answers) if not exchange.open else [],
        "open": exchange.open,
        "outcome": _outcome(exchange, chosen),
    }


def _outcome(exchange: ChatExchange, chosen: str) -> str:
    if not exchange.outcome:
        return ""
    if exchange.outcome == "skip":
        return "You did not say which is better. Nothing was stored."
    if chosen:
        return f"You preferred {chosen}. It is stored."
    return f"{OUTCOME_WORDS[exchange.outcome]}. It is stored."


def _cell(answer: SideAnswer, place: int) -> dict[str, Any]:
    share = float(list(answer.shares.values())[place])
    cell: dict[str, Any] = {"share": share, "people": people_share(answer, place)}
    if answer.survey is not None:
        cell["mark"] = float(answer.survey.shares[place])
    return cell


def _source(name: str) -> str:
    return (files("suffrage.server.chat") / "templates" / name).read_text(encoding="utf-8")
