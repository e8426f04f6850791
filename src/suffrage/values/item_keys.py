"""Item keys: which items of an instrument measure which value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suffrage.errors import InputError
from suffrage.values.taxonomies import rows_of, taxonomy

_FILE = "schwartz_item_keys.csv"


@dataclass(frozen=True)
class ItemKey:
    """Which variables of an instrument measure which value."""

    instrument: str
    # The name of the taxonomy of these values.
    taxonomy: str
    # The variables of each value, by its id, in the order of the taxonomy.
    items: dict[str, tuple[str, ...]]

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable once."""
        return tuple(variable for group in self.items.values() for variable in group)

    def names_in(self, item_ids: Iterable[str]) -> dict[str, str]:
        """Return what each variable is called among a survey's items; absent ones are left out.

        Upper and lower case do not matter. The ESS's self-completion rounds add an "a" to names.
        """
        spelled = {item.lower(): item for item in item_ids}
        found = {
            variable: spelled.get(variable.lower()) or spelled.get(f"{variable.lower()}a")
            for variable in self.variables
        }
        return {variable: name for variable, name in found.items() if name}


def instruments() -> tuple[str, ...]:
    """Return the instruments whose variables are known, sorted."""
    return tuple(sorted({row["instrument"] for row in rows_of(_FILE) if row["variable"]}))


def item_key(instrument: str) -> ItemKey:
    """Return the key of an instrument, such as "PVQ-21" (the ESS's human values).

    Raises
    ------
    InputError
        There is no such instrument; the message lists those whose variables are known.
    """
    found: dict[str, list[str]] = {}
    taxonomies = set()
    for row in rows_of(_FILE):
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
