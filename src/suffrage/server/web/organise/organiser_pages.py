"""The organisers' pages: what each shows, and what each of its forms does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import groupby
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from suffrage.consult.candidate_answers import CandidateAnswer, candidates_of_text
from suffrage.consult.group_letters import COLOURS
from suffrage.consult.pairing import PairDesign
from suffrage.consult.quality import left_rate
from suffrage.errors import InputError
from suffrage.server import plot
from suffrage.server.store import audit, invitations, participants, staff, statements, stored_votes
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.consultations import Phase, says_who_asks, set_phase
from suffrage.server.store.database import now
from suffrage.server.store.statements import State
from suffrage.server.watcher import recompute
from suffrage.server.web.languages import N_
from suffrage.server.web.organise import intake, words
from suffrage.server.web.organise import page_figures as figures
from suffrage.server.web.organise.answers_by_hand import (
    FIELDS,
    answers_of_form,
    written_answers,
)
from suffrage.server.web.organise.audit_entries import AuditWords
from suffrage.server.web.organise.desk import Desk, add_section, file_response, short_id
from suffrage.server.web.organise.forms import MistakesError, Sent, at_field
from suffrage.server.web.organise.settings_pages import PARTS
from suffrage.server.web.organise.staff_desk import change_staff, show_staff
from suffrage.server.web.organise.waiting import in_background, waiting_page, work_view
from suffrage.server.web.picture import groups_picture

A_PAGE = 25
ENTRIES_A_PAGE = 100
# With fewer statements the first people have voted on everything within a minute.
FEWEST_SEEDS = 10

# --- overview --------------------------------------------------------------------------------


def _overview(desk: Desk) -> Response:
    content = desk.content
    rows = figures.participant_rows(desk.store, desk.id, content)
    states = Counter(content.statements["state"])
    strata = figures.strata_of(content, desk.about.settings)
    values = {
        "counts": participants.count_participants(desk.store, desk.id),
        "votes": content.votes.height,
        "comparisons": content.comparisons.height,
        "reactions": content.reactions.height,
        "states": [(word, s, states.get(s, 0)) for s, word in desk.words.states.items()],
        "strata": [(item, list(rows)) for item, rows in groupby(strata, lambda row: row.item)],
        "labels": figures.item_labels(desk.about, desk.language.code, strata),
        "invited": figures.invitations_by_stratum(desk.store, desk.id),
        "flags": figures.count_flags(rows),
        "shown": figures.shown_and_answered(desk.store, desk.id),
        "left": left_rate(content.comparisons),
        "lag": _lag(desk),
    }
    return desk.page("overview.html", "overview", values)


def _lag(desk: Desk) -> dict[str, Any]:
    """When the last results were computed, and how many votes came since."""
    last = desk.results
    return {
        "computed": None if last is None else last.created,
        "behind": stored_votes.count_vote_events(
            desk.store, desk.id, after=0 if last is None else last.event_id
        ),
        "version": None if last is None else last.version,
        "seconds": None if last is None else (now() - last.created) // 1000,
    }


# --- statements ------------------------------------------------------------------------------


def _statements(desk: Desk) -> Response:
    everything = statements.list_statements(desk.store, desk.id)
    counts = Counter(str(s.state) for s in everything)
    state = desk.query("state", "pending")
    if state not in words.STATES:
        state = "pending"
    of_state = [s for s in everything if s.state == state]
    pages = max(1, -(-len(of_state) // A_PAGE))
    at = desk.page_number(pages)
    shown = of_state[(at - 1) * A_PAGE : at * A_PAGE]
    log = statements.list_decisions(desk.store, desk.id)
    events = {str(m.id) for m in log}
    undo = [id for id in desk.query("undo").split("-") if id in events]
    values = {
        "states": [(s, word, counts.get(s, 0)) for s, word in desk.words.states.items()],
        "state": state,
        "queue": figures.moderation_queue(shown, everything, log),
        "page": at,
        "pages": pages,
        "undo": undo,
        "may": desk.may("moderate"),
        "policy": desk.about.settings.moderation,
    }
    return desk.page("statements.html", "statements", values)


def _moderate(desk: Desk, sent: Sent) -> str:
    if sent.get("undo"):
        return _undo(desk, sent.get("undo").split("-"))
    one = sent.get("one")
    to, _, id = one.partition(":") if one else (sent.get("all"), "", "")
    ids = [id] if one else sent.all("chosen")
    if not ids:
        raise InputError("choose a statement: tick those you mean.")
    field = f"reason:{id}" if one else "reason"
    reason = sent.get(field)
    if to == "accepted":
        reason = "ok"
    elif to == "pending":
        reason = "restored"
    elif reason not in words.REASONS:
        problem = InputError(
            "choose a reason. The person who wrote it, and everyone else, will see it."
        )
        raise MistakesError([(field, problem)])
    before = statements.list_decisions(desk.store, desk.id)
    last = before[-1].id if before else 0
    note = sent.get(f"note:{id}" if one else "note")
    moved = statements.moderate_statements(
        desk.store, desk.id, ids, cast(State, to), reason, desk.member.id, note
    )
    made = [
        str(m.id)
        for m in statements.list_decisions(desk.store, desk.id)
        if m.id > last and m.staff_id == desk.member.id and m.statement_id in ids
    ]
    return urlencode({"done": to, "count": moved, "undo": "-".join(made)})


def _undo(desk: Desk, events: list[str]) -> str:
    """Put statements back as they were before some decisions, those that are still so."""
    log = {str(m.id): m for m in statements.list_decisions(desk.store, desk.id)}
    chosen = [log[id] for id in events if id in log]
    if not chosen:
        raise InputError("there is nothing to undo.")
    moved = 0
    for state in dict.fromkeys(m.from_state for m in chosen):
        ids = [
            m.statement_id
            for m in chosen
            if m.from_state == state
            and statements.find_statement(desk.store, desk.id, m.statement_id).state == m.to_state
        ]
        moved += statements.moderate_statements(
            desk.store, desk.id, ids, cast(State, state), "restored", desk.member.id
        )
    return urlencode({"done": "undone", "count": moved})


def _decisions(desk: Desk) -> Response:
    texts = {s.id: s for s in statements.list_statements(desk.store, desk.id)}
    names = {m.id: m.name or m.email for m, _ in staff.list_members(desk.store, desk.id)}
    log = [
        m
        for m in reversed(statements.list_decisions(desk.store, desk.id))
        if m.statement_id in texts
    ]
    values = {
        "log": log[:200],
        "more": max(0, len(log) - 200),
        "texts": texts,
        "names": names,
        "may": desk.may("moderate"),
    }
    return desk.page("decisions.html", "statements", values)


# --- seeds and answers -----------------------------------------------------------------------


def _seeds(desk: Desk) -> Response:
    found = [s for s in statements.list_statements(desk.store, desk.id) if s.seed]
    return desk.page("seeds.html", "seeds", {"seeds": found, "may": desk.may("manage")})


def _add_seeds(desk: Desk, sent: Sent) -> str:
    languages = desk.about.settings.languages
    language = sent.get("language") if sent.get("language") in languages else languages[0]
    text = sent.file_text()
    texts = (
        intake.seeds_of_upload(text, language, languages)
        if text
        else intake.seeds_of_lines(sent.get("lines"), language)
    )
    done = statements.add_seeds(desk.store, desk.id, texts, desk.member.id)
    return urlencode({"done": "seeds", "count": len(done)})


def _answers(desk: Desk) -> Response:
    found = answers.list_answers(desk.store, desk.id, shown_only=False)
    by_prompt: dict[str, list[Any]] = {}
    for one in found:
        by_prompt.setdefault(one.prompt_id, []).append(one)
    items = [d.item for d in desk.about.settings.demographics]
    item = items[0] if items else next(iter(desk.content.demographics["item"].sort()), None)
    design = PairDesign(core_share=desk.about.settings.core_share)
    values = {
        "prompts": [
            (p, by_prompt.get(p.id, [])) for p in answers.list_prompts(desk.store, desk.id)
        ],
        "models": len({one.model for one in found}),
        "count": len(found),
        "core": figures.cover_core(desk.content, design, item),
        "item": item,
        "left": left_rate(desk.content.comparisons),
        "fields": range(FIELDS),
        "model": desk.request.app.state.settings.model,
        "languages": desk.language_pairs(),
        "may": desk.may("manage"),
    }
    return desk.page("answers.html", "answers", values)


def _sent_answers(desk: Desk, sent: Sent) -> list[CandidateAnswer]:
    """The answers of a form: typed, to be written by the operator's model, or in a file."""
    languages = desk.about.settings.languages
    language = sent.get("language") if sent.get("language") in languages else languages[0]
    if sent.get("what") == "type":
        return answers_of_form(sent, language)
    model = desk.request.app.state.settings.model
    if sent.get("what") == "write" and model is not None:
        return written_answers(sent, model, language)
    with at_field("file"):
        text = sent.file_text()
        if not text:
            raise InputError("choose a file of answers, as `suffrage consult answers` writes it.")
        return candidates_of_text(text, desk._("the file"))


