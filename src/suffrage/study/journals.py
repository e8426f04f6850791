"""The journal of each training's steps, as a checkpoint keeps it, for the results."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suffrage.align.checkpoint import Checkpoint
from suffrage.align.training import LOG
from suffrage.evaluate.results import TrainingJournal

# More steps than a drawing can show.
STEPS_KEPT = 200


def training_journal(folder: Path, method: str, seed: int, group: str) -> TrainingJournal | None:
    """One checkpoint's journal, thinned to what a drawing shows; None where it kept none."""
    path = folder / LOG
    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    rows = [row for row in rows if _is_number(row.get("loss"))]
    shown = thinned(rows, STEPS_KEPT)
    asked = [row for row in rows if _is_number(row.get("validation_fit"))]
    validation = Checkpoint.read(folder).manifest.get("validation") or {}
    return TrainingJournal(
        method=method,
        seed=seed,
        group=group,
        steps=[row["step"] for row in shown],
        losses=[row["loss"] for row in shown],
        validation_steps=[row["step"] for row in asked],
        validation=[row["validation_fit"] for row in asked],
        validation_questions=validation.get("questions", 0),
        kept_step=validation.get("best_step"),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """At most so many rows at even steps, the first and the last among them.

    Examples
    --------
    >>> thinned(list(range(11)), 3)
    [0, 5, 10]
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[round(k * (len(rows) - 1) / (most - 1))] for k in range(most)]
