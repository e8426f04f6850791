"""The audit log in words: what was done, to what, with a link to it, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from suffrage.server.store import shown_answers as answers
from suffrage.server.store import statements, stored_principles
from suffrage.server.store.audit import AuditEntry
from suffrage.server.web.languages import N_
from suffrage.server.web.organise.desk import Desk, short_id
from suffrage.server.web.organise.settings_pages import DATES, LOOK, TAKING_PART, TEXTS

ACTIONS = {
    "answer.show": N_("Showed or hid an answer"),
    "answers.import": N_("Added answers to compare"),
    "audit.view": N_("Downloaded the audit log"),
    "consultation.create": N_("Made the consultation"),
    "consultation.import": N_("Imported the consultation"),
    "consultation.phase": N_("Changed the status"),
    "consultation.settings": N_("Changed settings"),
    "consultation.texts": N_("Changed title or question"),
    "export": N_("Exported everything"),
    "groups.view": N_("Looked at the groups"),
    "invitation.create": N_("Made invitation links"),
    "invitation.mail": N_("Invited people by email"),
    "invitation.invitation": N_("Sent an invitation again"),
    "invitation.reminder": N_("Sent reminders"),
    "invitation.revoke": N_("Revoked an invitation"),
    "participant.exclude": N_("Left a person out of the counts"),
    "participant.include": N_("Counted a person again"),
    "participant.votes.view": N_("Looked at one person's votes"),
    "participant.withdraw": N_("Withdrew"),
    "predict": N_("Put predictions on record"),
    "predictions.add": N_("Added predictions"),
    "principle.put": N_("Wrote a principle"),
    "principle.remove": N_("Removed a principle"),
    "release.make": N_("Made a release"),
    "staff.role": N_("Gave or took a role"),
    "statement.moderate": N_("Decided on a statement"),
    "statement.seed": N_("Added statements"),
    "statement.translate": N_("Translated a statement"),
}
# Where the thing is that an act was done to, by the first word of the act.
PLACES = {
    "answer": "/answers",
    "answers": "/answers",
    "consultation": "/settings",
    "groups": "/groups",
    "invitation": "/invitations",
    "predict": "/settings/predictions",
    "predictions": "/settings/predictions",
    "principle": "/principles",
    "release": "/releases",
    "staff": "/settings",
}
KEYS = {
    "count": N_("Number"),
    "demographics": N_("Questions about people"),
    "embedded_by": N_("Sites that may show the results"),
    "epsilon": N_("Noise"),
    "expires": N_("Valid until"),
    "from": N_("Before"),
    "languages": N_("Languages"),
    "note": N_("Note"),
    "reason": N_("Reason"),
    "stratum": N_("Group"),
    "targets": N_("Shares of the population"),
    "to": N_("After"),
    "version": N_("Version"),
}
# Settings by the words of the pages they are set on.
_ASKED = {ask.name: ask for ask in (*TEXTS, *TAKING_PART, *DATES, *LOOK)}
KEYS |= {name: ask.label for name, ask in _ASKED.items()}
# What only a program can use; the download has it.
_FOR_PROGRAMS = ("hash", "sha256", "sources", "text", "rows", "keys", "logo")
_MOST = 120


@dataclass(frozen=True)
class AuditRow:
    """One entry as the page shows it."""

    number: int
    at: int
    who: str
    # What was done, in words; the action's name where there are none.
    act: str
    # What it was done to, its language ("" where unknown), and a link.
    thing: str
    language: str
    link: str
    # What changed, each with its name.
    details: tuple[tuple[str, str], ...]


class AuditWords:
    """Reads entries of one consultation's log, with what is known of the things in it."""

    def __init__(self, desk: Desk, names: Mapping[str, str]) -> None:
        self.desk = desk
        self.names = {
            **names,
            "participant": _capital(desk._("a participant")),
            "command line": _capital(desk._("the command line")),
            "rules": _capital(desk._("the rules")),
            "schedule": _capital(desk._("the dates in the settings")),
        }
        self.statements = {s.id: s for s in statements.list_statements(desk.store, desk.id)}
        self.answers = {a.id: a for a in answers.list_answers(desk.store, desk.id, False)}
        self.principles = {
            p.id: p.text for p in stored_principles.list_principles(desk.store, desk.id)
        }

    def row(self, entry: AuditEntry) -> AuditRow:
        """An entry as the page shows it."""
        thing, language = self._thing(entry)
        words = ACTIONS.get(entry.action)
        return AuditRow(
            entry.number,
            entry.at,
            self.names.get(entry.actor, _capital(self.desk._("someone who has left"))),
            self.desk._(words) if words else entry.action,
            thing,
            language,
            self._link(entry),
            tuple(self._details(entry.detail)),
        )

    def _thing(self, entry: AuditEntry) -> tuple[str, str]:
        """What the act was done to, in words, and their language."""
        kind, id = entry.action.partition(".")[0], entry.object
        if kind == "statement" and id in self.statements:
            return self.statements[id].text, self.statements[id].language
        if kind == "answer" and id in self.answers:
            return _short(self.answers[id].text), self.answers[id].language
        if kind == "principle":
            return str(entry.detail.get("text") or self.principles.get(id, "")), ""
        if kind == "participant" and id:
            return self.desk._("Person %(name)s", name=short_id(id)), self.desk.language.code
        if kind == "staff":
            return self.names.get(id, ""), ""
        if entry.action == "consultation.phase" and id in self.desk.words.phase:
            return self.desk.words.phase[id], self.desk.language.code
        if kind in ("release", "export") and id:
            return id, ""
        return ("", "") if kind in ("statement", "answer", "invitation") else (_short(id), "")

    def _link(self, entry: AuditEntry) -> str:
        kind = entry.action.partition(".")[0]
        base = f"/admin/c/{self.desk.id}"
        if kind == "statement" and entry.object in self.statements:
            state = self.statements[entry.object].state
            return f"{base}/statements?state={state}#s-{entry.object}"
        if kind == "participant" and entry.action != "participant.withdraw":
            return f"{base}/participants?show=all" if entry.object else ""
        return f"{base}{PLACES[kind]}" if kind in PLACES else ""

    def _details(self, detail: Mapping[str, Any]) -> list[tuple[str, str]]:
        told = []
        if detail.keys() == {"from", "to"} and all(
            isinstance(side, Mapping) for side in detail.values()
        ):
            detail = _by_name(detail["from"], detail["to"])
        for key, value in detail.items():
            if key in _FOR_PROGRAMS or value in (None, "", [], {}):
                continue
            name = self.desk._(KEYS[key]) if key in KEYS else key.replace("_", " ")
            if _is_deep(value):
                told.append((name, self.desk._("changed")))
            elif isinstance(value, Mapping) and set(value) == {"from", "to"}:
                told.append((name, self._change(value, key)))
            else:
                told.append((name, self._plain(value, key)))
        return told

    def _change(self, value: Mapping[str, Any], key: str) -> str:
        """What was there before and what is there now; only one where the other is empty."""
        before, after = self._plain(value["from"], key), self._plain(value["to"], key)
        if before and after:
            return f"{before} → {after}"
        return after or self.desk._("removed: %(before)s", before=before)

    def _plain(self, value: Any, key: str = "") -> str:
        """A value as people read it."""
        words = self.desk.words
        if key == "expires" and isinstance(value, int):
            return words.moment(value)
        if key in ("opens", "closes") and isinstance(value, str) and value:
            return words.moment(int(datetime.fromisoformat(value).timestamp() * 1000))
        if isinstance(value, str) and key in _ASKED and value in _ASKED[key].options:
            return self.desk._(_ASKED[key].options[value])
        if isinstance(value, bool):
            return self.desk._("yes") if value else self.desk._("no")
        if isinstance(value, float) and key == "targets":
            return words.percent(value)
        if isinstance(value, Mapping):
            if set(value) <= set(self.desk.about.settings.languages):
                if len(value) == 1:
                    return self._plain(next(iter(value.values())), key)
                value = {self.desk.language_name(code): text for code, text in value.items()}
            parts = (f"{name}: {self._plain(part, key)}" for name, part in value.items())
            return _short("; ".join(parts))
        if isinstance(value, (list, tuple)):
            return _short(", ".join(self._plain(part) for part in value))
        text = "" if value is None else str(value)
        for table in (words.phase, words.states, words.decisions, words.roles):
            if text in table:
                return table[text]
        return _short(text)


def _capital(words: str) -> str:
    """The words as an entry begins with them."""
    return words[:1].upper() + words[1:]


def _by_name(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs between two states, each with what was there and what is there now."""
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def _is_deep(value: Any) -> bool:
    """Whether a change is of lists of mappings, such as questions, that one line cannot say."""
    sides = value.values() if isinstance(value, Mapping) else ()
    lists = (side for side in sides if isinstance(side, list))
    return any(isinstance(part, Mapping) for parts in lists for part in parts)
