"""Value scores of respondents from a survey's items, ipsatised, and their reliability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.errors import InputError
from suffrage.survey import Item, Survey
from suffrage.survey.effective_size import scaled_weights
from suffrage.survey.survey import RESPONDENT
from suffrage.values.direction import ScaleDirection, scale_direction
from suffrage.values.item_keys import ItemKey
from suffrage.values.reliability import cronbach_alpha, mcdonald_omega

# Our rule: a respondent who skipped more than a quarter of the items, or gave one answer to all,
# does not show which values matter more to them.
FEWEST_ANSWERED = 0.75


@dataclass(frozen=True, eq=False)
class ValueScores:
    """Scores of each respondent on each value."""

    # The values, followed by the taxonomy's higher-order values.
    values: tuple[str, ...]
    respondents: tuple[str, ...]
    # The mean of the value's items, in a centred key minus the person's mean over all items, so
    # that scores show what matters more to a person and not how high the person rates. NaN where
    # none of a value's items was answered. A higher-order value is the mean of the items of the
    # values that belong to it alone. Shape (respondents, values).
    scores: FloatArray
    # Shape (respondents,).
    weights: FloatArray
    # Cronbach's alpha, NaN below two items, and McDonald's omega, NaN below three: (values,).
    alpha: FloatArray
    omega: FloatArray
    # How many respondents were left out.
    set_aside: int
    # Items whose correlation with the other items of their value is below what unrelated items
    # would have. Centring alone makes those correlate negatively.
    reversed: tuple[str, ...]
    # Which end of each item, by the survey's name for it, was taken for the most, and why.
    directions: dict[str, ScaleDirection]

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Return the weighted mean score of each value and its linearised standard error."""
        found = [weighted_mean(column, self.weights) for column in self.scores.T]
        return np.array([mean for mean, _ in found]), np.array([error for _, error in found])


def value_scores(survey: Survey, key: ItemKey) -> ValueScores:
    """Score every respondent on the values of an instrument.

    Answers run from 1 to the number of options, toward the end that means most ("very much like
    me"). The labels or the codebook say which end that is (`values.direction`), never its place.

    Parameters
    ----------
    survey : Survey
    key : ItemKey
        Which items measure which value.

    Raises
    ------
    InputError
        The survey lacks items of the key, nothing shows which end of an item means most, or
        nobody answered enough of the items.
    """
    order = survey.rows_by_id
    items_of = key.items_of(survey.codebook)
    directions = {v: scale_direction(item, key.most.get(v)) for v, item in items_of.items()}
    given = {v: _positions(survey, item.id, order) for v, item in items_of.items()}
    columns = _toward_most(given, items_of, directions, key)
    answers = np.column_stack(list(columns.values()))
    centred = key.scoring == "centred"
    kept = _answered_enough(np.column_stack(list(given.values())), centred)
    if not kept.any():
        raise InputError(f"nobody answered enough items of {key.instrument}, and not all alike.")
    own_mean = np.nanmean(answers[kept], axis=1, keepdims=True) if centred else np.zeros((1, 1))
    weights = survey.weights[order][kept]
    groups = {**key.items, **higher_order_items(key)}
    scores, alphas, omegas, against = [], [], [], []
    for name, items in groups.items():
        part = np.column_stack([columns[item] for item in items])[kept]
        sums, counts = np.nansum(part, axis=1), (~np.isnan(part)).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores.append(sums / counts - own_mean[:, 0])
        alphas.append(cronbach_alpha(part, weights))
        omegas.append(mcdonald_omega(part, weights))
        if name in key.items:
            places = [list(columns).index(item) for item in items]
            runs = _runs_against(part - own_mean, _unrelated(answers[kept], centred), places)
            against += [item for item, turned in zip(items, runs, strict=True) if turned]
    return ValueScores(
        values=tuple(groups),
        respondents=tuple(survey.responses[RESPONDENT].to_numpy()[order][kept]),
        scores=np.column_stack(scores),
        weights=weights,
        alpha=np.array(alphas),
        omega=np.array(omegas),
        set_aside=int((~kept).sum()),
        reversed=tuple(dict.fromkeys(items_of[v].id for v in against)),
        directions={items_of[v].id: found for v, found in directions.items()},
    )


