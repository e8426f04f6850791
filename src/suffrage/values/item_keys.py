"""Item keys: which items of an instrument measure which value, known ones and one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from suffrage import settings
from suffrage.errors import InputError, did_you_mean
from suffrage.survey import Codebook, Item
from suffrage.survey.formats.codebook_values import written_code
from suffrage.values.taxonomies import Taxonomy, Value, rows_of, taxonomy

_FILE = "schwartz_item_keys.csv"

# How a value's score is made of its items: their mean less the person's mean over all items, their
# mean, or their mean after each item is stretched to run from 0 to 1.
ValueScoring = Literal["centred", "mean", "stretched"]


@dataclass(frozen=True)
class ItemKey:
    """Which variables of an instrument measure which value."""

    instrument: str
    # The values that it measures.
    taxonomy: Taxonomy
    # The variables of each value, by its id, in the order of the taxonomy. A variable is an
    # archive's name for the item, or where there is none its number in the instrument.
    items: dict[str, tuple[str, ...]]
    # Number in the instrument of each variable.
    numbers: Mapping[str, str] = field(default_factory=dict)
    # Variables of which less means more of the value.
    reversed: frozenset[str] = frozenset()
    # The code that means most, by variable, where the key itself says so.
    most: Mapping[str, str] = field(default_factory=dict)
    scoring: ValueScoring = "centred"

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable once, in the order of the values."""
        found = (variable for group in self.items.values() for variable in group)
        return tuple(dict.fromkeys(found))

    def names_in(self, items: Iterable[Item]) -> dict[str, str]:
        """Return what each variable is called among a survey's items; absent ones are left out.

        What the codebook says under `instruments` comes first. Else the archive's name counts:
        upper and lower case do not matter, and the ESS's self-completion rounds add an "a".
        """
        asked = tuple(items)
        places = {place: item.id for item in asked for place in item.measures}
        spelled = {item.id.lower(): item.id for item in asked}
        found = {}
        for variable in self.variables:
            number = self.numbers.get(variable)
            name = places.get(f"{self.instrument} {number}")
            if name is None and number != variable:
                lower = variable.lower()
                name = spelled.get(lower) or spelled.get(f"{lower}a")
            if name is not None:
                found[variable] = name
        return found

    def items_of(self, codebook: Codebook) -> dict[str, Item]:
        """Return the item of each variable.

        Raises
        ------
        InputError
            The survey lacks items of the key.
        """
        names = self.names_in(codebook.items)
        absent = [variable for variable in self.variables if variable not in names]
        if not absent:
            return {variable: codebook[name] for variable, name in names.items()}
        advice = ""
        if self.numbers:
            advice = (
                " Name your own columns in the codebook: "
                f"`instruments: {{{self.instrument}: {{items: {{{self.numbers[absent[0]]}: "
                "your_item, ...}}}`."
            )
        what = "items " if set(absent) <= set(self.numbers.values()) else ""
        raise InputError(
            f"{self.instrument} needs {what}{', '.join(absent)}, which this survey does not have."
            f"{advice}"
        )


def instruments() -> tuple[str, ...]:
    """Return the instruments whose keys are known, sorted."""
    return tuple(sorted({row["instrument"] for row in rows_of(_FILE)}))


def item_key(instrument: str) -> ItemKey:
    """Return the key of an instrument, such as "PVQ-21" (the ESS's human values), or of a file.

    Parameters
    ----------
    instrument : str
        One of `instruments`, or the path of a key in YAML (docs/values.md, "Your own key").

    Raises
    ------
    InputError
        There is no such instrument (the message lists those there are), or the file is not a key.

    Examples
    --------
    >>> key = item_key("PVQ-40")
    >>> key.items["AC"], item_key("PVQ-21").items["SD"]
    (('4', '13', '24', '32'), ('ipcrtiv', 'impfree'))
    """
    if Path(instrument).suffix.lower() in (".yaml", ".yml"):
        path = Path(instrument)
        return settings.validated(KeyFile, settings.read_yaml(path), path.name).as_key(path.stem)
    found: dict[str, list[str]] = {}
    numbers: dict[str, str] = {}
    taxonomies = set()
    for row in rows_of(_FILE):
        if row["instrument"] == instrument:
            variable = row["variable"] or row["item"]
            found.setdefault(row["value_id"], []).append(variable)
            numbers[variable] = row["item"]
            taxonomies.add(row["taxonomy"])
    if not found:
        raise InputError(
            f'there is no item key "{instrument}"; there are {", ".join(instruments())}, and a '
            "key of your own is a file that ends in .yaml."
            f"{did_you_mean(instrument, instruments())}"
        )
    (whose,) = (taxonomy(name) for name in taxonomies)
    order = [value.id for value in whose.values if value.id in found]
    return ItemKey(instrument, whose, {value: tuple(found[value]) for value in order}, numbers)


