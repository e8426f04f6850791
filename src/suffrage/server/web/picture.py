"""The groups as a picture: larger circles for larger groups, further apart the less alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 200
LARGEST = 46.0
MARGIN = 54.0
# Of the mark of the reader, from the edge.
EDGE = 14.0


def groups_picture(
    groups: Sequence[Mapping[str, Any]],
    title: str,
    description: str,
    you: tuple[float, float] | None = None,
    your_word: str = "",
) -> Markup:
    """Return an SVG with title and description; no dot in it is a person.

    Parameters
    ----------
    groups : sequence of mappings
        Each with "people", "place" (two coordinates), "name" and "colour".
    you : tuple of two floats, optional
        The place of the reader, marked with `your_word`.
    """
    places = [group["place"] for group in groups]
    spans = [(min(p[at] for p in places), max(p[at] for p in places) or 1.0) for at in (0, 1)]
    most = max(int(group["people"]) for group in groups) or 1
    # One scale for both directions: distances mean the same whichever way they go.
    widest = max(spans[0][1] - spans[0][0], spans[1][1] - spans[1][0]) or 1.0
    scale = min(WIDTH - 2 * MARGIN, (HEIGHT - 2 * MARGIN) * 2.2) / widest
    middle = [(low + high) / 2 for low, high in spans]

    def at(place: Sequence[float], edge: float) -> tuple[float, float]:
        x = WIDTH / 2 + (place[0] - middle[0]) * scale
        y = HEIGHT / 2 - (place[1] - middle[1]) * scale * 0.6
        return min(max(x, edge), WIDTH - edge), min(max(y, edge), HEIGHT - edge)

    parts = []
    for group in groups:
        x, y = at(group["place"], MARGIN)
        r = max(LARGEST * sqrt(int(group["people"]) / most), 16.0)
        parts.append(
            f'<circle class="group g{group["colour"]}" cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}"/>'
            f'<text x="{x:.0f}" y="{y + 7:.0f}">{escape(group["name"])}</text>'
        )
    if you is not None:
        x, y = at(you, EDGE)
        below = y + 21 if y < HEIGHT - 2 * EDGE else y - 12
        parts.append(
            f'<path class="you" d="M{x:.0f} {y - 8:.0f}l8 8-8 8-8-8z"/>'
            f'<text class="you" x="{x:.0f}" y="{below:.0f}">{escape(your_word)}</text>'
        )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="pt pd">'
        f'<title id="pt">{escape(title)}</title><desc id="pd">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
