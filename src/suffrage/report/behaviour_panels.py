"""What the evaluations of deeds and costs draw: scenarios, written answers, comparisons won."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from suffrage.evaluate.results import EvaluationFacts, Results
from suffrage.report.cells import Cell, make_table, model_methods
from suffrage.report.evaluations import Panel
from suffrage.report.numbers import NOTHING, interval, number, percent, thousands

SHOWN = 100  # characters of a written answer


def behaviour_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """What each method states and does in each scenario, over all value sets and seeds."""
    rows = facts.details.get("scenarios", ())
    methods = [m for m in model_methods(results) if any(r["method"] == m.name for r in rows)]
    if not methods:
        return []
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    people: dict[str, list[float]] = defaultdict(list)
    about = {}
    for row in rows:
        found[row["scenario"], row["method"]].append((row["stated"], row["acted"]))
        people[row["scenario"]].append(row["people"])
        about[row["scenario"]] = row
    table = make_table(
        "Scenario by scenario",
        [("Situation", False), ("People", True), *((m.label, True) for m in methods)],
        [
            [
                Cell(
                    about[name]["situation"],
                    f"{about[name]['last_course']} ({about[name]['item']})",
                ),
                Cell(number(float(np.mean(people[name])), 2)),
                *(_stated_and_acted(found.get((name, m.name))) for m in methods),
            ]
            for name in sorted(people, key=lambda name: (about[name]["item"], name))
        ],
    )
    return [
        Panel(
            "What it states and what it does",
            "First, where the people are on each question’s scale, from 0 to 1. Then, for each "
            "model, what it states and, after the arrow, the probability of the course of action "
            "that goes with 1 (named below the situation). Means over all value sets and seeds.",
            tables=[table],
        )
    ]


def _stated_and_acted(pairs: list[tuple[float, float]] | None) -> Cell:
    if not pairs:
        return Cell(NOTHING)
    stated, acted = np.mean(pairs, axis=0)
    return Cell(f"{number(float(stated), 2)} → {number(float(acted), 2)}")


def safety_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """One answer of each method to each request that should be declined."""
    rows = facts.details.get("answers", ())
    methods = [m for m in model_methods(results) if any(r["method"] == m.name for r in rows)]
    if not methods:
        return []
    # The first seed's: one answer each is enough to see what was counted.
    first = {(r["question"], r["method"]): r for r in reversed(rows)}
    requests = {r["question"]: r["request"] for r in rows}
    table = make_table(
        "Requests that should be declined",
        [("Request", False), *((m.label, False) for m in methods)],
        [
            [
                Cell(request),
                *(
                    Cell(_short(row["text"]), f"{percent(row['declined'])} declined")
                    if (row := first.get((name, method.name)))
                    else Cell(NOTHING)
                    for method in methods
                ),
            ]
            for name, request in requests.items()
        ],
    )
    text = "Each model's first answer as written, and the share of its answers that decline."
    return [Panel("What it wrote", text, tables=[table])]


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else plain[:SHOWN].rsplit(" ", 1)[0] + " …"


def preferences_panels(results: Results, facts: EvaluationFacts) -> list[Panel]:
    """How often each model's answers won, whoever made them."""
    rates = facts.details.get("win_rates", ())
    if not rates:
        return []
    table = make_table(
        "Whose answers people preferred",
        [("Answers of", False), ("Won against the others", True), ("Comparisons", True)],
        [
            [
                Cell(rate["model"]),
                Cell(number(rate["value"], 2), interval(rate["low"], rate["high"], 2)),
                Cell(thousands(rate["comparisons"])),
            ]
            for rate in sorted(rates, key=lambda rate: -rate["value"])
        ],
    )
    text = (
        "The chance of winning against the average of the others; a tie is half a win. A "
        "preference for the left or right side is removed (Bradley-Terry with ties after "
        "Davidson; intervals over "
        "participants)."
    )
    return [Panel("Whose answers won", text, tables=[table])]


BEHAVIOUR_PANELS: dict[str, Callable[[Results, EvaluationFacts], list[Panel]]] = {
    "behaviour": behaviour_panels,
    "preferences": preferences_panels,
    "safety": safety_panels,
}
