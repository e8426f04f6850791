"""The groups as a picture: larger circles for larger groups, further apart the less alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 200
LARGEST = 46.0
MARGIN = 54.0
LETTERS = "ABCDE"


def groups_picture(
    groups: Sequence[Mapping[str, Any]], title: str, description: str, mine: int | None
) -> Markup:
    """Return an SVG with title and description; no dot in it is a person.

    Parameters
    ----------
    groups : sequence of mappings
        Each with "people" and "place" (two coordinates).
    mine : int, optional
        Which one the reader is in. Its circle has a second line, so that nobody needs the colour.
    """
    places = [group["place"] for group in groups]
    spans = [(min(p[at] for p in places), max(p[at] for p in places) or 1.0) for at in (0, 1)]
    most = max(int(group["people"]) for group in groups) or 1
    # One scale for both directions: distances mean the same whichever way they go.
    widest = max(spans[0][1] - spans[0][0], spans[1][1] - spans[1][0]) or 1.0
    scale = min(WIDTH - 2 * MARGIN, (HEIGHT - 2 * MARGIN) * 2.2) / widest
    middle = [(low + high) / 2 for low, high in spans]
    parts = []
    for at, group in enumerate(groups):
        x = WIDTH / 2 + (group["place"][0] - middle[0]) * scale
        y = min(
            max(HEIGHT / 2 - (group["place"][1] - middle[1]) * scale * 0.6, MARGIN),
            HEIGHT - MARGIN,
        )
        r = max(LARGEST * sqrt(int(group["people"]) / most), 16.0)
        parts.append(f'<circle class="group g{at}" cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}"/>')
        if at == mine:
            parts.append(f'<circle class="mine" cx="{x:.0f}" cy="{y:.0f}" r="{r + 5:.0f}"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 7:.0f}">{LETTERS[at]}</text>')
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="pt pd">'
        f'<title id="pt">{escape(title)}</title><desc id="pd">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
