"""What `suffrage values` shows."""

from __future__ import annotations

from typing import Any

from suffrage.values.taxonomy import Taxonomy


def taxonomy_json(found: Taxonomy) -> dict[str, Any]:
    """A taxonomy for scripts."""
    return {**found.__dict__, "values": [value.__dict__ for value in found.values]}


def taxonomy_table(found: Taxonomy) -> Any:
    """A taxonomy for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("Value")
    table.add_column("In our words", overflow="fold")
    table.add_column("Belongs to")
    for value in found.values:
        above = ", ".join(name.replace("_", " ") for name in value.higher_order)
        table.add_row(value.id, value.name, value.description, above)
    circle = " In the order of the circle." if found.is_circle else ""
    return Group(Text(f"{found.title}. {found.source}.{circle}\n", style="bold"), table)


def scores_table(scores: dict[str, Any]) -> Any:
    """Value scores for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Value")
    table.add_column("Alpha", justify="right")
    for name, group in scores["value_sets"].items():
        table.add_column(f"{name} ({group['respondents']:,})", justify="right", no_wrap=True)
    for value, word in scores["values"].items():
        cells = [
            f"{group['mean'][value]:+.2f} ± {group['standard_error'][value]:.2f}"
            for group in scores["value_sets"].values()
        ]
        table.add_row(word, f"{scores['alpha'][value]:.2f}", *cells)
    note = (
        "Mean of each value's items less the person's mean over all items, with its standard error: "
        "above 0 matters more than other values do. Alpha: Cronbach's, over everyone."
    )
    if scores["reversed"]:
        note += f" These items run against their value: {', '.join(scores['reversed'])}."
    return Group(table, Text(f"\n{note}", style="dim"))
