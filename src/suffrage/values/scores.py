"""Value scores of respondents from a survey's items, ipsatised, and their reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suffrage.errors import InputError
from suffrage.survey import Survey
from suffrage.survey.survey import RESPONDENT
from suffrage.values.taxonomy import ItemKey

FloatArray = npt.NDArray[np.float64]

# Our rule: a respondent who skipped more than a quarter of the items, or gave one answer to all,
# says nothing about which values matter more to them.
FEWEST_ANSWERED = 0.75


@dataclass(frozen=True, eq=False)
class ValueScores:
    """Scores of each respondent on each value.

    scores: (respondents, values), the mean of the value's items minus the person's mean over all
    items, so that a row's weight lies in what matters more, not in how high a person rates;
    NaN where none of a value's items was answered. reliability: Cronbach's alpha by value, NaN
    with one item. set_aside: respondents left out, and reversed: items that run against their value.
    """

    values: tuple[str, ...]
    respondents: tuple[str, ...]
    scores: FloatArray
    weights: FloatArray
    reliability: FloatArray
    set_aside: int
    reversed: tuple[str, ...]

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Weighted mean score of each value and its linearised standard error."""
        w = np.where(np.isnan(self.scores), 0.0, self.weights[:, None])
        x = np.nan_to_num(self.scores)
        total, n = w.sum(axis=0), (w > 0).sum(axis=0)
        mean = (w * x).sum(axis=0) / total
        residuals = np.square(w * (x - mean)).sum(axis=0)
        return mean, np.sqrt(n / np.maximum(n - 1, 1) * residuals) / total


def value_scores(survey: Survey, key: ItemKey) -> ValueScores:
    """Every respondent's scores.

    The first option of an item must be the most of it ("very much like me"): answers are turned
    round, and run from 1 to the number of options.
    Raises InputError when the survey lacks items of the key, or nobody answered enough of them.
    """
    spelled = {item.lower(): item for item in survey.codebook.item_ids}
    # The ESS's self-completion rounds add an "a" to every name.
    names = {v: spelled.get(v.lower()) or spelled.get(f"{v.lower()}a") for v in key.variables}
    absent = [variable for variable, name in names.items() if name is None]
    if absent:
        raise InputError(
            f"{key.instrument} needs {', '.join(absent)}, which this survey does not have."
        )
    order = survey.responses[RESPONDENT].arg_sort().to_numpy()
    columns = {}
    for variable, name in names.items():
        assert name is not None
        positions = survey.positions(name)[order].astype(np.float64)
        high = len(survey.codebook[name].options)
        columns[variable] = np.where(positions < 0, np.nan, high - positions)
    answers = np.column_stack(list(columns.values()))
    given = ~np.isnan(answers)
    filled = np.where(given, answers, np.inf)
    alike = filled.min(axis=1) == np.where(given, answers, -np.inf).max(axis=1)
    kept = (given.mean(axis=1) >= FEWEST_ANSWERED) & ~alike
    if not kept.any():
        raise InputError(f"nobody answered enough items of {key.instrument}, and not all alike.")
    own_mean = np.nanmean(answers[kept], axis=1, keepdims=True)
    weights = survey.weights[order][kept]
    scores, alphas, against = [], [], []
    for items in key.items.values():
        part = np.column_stack([columns[item] for item in items])[kept]
        answered = ~np.isnan(part)
        sums, counts = np.nansum(part, axis=1), answered.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores.append(sums / counts - own_mean[:, 0])
        alphas.append(cronbach_alpha(part, weights))
        centred = part - own_mean
        against += [item for item, r in zip(items, _item_rest(centred), strict=True) if r < 0]
    ids = survey.responses[RESPONDENT].to_numpy()[order][kept]
    return ValueScores(
        values=tuple(key.items),
        respondents=tuple(ids),
        scores=np.column_stack(scores),
        weights=weights,
        reliability=np.array(alphas),
        set_aside=int((~kept).sum()),
        reversed=tuple(against),
    )


def cronbach_alpha(answers: FloatArray, weights: FloatArray) -> float:
    """Cronbach's (1951) alpha, k/(k-1) (1 - sum of item variances / variance of the sum).

    answers: (respondents, items), NaN where missing; complete rows count. NaN with one item, or
    where the sum does not vary.
    """
    complete = ~np.isnan(answers).any(axis=1)
    x, w, k = answers[complete], weights[complete], answers.shape[1]
    if k < 2 or w.sum() == 0:
        return float("nan")
    w = w / w.sum()
    variances = w @ np.square(x - w @ x)
    total = x.sum(axis=1)
    whole = float(w @ np.square(total - w @ total))
    return float(k / (k - 1) * (1 - variances.sum() / whole)) if whole > 0 else float("nan")


def _item_rest(answers: FloatArray) -> list[float]:
    complete = answers[~np.isnan(answers).any(axis=1)]
    found = []
    for j in range(answers.shape[1]):
        if answers.shape[1] < 2 or len(complete) < 30:
            found.append(0.0)
            continue
        own, rest = complete[:, j], np.delete(complete, j, axis=1).mean(axis=1)
        varies = np.ptp(own) > 0 and np.ptp(rest) > 0
        found.append(float(np.corrcoef(own, rest)[0, 1]) if varies else 0.0)
    return found
