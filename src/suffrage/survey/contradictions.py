"""What `suffrage survey check` finds: where a codebook and its data contradict each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.survey.codebook import Item
from suffrage.survey.survey import Survey

# Below this an item runs against the rest of its battery; a weak one may just measure less.
REVERSED_BELOW = -0.2
# Fewer complete answers than this say nothing of a correlation.
FEWEST_ANSWERS = 30


@dataclass(frozen=True)
class Contradiction:
    """item: its id, the column. what: in one sentence, with the mend."""

    item: str
    what: str


def contradictions(survey: Survey) -> list[Contradiction]:
    """Items nobody answered or all answered alike, unused options, and scales that look reversed.

    Codes that the codebook does not know stop the reading before, with their row and column.
    """
    found = [fault for item in survey.codebook.items for fault in _of_item(survey, item)]
    batteries: dict[str, list[Item]] = {}
    for item in survey.codebook.items:
        if item.battery is not None and item.ordered:
            batteries.setdefault(item.battery, []).append(item)
    for battery, items in batteries.items():
        if len(items) > 2:
            found += _reversed(survey, battery, items)
    return found


def _of_item(survey: Survey, item: Item) -> list[Contradiction]:
    answers = survey.positions(item.id)
    counts = np.bincount(answers[answers >= 0], minlength=len(item.options))
    used = np.flatnonzero(counts)
    if used.size == 0:
        return [Contradiction(item.id, "nobody answered it; remove it, or check its codes.")]
    if used.size == 1:
        only = item.options[int(used[0])].text
        what = f'all {counts.sum()} answers are "{only}"; check the column and its codes.'
        return [Contradiction(item.id, what)]
    return [
        Contradiction(
            item.id,
            f'nobody chose option {option.code} ("{option.text}"); check that the code is right.',
        )
        for option, count in zip(item.options, counts, strict=True)
        if count == 0
    ]


def item_rest_correlations(answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pearson's correlation of each item with the mean of the others, over complete answers.

    answers: shape (respondents, items), on one scale, NaN where there is no answer.
    NaN where an item, or its rest, does not vary.
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
        )
        for item, r in zip(items, item_rest_correlations(answers), strict=True)
        if r < REVERSED_BELOW
    ]
