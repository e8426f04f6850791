"""What the evaluations on published benchmarks draw: whom a model serves, and how far it is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from suffrage.evaluate.fit import AVERAGE, UNIFORM
from suffrage.evaluate.results import EvaluationFacts, Figure, Measure, MethodFacts, Results
from suffrage.evaluate.wvb import HEADLINE, MAJORITY, measure_name
from suffrage.report.cells import (
    ABREAST,
    Cell,
    abreast,
    base_method,
    make_table,
    model_methods,
)
from suffrage.report.evaluations import Panel
from suffrage.report.numbers import NOTHING, interval, marked, number

FOLDED = "The same as a table"
# So many lines can be told apart in one picture.
LINES = 5
FIXED_STROKE = 'vector-effect="non-scaling-stroke"'
DASHES = ("", "7 3", "2 3", "10 3 2 3", "1 4")


@dataclass(frozen=True)
class DotRow:
    """A line of a plot of dots."""

    label: str
    itself: float | None  # asked without naming a group
    named: float | None  # asked as this population
    mark: float | None = None  # people's own


def distance_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """The same distances on the items trained on, a row for each distance."""
    methods = model_methods(results)
    floors = {AVERAGE: "Average answer", UNIFORM: "Even answer"}
    known = {figure.method for figure in results.figures if figure.evaluation == facts.name}
    columns = [(m.name, m.label) for m in methods]
    columns += [(name, label) for name, label in floors.items() if name in known]
    rows = []
    for measure in facts.measures:
        found = [_both_sides(results, facts.name, measure, name) for name, _ in columns]
        if any(cell.text != NOTHING for cell in found):
            rows.append([Cell(measure.label), *found])
    if not rows:
        return []
    table = make_table(
        "Held out, and below it trained on",
        [("Distance", False), *((label, True) for _, label in columns)],
        rows,
    )
    return [
        Panel(
            "Held out and trained on, side by side",
            "Each cell has the figure on held-out items and below it the one on items that were "
            "trained on. A method far better on the second has learned the questions rather than "
            "the people.",
            tables=abreast(table, ABREAST),
        )
    ]


def _both_sides(results: Results, evaluation: str, measure: Measure, method: str) -> Cell:
    held = results.figure(evaluation, measure.name, method, side="held_out")
    trained = results.figure(evaluation, measure.name, method, side="trained")
    if held is None and trained is None:
        return Cell(NOTHING)
    return Cell(
        marked(held, measure.digits),
        "" if trained is None else marked(trained, measure.digits),
    )


def country_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Similarity with each country, as itself and as the country, for the best method."""
    countries: Mapping[str, Sequence[Mapping[str, object]]] = facts.details.get("countries", {})
    by_method = {
        method: {
            str(row["country"]): (float(str(row["as_itself"])), float(str(row["as_country"])))
            for row in rows
        }
        for method, rows in countries.items()
        if rows
    }
    return _population_panels(
        results,
        facts,
        by_method,
        {},
        "country",
        "Country by country",
        "Similarity (1 - Jensen-Shannon distance, base 2) with each country",
        "country",
    )


def us_group_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """Representativeness of each group, as itself and as the group, next to people's own."""
    groups: Mapping[str, Mapping[str, Mapping[str, float]]] = facts.details.get("groups", {})
    by_method = {
        method: {
            group: (found["itself"][group], found["steered"][group])
            for group in found["steered"]
            if group in found["itself"]
        }
        for method, found in groups.items()
        if found["steered"]
    }
    return _population_panels(
        results,
        facts,
        by_method,
        facts.details.get("people", {}),
        "steered",
        "Group by group",
        "Representativeness of each group",
        "group",
    )


