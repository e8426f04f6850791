"""What tables are made of, and how the page picks methods and figures out of the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suffrage.evaluate.results import (
    Contrast,
    MethodFacts,
    Results,
    SplitSide,
    Verdict,
)
from suffrage.models.readouts import Readout
from suffrage.report.numbers import (
    NO_INTERVAL,
    NOTHING,
    WithInterval,
    interval,
    marked,
    signed,
)
from suffrage.report.plain_words import plain_words
from suffrage.report.tables import by_kind

BASE = "base"
PROMPT = "prompt"
NOT_MEASURED = "not measured"
WORST_SHOWN = 3
WORSE_SHOWN = 8

READOUT_NAMES: dict[Readout, str] = {
    "letters": "Option letters",
    "text": "Full option text",
    "text_length_normalised": "Full text, by length",
    "sentence": "Said in a sentence",
    "sampled": "Written answers",
}
VERDICT_NAMES: dict[Verdict, str] = {
    "higher": "closer",
    "lower": "further",
    "same": "cannot be told apart",
    "unknown": NO_INTERVAL,
}
LEFT_OUT_NAME = "answers left out"


@dataclass(frozen=True)
class Cell:
    """What a table's cell says."""

    text: str
    note: str = ""  # in small print below it
    mark: str = ""  # a verdict, shown as a symbol


@dataclass(frozen=True)
class Table:
    """A table for the page."""

    caption: str
    columns: Sequence[str]
    numeric: Sequence[bool]  # by column: right-aligned on a wide page
    rows: Sequence[Sequence[Cell]]  # the first cell of a row is its heading
    note: str = ""  # in small print below the table


def make_table(
    caption: str,
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[Cell]],
    note: str = "",
) -> Table:
    """A table from (name, whether numeric) columns."""
    names, numeric = [name for name, _ in columns], [flag for _, flag in columns]
    return Table(caption, names, numeric, [*rows], note)


# More columns, or more pairs, than these do not fit a page at once.
ABREAST = 6


def abreast(table: Table, most: int) -> list[Table]:
    """The table as several of at most `most` columns next to the headings, nearly equal."""
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
                table.note if part == parts - 1 else "",
            )
        )
    return found


SIDE_NAMES: dict[SplitSide, str] = {"held_out": "held out", "trained": "trained on"}


def figure_cell(figure: WithInterval | None, digits: int = 3) -> Cell:
    """A figure with its interval below it."""
    if figure is None:
        return Cell(NOTHING)
    shown = marked(figure, digits)
    return Cell(shown, interval(figure.low, figure.high, digits))


def difference_cell(difference: WithInterval | None, digits: int = 3) -> Cell:
    """A difference with its interval below it."""
    if difference is None:
        return Cell(NOTHING)
    span = interval(difference.low, difference.high, digits, with_sign=True)
    return Cell(signed(difference.value, digits), span)


def verdict_name(contrast: Contrast, names: Mapping[Verdict, str]) -> str:
    """A verdict in words; where answers that were left out keep it unknown, this says so."""
    if contrast.verdict == "unknown" and contrast.low is not None:
        return LEFT_OUT_NAME
    return names[contrast.verdict]


def in_sentence(label: str) -> str:
    """A label inside a sentence: a word begins in lower case, "DPO" and names of people do not."""
    first = label.split(" ", 1)[0]
    return label[:1].lower() + label[1:] if first[1:].islower() else label


def compared_cell(results: Results, method: str, against: str) -> Cell:
    """Which two methods a row compares."""
    labels = {method.name: method.label for method in results.methods}
    one, two = (labels.get(name, name) for name in (method, against))
    return Cell(one, f"against {in_sentence(two)}")


def fact_pairs(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A mapping as readable pairs, without what is unknown."""
    return [
        (str(key).replace("_", " "), plain_words(value))
        for key, value in facts.items()
        if value is not None
    ]


def methods_of_kind(results: Results, *kinds: str) -> list[MethodFacts]:
    """The methods of these kinds, in the study's order."""
    return [method for method in results.methods if method.kind in kinds]


def model_methods(results: Results) -> list[MethodFacts]:
    """Methods that answer with a model: untrained first, then trained."""
    return [m for m in by_kind(results) if m.kind in ("untrained", "trained")]


def as_model(method: MethodFacts) -> str:
    """What sentences call a method: the model that it made, or the method itself."""
    if not method.writes:
        return f"the {in_sentence(method.label)}"
    if method.kind == "trained":
        return f"the model trained by {in_sentence(method.label)}"
    return (
        "the untrained model" if method.name == BASE else f"the {in_sentence(method.label)} model"
    )


def learnt_survey(results: Results) -> list[MethodFacts]:
    """The trained methods whose fit to the survey says something.

    What has no language model knows only what it learnt, which may be votes and nothing else.
    """
    return [
        method
        for method in methods_of_kind(results, "trained")
        if method.writes or method.settings.get("records", "survey") == "survey"
    ]


def base_method(results: Results) -> MethodFacts | None:
    """The untrained model that others are compared with: `base`, or else the first one."""
    untrained = methods_of_kind(results, "untrained")
    return next((m for m in untrained if m.name == BASE), untrained[0] if untrained else None)


def colours(results: Results) -> dict[str, str]:
    """The style class of each method; colours repeat after four trained methods, names do not."""
    found: dict[str, str] = {method.name: method.kind for method in results.methods}
    found |= {
        method.name: f"m{place % 4 + 1}"
        for place, method in enumerate(methods_of_kind(results, "trained"))
    }
    return found
