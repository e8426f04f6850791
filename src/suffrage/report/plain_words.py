"""Settings and conditions as people write them, with none of Python's own signs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any


def plain_words(value: Any) -> str:
    """A setting's value in words: yes and no, lists with commas, ranges as "18 to 35".

    Examples
    --------
    >>> plain_words(True), plain_words({"max": 35}), plain_words(["north", "south"])
    ('yes', '35 or less', 'north, south')
    >>> plain_words({"min": 18, "max": 35}), plain_words({"answers": 12, "name": False})
    ('18 to 35', 'answers 12, name no')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _range_in_words(value) or ", ".join(
            f"{str(key).replace('_', ' ')} {plain_words(own)}" for key, own in value.items()
        )
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(plain_words, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def name_in_words(name: str) -> str:
    """The name of a column or of one of its values, as a heading.

    Examples
    --------
    >>> name_in_words("place_of_birth"), name_in_words("16-34"), name_in_words("NZ born")
    ('Place of birth', '16-34', 'NZ born')
    """
    spaced = " ".join(name.replace("_", " ").split())
    return spaced[:1].upper() + spaced[1:]


def day_in_words(day: date) -> str:
    """A day as people write it.

    Examples
    --------
    >>> day_in_words(date(2026, 3, 1))
    '1 March 2026'
    """
    return f"{day.day} {day:%B %Y}"


def _range_in_words(value: Mapping[str, Any]) -> str:
    """A condition with `min` and `max` in words; empty for any other mapping."""
    if not value or not set(value) <= {"min", "max"}:
        return ""
    low, high = value.get("min"), value.get("max")
    if low is None:
        return f"{plain_words(high)} or less"
    return f"{plain_words(low)} to {plain_words(high)}" if high is not None else f"{low} or more"
