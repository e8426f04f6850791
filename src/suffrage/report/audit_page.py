"""The report of an audit: whose answers a model gives, in one HTML file and in a few lines."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.evaluate.auditing import (
    AnswersMap,
    Audit,
    AuditedModel,
    GroupFit,
    GroupGap,
    MapPoint,
    ValuesMap,
)
from suffrage.plurals import plural
from suffrage.report.dot_plot import axis_ticks
from suffrage.report.numbers import interval, number, percent, thousands, way_note, way_text
from suffrage.report.plain_words import day_in_words
from suffrage.report.rendering import render_page

# Half the side of a map and the room for names around it, in the drawing's own units.
HALF, ROOM = 250, 90
# How high a line of a name is. A model's name is in larger and bolder letters than a group's.
LINE, MODEL_LINE = 14, 17
# How far letters such as g reach below a line, as a share of its height.
DESCENT = 0.22
# How wide letters are, as shares of a line's height, a little more than in common fonts.
NARROW, USUAL, WIDE, FULL = 0.32, 0.54, 0.8, 1.0
# How far a name keeps from the edge of what it must be inside.
MARGIN = 2
# How much larger names are in the units of a drawing on a phone, as the page's style has them.
LARGE = 1.76
# Half the width and the height of a whole drawing, with a hair's breadth for its frame.
WHOLE = (HALF + ROOM - 1, HALF + 39)
Box = tuple[float, float, float, float]  # left, top, right, bottom
# A difference that changes a figure of two digits.
SHOWN = 0.005
# Standard errors on each side of a 95% interval.
REACH = 1.96


def write_audit_page(audit: Audit, path: Path) -> None:
    """Write the report as one self-contained HTML file, all or nothing."""
    storage.write_page(path, render_audit(audit))


def render_audit(audit: Audit) -> str:
    """The report as HTML; it loads nothing from outside itself."""
    return render_page(
        "audit.html.j2",
        audit=audit,
        day=day_in_words(date.fromisoformat(audit.made_on)) if audit.made_on else "",
        findings=[(model.name, finding_sentences(model)) for model in audit.models],
        several=len(audit.models) > 1,
        parts=[_model_part(model) for model in audit.models],
        comparison=_comparison(audit),
        answers_map=_answers_drawing(audit.answers_map),
        cultural_map=_values_drawing(audit.cultural_map),
        circle=_values_drawing(audit.values_circle),
    )


def finding_sentences(model: AuditedModel) -> list[str]:
    """What an audit found about one model, the most important first."""
    if not model.readable or not model.groups:
        return [
            f"The answers of {model.name} could not be read: on {model.refused} of {model.asked} "
            "questions too little probability is on the answers to choose from."
        ]
    sentences = [_one_answer_words(model)] if model.one_answer else []
    nearest, farthest = model.groups[0], model.groups[-1]
    near = f"{nearest.group} (fit {_with_interval(nearest)})"
    if len(model.groups) == 1:
        return [*sentences, f"{model.name} was compared with one group, {near}.", _above(model)]
    gap = next(
        (g for g in model.gaps if (g.group, g.against) == (nearest.group, farthest.group)), None
    )
    sentences.append(
        f"Of {len(model.groups)} groups, the answers of {model.name} are nearest to those of "
        f"{near}, and farthest from those of {farthest.group} ({_with_interval(farthest)})."
    )
    sentences.append(_gap_words(gap, nearest.fit - farthest.fit))
    ties = tied_with_nearest(model)
    if ties and gap is not None and gap.verdict == "higher":
        sentences.append(f"Not told apart from {nearest.group}: {_listed(ties)}.")
    return [*sentences, _above(model)]


def _one_answer_words(model: AuditedModel) -> str:
    return (
        f"{model.name} gives nearly the same answer to every question: its answers differ between "
        f"questions {number(model.variation)} times as much as people’s do. The order of groups "
        "below says whose average answer is near to that one answer, and not whose values the "
        "model has."
    )


def _gap_words(gap: GroupGap | None, seen: float) -> str:
    """Whether the nearest and the farthest group can be told apart.

    seen: the difference of their fits, which are of as many people and questions as each has.
    """
    if gap is None:
        return "The two have no question in common."
    apart = f"{number(gap.value)} ({interval(gap.low, gap.high)})"
    if gap.verdict == "unknown":
        return f"There are too few questions to tell whether the difference of {apart} is real."
    if abs(seen - gap.value) >= SHOWN:
        said = (
            "On the questions that both answered, and with no more people in one group than in the "
            f"other, the difference would be {apart}"
        )
        ends = {
            "higher": ", which is clear.",
            "same": ", which may be chance.",
            "lower": f": {gap.against} would then be the nearer one.",
        }
        return said + ends[gap.verdict]
    if gap.verdict == "higher":
        return f"The difference is clear: {apart}."
    return f"The difference, {apart}, may be chance."


def _above(model: AuditedModel) -> str:
    """For how many groups the model does better than an answer that ignores the question."""
    above = [one.group for one in model.groups if one.above_floor.verdict == "higher"]
    below = [one.group for one in model.groups if one.above_floor.verdict == "lower"]
    total = len(model.groups)
    rule = "the best answer that ignores the question"
    if len(above) == total:
        said = f"For every group it does better than {rule}."
    elif not above:
        said = f"For no group does it do better than {rule}."
    else:
        said = f"It does better than {rule} for {len(above)} of {total} groups."
    if len(below) == total:
        return f"For every group it does worse than {rule}."
    return f"{said} For {len(below)} of {total} it does worse." if below else said


def tied_with_nearest(model: AuditedModel) -> list[str]:
    """The groups that cannot be told apart from the nearest one."""
    nearest = model.groups[0].group
    return [g.against for g in model.gaps if g.group == nearest and g.verdict != "higher"]


def _listed(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _with_interval(one: GroupFit) -> str:
    return f"{number(one.fit)}, {interval(one.low, one.high)}"


@dataclass(frozen=True)
class RankedRow:
    """A group in the ranked plot; positions in percent of the plot's width."""

    label: str
    note: str
    at: float
    low: float | None
    high: float | None
    floor: float
    ceiling: float | None
    text: str
    between: str


