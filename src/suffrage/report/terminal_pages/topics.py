"""What `suffrage survey topics` shows: items that are answered together."""

from __future__ import annotations

from typing import Any

import numpy as np

from suffrage.plurals import plural
from suffrage.population.correspondence import item_topics
from suffrage.survey import Survey


def find_topics(survey: Survey, topics: int | None = None) -> list[dict[str, Any]]:
    """Topics, the tightest first: their items, and how closely answers to them go together.

    inside, outside: mean Cramer's V (0 unrelated to 1 the same) between the topic's items, and
    between them and all others; inside is None for a single item. topics: how many, or found.
    """
    ids = list(survey.codebook.item_ids)
    columns = [survey.positions(item) for item in ids]
    found, v = item_topics(columns, survey.weights, topics)
    rows = []
    for topic in np.unique(found):
        own = found == topic
        pairs = v[np.ix_(own, own)][np.triu_indices(int(own.sum()), 1)]
        apart = v[np.ix_(own, ~own)]
        rows.append(
            {
                "items": [item for item, mine in zip(ids, own, strict=True) if mine],
                "inside": float(pairs.mean()) if pairs.size else None,
                "outside": float(apart.mean()) if apart.size else None,
            }
        )
    return sorted(rows, key=lambda row: (-len(row["items"]), -(row["inside"] or 0), row["items"]))


def topics_text(found: list[dict[str, Any]], survey: Survey) -> Any:
    """The topics for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    parts: list[Any] = []
    alone = [row["items"][0] for row in found if row["inside"] is None]
    together = [row for row in found if row["inside"] is not None]
    for number, row in enumerate(together, 1):
        apart = "" if row["outside"] is None else f", {row['outside']:.2f} with other items"
        head = (
            f"{number}. {plural(len(row['items']), 'item')}, association {row['inside']:.2f}{apart}"
        )
        table = PlainTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", ratio=1)
        for item in row["items"]:
            table.add_row(f"  {item}", survey.codebook[item].question)
        parts += [Text(head, style="bold"), table, Text("")]
    if alone:
        parts.append(Text(f"Alone: {', '.join(alone)}\n"))
    note = "Association: mean Cramer's V of two items' answers, 0 unrelated to 1 the same."
    return Group(*parts, Text(note, style="dim"))
