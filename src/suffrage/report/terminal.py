"""The scoreboard as `suffrage run` prints it last: a row for each method, within 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from suffrage.evaluate.fit import AVERAGE
from suffrage.evaluate.results import Results
from suffrage.plurals import plural
from suffrage.report.marks import marks_note, no_answer_counts
from suffrage.report.numbers import (
    FEW_NOTE,
    FEW_QUESTIONS,
    marked,
    short_duration,
    way_note,
    way_text,
    with_interval,
)
from suffrage.report.tables import ScoreboardRow, scoreboard_rows

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from suffrage.plain_table import PlainTable

_STYLES = {
    "floor": "dim",
    "untrained": "",
    "trained": "bold",
    "reading": "",
    "ceiling": "dim",
}


def scoreboard(results: Results) -> RenderableType:
    """The compact scoreboard, for `Console.print`.

    On a terminal a ruled table; in a file or pipe plain aligned text without colour.
    """
    return _Scoreboard(results)


class _Scoreboard:
    """Decides how to look once it knows the console it is printed on."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        quiet = not console.is_terminal
        yield _table(self._results, quiet)
        yield Text(_note(self._results), style="" if quiet else "dim")


def _table(results: Results, quiet: bool) -> PlainTable:
    from rich import box
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(
        box=None if quiet else box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        collapse_padding=True,
        header_style="" if quiet else "bold",
    )
    table.add_column("Method", ratio=1, overflow="fold")
    table.add_column("Held-out fit", no_wrap=True)
    rows = scoreboard_rows(results)
    said = any(row.sentence for row in rows)
    # 80 characters hold no more columns, so sentences take the place of the earth mover's.
    second = "Said" if said else "EMD"
    for heading in ("Trained", second, "Entropy", "Slope", "Way", "Time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        last_of_kind = following is not None and following.method.kind != row.method.kind
        table.add_row(
            Text(row.method.label),
            *(Text(cell) for cell in _cells(row, said)),
            style="" if quiet else _STYLES[row.method.kind],
            end_section=last_of_kind and not quiet,
        )
    return table


def _cells(row: ScoreboardRow, said: bool) -> list[str]:
    return [
        with_interval(row.held_out, missing=FEW_QUESTIONS),
        marked(row.trained),
        marked(row.sentence if said else row.earth_movers),
        marked(row.entropy),
        marked(row.slope),
        way_text(row.held_out),
        short_duration(row.seconds),
    ]


def _note(results: Results) -> str:
    held_out = [row.held_out for row in scoreboard_rows(results) if row.held_out]
    few = f" {FEW_NOTE}" if any(figure.low is None for figure in held_out) else ""
    questions = (
        f"{plural(max(figure.n for figure in held_out), 'question')} held out"
        if results.main_side == "held_out" and held_out
        else "no question was held out"
    )
    said = any(row.sentence for row in scoreboard_rows(results))
    known = any(method.name == AVERAGE for method in results.methods)
    way = "Way: from the average answer to the ceiling."
    if not known:
        way = "Way: none, because no question is trained on that could make an average floor."
    second = (
        "Said: held-out fit when options are said in a sentence."
        if said
        else "EMD: earth mover's distance."
    )
    why = no_answer_counts(results)
    opening = f"{why}\n" if why else ""
    return (
        f"{opening}Fit: 1 - Jensen-Shannon distance (base 2), [95% interval]; {questions}, "
        f"value sets: {len(results.value_sets)}, seeds: {len(results.study.seeds)}. "
        f"{second} Entropy: below 1 flattens. Slope: above 1 amplifies the majority. "
        f"{way}{way_note(held_out)}{few}{marks_note(results)}"
    )


def plan_table(plan: Mapping[str, Any]) -> Any:
    """A plan as `Plan.as_json` gives it: every stage, its estimated time and memory."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Stage")
    table.add_column("")
    table.add_column("Time", justify="right")
    table.add_column("Memory", justify="right")
    for stage in plan["stages"]:
        memory = stage["memory_bytes"]
        table.add_row(
            stage["kind"],
            stage["label"],
            "finished" if stage["finished"] else _planned_time(stage["seconds"]),
            f"{memory / 1e9:.1f} GB" if memory else "",
        )
    lines = [
        "\nThere is no total, because the size of the model is not known. Nothing was started."
        if plan["seconds_left"] is None
        else f"\nIn all about {short_duration(plan['seconds_left'])}: estimates, nothing was "
        "started."
    ]
    if plan.get("requests") is not None:
        lines.append(f"About {plan['requests']:,} requests to the endpoint.")
    if plan["money"] is not None:
        lines.append(f"At the price given: {plan['money']:.2f}.")
    lines += [*plan.get("notes", []), *plan.get("starts", []), *plan.get("warnings", [])]
    return Group(table, Text("\n".join(lines)))


def _planned_time(seconds: float | None) -> str:
    return "unknown" if seconds is None else short_duration(seconds)
