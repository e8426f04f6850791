"""Value scores of respondents from a survey's items, ipsatised, and their reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.survey import Survey
from suffrage.survey.survey import RESPONDENT
from suffrage.values.reliability import cronbach_alpha, mcdonald_omega
from suffrage.values.taxonomy import ItemKey, taxonomy

# Our rule: a respondent who skipped more than a quarter of the items, or gave one answer to all,
# says nothing about which values matter more to them.
FEWEST_ANSWERED = 0.75


@dataclass(frozen=True, eq=False)
class ValueScores:
    """Scores of each respondent on each value.

    scores: (respondents, values), the mean of the value's items minus the person's mean over all
    items, so that a row's weight lies in what matters more, not in how high a person rates;
    NaN where none of a value's items was answered. The taxonomy's higher-order values follow the
    values, each the mean of the items of the values that belong to it alone. alpha, omega:
    Cronbach's and McDonald's, NaN below two and three items. set_aside: respondents left out, and
    reversed: items that run against their value.
    """

    values: tuple[str, ...]
    respondents: tuple[str, ...]
    scores: FloatArray
    weights: FloatArray
    alpha: FloatArray
    omega: FloatArray
    set_aside: int
    reversed: tuple[str, ...]

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Weighted mean score of each value and its linearised standard error."""
        found = [weighted_mean(column, self.weights) for column in self.scores.T]
        return np.array([mean for mean, _ in found]), np.array([error for _, error in found])


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
    order = survey.rows_by_id
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
    groups = {**key.items, **higher_order_items(key)}
    scores, alphas, omegas, against = [], [], [], []
    for name, items in groups.items():
        part = np.column_stack([columns[item] for item in items])[kept]
        answered = ~np.isnan(part)
        sums, counts = np.nansum(part, axis=1), answered.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores.append(sums / counts - own_mean[:, 0])
        alphas.append(cronbach_alpha(part, weights))
        omegas.append(mcdonald_omega(part, weights))
        if name not in key.items:
            continue
        centred = part - own_mean
        against += [item for item, r in zip(items, _item_rest(centred), strict=True) if r < 0]
    ids = survey.responses[RESPONDENT].to_numpy()[order][kept]
    return ValueScores(
        values=tuple(groups),
        respondents=tuple(ids),
        scores=np.column_stack(scores),
        weights=weights,
        alpha=np.array(alphas),
        omega=np.array(omegas),
        set_aside=int((~kept).sum()),
        reversed=tuple(against),
    )


def weighted_mean(scores: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """The weighted mean of those who have a score, and its linearised standard error.

    scores, weights: (respondents,), NaN where there is no score. NaN when nobody has one.
    """
    given = ~np.isnan(scores)
    x, w = scores[given], weights[given]
    n, total = int((w > 0).sum()), float(w.sum())
    if total <= 0:
        return float("nan"), float("nan")
    mean = float(w @ x) / total
    residuals = float(np.square(w * (x - mean)).sum())
    return mean, float(np.sqrt(n / max(n - 1, 1) * residuals)) / total


def higher_order_items(key: ItemKey) -> dict[str, tuple[str, ...]]:
    """Items of each higher-order value: those of values that belong to it and to no other."""
    found: dict[str, tuple[str, ...]] = {}
    for value in taxonomy(key.taxonomy).values:
        if len(value.higher_order) == 1 and value.id in key.items:
            above = value.higher_order[0]
            found[above] = found.get(above, ()) + key.items[value.id]
    return found


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
