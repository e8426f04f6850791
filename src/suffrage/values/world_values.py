"""Constructs of the World Values Survey, wave 7: Welzel's sub-indices, and the cultural map.

Variables are those of the archive's cross-national file. Only constructs that could be checked
against a public source are here; docs/values.md says what was left out and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.survey import Codebook, Survey


@dataclass(frozen=True)
class StretchedVariable:
    """A variable that runs evenly from 0 at one code to 1 at another."""

    variable: str
    # The codes that become 0 and 1.
    zero: float
    one: float


# Welzel (2013), Freedom Rising, online appendix; codes as wave 7 has them. Q33 has five steps
# there, where the trend file has three.
SUB_INDICES: dict[str, tuple[StretchedVariable, ...]] = {
    "defiance": (
        StretchedVariable("Q45", 1, 3),
        StretchedVariable("Q254", 1, 4),
        StretchedVariable("Q27", 1, 4),
    ),
    "scepticism": (
        StretchedVariable("Q65", 1, 4),
        StretchedVariable("Q69", 1, 4),
        StretchedVariable("Q70", 1, 4),
    ),
    "autonomy": (
        StretchedVariable("Q8", 2, 1),
        StretchedVariable("Q11", 2, 1),
        StretchedVariable("Q17", 1, 2),
    ),
    "equality": (
        StretchedVariable("Q33", 1, 5),
        StretchedVariable("Q29", 1, 4),
        StretchedVariable("Q30", 1, 4),
    ),
    "choice": (
        StretchedVariable("Q182", 1, 10),
        StretchedVariable("Q184", 1, 10),
        StretchedVariable("Q185", 1, 10),
    ),
}

SECULAR = "traditional to secular-rational"
EXPRESSION = "survival to self-expression"

# The map's ten indicators (Inglehart and Baker 2000, table 1), each in the direction in which more
# is more secular-rational, or more self-expression.
INDICATORS: dict[str, str] = {
    "God not important": SECULAR,
    "autonomy of children": SECULAR,
    "abortion justifiable": SECULAR,
    "not proud of the nation": SECULAR,
    "no more respect for authority": SECULAR,
    "happy": EXPRESSION,
    "signed a petition": EXPRESSION,
    "homosexuality justifiable": EXPRESSION,
    "people can be trusted": EXPRESSION,
    "post-materialist": EXPRESSION,
}
_PLAIN: dict[str, StretchedVariable] = {
    "God not important": StretchedVariable("Q164", 10, 1),
    "abortion justifiable": StretchedVariable("Q184", 1, 10),
    "not proud of the nation": StretchedVariable("Q254", 1, 4),
    "no more respect for authority": StretchedVariable("Q45", 1, 3),
    "happy": StretchedVariable("Q46", 4, 1),
    "signed a petition": StretchedVariable("Q209", 3, 1),
    "homosexuality justifiable": StretchedVariable("Q182", 1, 10),
    "people can be trusted": StretchedVariable("Q57", 2, 1),
}
_CHILDREN = ("Q8", "Q14", "Q15", "Q17")
_AIMS = ("Q154", "Q155")


@dataclass(frozen=True, eq=False)
class CulturalMap:
    """Groups on the two axes, in standard deviations of the respondents; 0 is their mean."""

    groups: tuple[str, ...]
    indicators: tuple[str, ...]
    # Shape (10, 2), the axis to secular-rational first.
    loadings: FloatArray
    # The share of the indicators' variance that each axis explains, shape (2,).
    explained: FloatArray
    # Shape (groups, 2), with linearised standard errors that take the loadings as given.
    positions: FloatArray
    errors: FloatArray
    # Each indicator's mean and standard deviation over all respondents, shape (10,), and what
    # turns standardised indicators into a position, shape (10, 2).
    mean: FloatArray
    spread: FloatArray
    coefficients: FloatArray

    def place(self, indicators: FloatArray) -> FloatArray:
        """Return where somebody with these indicators is on the axes, shape (2,).

        indicators: shape (10,), as those of `map_indicators`, or means of them.
        """
        return np.asarray((indicators - self.mean) / self.spread @ self.coefficients)


def sub_index(survey: Survey, name: str) -> FloatArray:
    """Return each respondent's score from 0 to 1, the mean of three items.

    It is NaN where an item is missing.

    Scores are in the order of respondents' ids. Raises InputError when the survey lacks items.
    """
    return np.asarray(sub_index_items(survey, name).mean(axis=1))


def sub_index_items(survey: Survey, name: str) -> FloatArray:
    """Return the three items of a sub-index from 0 to 1: (respondents, 3), NaN where missing."""
    scales = SUB_INDICES[name]
    _need(survey, [scale.variable for scale in scales], name)
    return np.column_stack([_stretched(survey, scale) for scale in scales])


def available(survey: Survey) -> tuple[str, ...]:
    """Return the sub-indices whose items the survey has."""
    return tuple(
        name
        for name, scales in SUB_INDICES.items()
        if all(scale.variable in survey.codebook.item_ids for scale in scales)
    )


def map_indicators(survey: Survey) -> FloatArray:
    """Return the indicators of the cultural map: (respondents, 10), in the order of ids.

    They are NaN where missing. Autonomy of children is (independence + determination) - (religious
    faith + obedience), of those mentioned. Post-materialism counts how many of two aims are giving
    people more say or protecting freedom of speech.

    Raises
    ------
    InputError
        The survey lacks items; the message names them.
    """
    needed = [*(s.variable for s in _PLAIN.values()), *_CHILDREN, *_AIMS]
    _need(survey, needed, "the cultural map")
    found = {name: _stretched(survey, scale) for name, scale in _PLAIN.items()}
    mentioned = [_stretched(survey, StretchedVariable(q, 2, 1)) for q in _CHILDREN]
    found["autonomy of children"] = mentioned[0] + mentioned[1] - mentioned[2] - mentioned[3]
    aims = [_codes(survey, q) for q in _AIMS]
    wanted = [np.where(np.isnan(aim), np.nan, np.isin(aim, (2, 4))) for aim in aims]
    found["post-materialist"] = wanted[0] + wanted[1]
    return np.column_stack([found[name] for name in INDICATORS])


def cultural_map(
    indicators: FloatArray, weights: FloatArray, groups: Sequence[tuple[str, FloatArray]]
) -> CulturalMap:
    """Return where groups are on the two axes.

    The weighted correlations of the indicators over all respondents give two principal components,
    which are rotated by varimax, and regression scores. A correlation uses everybody who answered
    both indicators. A group's indicators are means over its members who answered.

    Parameters
    ----------
    indicators : array, shape (respondents, 10)
        From `map_indicators`.
    weights : array, shape (respondents,)
    groups : sequence
        Names with memberships from 0 to 1, shape (respondents,).

    Raises
    ------
    InputError
        An indicator does not vary, or nobody of a group answered it.

    References
    ----------
    Inglehart and Baker (2000), American Sociological Review 65.
    """
    given = ~np.isnan(indicators)
    w = weights[:, None] * given
    mean = (w * np.nan_to_num(indicators)).sum(axis=0) / np.maximum(w.sum(axis=0), 1e-300)
    spread = np.sqrt((w * np.nan_to_num(indicators - mean) ** 2).sum(axis=0) / w.sum(axis=0))
    if not (spread > 0).all():
        flat = [n for n, s in zip(INDICATORS, spread, strict=True) if not s > 0]
        raise InputError(f"everyone answers alike on {', '.join(flat)}: no map can be drawn.")
    z = np.nan_to_num((indicators - mean) / spread)
    both = (weights[:, None] * given).T @ given
    correlation = (weights[:, None] * z).T @ z / np.maximum(both, 1e-300)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    loadings = varimax(vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0)))
    loadings = _oriented(loadings)
    coefficients = np.linalg.pinv(correlation) @ loadings
    positions, errors = [], []
    for name, member in groups:
        inside = member[:, None] * w
        total = inside.sum(axis=0)
        if (total <= 0).any():
            silent = [n for n, t in zip(INDICATORS, total, strict=True) if not t > 0]
            raise InputError(f'nobody of "{name}" answered {", ".join(silent)}: no place on it.')
        centre = (inside * z).sum(axis=0) / total
        influence = (inside * (z - centre) / total) @ coefficients
        n = int((inside.sum(axis=1) > 0).sum())
        positions.append(centre @ coefficients)
        errors.append(np.sqrt(n / max(n - 1, 1) * np.square(influence).sum(axis=0)))
    return CulturalMap(
        tuple(name for name, _ in groups),
        tuple(INDICATORS),
        loadings,
        np.square(loadings).sum(axis=0) / len(loadings),
        np.array(positions),
        np.array(errors),
        mean,
        spread,
        coefficients,
    )


def indicators_of_shares(codebook: Codebook, shares: Mapping[str, FloatArray]) -> FloatArray:
    """Return the indicators of the cultural map from answer distributions, shape (10,).

    Parameters
    ----------
    codebook : Codebook
    shares : mapping
        By item, the share of each option.

    Raises
    ------
    InputError
        An item that the map needs has no distribution; the message names it.
    """
    needed = [*(scale.variable for scale in _PLAIN.values()), *_CHILDREN, *_AIMS]
    absent = [variable for variable in needed if variable not in shares]
    if absent:
        raise InputError(f"no answer to {', '.join(absent)}.")
    found = {
        name: _expected(codebook, scale, shares[scale.variable]) for name, scale in _PLAIN.items()
    }
    mentioned = [_expected(codebook, StretchedVariable(q, 2, 1), shares[q]) for q in _CHILDREN]
    found["autonomy of children"] = mentioned[0] + mentioned[1] - mentioned[2] - mentioned[3]
    found["post-materialist"] = sum(
        float(shares[q][np.isin(_option_codes(codebook, q), (2, 4))].sum()) for q in _AIMS
    )
    return np.array([found[name] for name in INDICATORS])


def _expected(codebook: Codebook, scale: StretchedVariable, shares: FloatArray) -> float:
    """The mean of a stretched variable, over the options between its ends."""
    codes = _option_codes(codebook, scale.variable)
    low, high = sorted((scale.zero, scale.one))
    inside = (codes >= low) & (codes <= high)
    stretched = (codes[inside] - scale.zero) / (scale.one - scale.zero)
    total = float(shares[inside].sum())
    return float(stretched @ shares[inside]) / total if total > 0 else float("nan")


def varimax(loadings: FloatArray) -> FloatArray:
    """Return loadings on two factors after a varimax rotation with normalised rows.

    The angle is Kaiser's (1958) closed form for two factors. loadings: shape (variables, 2).
    """
    length = np.linalg.norm(loadings, axis=1, keepdims=True)
    x, y = (loadings / np.where(length > 0, length, 1)).T
    n, u, v = len(x), x**2 - y**2, 2 * x * y
    across = 2 * (u @ v) - 2 * u.sum() * v.sum() / n
    along = u @ u - v @ v - (u.sum() ** 2 - v.sum() ** 2) / n
    angle = np.arctan2(across, along) / 4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(loadings @ turn)


def _oriented(loadings: FloatArray) -> FloatArray:
    """Columns ordered and signed so that each axis's own indicators load on it, positively."""
    secular = np.array([axis == SECULAR for axis in INDICATORS.values()])
    first = np.abs(loadings[secular]).sum(axis=0) - np.abs(loadings[~secular]).sum(axis=0)
    ordered = loadings[:, np.argsort(-first, kind="stable")]
    signs = np.sign([ordered[secular, 0].sum(), ordered[~secular, 1].sum()])
    return np.asarray(ordered * np.where(signs == 0, 1, signs))


