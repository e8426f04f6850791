"""`where`: which respondents make a population."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from suffrage.errors import InputError
from suffrage.survey import Survey

# {column: value, or list of values, or {min:, max:}}; all conditions must hold.
Where = Mapping[str, Any]


def select(survey: Survey, where: Where, name: str) -> npt.NDArray[np.int64]:
    """Row numbers of the respondents for whom every condition of `where` holds.

    A condition is a value, a list of values, or `{min: , max: }` for numbers (both ends in).
    Raises InputError on a column that is no demographic, a value nobody has, or no one left.
    """
    condition = pl.lit(True)
    for column, wanted in where.items():
        if column not in survey.codebook.demographics:
            near = difflib.get_close_matches(column, survey.codebook.demographics, 1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise InputError(
                f"value set {name}: where.{column} is not a demographic column of this survey; "
                f"there are {', '.join(survey.codebook.demographics) or 'none'}.{hint}"
            )
        condition &= _matches(survey.responses[column], column, wanted, name)
    rows = np.flatnonzero(survey.responses.select(condition.alias("in"))["in"].fill_null(False))
    rows = np.arange(survey.responses.height)[rows] if where else np.arange(survey.responses.height)
    if rows.size == 0:
        raise InputError(
            f"value set {name}: no respondent meets all of where "
            f"({', '.join(f'{key}: {value}' for key, value in where.items())})."
        )
    return rows


def _matches(values: pl.Series, column: str, wanted: Any, name: str) -> pl.Expr:
    if isinstance(wanted, Mapping):
        unknown = set(wanted) - {"min", "max"}
        if unknown or not wanted:
            raise InputError(
                f"value set {name}: where.{column} may say min and max, not {sorted(unknown)}."
            )
        number = pl.col(column).cast(pl.Float64, strict=False)
        if values.cast(pl.Float64, strict=False).is_null().all():
            raise InputError(f"value set {name}: where.{column} holds no numbers for min and max.")
        condition = pl.lit(True)
        if "min" in wanted:
            condition &= number >= float(wanted["min"])
        if "max" in wanted:
            condition &= number <= float(wanted["max"])
        return condition
    wanted_values = [str(value) for value in (wanted if isinstance(wanted, list) else [wanted])]
    present = {str(value) for value in values.unique().drop_nulls().to_list()}
    absent = [value for value in wanted_values if value not in present]
    if absent:
        shown = ", ".join(sorted(present)[:20]) + (", ..." if len(present) > 20 else "")
        raise InputError(
            f'value set {name}: nobody has {column} "{absent[0]}"; the values are {shown}.'
        )
    return pl.col(column).is_in(wanted_values)


def describe(where: Where, survey: Survey) -> str:
    """The population in words, for a prompt: "people whose country is Germany"."""
    if not where:
        return f"the respondents of the {survey.codebook.title}"
    parts = []
    for column, wanted in where.items():
        word = column.replace("_", " ")
        if isinstance(wanted, Mapping):
            low, high = wanted.get("min"), wanted.get("max")
            span = (
                f"from {low} to {high}"
                if low is not None and high is not None
                else f"{low} or more"
                if low is not None
                else f"{high} or less"
            )
            parts.append(f"{word} is {span}")
        else:
            values = wanted if isinstance(wanted, list) else [wanted]
            parts.append(f"{word} is {' or '.join(str(value) for value in values)}")
    return f"people whose {' and whose '.join(parts)}"
