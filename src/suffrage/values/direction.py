"""Which end of an item's scale means most: what its labels say, or its codebook."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from suffrage.errors import InputError
from suffrage.survey import Item

# Words of English labels. A label with a word of denial is on the low side whatever else it says.
_DENIES = re.compile(
    r"\b(not|no|never|none|nothing|nor|unlike|untrue|false|least|unimportant|irrelevant|oppos\w*"
    r"|reject\w*|disagree\w*|dissimilar|disapprove\w*)\b|n['’]t\b",
    re.IGNORECASE,
)
_AFFIRMS = re.compile(
    r"\b(like (me|you|him|her|them)|similar to me|agree\w*|important|importance|yes|true|always"
    r"|very much|strongly|completely|extremely|fully|applies|describes me|approve\w*|most)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ScaleDirection:
    """Which end of an item's scale means most."""

    # The text of that end.
    most: str
    # Whether it is the last option; otherwise it is the first.
    is_last: bool
    # What says so: "its labels", "the codebook" or "the key".
    why: str


def scale_direction(item: Item, most: str | None = None) -> ScaleDirection:
    """Return which end of an item's scale means most ("very much like me").

    A code that the key or the codebook names comes first. Otherwise the labels decide: one end has
    to affirm, the other to deny, and no label in between may contradict them. The position of an
    option alone says nothing.

    Parameters
    ----------
    item : Item
    most : str, optional
        The code of the end that means most, as a key says it.

    Raises
    ------
    InputError
        Nothing shows the direction, the item is no scale, or the code is not that of an end.

    Examples
    --------
    >>> from suffrage.survey import Item, Option
    >>> texts = ["Not like me at all", "A little like me", "Very much like me"]
    >>> options = tuple(Option(code=str(k), text=text) for k, text in enumerate(texts))
    >>> scale_direction(Item(id="q1", question="Rich?", options=options))
    ScaleDirection(most='Very much like me', is_last=True, why='its labels')
    """
    if not item.ordered:
        raise InputError(
            f"{item.id} cannot be scored: its options are no scale (ordered: false in the "
            "codebook)."
        )
    first, last = item.options[0], item.options[-1]
    said, why = (most, "the key") if most is not None else (item.most, "the codebook")
    if said is not None:
        if said not in (first.code, last.code):
            raise InputError(
                f"{item.id}: the code {said}, which is to mean most, is not that of the first or "
                f"last option ({first.code} or {last.code})."
            )
        found = last if said == last.code else first
        return ScaleDirection(found.text, found is last, why)
    senses = [_sense(option.text) for option in item.options]
    known = [sense for sense in senses if sense]
    turns = sum(one != other for one, other in itertools.pairwise(known))
    if senses[0] * senses[-1] >= 0 or turns != 1:
        raise InputError(
            f'{item.id}: its labels do not show which end means most ("{first.text}" to '
            f'"{last.text}"). Say `most: {first.code}` or `most: {last.code}` in the codebook, for '
            "the item or for the instrument."
        )
    found = last if senses[-1] > 0 else first
    return ScaleDirection(found.text, found is last, "its labels")


def _sense(text: str) -> int:
    """-1 for a label that denies, 1 for one that affirms, 0 for any other."""
    if _DENIES.search(text):
        return -1
    return 1 if _AFFIRMS.search(text) else 0
