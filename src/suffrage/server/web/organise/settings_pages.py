"""The pages on which organisers say how their consultation is run: a form for each part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.errors import InputError
from suffrage.server.store import logos
from suffrage.server.store.consultations import set_settings, set_texts
from suffrage.server.store.database import NotFoundError
from suffrage.server.web.languages import N_
from suffrage.server.web.organise.about_people import people_form, people_view
from suffrage.server.web.organise.desk import Desk, add_section
from suffrage.server.web.organise.embedding_pages import embedding_view, save_embedding
from suffrage.server.web.organise.forms import (
    Ask,
    MistakesError,
    Sent,
    at_field,
    read_answers,
    time_zones,
)
from suffrage.server.web.organise.prediction_pages import predictions_view, save_predictions
from suffrage.server.web.visit import staff_languages

TEXTS = (
    Ask(
        "title",
        "sentence",
        N_("Title"),
        N_("A few words, such as: Our parks in 2030."),
        each_language=True,
        required=True,
    ),
    Ask(
        "question",
        "sentence",
        N_("Question"),
        N_("The one question that people answer with their votes."),
        each_language=True,
        required=True,
    ),
    Ask(
        "intro", "long", N_("Introduction"), N_("Why you ask, and what will happen with it."), True
    ),
    Ask("organiser", "line", N_("Who asks"), N_("Your organisation. Everyone sees it.")),
    Ask("contact", "line", N_("Contact"), N_("An email address or a phone number for questions.")),
    Ask(
        "moderation_policy",
        "long",
        N_("What you do not show"),
        N_("Added to the rules that apply everywhere, such as no personal details."),
        each_language=True,
    ),
    Ask(
        "consent_more",
        "long",
        N_("More for the consent page"),
        N_("What people must also know before they agree."),
        each_language=True,
    ),
    Ask(
        "withdrawal",
        "long",
        N_("Until when people can withdraw"),
        N_("Such as: You can withdraw until 1 March, when we publish."),
        each_language=True,
    ),
)
TAKING_PART = (
    Ask(
        "open_to_all",
        "tick",
        N_("Anyone may take part, without an invitation"),
        N_("Results show how many came without one. One person can then take part twice."),
    ),
    Ask(
        "proof_of_work",
        "number",
        N_("Puzzle before joining without an invitation"),
        N_(
            "0 means none. With 18, the browser works for a few seconds before someone joins. Each "
            "step up doubles that time. It slows down programs, and needs JavaScript."
        ),
        least=0,
        most=24,
    ),
    Ask(
        "statements_by",
        "choice",
        N_("Who writes statements"),
        options={
            "participants": N_("You and the people who take part"),
            "organisers": N_("Only you"),
        },
    ),
    Ask(
        "moderation",
        "choice",
        N_("When is a new statement shown?"),
        options={
            "before": N_("After one of you has accepted it"),
            "after": N_("At once, unless it may contain personal details"),
        },
    ),
    Ask(
        "statement_characters",
        "number",
        N_("Longest statement, in characters"),
        N_("200 is usual: about two short sentences."),
        least=80,
        most=1000,
    ),
    Ask("statements_each", "number", N_("Most statements a person may write"), least=0, most=100),
    Ask("minutes", "number", N_("How many minutes a visit should take"), least=1, most=120),
    Ask(
        "results",
        "choice",
        N_("Who sees the results while people vote"),
        options={
            "participants": N_("People who have voted"),
            "everyone": N_("Everyone"),
            "organisers": N_("Only you"),
        },
    ),
    Ask(
        "results_when_closed",
        "choice",
        N_("Who sees the results when voting has ended"),
        options={
            "everyone": N_("Everyone"),
            "participants": N_("People who have voted"),
            "organisers": N_("Only you"),
        },
    ),
    Ask(
        "least_votes",
        "number",
        N_("Votes of their own before people see results"),
        least=0,
        most=100,
    ),
    Ask(
        "least_people",
        "number",
        N_("People who must have voted before there are results"),
        N_("At least 5, so that no single vote can be seen."),
        least=5,
        most=100_000,
    ),
    Ask("licence", "line", N_("Licence of what you publish"), N_("Such as CC-BY-4.0 or CC0-1.0.")),
)
DATES = (
    Ask(
        "time_zone",
        "zone",
        N_("Time zone"),
        N_("The place whose clocks the two dates follow."),
    ),
    Ask(
        "opens",
        "moment",
        N_("Opens"),
        N_("Leave empty to open it yourself. Then it opens by itself, once."),
    ),
    Ask("closes", "moment", N_("Closes"), N_("Leave empty to close it yourself.")),
)
LOOK = (
    Ask(
        "colour",
        "colour",
        N_("Colour"),
        N_(
            "Of the bar and the buttons, such as #0b4f5c. We make it darker or lighter where words "
            "on it could not be read."
        ),
    ),
)


@dataclass(frozen=True)
class Part:
    """One page of settings."""

    title: str
    # What it is for, in the list of parts.
    about: str
    show: Callable[[Desk], Response]
    act: Callable[[Desk, Sent], str | Response]


def _form(desk: Desk, title: str, asks: tuple[Ask, ...]) -> Response:
    settings = desk.about.settings
    stored = {
        **{name: getattr(settings, name) for name in type(settings).model_fields},
        "title": desk.about.title,
        "question": desk.about.question,
    }
    values = {
        "heading": desk._(title),
        "asks": asks,
        "stored": stored,
        "languages": settings.languages,
        "zones": [(zone, zone) for zone in time_zones()] if asks is DATES else [],
        "may": desk.may("manage"),
        "look": asks is LOOK,
    }
    return desk.page("settings_form.html", "settings", values)


def _save(desk: Desk, sent: Sent, asks: tuple[Ask, ...]) -> str:
    found = read_answers(asks, sent, desk.about.settings.languages)
    title, question = found.pop("title", None), found.pop("question", None)
    if asks is TEXTS and desk.about.phase == "open":
        problem = InputError("people read this before they consent; it is needed while it is open.")
        missing = [(name, problem) for name in ("organiser", "contact") if not found[name].strip()]
        if missing:
            labels = {ask.name: ask.label for ask in TEXTS}
            raise MistakesError(missing, labels)
    if title is not None and question is not None:
        set_texts(desk.store, desk.id, title, question, desk.member.id)
    set_settings(desk.store, desk.id, found, desk.member.id)
    return "done=settings"


def _save_dates(desk: Desk, sent: Sent) -> str:
    found = read_answers(DATES, sent, desk.about.settings.languages)
    if found["opens"] and found["closes"] and found["closes"] <= found["opens"]:
        raise MistakesError([("closes", InputError("it must close after it opens."))])
    # A wrong year would close an open consultation within seconds.
    closes = datetime.fromisoformat(found["closes"]) if found["closes"] else None
    is_new = closes is not None and closes != desk.about.settings.closes
    if closes and is_new and desk.about.phase == "open" and closes <= datetime.now(UTC):
        problem = InputError(
            "this moment has passed; choose a later one, or close the consultation in the settings."
        )
        raise MistakesError([("closes", problem)])
    set_settings(desk.store, desk.id, found, desk.member.id)
    return "done=settings"


def _save_look(desk: Desk, sent: Sent) -> str:
    if sent.get("what") == "logo":
        if sent.get("remove"):
            logos.set_logo(desk.store, desk.id, b"", desk.member.id)
            return "done=no-logo"
        with at_field("file"):
            if not sent.file:
                raise InputError("choose a picture first.")
            logos.set_logo(desk.store, desk.id, sent.file, desk.member.id)
        return "done=logo"
    return _save(desk, sent, LOOK)


def _languages(desk: Desk) -> Response:
    there = {one.code: one.name for one in desk.page_languages()}
    kept = {code: desk.language_name(code) for code in desk.about.settings.languages}
    values = {
        "known": {**there, **kept},
        "drafts": {one.code for one in desk.page_languages() if one.draft},
        "chosen": desk.about.settings.languages,
        "organisers": desk.language.listed_in_themselves(staff_languages(desk.request)),
        "may": desk.may("manage"),
    }
    return desk.page("settings_languages.html", "settings", values)


def _save_languages(desk: Desk, sent: Sent) -> str:
    known = {one.code for one in desk.page_languages()} | set(desk.about.settings.languages)
    ticked = [code for code in sent.all("language") if code in known]
    first = sent.get("first")
    if not ticked:
        raise MistakesError([("language", InputError("tick one language at least."))])
    if first not in ticked:
        raise MistakesError([("first", InputError("the first language must be ticked too."))])
    ordered = [first, *(code for code in dict.fromkeys(ticked) if code != first)]
    if not desk.about.title.get(first):
        raise MistakesError(
            [
                (
                    "first",
                    InputError(
                        "the consultation needs a title in %(language)s first.",
                        language=desk.language_name(first),
                    ),
                )
            ]
        )
    set_settings(desk.store, desk.id, {"languages": ordered}, desk.member.id)
    return "done=settings"


PARTS = {
    "texts": Part(
        N_("Title and texts"),
        N_("What people read, who asks, and who to contact."),
        lambda desk: _form(desk, N_("Title and texts"), TEXTS),
        lambda desk, sent: _save(desk, sent, TEXTS),
    ),
    "taking-part": Part(
        N_("How people take part"),
        N_("Who may take part, statements, moderation, results."),
        lambda desk: _form(desk, N_("How people take part"), TAKING_PART),
        lambda desk, sent: _save(desk, sent, TAKING_PART),
    ),
    "dates": Part(
        N_("Dates"),
        N_("When it opens and closes by itself."),
        lambda desk: _form(desk, N_("Dates"), DATES),
        _save_dates,
    ),
    "look": Part(
        N_("Logo and colour"),
        N_("So that people know it is yours."),
        lambda desk: _form(desk, N_("Logo and colour"), LOOK),
        _save_look,
    ),
    "people": Part(
        N_("Questions about people"),
        N_("Age, area and so on, and who is missing compared with the population."),
        people_view,
        people_form,
    ),
    "embedding": Part(
        N_("On your own site"),
        N_("Where the results may be shown, and their addresses."),
        embedding_view,
        save_embedding,
    ),
    "predictions": Part(
        N_("Predictions"),
        N_("How a model said people would vote, compared with the votes."),
        predictions_view,
        save_predictions,
    ),
    "languages": Part(
        N_("Languages"),
        N_("The languages that people can choose."),
        _languages,
        _save_languages,
    ),
}

router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)


def _part(desk: Desk) -> Part:
    part = PARTS.get(desk.request.path_params["part"])
    if part is None:
        raise NotFoundError("there is no such page.")
    return part


def _logo(desk: Desk) -> Response:
    kind, content = logos.find_logo(desk.store, desk.id)
    return Response(content, media_type=kind)


add_section(router, "/settings/logo", _logo)
add_section(
    router,
    "/settings/{part}",
    lambda desk: _part(desk).show(desk),
    lambda desk, sent: _part(desk).act(desk, sent),
)
