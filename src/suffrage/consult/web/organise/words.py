"""What the organisers' pages call things."""

from __future__ import annotations

from datetime import UTC, datetime

from suffrage.consult.findings import group_name as group_name

REASONS = {
    "duplicate": "Says what another one says",
    "off_topic": "Off topic",
    "unclear": "Not clear",
    "several_ideas": "Several ideas in one",
    "personal_details": "Personal details",
    "abusive": "Abusive",
    "spam": "Advertising or spam",
    "unlawful": "Against the law",
}
DECISIONS = {**REASONS, "ok": "In order", "restored": "Put back"}
STATES = {
    "pending": "Waiting",
    "flagged": "Held back",
    "accepted": "Accepted",
    "rejected": "Rejected",
}
PHASES = {
    "draft": "Draft: only organisers see it",
    "open": "Open: people can take part",
    "closed": "Closed: nothing more is taken",
    "archived": "Archived: kept as it is",
}
VOTES = {1: "Agree", 0: "Pass", -1: "Disagree"}
WAYS = {"sampled": "drawn on its own", "diverse": "one of several asked for together"}
# What was done, by the word in the address: no text of an address is ever shown.
DONE = {
    "accepted": "accepted.",
    "rejected": "rejected.",
    "pending": "put back into the queue.",
    "flagged": "held back.",
    "undone": "put back as before.",
    "seeds": "statements are in.",
    "answers": "answers are in.",
    "hidden": "The answer is out of the draw.",
    "shown": "The answer is in the draw again.",
    "excluded": "Left out of every count. You can take it back.",
    "included": "Counted again.",
    "phase": "The phase is changed.",
    "settings": "The settings are saved.",
    "texts": "Title and question are saved.",
    "role": "The role is changed.",
    "principle": "The principle is saved.",
    "principles": "principles are in.",
    "removed": "The principle is removed.",
    "again": "The groups were found anew.",
}
COUNTED = ("accepted", "rejected", "pending", "flagged", "undone", "seeds", "answers", "principles")


def done(word: str, count: str) -> str:
    """The message after a form; "" for words that are none of ours."""
    message = DONE.get(word, "")
    if message and word in COUNTED:
        return f"{int(count) if count.isdigit() and len(count) < 7 else 0} {message}"
    return message


def moment(milliseconds: int | None) -> str:
    """A time as people write it, in UTC."""
    if milliseconds is None:
        return "–"
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def percent(share: float | None) -> str:
    """A share as a whole percentage."""
    return "–" if share is None else f"{100 * share:.0f}\u00a0%"


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many digits."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(share: dict[str, float | None]) -> str:
    """A share with its 95 % interval."""
    if share["agree"] is None:
        return "nobody voted"
    return f"{percent(share['agree'])} ({percent(share['low'])} to {percent(share['high'])})"