def _entry(given: Any) -> Any:
    return {"item": given} if isinstance(given, str | int) else given


class KeyItem(BaseModel):
    """One item of a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: Annotated[str, BeforeValidator(written_code)]
    # Less of it means more of the value.
    reversed: bool = False


class KeyValue(BaseModel):
    """One value of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[Annotated[KeyItem, BeforeValidator(_entry)], ...] = Field(min_length=1)
    # For people; the id when left out.
    name: str | None = None
    description: str = ""
    # The value above it.
    belongs_to: str | None = None
    # Its place on a circle, from 1.
    place: int | None = Field(default=None, ge=1)


def _codes(given: Any) -> Any:
    if isinstance(given, Mapping):
        return {str(item): written_code(code) for item, code in given.items()}
    return given if given is None else {"": written_code(given)}


class KeyFile(BaseModel):
    """A key of one's own, in YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: dict[str, KeyValue] = Field(min_length=1)
    title: str = "Values of your own key"
    source: str = ""
    scoring: ValueScoring = "centred"
    # The name of a taxonomy that the values are of; their names and places are then its own.
    taxonomy: str | None = None
    # The code of the end that means most: one for all items, or by item.
    most: Annotated[dict[str, str], BeforeValidator(_codes)] = {}

    @model_validator(mode="after")
    def _each_item_has_one_sense(self) -> KeyFile:
        senses: dict[str, bool] = {}
        for name, value in self.values.items():
            for entry in value.items:
                if senses.setdefault(entry.item, entry.reversed) != entry.reversed:
                    raise ValueError(
                        f"values.{name}.items: {entry.item} is reversed in one value and not in "
                        "another; it can run one way only"
                    )
        strange = [item for item in self.most if item and item not in senses]
        if strange:
            raise ValueError(f"most.{strange[0]}: no value has this item")
        return self

    def as_key(self, instrument: str) -> ItemKey:
        """Return the key. Raises InputError on a value that the taxonomy named does not have."""
        if self.taxonomy is not None:
            whose = taxonomy(self.taxonomy)
            known = [value.id for value in whose.values]
            strange = [name for name in self.values if name not in known]
            if strange:
                raise InputError(
                    f"{instrument}: values.{strange[0]} is not a value of {self.taxonomy}; it has "
                    f"{', '.join(known)}.{did_you_mean(strange[0], known)}"
                )
        else:
            whose = self._own_taxonomy(instrument)
        order = [value.id for value in whose.values if value.id in self.values]
        items = {v: tuple(entry.item for entry in self.values[v].items) for v in order}
        entries = [entry for value in self.values.values() for entry in value.items]
        every = self.most.get("")
        most = {entry.item: self.most.get(entry.item, every) for entry in entries}
        return ItemKey(
            instrument,
            whose,
            items,
            reversed=frozenset(entry.item for entry in entries if entry.reversed),
            most={item: code for item, code in most.items() if code is not None},
            scoring=self.scoring,
        )

    def _own_taxonomy(self, instrument: str) -> Taxonomy:
        values = tuple(
            Value(
                name,
                value.name or name,
                value.description,
                (value.belongs_to,) if value.belongs_to else (),
                value.place,
            )
            for name, value in self.values.items()
        )
        return Taxonomy(instrument, self.title, self.source, values)
