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
# About how wide a letter of the reader's word is, how far the word is from the mark, and half of
# the width of a group's name.
LETTER, GAP, NAME = 8.5, 12.0, 8.0


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
    centres = [at(group["place"], MARGIN) for group in groups]
    for group, (x, y) in zip(groups, centres, strict=True):
        r = max(LARGEST * sqrt(int(group["people"]) / most), 16.0)
        parts.append(
            f'<circle class="group g{group["colour"]}" cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}"/>'
            f'<text x="{x:.0f}" y="{y + 7:.0f}">{escape(group["name"])}</text>'
        )
    if you is not None:
        x, y = at(you, EDGE)
        word_x, word_y = _place_of_word(x, y, centres, your_word)
        parts.append(
            f'<path class="you" d="M{x:.0f} {y - 8:.0f}l8 8-8 8-8-8z"/>'
            f'<text class="you" x="{word_x:.0f}" y="{word_y:.0f}">{escape(your_word)}</text>'
        )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="pt pd">'
        f'<title id="pt">{escape(title)}</title><desc id="pd">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _place_of_word(
    x: float, y: float, centres: Sequence[tuple[float, float]], word: str
) -> tuple[float, float]:
    """Return where the middle of the reader's word is: next to the mark, off the groups' names."""
    half = LETTER * len(word) / 2
    over = min(max(x, half), WIDTH - half)
    places = [(over, y + 21), (x + GAP + half, y + 5), (x - GAP - half, y + 5), (over, y - GAP)]
    inside = [p for p in places if half <= p[0] <= WIDTH - half and EDGE <= p[1] <= HEIGHT - 4]

    def room(place: tuple[float, float]) -> float:
        return min(
            max(abs(place[0] - name_x) - half - NAME, abs(place[1] - name_y - 7) - 2 * NAME)
            for name_x, name_y in centres
        )

    # As far from a name as needed, and no further.
    return max(inside, key=lambda place: min(room(place), 0.0))
