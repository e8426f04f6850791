"""What `suffrage survey check` finds: where a codebook and its data contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from suffrage.arrays import BoolArray
from suffrage.plurals import plural
from suffrage.survey.codebook import Item
from suffrage.survey.group_differences import (
    GroupDifference,
    crossed_columns,
    differences_between,
    differences_by_group,
    grouping_columns,
    other_columns,
)
from suffrage.survey.reading import UnknownCode, first_names, read_survey, unknown_codes_listed
from suffrage.survey.survey import Survey

# Below this an item runs against the rest of its battery; a weak one may just measure less.
REVERSED_BELOW = -0.2
# Fewer complete answers than this are too few for a correlation.
FEWEST_ANSWERS = 30

ContradictionKind = Literal[
    "unknown code",
    "unanswered",
    "constant",
    "unused option",
    "reversed",
    "unused in a group",
    "silent in a group",
]


@dataclass(frozen=True)
class Contradiction:
    """One thing that codebook and data do not agree on."""

    # An item's id, or a demographic's name.
    item: str
    # One sentence, with how to fix it.
    what: str
    kind: ContradictionKind
    # As the file or the codebook has it.
    code: str | None = None
    # The rest is for unknown codes: the file and column that hold the code,
    file: str | None = None
    column: str | None = None
    # the first rows with it (the header is row 1),
    rows: tuple[int, ...] = ()
    # and how many rows there are.
    count: int | None = None


@dataclass(frozen=True)
class CheckedSurvey:
    """What a check of a survey found, and between whom it compared answers."""

    contradictions: tuple[Contradiction, ...]
    # The demographics that were recognised as a country, wave or mode.
    grouped_by: tuple[str, ...]
    # Pairs of them, and other demographics: only groups that miss options on several scales are
    # listed.
    also_by: tuple[str, ...]
    # The value sets that were compared.
    value_sets: tuple[str, ...]

    @property
    def compared(self) -> str:
        """Between whom answers were compared, in one sentence."""
        if self.grouped_by:
            text = f"Answers were compared by {' and by '.join(self.grouped_by)}"
        else:
            text = "No demographic was recognised as a country, wave or mode"
        if self.also_by:
            text += (
                f"; groups by {first_names(self.also_by)} are listed where they never used options "
                "of several scales"
            )
        if self.value_sets:
            text += f"; answers of {plural(len(self.value_sets), 'value set')} were compared"
        return f"{text}."


# By a value set's name, who belongs to it: shape (respondents,).
Members = Mapping[str, BoolArray]


def checked(
    section: Mapping[str, Any],
    folder: Path,
    value_sets: Callable[[Survey], Members] | None = None,
) -> CheckedSurvey:
    """Check the survey that a study's `survey:` section names.

    An unknown code does not stop the reading: it is listed with its rows, and read as missing.

    Parameters
    ----------
    section : mapping
    folder : Path
        Relative paths of the section start here.
    value_sets : callable, optional
        Gives the members of the value sets that a study compares.

    Raises
    ------
    InputError
        Anything else is wrong with the files.
    """
    with unknown_codes_listed() as unknown:
        survey = read_survey(section, folder)
    members = value_sets(survey) if value_sets is not None else {}
    apart = differences_between(survey, members)
    return CheckedSurvey(
        (*map(_unknown, unknown), *contradictions(survey), *map(_in_a_group, apart)),
        tuple(grouping_columns(survey)),
        (*crossed_columns(survey), *other_columns(survey)),
        tuple(members) if len(members) > 1 else (),
    )


def _unknown(found: UnknownCode) -> Contradiction:
    rows = ", ".join(str(row) for row in found.rows)
    more = found.count - len(found.rows)
    ending = "s" if found.count > 1 else ""
    where = f"{found.source} row{ending} {rows}" + (f" and {more} more" if more else "")
    return Contradiction(
        found.item,
        f'{where}, column {found.column}: the code "{found.code}" is not in the codebook; add it '
        "as an option, or as a kind of non-response.",
        "unknown code",
        found.code,
        found.source,
        found.column,
        found.rows,
        found.count,
    )


def contradictions(survey: Survey) -> list[Contradiction]:
    """Items nobody answered or all answered alike, unused options, and scales that look reversed.

    Options and non-response are compared between countries, waves and modes too, and options
    between single waves of a country and between the groups of other demographics.
    Codes that the codebook does not know are found while a survey is read; see `checked`.
    """
    found = [fault for item in survey.codebook.items for fault in _of_item(survey, item)]
    found += [_in_a_group(difference) for difference in differences_by_group(survey)]
    batteries: dict[str, list[Item]] = {}
    for item in survey.codebook.items:
        if item.battery is not None and item.ordered:
            batteries.setdefault(item.battery, []).append(item)
    for battery, items in batteries.items():
        if len(items) > 2:
            found += _reversed(survey, battery, items)
    return found


def _in_a_group(found: GroupDifference) -> Contradiction:
    advice = "check how it was asked and coded there, or leave the item out of comparisons."
    return Contradiction(
        found.item,
        f"{found.what}; {advice}",
        "unused in a group" if found.missed else "silent in a group",
        ", ".join(found.missed) or None,
    )


def _of_item(survey: Survey, item: Item) -> list[Contradiction]:
    answers = survey.positions(item.id)
    counts = np.bincount(answers[answers >= 0], minlength=len(item.options))
    used = np.flatnonzero(counts)
    if used.size == 0:
        what = "nobody answered it; remove it, or check its codes."
        return [Contradiction(item.id, what, "unanswered")]
    if used.size == 1:
        only = item.options[int(used[0])].text
        what = f'all {counts.sum()} answers are "{only}"; check the column and its codes.'
        return [Contradiction(item.id, what, "constant")]
    return [
        Contradiction(
            item.id,
            f'nobody chose option {option.code} ("{option.text}"); check that the code is right.',
            "unused option",
            option.code,
        )
        for option, count in zip(item.options, counts, strict=True)
        if count == 0
    ]


def item_rest_correlations(answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Pearson's correlation of each item with the mean of the other items.

    Parameters
    ----------
    answers : array, shape (respondents, items)
        On one scale; NaN where there is no answer. Only respondents who answered
        every item count.

    Returns
    -------
    array, shape (items,)
        -1 to 1; NaN where the item, or the mean of the others, does not vary.

    Examples
    --------
    >>> answers = np.array([[0.0, 0.0, 1.0], [0.5, 0.5, 0.5], [1.0, 1.0, 0.0]])
    >>> item_rest_correlations(answers).round(2)
    array([nan, nan, -1.])
    """
    complete = answers[~np.isnan(answers).any(axis=1)]
    result = np.full(answers.shape[1], np.nan)
    for j in range(answers.shape[1]):
        own, rest = complete[:, j], np.delete(complete, j, axis=1).mean(axis=1)
        if own.size and np.ptp(own) > 0 and np.ptp(rest) > 0:
            result[j] = np.corrcoef(own, rest)[0, 1]
    return result


def _reversed(survey: Survey, battery: str, items: list[Item]) -> list[Contradiction]:
    answers = np.column_stack([survey.positions(item.id) for item in items]).astype(np.float64)
    answers[answers < 0] = np.nan
    answers /= np.array([len(item.options) - 1 for item in items])
    if (~np.isnan(answers).any(axis=1)).sum() < FEWEST_ANSWERS:
        return []
    return [
        Contradiction(
            item.id,
            f'it runs against the rest of the battery "{battery}" (item-rest correlation '
            f"{r:.2f}); its options may be in the wrong order.",
            "reversed",
        )
        for item, r in zip(items, item_rest_correlations(answers), strict=True)
        if r < REVERSED_BELOW
    ]
