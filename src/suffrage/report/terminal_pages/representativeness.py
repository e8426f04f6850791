"""What `suffrage survey representativeness` shows."""

from __future__ import annotations

from typing import Any

from suffrage.plurals import plural
from suffrage.survey.weighting import Representativeness


def representativeness_json(found: Representativeness) -> dict[str, Any]:
    """The comparison for scripts."""
    return {
        **{k: v for k, v in found.__dict__.items() if k != "categories"},
        "categories": [category.__dict__ for category in found.categories],
        "missing": [f"{c.margin}: {c.name}" for c in found.missing()],
    }


def representativeness_text(found: Representativeness) -> Any:
    """The comparison for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    parts: list[Any] = [
        Text(f"{plural(found.n, 'respondent', ',')} against: {found.source}", style="bold")
    ]
    for margin, (before, after) in found.dissimilarity.items():
        table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column(margin, min_width=24)
        for column in ("Respondents", "Sample", "Weighted", "Target", "Raked"):
            table.add_column(column, justify="right")
        for c in found.categories:
            if c.margin == margin:
                shares = (f"{share:.1%}" for share in (c.sample, c.base, c.target, c.raked))
                table.add_row(c.name, f"{c.respondents:,}", *shares)
        away = f"{before:.1%} of the sample is in the wrong category; after raking {after:.1%}."
        parts += [Text(""), table, Text(away, style="dim")]
    missing = found.missing()
    if missing:
        who = "; ".join(
            f"{c.margin} {c.name} ({c.base:.1%} instead of {c.target:.1%})" for c in missing
        )
        parts.append(Text(f"\nWho is missing most: {who}."))
    trimmed = f" {found.trimmed} weights were trimmed." if found.trimmed else ""
    parts.append(
        Text(
            f"What raking costs: {found.n_eff[0]:,.0f} effective respondents become "
            f"{found.n_eff[1]:,.0f} (design effect {found.design_effect[0]:.2f} to "
            f"{found.design_effect[1]:.2f}); the largest weight is {found.largest_weight:.1f} "
            f"times the mean; largest gap left {found.gap:.1e}.{trimmed}"
        )
    )
    return Group(*parts)