def mean_scores_of_shares(
    items_of: Mapping[str, Item], key: ItemKey, shares: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Return the mean score of each value from answer distributions instead of respondents.

    For people who all answered every item this is the mean of `value_scores`.

    Parameters
    ----------
    items_of : mapping
        The item of each variable, as `ItemKey.items_of` gives them.
    key : ItemKey
    shares : mapping
        By item id, the share of each option. All items of the key are there.

    Raises
    ------
    InputError
        Nothing shows which end of an item means most.
    """
    means = {}
    for variable, item in items_of.items():
        direction = scale_direction(item, key.most.get(variable))
        up = direction.is_last != (variable in key.reversed)
        steps = np.arange(len(item.options), dtype=np.float64)
        toward = steps if up else steps[::-1]
        mean = float(shares[item.id] @ toward)
        means[variable] = mean / (len(item.options) - 1) if key.scoring == "stretched" else mean + 1
    whole = float(np.mean(list(means.values()))) if key.scoring == "centred" else 0.0
    return {
        value: float(np.mean([means[variable] for variable in variables])) - whole
        for value, variables in key.items.items()
    }


def _positions(survey: Survey, item_id: str, order: IntArray) -> FloatArray:
    """Positions of the options chosen, NaN where none was, in the order of ids."""
    found = survey.positions(item_id)[order].astype(np.float64)
    return np.where(found < 0, np.nan, found)


def _toward_most(
    given: dict[str, FloatArray],
    items: dict[str, Item],
    directions: dict[str, ScaleDirection],
    key: ItemKey,
) -> dict[str, FloatArray]:
    """Answers by variable, higher for more of the value: from 1 up, or stretched from 0 to 1."""
    lengths = {len(item.options) for item in items.values()}
    if len(lengths) > 1 and key.scoring != "stretched":
        raise InputError(
            f"{key.instrument}: its items have {min(lengths)} to {max(lengths)} options, so their "
            "steps are not alike. Say `scoring: stretched` in a key of your own."
        )
    columns = {}
    for variable, chosen in given.items():
        steps = len(items[variable].options) - 1
        up = directions[variable].is_last != (variable in key.reversed)
        toward = chosen if up else steps - chosen
        columns[variable] = toward / steps if key.scoring == "stretched" else toward + 1
    return columns


def _answered_enough(given: FloatArray, varied: bool) -> BoolArray:
    """Who answered enough items and, where `varied`, did not choose one position for all.

    given: positions of the options chosen, shape (respondents, items).
    """
    there = ~np.isnan(given)
    lowest = np.where(there, given, np.inf).min(axis=1)
    highest = np.where(there, given, -np.inf).max(axis=1)
    kept = there.mean(axis=1) >= FEWEST_ANSWERED
    return np.asarray(kept & (lowest != highest) if varied else kept)


def weighted_mean(scores: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Return the weighted mean of those who have a score, and its linearised standard error.

    Both are NaN where nobody has a score. scores, weights: shape (respondents,), scores NaN where
    there is none.
    """
    given = ~np.isnan(scores)
    x, w = scores[given], scaled_weights(weights[given])
    n, total = int((w > 0).sum()), float(w.sum())
    if total <= 0:
        return float("nan"), float("nan")
    mean = float(w @ x) / total
    residuals = float(np.square(w * (x - mean)).sum())
    return mean, float(np.sqrt(n / max(n - 1, 1) * residuals)) / total


def higher_order_items(key: ItemKey) -> dict[str, tuple[str, ...]]:
    """Return the items of each higher-order value: of the values that belong to it alone."""
    found: dict[str, tuple[str, ...]] = {}
    for value in key.taxonomy.values:
        if len(value.higher_order) == 1 and value.id in key.items:
            above = value.higher_order[0]
            found[above] = found.get(above, ()) + key.items[value.id]
    return found


def _unrelated(answers: FloatArray, centred: bool) -> FloatArray:
    """The covariances that the answers would have if no two items were related.

    answers: shape (respondents, items), NaN where there is none. Taking each person's mean off
    makes unrelated items covary by about -1 over the number of items.
    """
    items = answers.shape[1]
    spread = np.nan_to_num(np.nanvar(answers, axis=0))
    off = np.eye(items) - (1 / items if centred else 0.0)
    return np.asarray(off @ np.diag(spread) @ off.T)


def _runs_against(answers: FloatArray, unrelated: FloatArray, places: list[int]) -> list[bool]:
    """Whether each item of a value runs against the others, beyond chance.

    answers: of these items, shape (respondents, items). unrelated: what `_unrelated` gives for all
    items of the key, of which these have the places. An item runs against the others where its
    correlation with their mean is three standard errors below that of unrelated items.
    """
    complete = answers[~np.isnan(answers).any(axis=1)]
    count = answers.shape[1]
    if count < 2 or len(complete) < 30:
        return [False] * count
    covariances = unrelated[np.ix_(places, places)]
    found = []
    for j in range(count):
        own, rest = complete[:, j], np.delete(complete, j, axis=1).mean(axis=1)
        if not (np.ptp(own) > 0 and np.ptp(rest) > 0):
            found.append(False)
            continue
        weights = np.full(count, 1 / (count - 1))
        weights[j] = 0.0
        variance = covariances[j, j] * (weights @ covariances @ weights)
        expected = (covariances[j] @ weights) / np.sqrt(variance) if variance > 0 else 0.0
        apart = np.arctanh(np.clip([np.corrcoef(own, rest)[0, 1], expected], -0.999, 0.999))
        found.append(bool(apart[0] < min(apart[1], 0.0) - 3 / np.sqrt(len(complete) - 3)))
    return found
