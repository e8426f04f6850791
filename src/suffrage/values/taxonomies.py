"""Value taxonomies: lists of values with their order and their source.

Lists and descriptions are in our own words; the instruments have owners (docs/values.md).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from suffrage.errors import InputError, did_you_mean

FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Value:
    """One value of a taxonomy."""

    id: str
    name: str
    description: str
    # The higher-order value it belongs to; two where it is on a border.
    higher_order: tuple[str, ...]
    # The place on the circle, from 1; None in a taxonomy without a circle. Neighbours may have the
    # same place.
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
        """Whether the values have a circular order."""
        return all(value.place is not None for value in self.values)


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
    """Return the names that `taxonomy` knows."""
    return tuple(_TITLES)


def taxonomy(name: str) -> Taxonomy:
    """Return a taxonomy by its name.

    Raises
    ------
    InputError
        There is no such taxonomy; the message lists those there are.

    Examples
    --------
    >>> [value.id for value in taxonomy("schwartz10").values][:2]
    ['SD', 'ST']
    """
    if name not in _TITLES:
        raise InputError(
            f'there is no taxonomy "{name}"; there are {", ".join(_TITLES)}.'
            f"{did_you_mean(name, _TITLES)}"
        )
    title, source = _TITLES[name]
    values = tuple(
        Value(
            id=row["id"],
            name=row["name"],
            description=row["description_in_own_words"],
            higher_order=tuple(row["higher_order"].split("|"))
            + ((row["category"],) if row.get("category") else ()),
            place=int(row["circle_position"]) if row.get("circle_position") else None,
        )
        for row in rows_of(f"{name}.csv")
    )
    return Taxonomy(name, title, source, values)


def rows_of(file: str) -> list[dict[str, str]]:
    """Return the rows of a file that ships with the package."""
    with (FOLDER / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
