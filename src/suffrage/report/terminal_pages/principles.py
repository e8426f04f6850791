"""What terminals show of principles, and of where survey and consultation differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from suffrage.consult.principles import Principles
from suffrage.plain_table import PlainTable
from suffrage.plurals import plural


def principles_text(found: Principles, most: int = 20) -> RenderableType:
    """The groups and how stable they are, and the principles, strongest first."""
    sizes = ", ".join(f"{size:g}" for size in found.group_sizes.values())
    stable = found.stability
    sure = "come back" if stable.trusted else "do NOT all come back"
    if stable.verdict == "spectrum":
        sure += ", but are parts of one spectrum, not groups,"
    lines = [
        f"{plural(found.participants, 'participant')} in "
        f"{plural(len(found.group_sizes), 'group')} ({sizes}); in "
        f"resamples the groups {sure} (adjusted Rand index {stable.agreement:.2f}).",
        f"Statements that surely have more than {found.settings.least_share:.0%} of every group "
        f"behind them: {len(found.unmerged)}. Merged: {plural(len(found.merged), 'principle')}.",
        *(
            f"Not among them: {len(ids)}, {reason}."
            for reason, ids in found.left_out.items()
            if ids
        ),
    ]
    if found.settings.read_as == "population":
        lines.append(
            f"Read as population. Only in the sample: {', '.join(found.only_in_sample) or 'none'}; "
            f"only in the population: {', '.join(found.only_in_population) or 'none'}."
        )
    told = []
    for number, p in enumerate(found.merged[:most], 1):
        low, high = p.support.root_interval
        several = f", from {len(p.sources)} statements" if len(p.sources) > 1 else ""
        told += [
            Text(f"{number:>2}. {p.text}"),
            Text(
                f"    {p.support.root:.2f} ({low:.2f} to {high:.2f}), least group "
                f"{p.support.lowest:.2f}; {p.turned_by} more against would undo it{several}",
                style="dim",
            ),
        ]
    told += _uncertain_lines(found, most)
    more = len(found.merged) - most
    if more > 0:
        told.append(Text(f"... and {more} more; --out or --json give all."))
    meaning = "Of each: the geometric mean over groups of the share that agrees, with 95%."
    return Group(*(Text(line) for line in (*lines, meaning, "")), *told)


def _uncertain_lines(found: Principles, most: int) -> list[Text]:
    if not found.uncertain:
        return []
    heading = (
        f"\nUncertain, and not principles: {len(found.uncertain)}. They have fewer than "
        f"{found.settings.least_voters} voters in some group, or an interval that reaches down to "
        f"{found.settings.least_share:.0%} or below."
    )
    lines = [Text(heading)]
    for p in found.uncertain[:most]:
        low, high = p.support.lowest_interval
        lines.append(Text(f"    {p.support.lowest:.2f} ({low:.2f} to {high:.2f})  {p.text}"))
    return lines


def disagreement_table(rows: Sequence[Mapping[str, Any]], most: int = 20) -> PlainTable:
    """Statements on which survey and consultation differ most, in each population."""
    table = PlainTable(box=None, pad_edge=False)
    for name in ("value set", "statement"):
        table.add_column(name, overflow="fold")
    for name in ("survey", "public", "difference", "95%", "voters", "clear"):
        table.add_column(name, justify="right", no_wrap=True)
    shown: dict[str, int] = {}
    for row in rows:
        shown[row["value_set"]] = shown.get(row["value_set"], 0) + 1
        if shown[row["value_set"]] > most:
            continue
        table.add_row(
            row["value_set"],
            row["statement"],
            f"{row['survey']:.2f}",
            f"{row['consultation']:.2f}",
            f"{row['difference']:+.2f}",
            f"{row['low']:+.2f} to {row['high']:+.2f}",
            f"{row['voters']:.0f}",
            "yes" if row["clear"] else "",
        )
    return table
