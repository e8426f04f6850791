"""What `suffrage profile` shows: one population's answers, or where two differ most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.population import AnswerDistribution, ValueSet
from suffrage.population.comparison import ItemComparison, compare

BAR_WIDTH = 24


def profile_json(first: ValueSet, other: ValueSet | None = None) -> dict[str, Any]:
    """The value set, or the comparison, for scripts."""
    facts: dict[str, Any] = {
        "value_set": first.name,
        "description": first.description,
        "n": first.n,
        "n_eff": first.n_eff,
        "design_effect": first.design_effect,
        "weighting": first.weighting,
        "set_aside": list(first.set_aside),
    }
    if other is None:
        return {**facts, "shares": first.table().to_dicts()}
    rows = [row.__dict__ for row in compare(first, other)]
    return {**facts, "against": other.name, "items": rows}


def profile_table(value_set: ValueSet) -> Any:
    """One population's answers as bars, for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text(heading(value_set), style="bold")]
    for distribution in value_set.distributions.values():
        item = distribution.item
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for _ in range(3):
            table.add_column(overflow="fold")
        for text, share, error in zip(
            item.texts, distribution.shares, distribution.standard_errors, strict=True
        ):
            bar = "█" * round(share * BAR_WIDTH)
            table.add_row(f"  {text}", f"{share:>4.0%} ± {error:.1%}", Text(bar, style="blue"))
        parts += [Text(f"\n{item.id}  {item.question}"), table]
        parts.append(Text(f"  {_footing(distribution)}", style="dim"))
    if value_set.set_aside:
        parts.append(Text(f"\nSet aside: {'; '.join(value_set.set_aside)}", style="dim"))
    return Group(*parts)


def heading(value_set: ValueSet) -> str:
    """Who this is, and how many."""
    return (
        f"{value_set.name}: {value_set.description}. {value_set.n:,} respondents, effective "
        f"{value_set.n_eff:,.0f} (design effect {value_set.design_effect:.2f}); "
        f"{value_set.weighting}."
    )


def _footing(distribution: AnswerDistribution) -> str:
    parts = [f"n {distribution.n:,}, effective {distribution.n_eff:,.0f}"]
    silent = {kind: share for kind, share in distribution.non_response.items() if share > 0}
    parts += [f"{kind} {share:.1%}" for kind, share in silent.items()]
    if distribution.pooled:
        parts.append(f"pulled {distribution.pooled:.0%} toward all respondents")
    return ", ".join(parts)


def comparison_table(first: ValueSet, second: ValueSet) -> Any:
    """Where two populations differ most, for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("Question", overflow="fold")
    table.add_column("Apart", justify="right")
    table.add_column("95 %", justify="right", no_wrap=True)
    table.add_column("Mean", justify="right")
    table.add_column("Clear", justify="center")
    for row in compare(first, second):
        item = first.distributions[row.item_id].item
        mean = "" if row.mean_difference is None else f"{row.mean_difference:+.2f}"
        table.add_row(
            item.question,
            f"{row.total_variation:.0%}",
            f"{row.low:.0%}-{row.high:.0%}",
            mean,
            "yes" if row.clear else "no",
        )
    return Group(
        Text(f"{heading(first)}\n{heading(second)}\n", style="bold"),
        table,
        Text(f"\n{EXPLANATION.format(first=first.name, second=second.name)}", style="dim"),
    )


EXPLANATION = (
    "Apart: the share of either population that would have to answer otherwise (total variation). "
    "Mean: {first} minus {second} on a scale from 0 (first option) to 1 (last). Clear: a "
    "difference after holding the false discovery rate over all questions at 5 %."
)


def write_profile_page(first: ValueSet, other: ValueSet | None, path: Path) -> None:
    """One self-contained HTML page with every item's answers as bars and their intervals."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("suffrage.report"), autoescape=True, trim_blocks=True
    )
    comparisons: dict[str, ItemComparison] = (
        {row.item_id: row for row in compare(first, other)} if other else {}
    )
    order = list(comparisons) if other else list(first.distributions)
    shown = [first] if other is None else [first, other]
    page = environment.get_template("profile.html.j2").render(
        title=first.name if other is None else f"{first.name} and {other.name}",
        headings=[heading(value_set) for value_set in shown],
        names=[value_set.name for value_set in shown],
        explanation=EXPLANATION.format(first=first.name, second=other.name) if other else "",
        cards=[_card(item_id, shown, comparisons.get(item_id)) for item_id in order],
    )
    storage.write_text(path, page)


def _card(item_id: str, shown: list[ValueSet], comparison: ItemComparison | None) -> dict[str, Any]:
    distributions = [value_set.distributions[item_id] for value_set in shown]
    item = distributions[0].item
    options = []
    for k, text in enumerate(item.texts):
        bars = []
        for distribution in distributions:
            share, error = float(distribution.shares[k]), float(distribution.standard_errors[k])
            low, high = max(share - 1.96 * error, 0.0), min(share + 1.96 * error, 1.0)
            bars.append(
                {
                    "share": f"{share:.0%}",
                    "width": round(100 * share, 2),
                    "low": round(100 * low, 2),
                    "high": round(100 * high, 2),
                    "span": f"{low:.0%} to {high:.0%}",
                }
            )
        options.append({"text": text, "bars": bars})
    difference = ""
    if comparison is not None:
        verdict = "a clear difference" if comparison.clear else "no clear difference"
        difference = (
            f"{comparison.total_variation:.0%} apart (95 % interval {comparison.low:.0%} to "
            f"{comparison.high:.0%}): {verdict}."
        )
    return {
        "id": item_id,
        "question": item.question,
        "note": item.note or "",
        "difference": difference,
        "options": options,
        "footings": [_footing(distribution) for distribution in distributions],
    }
