"""What tables are made of, and how the page picks methods and figures out of the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suffrage.evaluate.results import (
    Difference,
    MethodFacts,
    Readout,
    Results,
    Score,
    Side,
)
from suffrage.report.tables import (
    NO_INTERVAL,
    NOTHING,
    by_kind,
    find_difference,
    find_score,
    interval,
    main_side,
    number,
)

BASE = "base"
PROMPT = "prompt"
AVERAGE = "average"
UNIFORM = "uniform"
NOT_MEASURED = "not measured"
INTERVAL_NAME = "95\u00a0% interval"
WORST_SHOWN = 3
WORSE_SHOWN = 8

READOUT_NAMES: dict[Readout, str] = {
    "letters": "Option letters",
    "text": "Full option text",
    "text_length_normalised": "Full text, by length",
    "sentence": "Said in a sentence",
    "sampled": "Written answers",
}
VERDICT_NAMES = {
    "higher": "closer",
    "lower": "further",
    "same": "cannot be told apart",
    "unknown": NO_INTERVAL,
}


@dataclass(frozen=True)
class Cell:
    """What stands in a table's cell, and smaller below it; mark: a verdict's symbol."""

    text: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table for the page: the first cell of a row is its heading.

    numeric: one flag a column, right-aligned on a wide page.
    """

    caption: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Cell]]


def make_table(
    caption: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Cell]]
) -> Table:
    """A table from (name, whether numeric) columns."""
    return Table(caption, [name for name, _ in columns], [flag for _, flag in columns], [*rows])


# More columns, or more pairs, than these do not fit a page at once.
ABREAST = 6


def abreast(table: Table, most: int) -> list[Table]:
    """The table as several of at most `most` columns beside the headings, nearly equal."""
    count = len(table.columns) - 1
    parts = max(1, -(-count // most))
    size = -(-count // parts)
    found = []
    for part in range(parts):
        chosen = [0, *range(1 + part * size, min(1 + (part + 1) * size, count + 1))]
        found.append(
            Table(
                table.caption if parts == 1 else f"{table.caption}, part {part + 1} of {parts}",
                [table.columns[k] for k in chosen],
                [table.numeric[k] for k in chosen],
                [[row[k] for k in chosen] for row in table.rows],
            )
        )
    return found


SIDE_NAMES: dict[Side, str] = {"held_out": "held out", "trained": "trained on"}


def score_cell(score: Score | None, digits: int = 3) -> Cell:
    """A score with its interval below it."""
    if score is None:
        return Cell(NOTHING)
    return Cell(number(score.value, digits), interval(score.low, score.high, digits))


def thousands(count: float) -> str:
    """A count with thin spaces between thousands from 10 000 on."""
    return f"{count:.0f}" if count < 9999.5 else f"{count:,.0f}".replace(",", "\u202f")


def fact_pairs(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A mapping as readable pairs, without what is unknown."""
    return [
        (
            str(key).replace("_", " "),
            ", ".join(map(str, value)) if isinstance(value, list) else str(value),
        )
        for key, value in facts.items()
        if value is not None
    ]


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 item", "2 items"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def methods_of_kind(results: Results, *kinds: str) -> list[MethodFacts]:
    """The methods of these kinds, in the study's order."""
    return [method for method in results.methods if method.kind in kinds]


def model_methods(results: Results) -> list[MethodFacts]:
    """Methods that answer with a model: untrained first, then trained."""
    return [m for m in by_kind(results) if m.kind in ("untrained", "trained")]


def base_method(results: Results) -> MethodFacts | None:
    """The untrained model everything is held against: `base`, or else the first untrained one."""
    untrained = methods_of_kind(results, "untrained")
    return next((m for m in untrained if m.name == BASE), untrained[0] if untrained else None)


def main_score(results: Results, method: str) -> Score | None:
    """A method's fit over all value sets on the side the page leads with."""
    return find_score(results, method, main_side(results))


def main_difference(results: Results, method: str, against: str) -> Difference | None:
    """The paired difference of two methods' fit on the side the page leads with."""
    return find_difference(results, method, against, main_side(results))


def colours(results: Results) -> dict[str, str]:
    """The style class of each method; colours repeat after four trained methods, names do not."""
    found: dict[str, str] = {method.name: method.kind for method in results.methods}
    found |= {
        method.name: f"m{place % 4 + 1}"
        for place, method in enumerate(methods_of_kind(results, "trained"))
    }
    return found
