"""What training cost: losses against the untrained model, and which of them go beyond a margin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from suffrage.evaluate.results import ALL, FigureDifference, Verdict
from suffrage.evaluate.statistics.intervals import Measured

# (seed, question) -> value
Values = Mapping[tuple[int, str], float]


def value_rows(values: Values) -> list[Measured]:
    """A row for each question, for every value set at once, since the model is asked as itself."""
    return [
        Measured(seed, "", question, question, value, np.ones(1))
        for (seed, question), value in sorted(values.items())
    ]


def loss_rows(values: Mapping[str, Values], base: str) -> dict[str, list[Measured]]:
    """base minus method on each question, by method; empty without the base."""
    return {
        method: value_rows(
            {key: values[base][key] - own for key, own in found.items() if key in values[base]}
        )
        for method, found in values.items()
        if base in values and method != base
    }


def is_loss(change: float | None, verdict: Verdict, margin: float) -> bool:
    """The one rule for a loss: more than the margin, and told from 0 by the corrected difference.

    Parameters
    ----------
    change : float or None
        The method less the untrained model, where more is better.
    verdict : str
        Of that difference, after Holm's correction.
    margin : float
        Above 0.
    """
    return change is not None and change < -margin and verdict == "lower"


def loss_warnings(
    differences: Sequence[FigureDifference], measure: str, base: str, margin: float, what: str
) -> Iterator[str]:
    """A sentence for each method that lost more than the margin, saying whether it is certain.

    Parameters
    ----------
    differences
        Of all methods; those of `measure` with the base count.
    """
    for found in differences:
        if (found.measure, found.value_set) != (measure, ALL):
            continue
        if base not in (found.method, found.against):
            continue
        names = {"method": found.against, "against": found.method}
        gap = found if found.against == base else found.turned(**names)
        if gap.value >= -margin:
            continue
        lost = gap.turned()
        span = "" if lost.low is None else f" [{lost.low:+.2f}, {lost.high:+.2f}]"
        sure = is_loss(gap.value, gap.verdict, margin)
        yield (
            f"{gap.method} lost {lost.value:.2f}{span} {what}, beyond the margin of {margin:g}"
            + ("." if sure else "; so few questions can't tell it from no loss.")
        )
