"""What a codebook says of questions with more than one answer, and of answers that are numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from suffrage.survey.codebook import Option
from suffrage.survey.formats.codebook_values import OptionList, written_code

# More ranked options than this make too many pairs to ask.
MOST_PAIRED = 10
# How many bins a scale of numbers has where the codebook gives none.
BINS = 5


def _codes(given: Any) -> Any:
    codes = given if isinstance(given, list) else [given]
    return tuple(written_code(code) for code in codes)


def _texts(given: Any) -> Any:
    """A mapping from column to text, or a list of columns."""
    if isinstance(given, Mapping):
        return {str(column): written_code(text) for column, text in given.items()}
    return given


Codes = Annotated[tuple[str, ...], BeforeValidator(_codes)]
_Columns = Annotated[dict[str, str] | tuple[str, ...], BeforeValidator(_texts)]


class _SeveralColumns(BaseModel):
    """A question whose answers are in several columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Column to the option it stands for; or the columns of the first, second... mention, whose
    # codes `options` explains.
    columns: _Columns = ()
    # Code to text.
    options: OptionList = None
    # Between the codes of a cell, where the item has one column with all of them.
    separator: str = Field(default=";", min_length=1)

    @property
    def texts(self) -> dict[str, str]:
        """Each option's text, by its column or code."""
        if isinstance(self.columns, dict):
            return self.columns
        return {option.code: option.text for option in self.options or ()}

    def _check(self) -> None:
        if isinstance(self.columns, dict) == (self.options is not None):
            raise ValueError(
                "say either which column is which option, columns: {col: text}, or list the "
                "columns and give the options of their codes"
            )
        if len(self.texts) < 2:
            raise ValueError("there are fewer than two options")
        if len(set(self.texts.values())) < len(self.texts):
            raise ValueError("two options have the same text")


class MultipleEntry(_SeveralColumns):
    """A question of which people may choose several options; each becomes a yes/no item."""

    # With a column for each option: the codes of an option that was chosen, and of one that was
    # not. An empty cell is an option not chosen if the person chose another one.
    chosen: Codes = ("1",)
    not_chosen: Codes = ("0",)

    @model_validator(mode="after")
    def _is_complete(self) -> MultipleEntry:
        self._check()
        both = set(self.chosen) & set(self.not_chosen)
        if both:
            raise ValueError(f"code {sorted(both)[0]} is both chosen and not chosen")
        return self


class RankingEntry(_SeveralColumns):
    """A question that asks for an order of options.

    With `columns: {col: text}` a cell holds the option's rank, 1 for the first. With a list of
    columns, these hold the codes of the first, second... option. With neither, the item's one
    column holds the codes in order.
    """

    # Items of it: which option is first, which of each two comes before the other, or both.
    read_as: Literal["first", "pairs", "both"] = Field(default="first", alias="as")

    @model_validator(mode="after")
    def _is_complete(self) -> RankingEntry:
        self._check()
        if self.read_as != "first" and len(self.texts) > MOST_PAIRED:
            raise ValueError(
                f"{len(self.texts)} options make too many pairs; say `as: first`, or leave some out"
            )
        return self


class NumbersEntry(BaseModel):
    """A scale of numbers, such as 0 to 100, that is read in bins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The lowest and the highest number; both can be answered.
    range: tuple[float, float]
    # The lowest number of each bin, in order; when left out, five bins of one width.
    bins: tuple[float, ...] = ()
    # A text for each bin; when left out, "0 to 19".
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _bins_cover_the_range(self) -> NumbersEntry:
        low, high = self.range
        if not low < high:
            raise ValueError(f"range: {low:g} is not below {high:g}")
        starts = self.starts
        rising = all(one < other for one, other in itertools.pairwise(starts))
        if len(starts) < 2 or starts[0] != low or not rising or starts[-1] > high:
            raise ValueError(
                f"bins: give two or more lowest numbers in order, the first {low:g} and the last "
                f"at most {high:g}"
            )
        if self.labels and len(self.labels) != len(starts):
            raise ValueError(f"labels: there are {len(self.labels)} for {len(starts)} bins")
        return self

    @property
    def starts(self) -> tuple[float, ...]:
        """The lowest number of each bin."""
        low, high = self.range
        return self.bins or tuple(low + (high - low) * k / BINS for k in range(BINS))

    def options(self, whole: bool) -> tuple[Option, ...]:
        """The bins. whole: only whole numbers were answered, so 0 to below 20 is "0 to 19"."""
        starts = self.starts
        ends = [*starts[1:], self.range[1]]
        texts = list(self.labels)
        for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if self.labels:
                break
            last = k == len(starts) - 1
            if whole and start.is_integer() and end.is_integer():
                top = end if last else end - 1
                texts.append(f"{start:g}" if start == top else f"{start:g} to {top:g}")
            else:
                texts.append(f"{start:g} to {end:g}" if last else f"{start:g} to below {end:g}")
        return tuple(Option(code=text, text=text) for text in texts)