def _stretched(survey: Survey, scale: StretchedVariable) -> FloatArray:
    """From 0 to 1; NaN also for codes beyond the ends, as "not of this nationality" in Q254."""
    found = _codes(survey, scale.variable)
    ends = sorted((scale.zero, scale.one))
    inside = (found >= ends[0]) & (found <= ends[1])
    return np.where(inside, (found - scale.zero) / (scale.one - scale.zero), np.nan)


def _codes(survey: Survey, variable: str) -> FloatArray:
    """Codes as numbers, NaN where nothing was chosen, in the order of respondents' ids."""
    codes = _option_codes(survey.codebook, variable)
    positions = survey.positions(variable)[survey.rows_by_id]
    return np.where(positions < 0, np.nan, codes[np.maximum(positions, 0)])


def _option_codes(codebook: Codebook, variable: str) -> FloatArray:
    """The codes of an item's options as numbers, shape (options,)."""
    try:
        return np.array([float(option.code) for option in codebook[variable].options])
    except ValueError as error:
        raise InputError(f"{variable} has a code that is not a number: {error}.") from error


def _need(survey: Survey, variables: Sequence[str], purpose: str) -> None:
    absent = [variable for variable in variables if variable not in survey.codebook.item_ids]
    if absent:
        raise InputError(f"{purpose} needs {', '.join(absent)}, which this survey does not have.")