def _population_panels(
    results: Results,
    facts: EvaluationFacts,
    by_method: Mapping[str, Mapping[str, tuple[float, float]]],
    marks: Mapping[str, float],
    measure: str,
    title: str,
    what: str,
    noun: str,
) -> list[Panel]:
    methods = [m for m in model_methods(results) if by_method.get(m.name)]
    if not methods:
        return []
    best = max(methods, key=lambda m: _value(results.figure(facts.name, measure, m.name)))
    found = by_method[best.name]
    names = sorted(found, key=lambda name: (-found[name][1], name))
    rows = [DotRow(_words(name), *found[name], marks.get(name)) for name in names]
    floor = results.figure(facts.name, measure, UNIFORM)
    text = (
        f"{what}: {best.label}. Filled: asked as the {noun}; hollow: asked as itself"
        + ("; upright mark: the answer of all people, compared with the group" if marks else "")
        + ("; dotted line: the even answer, over all." if floor else ".")
        + f" The {noun} served best comes first."
    )
    columns = [(noun.capitalize(), False)]
    columns += [(f"{m.label}, as the {noun} and below as itself", True) for m in methods]
    columns += [("People's own", True)] if marks else []
    table = make_table(
        f"{what}, by method",
        columns,
        [
            [
                Cell(_words(name)),
                *(_pair(by_method[m.name].get(name)) for m in methods),
                *([Cell(number(marks[name], 3) if name in marks else NOTHING)] if marks else []),
            ]
            for name in names
        ],
    )
    return [Panel(title, text, dots(rows, _value(floor) if floor else None), [table], FOLDED)]


def _words(name: str) -> str:
    """A group's name as a person would read it: "SEX: Female" for "SEX_Female"."""
    attribute, sign, words = name.partition("_")
    return f"{attribute.capitalize()}: {words}" if sign and attribute.isupper() else name


def _pair(values: tuple[float, float] | None) -> Cell:
    return Cell(NOTHING) if values is None else Cell(number(values[1], 3), number(values[0], 3))


def _value(figure: Figure | None) -> float:
    return -1.0 if figure is None else figure.value


def dots(rows: Sequence[DotRow], floor: float | None) -> str:
    """Rows of dots over one axis, as HTML with a small SVG a row; labels are escaped."""
    values = [v for row in rows for v in (row.itself, row.named, row.mark) if v is not None]
    values += [] if floor is None else [floor]
    low, high = int(20 * min(values)) / 20, min(1.0, (int(20 * max(values)) + 1) / 20)

    def at(value: float) -> str:
        return f"{3 + 94 * (value - low) / max(high - low, 1e-9):.2f}%"

    line = ""
    if floor is not None:
        line = f'<line class="ref-floor" x1="{at(floor)}" x2="{at(floor)}" y1="0" y2="22"/>'
    found = []
    for row in rows:
        parts = [line]
        spoken = []
        if row.itself is not None and row.named is not None:
            parts.append(
                f'<line class="axis" x1="{at(row.itself)}" x2="{at(row.named)}" y1="11" y2="11"/>'
            )
        if row.mark is not None:
            where = at(row.mark)
            parts.append(
                f'<line class="population-mark" x1="{where}" x2="{where}" y1="3" y2="19"/>'
            )
            spoken.append(f"people's own {number(row.mark)}")
        if row.itself is not None:
            parts.append(
                f'<g class="hollow"><circle class="dot" cx="{at(row.itself)}" cy="11" r="5"/></g>'
            )
            spoken.append(f"as itself {number(row.itself)}")
        if row.named is not None:
            parts.append(f'<circle class="dot" cx="{at(row.named)}" cy="11" r="5"/>')
            spoken.append(f"by name {number(row.named)}")
        label = escape(row.label)
        found.append(
            f'<div class="plot-row"><span>{label}</span>'
            f'<svg height="22" role="img" aria-label="{label}: {escape(", ".join(spoken))}" '
            f'class="c-m1">{"".join(parts)}</svg>'
            f'<span class="plot-value">{number(row.named)}</span></div>'
        )
    middle = (low + high) / 2
    ticks = "".join(
        f'<text x="{at(value)}" y="14" text-anchor="{anchor}">{number(value, 2)}</text>'
        for value, anchor in ((low, "start"), (middle, "middle"), (high, "end"))
    )
    axis = f'<svg height="18" aria-hidden="true">{ticks}</svg>'
    rows_and_axis = "".join(found)
    return (
        f'<div class="plot">{rows_and_axis}<div class="plot-row plot-axis"><span></span>{axis}'
        "<span></span></div></div>"
    )


