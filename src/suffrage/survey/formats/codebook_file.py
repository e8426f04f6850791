"""The codebook you write for your own survey: one YAML file (docs/surveys.md shows one)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from suffrage import settings
from suffrage.survey.codebook import NonResponse, Option
from suffrage.survey.codes import plain_code
from suffrage.survey.survey import PSU, RESPONDENT, STRATUM, WEIGHT


def written_code(code: Any) -> str:
    """A code as text. Raises ValueError on what YAML did not read as a number or a text."""
    if isinstance(code, bool) or not isinstance(code, str | int | float):
        raise ValueError(
            f"YAML reads a code or text here as {code!r}; put it in quotes (yes, no, on, off and "
            "empty values are no texts in YAML)"
        )
    return plain_code(code)


def _labels(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ValueError("must map each code to its text, such as {1: Agree, 2: Disagree}")
    return {written_code(code): written_code(text) for code, text in given.items()}


def option_list(labels: Iterable[tuple[str, str]]) -> tuple[Option, ...]:
    """Options in the order given. Raises ValueError on fewer than two, or on two alike."""
    pairs = list(labels)
    if len(pairs) < 2:
        raise ValueError(f"there are {len(pairs)} options; an item needs two or more")
    texts = [text for _, text in pairs]
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise ValueError(f'two options read "{twice[0]}"; give each its own text')
    return tuple(Option(code=code, text=text) for code, text in pairs)


def _options(given: Any) -> tuple[Option, ...] | None:
    return None if given is None else option_list(_labels(given).items())


def _kinds(given: Any) -> dict[str, NonResponse]:
    if not isinstance(given, Mapping):
        raise ValueError('must map each kind to its codes, such as {"don\'t know": [8, 98]}')
    kinds: dict[str, NonResponse] = {}
    for word, codes in given.items():
        kind = NonResponse.parse(str(word))
        for code in codes if isinstance(codes, list) else [codes]:
            text = written_code(code)
            if kinds.setdefault(text, kind) != kind:
                raise ValueError(f'code {text} is both "{kinds[text].label}" and "{kind.label}"')
    return kinds


def _demographic(given: Any) -> Any:
    return {"column": given} if isinstance(given, str) else given


def _numbered(given: Any) -> Any:
    """A list of items as a mapping from their numbers in the instrument."""
    if isinstance(given, list):
        return {str(number): item for number, item in enumerate(given, start=1)}
    if isinstance(given, Mapping):
        return {str(number): item for number, item in given.items()}
    return given


_CodeLabels = Annotated[dict[str, str], BeforeValidator(_labels)]
OptionList = Annotated[tuple[Option, ...] | None, BeforeValidator(_options)]
NonResponseCodes = Annotated[dict[str, NonResponse], BeforeValidator(_kinds)]
_Code = Annotated[str, BeforeValidator(written_code)]


class DemographicEntry(BaseModel):
    """One demographic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The column of the file.
    column: str
    # What its codes mean; a code without a label is then an error.
    labels: _CodeLabels | None = None


class InstrumentEntry(BaseModel):
    """Which items of the codebook are the items of an instrument, such as the PVQ-40."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The item's number in the instrument to its id; a list is numbered from 1.
    items: Annotated[dict[str, str], BeforeValidator(_numbered)]
    # The code of the answer that means most, of all these items.
    most: _Code | None = None


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
    most: _Code | None = None
    # In addition to those of the whole codebook.
    non_response: NonResponseCodes = {}

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
            other = columns.setdefault(item.source_column, number)
            if other != number:
                raise ValueError(
                    f"items[{number}].column: items[{other}] reads column {item.source_column} "
                    "too; each item needs a column of its own"
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
            *((f"items[{i}].column", item.source_column) for i, item in enumerate(self.items)),
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