def _add_answers(desk: Desk, sent: Sent) -> str:
    if sent.get("show") or sent.get("hide"):
        shown = bool(sent.get("show"))
        id = sent.get("show") or sent.get("hide")
        answers.set_shown(desk.store, desk.id, id, shown, desk.member.id)
        return urlencode({"done": "shown" if shown else "hidden"})
    found = _sent_answers(desk, sent)
    first = {c.prompt_id: c for c in found}
    answers.put_prompts(
        desk.store,
        desk.id,
        [answers.ShownPrompt(id, c.prompt, c.language, c.topic) for id, c in first.items()],
        [
            answers.ShownAnswer(
                c.id, c.prompt_id, c.text, c.model, c.language, c.made_with, c.tokens, c.licence
            )
            for c in {c.id: c for c in found}.values()
        ],
        desk.member.id,
    )
    return urlencode({"done": "answers", "count": len({c.id for c in found})})


# --- participants ----------------------------------------------------------------------------


def _people(desk: Desk) -> Response:
    rows = figures.participant_rows(desk.store, desk.id, desk.content)
    counts = figures.count_flags(rows)
    wanted = desk.query("show", "flagged")
    kept = [
        row
        for row in rows
        if wanted == "all"
        or (wanted == "excluded" and row.person.excluded_at is not None)
        or (wanted == "flagged" and row.quality.flags and row.person.excluded_at is None)
    ]
    pages = max(1, -(-len(kept) // A_PAGE))
    at = desk.page_number(pages)
    values = {
        "rows": kept[(at - 1) * A_PAGE : at * A_PAGE],
        "kept": len(kept),
        "flags": counts,
        "show": wanted,
        "page": at,
        "pages": pages,
        "short": short_id,
        "total": len(rows),
        "excluded": sum(row.person.excluded_at is not None for row in rows),
        "flagged": sum(bool(r.quality.flags) and r.person.excluded_at is None for r in rows),
        "may": desk.may("moderate"),
        "may_look": desk.may("analyse"),
    }
    return desk.page("participants.html", "participants", values)


def _exclude(desk: Desk, sent: Sent) -> str:
    if sent.get("include"):
        participants.include_participant(desk.store, desk.id, sent.get("include"), desk.member.id)
        return urlencode({"done": "included"})
    id = sent.get("exclude")
    reason = " ".join(sent.get(f"reason:{id}").split())[:300]
    if not reason:
        problem = InputError("write a reason. It goes into the log and into what you release.")
        raise MistakesError([(f"reason:{id}", problem)])
    participants.exclude_participant(desk.store, desk.id, id, reason, desk.member.id)
    return urlencode({"done": "excluded"})


def _votes_of(desk: Desk) -> Response:
    person = participants.find_participant(desk.store, desk.id, desk.request.path_params["person"])
    texts = {s.id: s for s in statements.list_statements(desk.store, desk.id)}
    desk.viewed("participant.votes", person.id)
    values = {
        "person": person,
        "short": short_id(person.id),
        "votes": [
            (texts[v.statement_id], v)
            for v in stored_votes.votes_by(desk.store, desk.id, person.id)
        ],
    }
    return desk.page("votes.html", "participants", values)


# --- groups -----------------------------------------------------------------------------------


def _groups(desk: Desk) -> Response:
    if waiting := waiting_page(desk, "groups", "/groups", "/groups?done=again"):
        return waiting
    last = desk.results
    result = dict(last.result) if last else None
    found = result if result and not result.get("waiting") else None
    drawing = ""
    if found:
        drawing = _drawing(desk, found)
    if last:
        desk.viewed("groups", f"results {last.version}")
    values = {
        "lag": _lag(desk),
        "work": work_view(desk, "groups", 0 if last is None else last.created),
        "waiting": desk.language.told(_why(result)) if result and not found else None,
        "found": found,
        "spoken": figures.spoken_languages(desk.store, desk.id),
        "drawing": drawing,
        "mark": plot.group_mark,
        "may": desk.may("analyse"),
        "sort": desk.query("sort", "divided"),
        "all": _sorted(found, desk.query("sort", "divided")) if found else [],
    }
    return desk.page("groups.html", "groups", values)


def _drawing(desk: Desk, found: Mapping[str, Any]) -> str:
    """The groups, with everybody's place for those who may look at single votes."""
    centres = found["plane"]["centres"]
    if "places" not in found:
        circles = [
            {
                "name": row["name"],
                "people": row["size"],
                "colour": row["number"] % COLOURS,
                "place": centre,
            }
            for row, centre in zip(found["groups"], centres, strict=True)
        ]
        # As on the participants' page of results.
        told = desk._(
            "Each circle is a group, the larger the more people. Circles far apart vote "
            "differently. The table below says the same."
        )
        return str(groups_picture(circles, desk._("The groups"), told))
    told = ", ".join(
        desk._("group %(name)s: %(count)s people", name=row["name"], count=row["size"])
        for row in found["groups"]
    )
    return plot.groups_drawing(
        found["places"],
        {row["number"]: centre for row, centre in zip(found["groups"], centres, strict=True)},
        desk._("People, placed by how alike they vote"),
        desk._(
            "Each mark is one person; %(groups)s. The table below says the same.",
            groups=told,
        ),
    )


def _why(result: dict[str, Any]) -> InputError:
    """Why there are no groups yet, as it can be said in every language."""
    why = result.get("why") or {"message": result["waiting"], "values": {}}
    text, values = why["message"], why["values"]
    return InputError(text, **values)


def _sorted(found: dict[str, Any], by: str) -> list[dict[str, Any]]:
    def shares(row: dict[str, Any]) -> list[float]:
        return [g["agree"] for g in row["groups"] if g["agree"] is not None] or [0.0]

    keys = {
        "divided": lambda row: min(shares(row)) - max(shares(row)),
        "agreed": lambda row: -min(shares(row)),
        "voted": lambda row: -row["voters"],
    }
    return sorted(found["all"], key=keys.get(by, keys["divided"]))


def _again(desk: Desk, sent: Sent) -> Response:
    def compute() -> None:
        recompute(desk.store, desk.about)

    return in_background(desk, "groups", compute, "/groups?done=again")


# --- audit log and settings ------------------------------------------------------------------


def _audit(desk: Desk) -> Response:
    entries = audit.list_entries(desk.store, desk.id)
    names = {m.id: m.name or m.email for m, _ in staff.list_members(desk.store, desk.id)}
    told = AuditWords(desk, names)
    pages = max(1, -(-len(entries) // ENTRIES_A_PAGE))
    at = desk.page_number(pages)
    newest_first = entries[::-1][(at - 1) * ENTRIES_A_PAGE : at * ENTRIES_A_PAGE]
    values = {
        "rows": [told.row(entry) for entry in newest_first],
        "page": at,
        "pages": pages,
        "count": len(entries),
        "broken": audit.check_chain(desk.store, desk.id),
        "head": entries[-1].hash if entries else "",
    }
    return desk.page("audit.html", "audit", values)


def _audit_file(desk: Desk) -> Response:
    desk.viewed("audit")
    text = audit.as_json_lines(audit.list_entries(desk.store, desk.id))
    return file_response(text, f"{desk.about.slug}-audit.jsonl", "application/jsonl; charset=utf-8")


def _settings(desk: Desk) -> Response:
    more = (
        ("/invitations", N_("Invitations"), N_("Who may take part, and what was sent.")),
        ("/translations", N_("Translations"), N_("Statements in the other languages.")),
        ("/preview", N_("Preview"), N_("The pages as people will see them.")),
    )
    listed = [(f"/settings/{name}", part.title, part.about) for name, part in PARTS.items()]
    values = {
        "parts": [(path, desk._(title), desk._(about)) for path, title, about in (*listed, *more)],
        "todo": _to_do(desk),
        "may": desk.may("manage"),
    }
    return desk.page("settings.html", "settings", values)


def _to_do(desk: Desk) -> list[tuple[bool, str, str]]:
    """What is needed or wise before it is opened: whether it is done, where, and what."""
    settings, first = desk.about.settings, desk.about.settings.languages[0]
    seeds = statements.list_statements(desk.store, desk.id, ["accepted"])
    invited = settings.open_to_all or bool(invitations.list_invitations(desk.store, desk.id))
    return [
        (
            bool(desk.about.title.get(first) and desk.about.question.get(first)),
            "/settings/texts",
            desk._("Title and question"),
        ),
        (
            says_who_asks(settings),
            "/settings/texts",
            desk._("Who asks, and who to contact"),
        ),
        (
            len(seeds) >= FEWEST_SEEDS,
            "/seeds",
            desk._("%(count)s statements or more to vote on", count=FEWEST_SEEDS),
        ),
        (invited, "/invitations", desk._("Invitations, or open to everyone")),
    ]


def _set(desk: Desk, sent: Sent) -> str | Response:
    what, me = sent.get("what"), desk.member.id
    if what == "phase":
        if sent.get("phase") == "open" and not says_who_asks(desk.about.settings):
            raise InputError(
                "people read who asks them before they consent: fill in “Who asks” and “Contact” "
                "in “Title and texts” first."
            )
        set_phase(desk.store, desk.id, cast(Phase, sent.get("phase")), me)
        return urlencode({"done": "phase"})
    raise InputError("this form is not known; load the page again.")


# --- the table of pages ----------------------------------------------------------------------

router = APIRouter(prefix="/admin/c/{consultation_id}", include_in_schema=False)


_section = partial(add_section, router)
_section("", _overview)
_section("/statements", _statements, _moderate, do="moderate")
_section("/statements/log", _decisions)
_section("/seeds", _seeds, _add_seeds)
_section("/answers", _answers, _add_answers)
_section("/participants", _people, _exclude, do="moderate")
_section("/participants/{person}", _votes_of, view="analyse")
_section("/groups", _groups, _again, do="analyse")
_section("/audit", _audit)
_section("/audit.jsonl", _audit_file, view="export")
_section("/settings", _settings, _set)
_section("/staff", show_staff, change_staff)