def threshold_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """The share of questions within each threshold, the benchmark's own picture."""
    thresholds: Sequence[float] = facts.details.get("thresholds", ())
    labels = {m.name: m.label for m in model_methods(results)}
    names = [*_shown(results, facts), UNIFORM, MAJORITY]
    labels |= {UNIFORM: "Even answer", MAJORITY: "Commonest answer"}
    lines = {
        name: [results.figure(facts.name, measure_name(t), name) for t in thresholds]
        for name in [*labels]
    }
    lines = {name: found for name, found in lines.items() if thresholds and all(found)}
    if not lines:
        return []
    table = make_table(
        "Share of questions at or below each distance",
        [("Method", False), *((f"{t:.2f}", True) for t in thresholds)],
        [
            [
                Cell(labels[name]),
                *(Cell(number(f.value, 2), interval(f.low, f.high, 2)) for f in found if f),
            ]
            for name, found in lines.items()
        ],
    )
    drawn = {labels[name]: [f.value for f in lines[name] if f] for name in names if name in lines}
    return [
        Panel(
            "How many questions lie within which distance",
            "Share of questions (upward, 0 to 1) whose Wasserstein distance from the people "
            "sampled is at or below a threshold (rightward): the higher a line rises at the left, "
            "the nearer the answers. Drawn are the untrained model, the method with most questions "
            f"within {HEADLINE:.2f}, and answers that need no model; the table has all methods.",
            curves(thresholds, drawn),
            [table],
            FOLDED,
        )
    ]


def _shown(results: Results, facts: EvaluationFacts) -> list[str]:
    """The untrained model and the method that does best, each once."""
    measure = measure_name(HEADLINE)
    methods: list[MethodFacts] = model_methods(results)
    base = base_method(results)
    best = max(methods, key=lambda m: _value(results.figure(facts.name, measure, m.name)))
    return list(dict.fromkeys([*([base.name] if base else []), best.name]))[: LINES - 2]


def curves(at: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """Lines over a common axis as HTML, with a legend; labels are escaped; values from 0 to 1."""
    span = at[-1] - at[0]
    drawn, legend = [], []
    for place, (label, values) in enumerate(lines.items()):
        points = " ".join(
            f"{100 * (x - at[0]) / span:.2f},{100 * (1 - y):.2f}"
            for x, y in zip(at, values, strict=True)
        )
        style = f'stroke-dasharray="{DASHES[place % len(DASHES)]}"'
        line = f'fill="none" stroke="currentColor" stroke-width="2.5" {style}'
        colour = f"c-m{place % 4 + 1}"
        drawn.append(f'<polyline class="{colour}" points="{points}" {line} {FIXED_STROKE}/>')
        legend.append(
            f'<span><svg width="36" height="10" aria-hidden="true" class="{colour}">'
            f'<line x1="0" x2="36" y1="5" y2="5" {line}/></svg> {escape(label)}</span>'
        )
    grid = "".join(
        f'<line class="axis" x1="0" x2="100" y1="{y}" y2="{y}" {FIXED_STROKE}/>'
        for y in (0, 50, 100)
    )
    heights = "".join(
        f'<text x="0" y="{12 + 200 * (1 - value):.0f}">{number(value, 1)}</text>'
        for value in (0.0, 0.5, 1.0)
    )
    ticks = "".join(
        f'<text x="{8 + 90 * (x - at[0]) / span:.1f}%" y="228" text-anchor="middle">'
        f"{number(x, 2)}</text>"
        for x in at[::2]
    )
    spoken = "; ".join(f"{label} {number(values[-1], 2)}" for label, values in lines.items())
    return (
        f'<svg width="100%" height="234" role="img" '
        f'aria-label="At {number(at[-1], 2)}: {escape(spoken)}">'
        f'<svg x="8%" y="8" width="90%" height="200" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none" overflow="visible">{grid}{"".join(drawn)}</svg>'
        f"{heights}{ticks}</svg>"
        f'<p class="small legend">{" &nbsp; ".join(legend)}</p>'
    )


PUBLISHED_PANELS = {
    "distances": distance_panels,
    "globalopinionqa": country_panels,
    "opinionqa": us_group_panels,
    "wvb": threshold_panels,
}
