"""`where`: which respondents make a population."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isnan
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import BoolArray, IntArray
from suffrage.errors import InputError, did_you_mean
from suffrage.plurals import plural
from suffrage.survey import Survey

# {column: value, or list of values, or {min:, max:}}; all conditions must hold.
Where = Mapping[str, Any]


def select(survey: Survey, where: Where, name: str) -> IntArray:
    """Row numbers of the respondents for whom every condition of `where` holds.

    Raises InputError as `matching` does, and where no respondent is left.
    """
    rows = np.flatnonzero(matching(survey, where, name))
    if rows.size == 0:
        raise InputError(
            f"value set {name}: no respondent meets all of where "
            f"({', '.join(_condition_words(*condition) for condition in where.items())})."
        )
    return rows


def select_by_id(survey: Survey, where: Where, name: str) -> IntArray:
    """As `select`, with the respondents in the order of their ids."""
    chosen = np.zeros(survey.responses.height, dtype=bool)
    chosen[select(survey, where, name)] = True
    by_id = survey.rows_by_id
    return by_id[chosen[by_id]]


def matching(survey: Survey, where: Where, name: str) -> BoolArray:
    """For each respondent, whether every condition of `where` holds.

    Parameters
    ----------
    survey : Survey
    where : mapping
        By demographic a value, a list of values, or `{min: , max: }` for numbers (both ends in).
        A respondent whose value is unknown is in no group that the column makes.
    name : str
        The value set's name, for messages.

    Returns
    -------
    array, shape (respondents,)

    Raises
    ------
    InputError
        A column is no demographic, no value is listed, nobody has one, or a range is over a column
        that holds more than numbers.
    """
    if not isinstance(where, Mapping):
        raise InputError(
            f"value set {name}: where is {where!r}; write a column and what it must be, "
            'such as {"age": {"min": 65}}.'
        )
    met = np.ones(survey.responses.height, dtype=bool)
    for column, wanted in where.items():
        if column not in survey.codebook.demographics:
            hint = did_you_mean(str(column), survey.codebook.demographics)
            raise InputError(
                f"value set {name}: where.{column} is not a demographic column of this survey; "
                f"there are {', '.join(survey.codebook.demographics) or 'none'}.{hint}"
            )
        condition = _matches(survey.responses[column], column, wanted, name)
        chosen = survey.responses.select(condition.fill_null(False).alias("in"))["in"]
        met &= chosen.to_numpy()
    return met


def _matches(values: pl.Series, column: str, wanted: Any, name: str) -> pl.Expr:
    if isinstance(wanted, Mapping):
        low, high = _range(wanted, column, name)
        number = pl.col(column).cast(pl.Float64, strict=False)
        unread = values.filter(
            values.is_not_null() & values.cast(pl.Float64, strict=False).is_null()
        )
        if len(unread) == values.count():
            raise InputError(f"value set {name}: where.{column} holds no numbers for min and max.")
        if len(unread):
            # Leaving them out silently would drop "89 or older" from everyone of 65 and more.
            raise InputError(
                f"value set {name}: {column} is not a number for "
                f"{plural(len(unread), 'respondent')} "
                f'(such as "{unread.sort()[0]}"). min and max need numbers: give it one, or '
                f"none, in the codebook, or list the values of {column} that you want."
            )
        return (number >= low) & (number <= high)
    wanted_values = [str(value) for value in _listed(wanted)]
    if not wanted_values:
        raise InputError(
            f"value set {name}: where.{column} lists no value; name one, or leave it out."
        )
    present = {str(value) for value in values.unique().drop_nulls().to_list()}
    absent = [value for value in wanted_values if value not in present]
    if absent:
        shown = ", ".join(sorted(present)[:20]) + (", ..." if len(present) > 20 else "")
        hint = did_you_mean(absent[0], present)
        if absent[0] in ("True", "False"):
            hint = " YAML reads yes, no, on and off as true or false; put the value in quotes."
        raise InputError(
            f'value set {name}: nobody has {column} "{absent[0]}"; the values are {shown}.{hint}'
        )
    return pl.col(column).is_in(wanted_values)


def _range(wanted: Mapping[str, Any], column: str, name: str) -> tuple[float, float]:
    unknown = sorted(str(key) for key in set(wanted) - {"min", "max"})
    if unknown or not wanted:
        said = ", ".join(unknown) or "nothing"
        raise InputError(f"value set {name}: where.{column} may say min and max, not {said}.")
    for key, bound in wanted.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float) or isnan(bound):
            raise InputError(f"value set {name}: where.{column}.{key} is {bound!r}, not a number.")
    return float(wanted.get("min", -inf)), float(wanted.get("max", inf))


def describe(where: Where, survey: Survey) -> str:
    """The population in words, for a prompt: "people whose country is Germany"."""
    if not where:
        return f"the respondents of the {survey.codebook.title}"
    parts = [_condition_words(column.replace("_", " "), where[column]) for column in where]
    return f"people whose {' and whose '.join(parts)}"


def _condition_words(word: str, wanted: Any) -> str:
    """One condition in words: "age is from 18 to 29"."""
    if isinstance(wanted, Mapping):
        low, high = wanted.get("min"), wanted.get("max")
        if low is not None and high is not None:
            return f"{word} is from {low} to {high}"
        return f"{word} is {low} or more" if low is not None else f"{word} is {high} or less"
    return f"{word} is {' or '.join(str(value) for value in _listed(wanted))}"


def _listed(wanted: Any) -> list[Any] | tuple[Any, ...]:
    """The values of a condition, one or several."""
    return wanted if isinstance(wanted, list | tuple) else [wanted]
