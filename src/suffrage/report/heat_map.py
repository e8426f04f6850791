"""A heat map as inline SVG: rows and columns with names, a number in every cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

# In pixels: never scaled, so that its letters are as large on a phone; a wide map scrolls.
CELL_HEIGHT = 34
LINE = 14
ROW_LETTERS = 17
LETTER = 7.2
# The strongest colour still lets the number on it be read.
STRONGEST = 0.6


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    shown: Sequence[Sequence[str]],
    reach: float,
    label: str,
    outlined: Collection[tuple[int, int]] = (),
) -> str:
    """The map as markup; everything in it is escaped.

    Parameters
    ----------
    rows, columns : sequence of str
        Their names.
    values : (rows, columns)
        Coloured from -reach to reach; None for a cell without a value.
    shown : (rows, columns)
        What the cells say.
    reach : float
        The value with the strongest colour.
    label : str
        What the picture shows, for those who do not see it.
    outlined : collection of (row, column)
        Cells with a frame.
    """
    cell = 96 if len(columns) <= 6 else 72
    heads = [_lines(name, int(cell / LETTER)) for name in columns]
    names = [_lines(name, ROW_LETTERS) for name in rows]
    left = 12 + int(LETTER * max((len(line) for some in names for line in some), default=0))
    top = 10 + LINE * max(len(some) for some in heads)
    heights = [max(CELL_HEIGHT, 8 + LINE * len(some)) for some in names]
    width, height = left + cell * len(columns), top + sum(heights)
    parts = [
        f'<div class="wide"><svg class="heat cells" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label, quote=True)}">'
    ]
    for place, lines in enumerate(heads):
        at = left + cell * (place + 0.5)
        parts.append(_text(lines, at, top - 8 - LINE * (len(lines) - 1), "middle"))
    y = top
    for row, lines in enumerate(names):
        middle = y + heights[row] / 2
        parts.append(
            _text(lines, left - 8, middle + 4 - LINE * (len(lines) - 1) / 2, "end", "name")
        )
        for column, value in enumerate(values[row]):
            x = left + cell * column
            parts.append(_cell(x, y, cell, heights[row], value, reach, (row, column) in outlined))
            parts.append(_text([shown[row][column]], x + cell / 2, middle + 4, "middle", "value"))
        y += heights[row]
    return "".join([*parts, "</svg></div>"])


def tiles(
    panels: Sequence[tuple[str, Sequence[Sequence[float]]]], label: str, side: int = 260
) -> str:
    """Square matrices from -1 to 1 next to one another, without names or numbers.

    panels: (title, matrix).
    """
    parts = ['<div class="tiles">']
    for title, matrix in panels:
        step = side / len(matrix)
        cells = [
            _cell(step * column, step * row, step, step, value, 1.0, False, gap=0.5)
            for row, values in enumerate(matrix)
            for column, value in enumerate(values)
        ]
        parts.append(
            f'<div><p class="label"><span>{escape(title)}</span></p>'
            f'<svg class="heat" width="{side}" height="{side}" role="img" '
            f'aria-label="{escape(f"{title}: {label}", quote=True)}">{"".join(cells)}'
            f'<rect class="edge" x=".5" y=".5" width="{side - 1}" height="{side - 1}"/></svg></div>'
        )
    return "".join([*parts, "</div>"])


def _cell(
    x: float,
    y: float,
    width: float,
    height: float,
    value: float | None,
    reach: float,
    outlined: bool,
    gap: float = 1.5,
) -> str:
    frame = ' class="framed"' if outlined else ""
    place = (
        f'x="{x + gap:.1f}" y="{y + gap:.1f}" width="{width - 2 * gap:.1f}" '
        f'height="{height - 2 * gap:.1f}"'
    )
    if value is None:
        return f'<rect {place} class="none"/>'
    strength = STRONGEST * min(abs(value) / reach, 1.0) if reach > 0 else 0.0
    tone = "up" if value >= 0 else "down"
    found = f'<rect {place} class="{tone}" fill-opacity="{strength:.2f}"/>'
    return found + (f"<rect {place}{frame}/>" if outlined else "")


def _text(lines: Sequence[str], x: float, y: float, anchor: str, style: str = "head") -> str:
    spans = "".join(
        f'<tspan x="{x:.1f}" y="{y + LINE * place:.1f}">{escape(line)}</tspan>'
        for place, line in enumerate(lines)
    )
    return f'<text class="{style}" text-anchor="{anchor}">{spans}</text>'


def _lines(name: str, letters: int, most: int = 4) -> list[str]:
    """A name in lines of about so many letters, broken at spaces and hyphens."""
    words = name.replace("-", "- ").split()
    lines = [""]
    for word in words:
        joined = f"{lines[-1]}{'' if lines[-1].endswith('-') else ' '}{word}".strip()
        if len(joined) <= letters or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    cut = [line if len(line) <= letters + 1 else f"{line[: letters - 1]}…" for line in lines[:most]]
    return cut if len(lines) <= most else [*cut[:-1], f"{cut[-1][: letters - 1]}…"]
