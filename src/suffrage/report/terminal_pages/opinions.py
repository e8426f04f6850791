"""What `suffrage consult groups` shows: the groups in words, and what all of them agree on."""

from __future__ import annotations

from typing import Any

from suffrage.consult.groups.analysis import OpinionAnalysis
from suffrage.consult.groups.consensus import LEAST_VOTERS
from suffrage.consult.groups.findings import STATEMENTS, analysis_json
from suffrage.plurals import plural

__all__ = ["analysis_json", "analysis_text"]


def analysis_text(a: OpinionAnalysis, count: int = STATEMENTS) -> Any:
    """The analysis for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    shown = analysis_json(a, count)
    parts: list[Any] = [Text(_heading(shown, a), style="bold"), Text("")]
    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("Groups", "Silhouette", "Agreement", "Weakest overlap", "Sizes"):
        table.add_column(column, justify="right")
    for row in a.tried:
        table.add_row(
            f"{row.groups}{_MARKS[row.verdict]}",
            f"{row.silhouette:.3f}",
            f"{row.agreement:.2f} ({row.agreement_low:.2f})",
            f"{min(row.overlap):.2f}",
            ", ".join(map(str, row.sizes)),
            style="bold" if row.groups == a.groups.count else "",
        )
    parts += [table, Text(_stability_note(a), style="dim")]
    for group in shown["groups"]:
        share = f"{plural(group['size'], 'person')}, {group['share']:.0%}"
        if group["population_share"] is not None:
            share += f" (of the population {group['population_share']:.0%})"
        parts.append(Text(f"\nGroup {group['name']}: {share}", style="bold blue"))
        for verb, marks in (("Agrees", "agrees_more"), ("Disagrees", "disagrees_more")):
            if group[marks]:
                parts.append(Text(f"  {verb} more than the others"))
            parts += [_mark_line(mark) for mark in group[marks]]
        if not group["agrees_more"] and not group["disagrees_more"]:
            parts.append(Text("  Differs in no statement beyond chance.", style="dim"))
    for verb, key, score, side in (
        ("agree", "consensus", "consensus", "behind"),
        ("disagree", "consensus_against", "against", "against"),
    ):
        heading = f"\nWhat all groups {verb} with (group-informed consensus)"
        parts.append(Text(heading, style="bold blue"))
        parts += [_consensus_line(row, score) for row in shown[key]]
        if not shown[key]:
            parts.append(
                Text(
                    f"  No statement surely has more than half of every group {side} it.",
                    style="dim",
                )
            )
    if shown["consensus_uncertain"]:
        parts.append(
            Text(
                f"  Uncertain: {plural(len(shown['consensus_uncertain']), 'more statement')} with "
                f"more than half of every group behind, but fewer than {LEAST_VOTERS} voters in "
                "some group or an interval that reaches below a half; --json lists them.",
                style="dim",
            )
        )
    parts.append(Text(_NOTE, style="dim"))
    return Group(*parts)


_MARKS = {"groups": "", "spectrum": " ~", "uncertain": " ?"}
_NOTE = (
    "\nIntervals are 95% and take the groups as given. Agreement (adjusted Rand index, in "
    "brackets its fifth percentile) and overlap (Jaccard) are between these groups and those found "
    "when participants are drawn again; ? marks numbers with a group below 0.75, and ~ parts of a "
    "spectrum. Differences are tested on groups found without the statement, at a false discovery "
    "rate of 5%."
)


def _heading(shown: dict[str, Any], a: OpinionAnalysis) -> str:
    topic = shown["about"].get("topic") or "Opinion groups"
    exported = (
        ""
        if a.exported_agreement is None
        else f" Adjusted Rand index with the groups in the file: {a.exported_agreement:.2f}."
    )
    what = plural(a.groups.count, "group")
    if a.stability.verdict == "spectrum":
        what = f"a spectrum, not groups, cut into {a.groups.count} parts,"
    return (
        f"{topic}: {what} among {shown['in_groups']} of {shown['participants']} "
        f"participants, {plural(shown['statements'], 'statement')}.{exported}"
    )


def _stability_note(a: OpinionAnalysis) -> str:
    if not a.stability.trusted:
        return "These groups do not all come back in resamples. Do not base a claim on them."
    back = f"Each of the {a.groups.count} groups comes back in {a.resamples} resamples"
    apart = a.stability.separation
    if apart is None:
        return f"{back}."
    what = "a spectrum" if apart.dimensions == 1 else "a spectrum in two directions"
    between = (
        f"{apart.halfway:.0%} of the people of the nearest two stand halfway between them, and "
        f"in {what} {apart.halfway_expected:.0%} would; the silhouette is "
        f"{apart.silhouette:.2f}, and {apart.silhouette_expected:.2f} for parts of it"
    )
    if apart.apart:
        return f"{back}, and they stand apart: {between}."
    return (
        f"{back}, but this is a spectrum, not groups: {between}. Opinions change by degrees, and "
        "the border between two parts is arbitrary. Do not speak of camps."
    )


def _interval(share: dict[str, Any]) -> str:
    if share["agree"] is None:
        return "nobody voted"
    return f"{share['agree']:.0%} [{share['low']:.0%}, {share['high']:.0%}]"


def _by_group(shares: list[dict[str, Any]]) -> str:
    return ", ".join(f"{share['name']} {_interval(share)}" for share in shares)


def _mark_line(mark: dict[str, Any]) -> Any:
    from rich.text import Text

    line = Text(f"    “{_one_line(mark['text'])}” ")
    return line.append(f"agree: {_by_group(mark['groups'])}", style="dim")


def _consensus_line(row: dict[str, Any], score: str) -> Any:
    from rich.text import Text

    sample = row["sample"]
    told = f"{sample[score]:.2f}"
    if score == "consensus":
        told += f" [{sample['low']:.2f}, {sample['high']:.2f}]"
    if row["population"]:
        told += f", population {row['population'][score]:.2f}"
    line = Text(f"  {told}  “{_one_line(row['text'])}” ")
    return line.append(f"agree: {_by_group(sample['groups'])}", style="dim")


def _one_line(text: str) -> str:
    return " ".join(text.split())
