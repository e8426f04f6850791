"""An evaluation's own questions, asked of a model as itself, and what training cost on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from suffrage.evaluate.scorecard import EvaluationInput, Scorecard
from suffrage.evaluate.statistics.common_cells import wholly_answered
from suffrage.evaluate.statistics.figures import Edge, make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.evaluate.statistics.losses import Values, loss_rows, loss_warnings, value_rows


def values_by_question(
    given: EvaluationInput, value: pl.Expr, kinds: list[str] | None = None
) -> dict[str, Values]:
    """Each method's mean value on each (seed, question), where a method may have several models.

    A question on which one of the models has no value is missing for the method.

    Parameters
    ----------
    given
        Its probes have the columns `kind` and `question`.
    value
        Of a row of a probe; null where the answer could not be read.
    kinds
        The kinds of rows that count; None for all.
    """
    found: dict[str, dict[tuple[int, str], float]] = {}
    for (method, at), frame in given.probes.items():
        chosen = frame if kinds is None else frame.filter(pl.col("kind").is_in(kinds))
        read: dict[str, list[float]] = wholly_answered(
            chosen.select("question", value.alias("value")).iter_rows()
        )
        found.setdefault(method, {}).update(
            {(at, name): float(np.mean(values)) for name, values in sorted(read.items())}
        )
    return dict(found)


def cost_scorecard(
    given: EvaluationInput,
    evaluation: str,
    seed: int,
    values: Mapping[str, Mapping[str, Values]],
    loss: tuple[str, str, str],
    floors: Edge,
    ceilings: Edge,
    details: Mapping[str, Any],
) -> Scorecard:
    """Figures of each measure, and the loss of each method against the base in one of them.

    Parameters
    ----------
    given
        Its options have `base` and `margin`; a loss beyond the margin is flagged in the notes.
    values
        Measure to method to values.
    loss
        The measure that may be lost, the measure of its loss, and what is lost, in words.
    floors, ceilings
        As for `make_figures`.
    details
        What the report shows of the evaluation.
    """
    losing, measure, what = loss
    base, margin = given.options.base, given.options.margin
    units: dict[str, Mapping[str, list[Measured]]] = {
        name: {method: value_rows(own) for method, own in by_method.items()}
        for name, by_method in values.items()
    }
    units[measure] = loss_rows(values[losing], base)
    figures, differences = make_figures(
        evaluation, units, given.methods, seed, floors=floors, ceilings=ceilings
    )
    notes = list(loss_warnings(differences, losing, base, margin, what))
    if base not in given.methods:
        notes.append(f"The study has no method {base}, so no loss can be measured.")
    return Scorecard(
        figures=figures,
        figure_differences=differences,
        notes=tuple(notes),
        details={**details, "margin": margin},
    )
