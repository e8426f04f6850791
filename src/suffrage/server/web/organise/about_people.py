"""The form for questions about people: each with its choices, and the population's shares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from suffrage.errors import InputError
from suffrage.server.store.consultations import DemographicItem, set_settings
from suffrage.server.texts import clean, whole_number
from suffrage.server.web.languages import N_
from suffrage.server.web.organise.desk import Desk
from suffrage.server.web.organise.forms import MistakesError, Sent

MOST_QUESTIONS, MOST_CHOICES = 12, 60
# Empty lines for more choices, after those that are there.
MORE_LINES = 3
# Shares may be rounded, so that they miss 100 by this much.
ROUNDING = 1.5
# Questions that most consultations ask, with words that can be changed.
READY_MADE = {
    "age": (N_("How old are you?"), ("16–24", "25–34", "35–44", "45–54", "55–64", "65+")),
    "gender": (
        N_("What is your gender?"),
        (N_("Woman"), N_("Man"), N_("Another gender")),
    ),
    "area": (
        N_("Where do you live?"),
        (N_("In the north"), N_("In the south"), N_("In the east"), N_("In the west")),
    ),
    "own": (N_("Your question"), (N_("First choice"), N_("Second choice"))),
}
READY_MADE_NAMES = {
    "age": N_("Age"),
    "gender": N_("Gender"),
    "area": N_("Area"),
    "own": N_("A question of your own"),
}


@dataclass(frozen=True)
class _Choice:
    """A line of the form: a choice, its words in each language, and its share."""

    # What is stored; "" for a new choice.
    value: str
    label: Mapping[str, str]
    # As it was typed, in percent.
    share: str


def people_view(desk: Desk) -> Response:
    """The questions as they are stored, or as they were sent where they were refused."""
    values = {
        "questions": _stored(desk) if desk.sent is None else _sent(desk, desk.sent),
        "languages": desk.about.settings.languages,
        "ready_made": desk.told_options(READY_MADE_NAMES),
        "may": desk.may("manage"),
    }
    return desk.page("settings_people.html", "settings", values)


def people_form(desk: Desk, sent: Sent) -> str:
    """Save the questions, and add one where that was asked for."""
    items, targets = _read(desk, sent)
    added = sent.get("add")
    if added in READY_MADE and len(items) < MOST_QUESTIONS:
        items.append(_ready_made(desk, added, [item["item"] for item in items]))
    changes = {"demographics": items, "targets": targets}
    set_settings(desk.store, desk.id, changes, desk.member.id)
    return "done=settings"


def _ready_made(desk: Desk, kind: str, taken: Sequence[str]) -> dict[str, Any]:
    first = desk.about.settings.languages[0]
    label, choices = READY_MADE[kind]
    known = desk.page_language(first)
    words = [known.translations.gettext(word) for word in choices]
    options = [{"value": word, "label": {first: word}} for word in words]
    return {
        "item": _free_name(kind, taken),
        "label": {first: known.translations.gettext(label)},
        "options": options,
    }


def _stored(desk: Desk) -> list[dict[str, Any]]:
    targets = desk.about.settings.targets
    return [
        {
            "item": item.item,
            "label": item.label,
            "choices": [
                _Choice(o.value, o.label, _percent(targets.get(item.item, {}).get(o.value)))
                for o in item.options
            ]
            + [_Choice("", {}, "")] * MORE_LINES,
        }
        for item in desk.about.settings.demographics
    ]


def _sent(desk: Desk, sent: Sent) -> list[dict[str, Any]]:
    languages = desk.about.settings.languages
    return [
        {
            "item": sent.get(f"item:{at}"),
            "label": {of: sent.get(f"label:{at}:{of}") for of in languages},
            "choices": [
                _Choice(
                    sent.get(f"value:{at}:{row}"),
                    {of: sent.get(f"choice:{at}:{row}:{of}") for of in languages},
                    sent.get(f"share:{at}:{row}"),
                )
                for row in range(_count(sent, f"rows:{at}", MOST_CHOICES))
            ],
        }
        for at in range(_count(sent, "questions", MOST_QUESTIONS))
    ]


def _count(sent: Sent, name: str, most: int) -> int:
    return whole_number(sent.get(name), most) or 0


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.10g}"


def _read(desk: Desk, sent: Sent) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Return the settings `demographics` and `targets` that the form means.

    Raises MistakesError.
    """
    wrong: list[tuple[str, InputError]] = []
    items: list[dict[str, Any]] = []
    targets: dict[str, dict[str, float]] = {}
    before = {item.item: item for item in desk.about.settings.demographics}
    first = desk.about.settings.languages[0]
    for at, question in enumerate(_sent(desk, sent)):
        label = _tidy(question["label"])
        if sent.get(f"remove:{at}") == "yes":
            continue
        if not label.get(first):
            wrong.append((f"label:{at}:{first}", InputError("write the question.")))
        known = before.get(question["item"])
        taken = [item["item"] for item in items]
        name = known.item if known else _free_name(label.get(first, ""), taken)
        options, shares = _choices(question["choices"], known, at, first, wrong)
        if len(options) < 2:
            problem = InputError("give two choices at least.")
            wrong.append((f"choice:{at}:0:{first}", problem))
        items.append({"item": name, "label": label, "options": options})
        targets |= {name: shares} if shares else {}
        if shares and len(shares) < len(options):
            wrong.append((f"share:{at}:0", InputError("give every choice its share, or none.")))
        elif shares and abs(100 * sum(shares.values()) - 100) > ROUNDING:
            total = f"{100 * sum(shares.values()):.10g}"
            problem = InputError("the shares add up to %(sum)s; they must give 100.", sum=total)
            wrong.append((f"share:{at}:0", problem))
    if wrong:
        raise MistakesError(wrong)
    return items, targets


def _choices(
    rows: Sequence[_Choice],
    known: DemographicItem | None,
    at: int,
    first: str,
    wrong: list[tuple[str, InputError]],
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a question's choices and shares; what is wrong with them is added to `wrong`."""
    kept = {option.value for option in known.options} if known else set()
    options: list[dict[str, Any]] = []
    shares: dict[str, float] = {}
    for row, choice in enumerate(rows):
        label = _tidy(choice.label)
        if not label.get(first):
            continue
        # What is stored stays the same when its words change.
        value = choice.value if choice.value in kept else label[first][:80]
        if value in [option["value"] for option in options]:
            wrong.append((f"choice:{at}:{row}:{first}", InputError("this choice is there twice.")))
            continue
        options.append({"value": value, "label": label})
        share = _share(choice.share)
        if share is None:
            problem = InputError("write the share as a number from 0 to 100, such as 23.5.")
            wrong.append((f"share:{at}:{row}", problem))
        elif choice.share.strip():
            shares[value] = share
    return options, shares


def _tidy(label: Mapping[str, str]) -> dict[str, str]:
    tidied = {of: clean(text)[:200] for of, text in label.items()}
    return {of: text for of, text in tidied.items() if text}


def _share(typed: str) -> float | None:
    """Return a share that was typed in percent, 0 for none, and None for what is no share."""
    text = typed.strip().removesuffix("%").strip().replace(",", ".") or "0"
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", text) or float(text) > 100:
        return None
    return round(float(text) / 100, 10)


def _free_name(words: str, taken: Sequence[str]) -> str:
    """Return a name for a question made from its words, that no other question has."""
    plain = unicodedata.normalize("NFKD", words.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:30]
    name = name if re.match(r"[a-z]", name) else "question"
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
