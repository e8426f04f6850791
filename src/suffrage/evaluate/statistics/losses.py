"""What training cost: losses against the untrained model, and which of them go beyond a margin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from suffrage.evaluate.results import Figure
from suffrage.evaluate.statistics.intervals import Measured

# (seed, question) -> value
Values = Mapping[tuple[int, str], float]


def value_rows(values: Values) -> list[Measured]:
    """One row a question, for every value set at once, since the model is asked as itself."""
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


def loss_warnings(
    figures: Sequence[Figure], measure: str, margin: float, what: str
) -> Iterator[str]:
    """A sentence for each method that lost more than the margin, saying whether it is certain."""
    for figure in figures:
        if (figure.measure, figure.seed, figure.value_set) != (measure, "all", "all"):
            continue
        if figure.value <= margin:
            continue
        span = "" if figure.low is None else f" [{figure.low:+.2f}, {figure.high:+.2f}]"
        sure = figure.low is not None and figure.low > margin
        yield (
            f"{figure.method} lost {figure.value:.2f}{span} {what}, beyond the margin of {margin:g}"
            + ("." if sure else "; so few questions can't tell it from a loss within the margin.")
        )
