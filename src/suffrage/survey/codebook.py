"""What was asked: items, their options, and the ways of not answering."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage.errors import InputError, did_you_mean
from suffrage.settings import MadeInPython


class NonResponse(IntEnum):
    """Why there is no answer. Kinds are kept apart, and are never an option by accident.

    The numbers are those of the World Values Survey; `Survey.responses` holds them.
    """

    DONT_KNOW = -1
    REFUSED = -2
    NOT_APPLICABLE = -3
    NOT_ASKED = -4
    MISSING = -5

    @property
    def label(self) -> str:
        """The word for people: "don't know", "refused"..."""
        return {
            NonResponse.DONT_KNOW: "don't know",
            NonResponse.REFUSED: "refused",
            NonResponse.NOT_APPLICABLE: "not applicable",
            NonResponse.NOT_ASKED: "not asked",
            NonResponse.MISSING: "missing",
        }[self]

    @classmethod
    def parse(cls, word: str) -> NonResponse:
        """The kind a codebook names in words. Raises ValueError listing the words it may use."""
        cleaned = word.strip().lower().replace("’", "'").replace("_", " ").replace("-", " ")
        for kind in cls:
            if cleaned in (
                kind.label,
                kind.label.replace("'", ""),
                kind.name.lower().replace("_", " "),
            ):
                return kind
        allowed = ", ".join(kind.label for kind in cls)
        raise ValueError(f'"{word}" is not a kind of non-response; use one of: {allowed}')


class Option(BaseModel):
    """One answer a person could give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # As in the file.
    code: str
    # As the person read or heard it.
    text: str

    @field_validator("code", mode="before")
    @classmethod
    def _code_as_text(cls, code: Any) -> Any:
        return str(code) if isinstance(code, int | float) else code


class Item(MadeInPython):
    """One survey question with its options, in the order the questionnaire gives them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str = Field(min_length=1)
    options: tuple[Option, ...] = Field(min_length=2)
    # The options form a scale, so that the earth mover's distance applies.
    ordered: bool = True
    # Of a scale: what moving toward the last option means, in words ("less trust").
    direction: str | None = None
    # For holding out by topic.
    topic: str | None = None
    # Items that share a stem have the same battery; they are held out together.
    battery: str | None = None
    # What a reader of results should know, for example that two wordings are pooled.
    note: str | None = None
    # The places that the item has in instruments of value research, such as "PVQ-40 12".
    measures: tuple[str, ...] = ()
    # The code of the end of the scale that means most ("very much like me"), where the codebook
    # says it; otherwise the labels have to (`suffrage.values.direction`).
    most: str | None = None
    # What the data say against comparing populations on the item; set when a survey is read.
    caution: str | None = None

    @model_validator(mode="after")
    def _options_are_distinct(self) -> Item:
        for what in ("code", "text"):
            seen = [getattr(option, what) for option in self.options]
            twice = sorted({value for value in seen if seen.count(value) > 1})
            if twice:
                raise ValueError(f"item {self.id}: option {what} {twice[0]!r} appears twice")
        return self

    @model_validator(mode="after")
    def _most_is_an_end(self) -> Item:
        ends = [self.options[0].code, self.options[-1].code]
        if self.most is not None and self.most not in ends:
            raise ValueError(
                f"item {self.id}: most is {self.most}, which is not the code of the first or last "
                f"option ({' or '.join(ends)})"
            )
        return self

    @property
    def remarks(self) -> str | None:
        """The note and the caution, for a reader of results."""
        return " ".join(text for text in (self.note, self.caution) if text) or None

    @property
    def texts(self) -> tuple[str, ...]:
        """The options' texts, in order."""
        return tuple(option.text for option in self.options)


class Codebook(BaseModel):
    """Every item of a survey, by id, and the names of its demographic columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    items: tuple[Item, ...]
    demographics: tuple[str, ...] = ()
    citation: str | None = None
    terms: str | None = None

    @model_validator(mode="after")
    def _ids_are_distinct(self) -> Codebook:
        ids = [item.id for item in self.items]
        twice = sorted({item for item in ids if ids.count(item) > 1})
        if twice:
            raise ValueError(f"item {twice[0]} appears twice in the codebook")
        return self

    def __getitem__(self, item_id: str) -> Item:
        for item in self.items:
            if item.id == item_id:
                return item
        raise InputError(
            f'the codebook has no item "{item_id}".{did_you_mean(str(item_id), self.item_ids)}'
        )

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids, in questionnaire order."""
        return tuple(item.id for item in self.items)
