"""The groups as a drawing for organisers: inline SVG that says in words what it shows.

Groups differ by shape and letter as well as by colour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from suffrage.consult.group_letters import COLOURS, group_name

WIDTH, HEIGHT, EDGE = 640, 420, 24
# Shapes differ, so that nobody needs the colours. The style sheets have these: g0 to g4, the same
# on the pages of participants and of organisers.
NONE = "none"


def _circle(x: float, y: float, r: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>'


def _polygon(*points: tuple[float, float]) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _square(x: float, y: float, r: float) -> str:
    return _polygon((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r))


def _triangle(x: float, y: float, r: float) -> str:
    return _polygon((x, y - r), (x + r, y + r), (x - r, y + r))


def _diamond(x: float, y: float, r: float) -> str:
    return _polygon((x, y - r), (x + r, y), (x, y + r), (x - r, y))


def _wedge(x: float, y: float, r: float) -> str:
    return _polygon((x, y + r), (x + r, y - r), (x - r, y - r))


SHAPES: tuple[Callable[[float, float, float], str], ...] = (
    _circle,
    _square,
    _triangle,
    _diamond,
    _wedge,
)


def group_mark(group: int, size: float = 5) -> str:
    """Return a group's mark alone, for a key. It is decoration: the letter is next to it."""
    drawn = SHAPES[group % len(SHAPES)](8, 8, size)
    return (
        f'<svg class="mark g{group % COLOURS}" width="16" height="16" viewBox="0 0 16 16" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def groups_drawing(
    places: Sequence[Sequence[float]],
    centres: Mapping[int, Sequence[float]],
    title: str,
    description: str,
) -> str:
    """Return everybody's place as SVG.

    Both axes have one scale, so that distances are what they look like.

    Parameters
    ----------
    places : sequence
        x, y and the group's number (-1 for none) of each person.
    centres : mapping
        x and y of each group, by number.
    """
    scale, middle = _scale(places)

    def at(x: float, y: float) -> tuple[float, float]:
        return WIDTH / 2 + (x - middle[0]) * scale, HEIGHT / 2 - (y - middle[1]) * scale

    parts = []
    for group in (-1, *centres):
        mark = _circle if group < 0 else SHAPES[group % len(SHAPES)]
        colour = NONE if group < 0 else group % COLOURS
        marks = "".join(mark(*at(x, y), 2 if group < 0 else 4) for x, y, g in places if g == group)
        if marks:
            parts.append(f'<g class="g{colour}" fill-opacity="0.55">{marks}</g>')
    for group, (x, y) in centres.items():
        cx, cy = at(x, y)
        parts.append(
            f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="15" class="plate"/>'
            f'<text x="{cx:.1f}" y="{cy + 6:.1f}" text-anchor="middle">{group_name(group)}</text>'
        )
    return (
        f'<svg class="plane" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="plane-title plane-desc">'
        f'<title id="plane-title">{escape(title)}</title>'
        f'<desc id="plane-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _scale(places: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float]]:
    if not places:
        return 1.0, (0.0, 0.0)
    xs, ys = [p[0] for p in places], [p[1] for p in places]
    wide, high = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    scale = min((WIDTH - 2 * EDGE) / wide, (HEIGHT - 2 * EDGE) / high)
    return scale, ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)
