"""The codebook you write for your own survey: one YAML file (docs/surveys.md shows one)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from suffrage import settings
from suffrage.survey.formats.codebook_values import (
    CodeLabels,
    NonResponseCodes,
    OptionList,
    WrittenCode,
)
from suffrage.survey.formats.compound_entries import MultipleEntry, NumbersEntry, RankingEntry
from suffrage.survey.survey import PSU, RESPONDENT, STRATUM, WEIGHT


def _demographic(given: Any) -> Any:
    return {"column": given} if isinstance(given, str) else given


def _numbered(given: Any) -> Any:
    """A list of items as a mapping from their numbers in the instrument."""
    if isinstance(given, list):
        return {str(number): item for number, item in enumerate(given, start=1)}
    if isinstance(given, Mapping):
        return {str(number): item for number, item in given.items()}
    return given


class DemographicEntry(BaseModel):
    """One demographic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The column of the file.
    column: str
    # What its codes mean; a code without a label is then an error.
    labels: CodeLabels | None = None


class InstrumentEntry(BaseModel):
    """Which items of the codebook are the items of an instrument, such as the PVQ-40."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The item's number in the instrument to its id; a list is numbered from 1.
    items: Annotated[dict[str, str], BeforeValidator(_numbered)]
    # The code of the answer that means most, of all these items.
    most: WrittenCode | None = None


class ItemEntry(BaseModel):
    """One item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    # The column of the file; the id when left out.
    column: str = ""
    # Code to text, in the order people saw them; when left out, the value labels of an SPSS or
    # Stata file.
    options: OptionList = None
    # Reverse the order of the options.
    reversed: bool = False
    ordered: bool = True
    topic: str | None = None
    battery: str | None = None
    note: str | None = None
    # The code of the end of the scale that means most; needed where the labels do not show it.
    most: WrittenCode | None = None
    # In addition to those of the whole codebook.
    non_response: NonResponseCodes = {}
    # People may choose several options; each becomes an item.
    multiple: MultipleEntry | None = None
    # People put options in order.
    ranking: RankingEntry | None = None
    # People answer with a number.
    numbers: NumbersEntry | None = None

    @model_validator(mode="after")
    def _is_one_kind_of_question(self) -> ItemEntry:
        kinds = [kind for kind in ("multiple", "ranking", "numbers") if getattr(self, kind)]
        if len(kinds) > 1:
            raise ValueError(f"it is both {kinds[0]} and {kinds[1]}; say one")
        several = self.multiple or self.ranking
        barred = {"options", "most"} if kinds else set()
        if several:
            barred |= {"reversed", *(["column"] if several.columns else [])}
        wrong = sorted(barred & self.model_fields_set)
        if wrong:
            raise ValueError(f"{wrong[0]} does not go with {kinds[0]}")
        return self

    @model_validator(mode="after")
    def _no_code_means_two_things(self) -> ItemEntry:
        both = [option.code for option in self.options or () if option.code in self.non_response]
        if both:
            raise ValueError(f"code {both[0]} is both an option and a kind of non-response")
        return self

    @property
    def source_column(self) -> str:
        """The column of the file that the item is read from."""
        return self.column or self.id

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every column that the entry is read from."""
        several = self.multiple or self.ranking
        return tuple(several.columns) if several and several.columns else (self.source_column,)


class CodebookFile(BaseModel):
    """The whole codebook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    citation: str | None = None
    terms: str | None = None
    statement: str | None = None
    respondent: str | None = None
    weight: str | None = None
    # The columns of the sampling design: strata, and primary sampling units within them.
    stratum: str | None = None
    psu: str | None = None
    demographics: dict[str, Annotated[DemographicEntry, BeforeValidator(_demographic)]] = {}
    # For every item that does not list the code as an option.
    non_response: NonResponseCodes = {}
    # By the instrument's name, as `suffrage values score --key` takes it.
    instruments: dict[str, InstrumentEntry] = {}
    items: tuple[ItemEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _instruments_name_items(self) -> CodebookFile:
        known = {item.id for item in self.items}
        for name, instrument in self.instruments.items():
            for number, item in instrument.items.items():
                if item not in known:
                    raise ValueError(
                        f'instruments.{name}.items: number {number} is "{item}", which is not the '
                        "id of an item of this codebook"
                    )
        return self

    @model_validator(mode="after")
    def _names_and_columns_are_distinct(self) -> CodebookFile:
        names = {
            RESPONDENT: "the respondents' ids",
            WEIGHT: "the weights",
            STRATUM: "the strata",
            PSU: "the sampling units",
        }
        taken = [name for name in self.demographics if name in names]
        names |= {name: f"demographics.{name}" for name in self.demographics if name not in names}
        if taken:
            raise ValueError(f"demographics.{taken[0]}: the name is taken; choose another")
        columns: dict[str, int] = {}
        for number, item in enumerate(self.items):
            if item.id in names:
                raise ValueError(
                    f'items[{number}].id: "{item.id}" is already the name of {names[item.id]}; '
                    "choose another, and name the column with `column:`"
                )
            names[item.id] = f"items[{number}]"
            for column in item.source_columns:
                other = columns.setdefault(column, number)
                if other != number:
                    raise ValueError(
                        f"items[{number}].column: items[{other}] reads column {column} too; each "
                        "item needs a column of its own"
                    )
        return self

    def measures(self, item_id: str) -> tuple[str, ...]:
        """The places that an item has in instruments, such as "PVQ-40 12"."""
        return tuple(
            f"{name} {number}"
            for name, instrument in self.instruments.items()
            for number, item in instrument.items.items()
            if item == item_id
        )

    def most(self, entry: ItemEntry) -> str | None:
        """The code that means most: the item's own, or that of an instrument it belongs to."""
        said = [entry.most] + [
            instrument.most
            for instrument in self.instruments.values()
            if entry.id in instrument.items.values()
        ]
        return next((code for code in said if code is not None), None)

    def columns(self) -> dict[str, str]:
        """Every column that the codebook names, and the key that names it."""
        named = [
            ("respondent", self.respondent),
            ("weight", self.weight),
            ("stratum", self.stratum),
            ("psu", self.psu),
            *((f"demographics.{name}", entry.column) for name, entry in self.demographics.items()),
            *(
                (f"items[{i}].column", column)
                for i, item in enumerate(self.items)
                for column in item.source_columns
            ),
        ]
        found: dict[str, str] = {}
        for key, column in named:
            if column is not None:
                found.setdefault(column, key)
        return found


def read_codebook(path: Path) -> CodebookFile:
    """Read and check a codebook file.

    Raises InputError naming the file and line, or the file, key and what it may be.
    """
    return settings.validated(CodebookFile, settings.read_yaml(path), path.name)