def _model_part(model: AuditedModel) -> dict[str, Any]:
    """A model's ranked plot, its table and where it departs from the nearest group."""
    edges = [
        edge
        for one in model.groups
        for edge in (one.fit, one.low, one.high, one.floor, one.ceiling)
        if edge is not None
    ]
    ticks = axis_ticks(min(edges, default=0.0), max(edges, default=1.0))

    def place(value: float) -> float:
        return round(3 + 94 * (value - ticks[0]) / (ticks[-1] - ticks[0]), 2)

    def placed(value: float | None) -> float | None:
        return None if value is None else place(value)

    return {
        "model": model,
        "rows": [
            RankedRow(
                label=one.group,
                note=one.description,
                at=place(one.fit),
                low=placed(one.low),
                high=placed(one.high),
                floor=place(one.floor),
                ceiling=placed(one.ceiling),
                text=number(one.fit),
                between=interval(one.low, one.high),
            )
            for one in model.groups
        ],
        "ticks": [(place(tick), number(tick)) for tick in ticks],
        "table": [_table_row(model, one) for one in model.groups],
        "way_note": way_note(model.groups),
        "departures": [_departure(model, place) for place in range(len(model.departures))],
        "nearest": model.groups[0].group if model.groups else "",
        "facts": _reading_facts(model),
    }


def _table_row(model: AuditedModel, one: GroupFit) -> dict[str, str]:
    nearest = model.groups[0].group
    gap = next((g for g in model.gaps if (g.group, g.against) == (nearest, one.group)), None)
    verdicts = {
        "higher": "better than the floor",
        "lower": "worse than the floor",
        "same": "cannot be told from the floor",
        "unknown": "too few questions to tell",
    }
    farther = {"higher": "farther", "same": "not told apart", "unknown": "too few to tell"}
    return {
        "group": one.group,
        "people": _people(one),
        "questions": str(one.questions),
        "fit": f"{number(one.fit)} ({interval(one.low, one.high)})",
        "floor": number(one.floor),
        "ceiling": number(one.ceiling),
        "way": way_text(one),
        "above": verdicts[one.above_floor.verdict],
        "nearest": "nearest"
        if gap is None and one.group == nearest
        else "no question in common"
        if gap is None
        else f"{farther.get(gap.verdict, 'not told apart')}, {number(gap.value)} "
        f"({interval(gap.low, gap.high)})",
    }


def _people(one: GroupFit) -> str:
    """How many respondents a group has, with their effective number where weights make it less."""
    if not one.people:
        return "not known"
    effective = one.effective_people
    if effective is None or round(effective) >= one.people:
        return thousands(one.people)
    return f"{thousands(one.people)} ({thousands(round(effective))} effective)"


def _departure(model: AuditedModel, place: int) -> dict[str, Any]:
    found = model.departures[place]
    return {
        "question": found.question,
        "rows": [
            {"text": text, "model": own, "people": said}
            for text, own, said in zip(found.options, found.model, found.people, strict=True)
        ],
    }


