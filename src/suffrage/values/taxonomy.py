"""Value taxonomies, and which items of which instrument measure which value.

Lists and descriptions are in our own words; the instruments have owners (docs/values.md).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from suffrage.errors import InputError

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Value:
    """One value. higher_order: what it belongs to; two where it stands on a border.

    place: on the circle, from 1, or None in a taxonomy without one; neighbours may share a place.
    """

    id: str
    name: str
    description: str
    higher_order: tuple[str, ...]
    place: int | None


@dataclass(frozen=True)
class Taxonomy:
    """A list of values with its source."""

    name: str
    title: str
    source: str
    values: tuple[Value, ...]

    @property
    def is_circle(self) -> bool:
        """Whether the values stand in a circular order."""
        return all(value.place is not None for value in self.values)


@dataclass(frozen=True)
class ItemKey:
    """Which variables measure which value in one instrument.

    items: value id to variables, values in the taxonomy's order. taxonomy: whose values these are.
    """

    instrument: str
    taxonomy: str
    items: dict[str, tuple[str, ...]]

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable once."""
        return tuple(variable for group in self.items.values() for variable in group)


_TITLES = {
    "schwartz10": (
        "Schwartz's ten basic values",
        "Schwartz (1992), Advances in Experimental Social Psychology 25, 1-65",
    ),
    "schwartz19": (
        "Schwartz's nineteen refined values",
        "Schwartz et al. (2012), Journal of Personality and Social Psychology 103, 663-688",
    ),
    "rokeach36": (
        "Rokeach's 18 terminal and 18 instrumental values",
        "Rokeach (1973), The Nature of Human Values",
    ),
    "kiesel54": (
        "The 54 values of Kiesel et al. with their categories",
        "Kiesel et al. (2022), Identifying the Human Values behind Arguments, ACL",
    ),
}


def taxonomy_names() -> tuple[str, ...]:
    """The names `taxonomy` knows."""
    return tuple(_TITLES)


def taxonomy(name: str) -> Taxonomy:
    """A taxonomy by name. Raises InputError listing what there is."""
    if name not in _TITLES:
        raise InputError(f'there is no taxonomy "{name}"; there are {", ".join(_TITLES)}.')
    title, source = _TITLES[name]
    values = tuple(
        Value(
            row["id"],
            row["name"],
            row["description_in_own_words"],
            tuple(row["higher_order"].split("|"))
            + ((row["category"],) if row.get("category") else ()),
            int(row["circle_position"]) if row.get("circle_position") else None,
        )
        for row in _rows(f"{name}.csv")
    )
    return Taxonomy(name, title, source, values)


def instruments() -> tuple[str, ...]:
    """The instruments whose variables are known, sorted."""
    return tuple(
        sorted({r["instrument"] for r in _rows("schwartz_item_keys.csv") if r["variable"]})
    )


def item_key(instrument: str) -> ItemKey:
    """The key of an instrument, such as "PVQ-21" (the ESS's human values).

    Raises InputError listing the instruments whose variables are known.
    """
    found: dict[str, list[str]] = {}
    taxonomies = set()
    for row in _rows("schwartz_item_keys.csv"):
        if row["variable"] and row["instrument"] == instrument:
            found.setdefault(row["value_id"], []).append(row["variable"])
            taxonomies.add(row["taxonomy"])
    if not found:
        raise InputError(
            f'there is no item key "{instrument}"; there are {", ".join(instruments())}.'
        )
    (whose,) = taxonomies
    order = [value.id for value in taxonomy(whose).values if value.id in found]
    return ItemKey(instrument, whose, {value: tuple(found[value]) for value in order})


def _rows(file: str) -> list[dict[str, str]]:
    with (DATA / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
