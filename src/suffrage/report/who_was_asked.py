"""Who was asked what: the tables of value sets and items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import Any

from suffrage.evaluate.results import (
    ItemFacts,
    Results,
    SplitSide,
)
from suffrage.plurals import plural
from suffrage.report.cells import SIDE_NAMES, Cell, Table, fact_pairs, make_table
from suffrage.report.numbers import number, thousands
from suffrage.report.plain_words import day_in_words


def study_facts(results: Results) -> list[tuple[str, str]]:
    """The line of facts under the title."""
    study = results.study
    model = f"{study.model}, {study.model_licence}" if study.model_licence else study.model
    return [
        ("Study", study.name),
        ("Model", model),
        ("Survey", results.survey_title),
        ("Finished", day_in_words(datetime.fromisoformat(study.finished).date())),
        ("Content hash", study.content_hash),
    ]


def value_set_table(results: Results) -> Table:
    """The populations, with what their size is worth."""
    columns = [
        ("Value set", False),
        ("Respondents", True),
        ("Effective", True),
        ("Design effect", True),
        ("Weighting", False),
        ("Pooled with parent", False),
        ("Not asked", False),
    ]
    rows = [
        [
            Cell(
                f"{v.name} (left out of training)" if v.left_out else v.name,
                _described(v.description, v.where),
            ),
            Cell(thousands(v.n)),
            Cell(thousands(v.n_eff)),
            Cell(number(v.design_effect)),
            Cell(v.weighting),
            _pooled(v.pooled_items),
            Cell(", ".join(v.set_aside) or "none"),
        ]
        for v in results.value_sets
    ]
    return make_table("The populations whose answers are the target", columns, rows)


def _pooled(weights: Mapping[str, float]) -> Cell:
    """How much weight the parent has on the items drawn toward it."""
    if not weights:
        return Cell("none")
    each = ", ".join(f"{item} {weight:.0%}" for item, weight in weights.items())
    middle = f"{median(weights.values()):.0%}"
    items = plural(len(weights), "item")
    return Cell(f"{items}, weight of the parent {middle} in the middle", each)


def _described(description: str, where: Mapping[str, Any]) -> str:
    chosen = "; ".join(f"{name}: {value}" for name, value in fact_pairs(where))
    return f"{description} ({chosen})" if chosen else description


def item_counts(results: Results) -> list[tuple[int, int, int]]:
    """For each seed, how many questions were held out and how many trained on."""
    sides = {
        seed: [item.side[seed] for item in results.items if seed in item.side]
        for seed in results.study.seeds
    }
    return [(seed, s.count("held_out"), s.count("trained")) for seed, s in sides.items()]


def item_table(results: Results) -> Table:
    """Every question, and on which side it lay."""
    columns = [("Item", False), ("Question", False), ("Options", True), ("Side", False)]
    rows = [
        [
            Cell(item.id, item.topic or ""),
            Cell(item.question, item.note or ""),
            Cell(str(len(item.options)), "ordered" if item.ordered else "not ordered"),
            Cell(_sides(item)),
        ]
        for item in results.items
    ]
    return make_table("Every question, and whether a method could train on it", columns, rows)


def _sides(item: ItemFacts) -> str:
    sides = set(item.side.values())
    if not sides:
        return "held back to choose weights"
    if len(sides) == 1:
        before = ", also before this study" if item.trained_before else ""
        return SIDE_NAMES[sides.pop()] + before
    by_side: dict[SplitSide, list[str]] = defaultdict(list)
    for seed, side in item.side.items():
        by_side[side].append(str(seed))
    return "; ".join(
        f"{SIDE_NAMES[side]} in seed {', '.join(by_side[side])}" for side in sorted(by_side)
    )