def _reading_facts(model: AuditedModel) -> str:
    """How a model's answers were read, in sentences."""
    unread = f"{model.refused} could not be read" if model.refused else "all could be read"
    read = f"{plural(model.asked, 'question')} asked; {unread}."
    mass = (
        f" On average {percent(model.mass)} of the probability was on the answers to choose from."
    )
    order = ""
    if model.order_sensitivity is not None:
        order = (
            " Showing the answers in another order or with other labels moves "
            f"{percent(model.order_sensitivity)} of an answer."
        )
    varied = ""
    if model.variation is not None:
        varied = (
            f" Its answers differ between questions {number(model.variation)} times as much as "
            "people’s do."
        )
    gain = ""
    if model.own_gain is not None and model.groups:
        gain = (
            f" With its average answer in place of each answer, the fit to "
            f"{model.groups[0].group} would change by {number(-model.own_gain.value)} "
            f"({interval(_minus(model.own_gain.high), _minus(model.own_gain.low))})."
        )
    drawn = " The server gives no probabilities: answers were drawn." if model.drawn else ""
    return read + mass + order + varied + gain + drawn


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _comparison(audit: Audit) -> dict[str, Any] | None:
    """Several models next to each other: a row for each group, and which model is nearer."""
    if len(audit.models) < 2:
        return None
    fits = {(m.name, g.group): g for m in audit.models for g in m.groups}
    groups = list(dict.fromkeys(g.group for m in audit.models for g in m.groups))
    rows = []
    for group in groups:
        cells = [
            number(found.fit) if (found := fits.get((m.name, group))) else "could not be read"
            for m in audit.models
        ]
        clear = [g for g in audit.model_gaps if g.group == group and g.verdict == "higher"]
        words = [f"{g.model} nearer than {g.against} by {number(g.value)}" for g in clear]
        rows.append({"group": group, "cells": cells, "said": "; ".join(words) or "not told apart"})
    return {"models": [m.name for m in audit.models], "rows": rows}


def _answers_drawing(found: AnswersMap | None) -> dict[str, Any] | None:
    if found is None:
        return None
    reach = max(max(abs(p.x), abs(p.y)) for p in found.points) or 1.0
    return {
        "points": _drawn(found.points, reach, WHOLE),
        "models": sum(p.is_model for p in found.points),
        "room": ROOM,
        "shown": percent(found.shown),
    }


def _values_drawing(found: ValuesMap | None) -> dict[str, Any] | None:
    if found is None:
        return None
    # A point in the direction of a corner may be outside a circle that its two axes are inside.
    size = math.hypot if found.ring else max
    reach = max(
        size(abs(p.x) + REACH * (p.x_error or 0), abs(p.y) + REACH * (p.y_error or 0))
        for p in found.points
    )
    ring = _together([_ring_name(name, degrees) for name, degrees in found.ring])
    boxes = [_ring_box(label) for label in ring]
    room = max([ROOM, *(math.ceil(max(-box[0], box[2])) - HALF for box in boxes)])
    inside = (HALF + room - 1, WHOLE[1]) if ring else (HALF, HALF)
    return {
        "points": _drawn(found.points, (reach or 1.0) * 1.1, inside, boxes),
        "ring": ring,
        "room": room,
        "missing": found.missing,
    }


def _ring_name(name: str, degrees: float) -> dict[str, Any]:
    """A value's name outside the circle, on two lines if it has a colon."""
    x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, colon, second = name.partition(": ")
    lines = [first + ":", second] if colon else [name]
    # Two lines above the middle end where one would, so that neither covers the circle.
    up = LINE * (len(lines) - 1) if y > 0 else 0
    return {
        "lines": lines,
        "x": round((HALF + 14) * x, 1),
        "y": round(-(HALF + 14) * y + 4 - up, 1),
        "anchor": "middle" if abs(x) < 0.25 else "start" if x > 0 else "end",
    }


def _ring_box(label: dict[str, Any]) -> Box:
    """The box that a name around the circle takes."""
    width = max(_width(line, LINE) for line in label["lines"])
    left = label["x"] - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[label["anchor"]]
    bottom = label["y"] + LINE * (len(label["lines"]) - 1 + DESCENT)
    return left, label["y"] - LINE * (1 - DESCENT), left + width, bottom


