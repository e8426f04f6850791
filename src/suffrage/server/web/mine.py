"""What one participant may see: everything of their own, and the results when it is time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from suffrage.consult.groups.standing import standing_of
from suffrage.server.participants_results import public_part
from suffrage.server.predictions import shown_predictions
from suffrage.server.store import audit, demographics, statements, stored_judgements, stored_votes
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.participants import Participant
from suffrage.server.store.stored_results import newest_results
from suffrage.server.web.languages import Language
from suffrage.server.web.organise.words import Words

# Of the results, the lists of statements.
LISTS = ("most_agree", "most_disagree", "agree", "disagree", "divided")


def reasons_told(language: Language, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return reasons of decisions in a language, by statement. reasons: as the store has them."""
    words = Words(language).reasons
    return {id: words[reason] for id, reason in reasons.items() if reason in words}


def everything_of(
    store: Store, what: StoredConsultation, person: Participant, language: Language
) -> dict[str, Any]:
    """Return all that the store knows of a participant, as a plain mapping.

    language: of the reasons why statements are not shown.
    """
    decided = reasons_told(language, statements.last_reasons(store, what.id))
    texts = {s.id: s for s in statements.list_statements(store, what.id)}
    return {
        "consultation": what.slug,
        "participant": person.id,
        "verified_by_invitation": person.verified,
        "language": person.language,
        "joined": _date(person.created),
        "consent": {
            "take_part": person.takes_part,
            "publish_votes": person.consent_votes,
            "publish_texts": person.consent_texts,
            "training": person.consent_training,
        },
        "about_you": demographics.demographics_of(store, what.id, person.id),
        "votes": [
            {
                "statement": x.statement_id,
                "text": texts[x.statement_id].text,
                "vote": x.value,
                "important": x.important,
            }
            for x in stored_votes.votes_by(store, what.id, person.id)
        ],
        "statements": [
            {"id": s.id, "text": s.text, "state": s.state}
            | ({"reason": decided[s.id]} if s.state == "rejected" and s.id in decided else {})
            for s in texts.values()
            if s.author_id == person.id
        ],
        "comparisons": stored_judgements.comparisons_by(store, what.id, person.id),
        "reactions": stored_judgements.reactions_by(store, what.id, person.id),
    }


def results_for(
    store: Store, what: StoredConsultation, person: Participant | None
) -> dict[str, Any]:
    """Return what the results page shows somebody, or why it shows nothing yet.

    "why" is "" where results are shown, and otherwise "hidden" (organisers keep them), "join",
    "votes" (own votes are missing; "least" are needed) or "people" (too few have voted). "rows"
    has the statements of the results by their ids. "predicted" has the predictions on record that
    can be compared with the votes (`shown_predictions`). "standing" is where the reader stands,
    from the tenth vote on.
    """
    s = what.settings
    last = newest_results(store, what.id, "participants")
    votes = stored_votes.votes_by(store, what.id, person.id) if person else []
    accepted = statements.list_statements(store, what.id, ["accepted"])
    others = [one for one in accepted if person is None or one.author_id != person.id]
    # Where there are fewer statements, nobody can vote on more.
    least = min(s.least_votes, len(others))
    audience = results_audience(what)
    why = ""
    if audience == "organisers":
        why = "hidden"
    elif audience == "participants" and person is None:
        why = "join"
    elif person is not None and len(votes) < least and what.phase == "open":
        why = "votes"
    elif last is None or last.people < s.least_people:
        why = "people"
    shown = last if not why else None
    ids = {one.id for one in accepted}
    result = _still_shown(ids, public_part(shown.result)) if shown else None
    return {
        "why": why,
        "own": len(votes),
        "least": least,
        "computation": shown,
        "result": result,
        "rows": {row["id"]: row for row in result["all"]} if result else {},
        "predicted": shown_predictions(store, what, shown.version) if shown else {},
        "standing": standing_of(shown.result, {v.statement_id: v.value for v in votes})
        if shown
        else None,
        "decided": statements.count_decisions(store, what.id) if shown else None,
        "computed": _date(shown.created) if shown else "",
        "log_head": audit.head_of(store, what.id, shown.acts) if shown else None,
    }


def results_audience(what: StoredConsultation) -> str:
    """To whom results are shown now: "everyone", "participants" or "organisers"."""
    s = what.settings
    return s.results_when_closed if what.phase in ("closed", "archived") else s.results


def _still_shown(accepted: set[str], result: dict[str, Any]) -> dict[str, Any]:
    """Without statements that were taken back or moderated out since the results were computed."""

    def kept(ids: list[str]) -> list[str]:
        return [id for id in ids if id in accepted]

    groups = [
        {**group, **{key: kept(group[key]) for key in ("agrees_more", "disagrees_more")}}
        for group in result["groups"]
    ]
    lists = {key: kept(result[key]) for key in LISTS}
    every = [row for row in result["all"] if row["id"] in accepted]
    return {**result, **lists, "groups": groups, "all": every}


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
