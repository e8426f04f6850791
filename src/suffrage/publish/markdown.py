"""Tables, facts and front matter in Markdown, as cards have them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as lines; a bar inside a cell is escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for row in rows:
        cells = [" ".join(cell.replace("|", "\\|").split()) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown_section(title: str, *blocks: str | Sequence[str]) -> list[str]:
    """A heading and its paragraphs, lists or tables; nothing where there is none of them."""
    lines: list[str] = []
    for block in blocks:
        own = [block] if isinstance(block, str) else list(block)
        if any(own):
            lines += [*own, ""]
    return [f"## {title}", "", *lines] if lines else []


def bullets(sentences: Iterable[str]) -> list[str]:
    """A list, one sentence or fact a line."""
    return [f"- {' '.join(sentence.split())}" for sentence in sentences]


def front_matter(facts: Mapping[str, Any]) -> list[str]:
    """The facts that hubs read, as YAML between two lines; JSON is YAML too."""
    lines = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in facts.items()
        if value not in (None, "", [], {})
    ]
    return ["---", *lines, "---", ""]