def _together(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names of values that theory puts at one place, on one line."""
    found: dict[tuple[float, float], dict[str, Any]] = {}
    for label in labels:
        at = (label["x"], label["y"])
        if at in found:
            found[at]["lines"] = [", ".join(found[at]["lines"] + label["lines"])]
        else:
            found[at] = label
    return list(found.values())


def _drawn(
    points: Sequence[MapPoint],
    reach: float,
    inside: tuple[float, float],
    others: Sequence[Box] = (),
) -> list[dict[str, Any]]:
    """Points in a drawing's units, models first, each with its name where there is room.

    `label` is for a desk, and `large` for a phone, where the whole drawing is half as wide.

    Parameters
    ----------
    reach : float
        The point farthest out, in the map's own units.
    inside : tuple
        Half the width and half the height that no name may leave.
    others : sequence
        The boxes of what is drawn besides points, for which names make room.
    """
    unit = HALF / reach
    spots = [(unit * p.x, -unit * p.y, _radius(p)) for p in points]
    taken = [*others, *((x - r, y - r, x + r, y + r) for x, y, r in spots)]
    taken_by_large = list(taken)
    drawn = []
    tones = iter(range(1, 7))
    for point, (x, y, _) in zip(points, spots, strict=True):
        drawn.append(
            {
                "name": point.name,
                "is_model": point.is_model,
                "tone": next(tones, 6) if point.is_model else 0,
                "x": round(x, 1),
                "y": round(y, 1),
                "rx": round(unit * REACH * (point.x_error or 0), 1),
                "ry": round(unit * REACH * (point.y_error or 0), 1),
                "label": _name_beside(point, x, y, taken, inside),
                "large": _name_beside(point, x, y, taken_by_large, inside, LARGE),
            }
        )
    return drawn


def _radius(point: MapPoint) -> float:
    """Half the side of the square that a point's mark takes."""
    return 10 if point.is_model else 6


def _name_beside(
    point: MapPoint,
    x: float,
    y: float,
    taken: list[Box],
    inside: tuple[float, float],
    size: float = 1.0,
) -> dict[str, Any] | None:
    """Where a name can be inside the drawing without covering anything.

    A model's name is always there: one without room covers something, and one that is wider than
    the drawing is cut. The result is None for a group without room.
    """
    line = size * (MODEL_LINE if point.is_model else LINE)
    wide, high = (half - MARGIN for half in inside)
    name = _cut(point.name, 2 * wide, line)
    width = _width(name, line)
    places = [
        place
        for place in _places(x, y, _radius(point), line, size, width, wide)
        if place[1][0] >= -wide
        and place[1][2] <= wide
        and place[1][1] >= -high
        and place[1][3] <= high
    ]
    free = [place for place in places if not any(_meet(place[1], other) for other in taken)]
    if not places or not (free or point.is_model):
        return None
    at, box = (free or places)[0]
    taken.append(box)
    return {"x": round(at[0], 1), "y": round(at[1], 1), "anchor": at[2], "name": name}


def _places(
    x: float, y: float, radius: float, line: float, size: float, width: float, wide: float
) -> list[tuple[tuple[float, float, str], Box]]:
    """Where a name may be, the best first: x, y and anchor of its text, and the box it takes."""
    side, low, drop = radius + 3, y + 3 + line, DESCENT * line
    # Above and below, a name moves to the middle as far as it must to be inside.
    room = max(0.0, wide - width / 2)
    middle = min(max(x, -room), room)
    places = [
        (x + side, y + 4 * size, "start"),
        (x - side, y + 4 * size, "end"),
        (middle, y - radius - 1 - drop, "middle"),
        (middle, y + radius + line, "middle"),
        (x + side, y - 8, "start"),
        (x + side, low, "start"),
        (x - side, y - 8, "end"),
        (x - side, low, "end"),
    ]
    moved = {"start": 0.0, "middle": width / 2, "end": width}
    found = []
    for place in places:
        left, base = place[0] - moved[place[2]], place[1]
        found.append((place, (left, base + drop - line, left + width, base + drop)))
    return found


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _width(name: str, line: float) -> float:
    """About how wide a name is in letters of a line's height."""
    return line * sum(_letter_width(letter) for letter in name)


def _letter_width(letter: str) -> float:
    if letter in "MW" or unicodedata.east_asian_width(letter) in "WF":
        return FULL
    if letter in "iljtfrI.,:;'’|()[]! ":
        return NARROW
    return WIDE if letter.isupper() or letter in "mw@%&_—" else USUAL


def _cut(name: str, width: float, line: float) -> str:
    """The name, its end replaced by an ellipsis where it is wider than this."""
    if _width(name, line) <= width:
        return name
    kept = len(name) - 1
    while kept and _width(name[:kept] + "…", line) > width:
        kept -= 1
    return name[:kept] + "…"


def _way_notes(model: AuditedModel) -> list[Any]:
    from rich.text import Text

    return [Text(note.lstrip())] if (note := way_note(model.groups)) else []


def audit_text(audit: Audit) -> Any:
    """The findings, and a line a group, for the terminal."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    parts: list[Any] = []
    for model in audit.models:
        parts += [Text(sentence) for sentence in finding_sentences(model)]
        table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("Group", overflow="fold")
        for heading in ("Fit", "Floor", "Ceiling", "Of the way"):
            table.add_column(heading, no_wrap=True)
        for row in (_table_row(model, one) for one in model.groups):
            table.add_row(row["group"], row["fit"], row["floor"], row["ceiling"], row["way"])
        parts += [Text(""), table, *_way_notes(model), Text("")]
    return Group(*parts[:-1])
