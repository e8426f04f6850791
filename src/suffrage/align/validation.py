"""Questions held back from a training, asked while it goes on: its best point is what it leaves.

They are none of the study's held-out questions, so that the choice of a point never sees those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.models.device import process_rank
from suffrage.population.distribution_distances import fit
from suffrage.training_data.records import RecordRow

BEST, BEST_FILE = "best", "best.json"


@dataclass(frozen=True)
class ValidationPoint:
    """What a model answers to the questions held back, at one step."""

    # 1 minus the Jensen-Shannon distance from the people, on average over cells. Of pairs of
    # written answers: the share of people who prefer the answer that is the likelier.
    fit: float
    # How much better each population's own answer fits it than the answers that the model gives for
    # the others to the same question; None where no question is asked for two.
    name_gain: float | None
    # The fit of the survey's questions held back, where a consultation is learnt from.
    survey_fit: float | None = None


def allowed(survey_fit: float | None, before: float | None, tolerance: float) -> bool:
    """Whether the survey's fit falls by no more than the tolerance, or nobody looks at it.

    Examples
    --------
    >>> allowed(0.795, 0.8, 0.01), allowed(0.78, 0.8, 0.01), allowed(None, None, 0.01)
    (True, False, True)
    """
    return survey_fit is None or before is None or survey_fit >= before - tolerance


def pair_agreement(people: FloatArray, answer: FloatArray) -> float:
    """The share of people who prefer the one of two answers that a model finds likelier.

    Parameters
    ----------
    people : array, shape (2,)
        The shares of those who prefer either answer.
    answer : array, shape (2,)
        The model's shares.

    Examples
    --------
    >>> pair_agreement(np.array([0.7, 0.3]), np.array([0.51, 0.49]))
    0.7
    """
    if answer[0] == answer[1]:
        return 0.5
    return float(people[int(answer[1] > answer[0])])


def validation_point(
    cells: Sequence[tuple[str, FloatArray]],
    answers: Sequence[FloatArray],
    rule: Callable[[FloatArray, FloatArray], Any] = fit,
) -> ValidationPoint:
    """Compare a model's answers with the people's.

    Parameters
    ----------
    cells : sequence of (str, array of shape (options,))
        The question of each cell, and its population's shares.
    answers : sequence of arrays, shape (options,)
        The model's shares.
    rule : callable
        How near an answer is to the people's; `fit` unless cells are pairs of answers.

    Returns
    -------
    ValidationPoint

    Examples
    --------
    >>> north, south = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> validation_point([("a", north), ("a", south)], [north, south])
    ValidationPoint(fit=1.0, name_gain=1.0, survey_fit=None)
    """
    fits, gains = [], []
    for place, ((question, people), own) in enumerate(zip(cells, answers, strict=True)):
        fits.append(float(rule(people, own)))
        others = [
            float(rule(people, answers[k]))
            for k, (asked, _) in enumerate(cells)
            if asked == question and k != place
        ]
        if others:
            gains.append(fits[-1] - float(np.mean(others)))
    gain = float(np.mean(gains)) if gains else None
    return ValidationPoint(float(np.mean(fits)), gain)


class Validation:
    """Asks what is held back every so many steps, keeps the best point, and says when to stop.

    Parameters
    ----------
    rows : sequence of rows
        The records held back.
    ask : callable
        Gives a model's shares for each of them, in every process.
    every : int
        Steps between two times of asking.
    patience : int
        Times without a better point after which the training stops.
    work : Path
        A folder that outlives an interruption, where the best point is kept.
    tolerance : float
        How far the survey's fit may fall below that before training, where some of the records
        (`guard`) are the survey's and the others a consultation's.
    """

    def __init__(
        self,
        rows: Sequence[RecordRow],
        ask: Callable[[Any], Sequence[FloatArray]],
        every: int,
        patience: int,
        work: Path,
        tolerance: float = 0.0,
    ) -> None:
        cells = [(_question(row), np.array(row["target"])) for row in rows]
        self._pairs = [bool(row.get("pair")) for row in rows]
        self._guards = [bool(row.get("guard")) for row in rows]
        self.cells = [cell for cell, guard in zip(cells, self._guards, strict=True) if not guard]
        self.guards = [cell for cell, guard in zip(cells, self._guards, strict=True) if guard]
        self._tolerance = tolerance
        self._ask, self._every, self._patience, self._work = ask, every, patience, work
        self._points: dict[int, ValidationPoint] = {}
        self.stopped = False

    @property
    def best_folder(self) -> Path:
        """Where the best point is."""
        return self._work / BEST

    @property
    def best(self) -> dict[str, float] | None:
        """The step and the fit of the best point so far."""
        noted = self._work / BEST_FILE
        return dict(storage.read_json(noted)) if noted.exists() else None

    def logged(self, step: int) -> dict[str, float | None]:
        """What a step's line of the log says of it."""
        if step not in self._points:
            return {}
        point = self._points[step]
        said = {"validation_fit": point.fit, "validation_name_gain": point.name_gain}
        return said | ({"validation_survey_fit": point.survey_fit} if self.guards else {})

    def begin(self, log: Path, trainer: Any, step: int) -> None:
        """Take up a training at a step; at 0, ask the model as it is before any."""
        if step:
            for line in log.read_text(encoding="utf-8").splitlines():
                noted = json.loads(line)
                if "validation_fit" in noted:
                    self._points[noted["step"]] = ValidationPoint(
                        noted["validation_fit"],
                        noted["validation_name_gain"],
                        noted.get("validation_survey_fit"),
                    )
            return
        (self._work / BEST_FILE).unlink(missing_ok=True)
        self._measure(trainer, 0)
        if process_rank() == 0:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": 0, "loss": None, **self.logged(0)}) + "\n")

    def after_step(self, trainer: Any, step: int, last: bool) -> bool:
        """Ask where it is time to, and say whether the training should stop."""
        if step % self._every and not last:
            return False
        self._measure(trainer, step)
        best = self.best
        since = [s for s in self._points if best is not None and s > best["step"]]
        self.stopped = len(since) >= self._patience and not last
        return self.stopped

    def _measure(self, trainer: Any, step: int) -> None:
        """Ask the model, and keep it where it is the best so far."""
        point = self.measured(trainer.model_wrapped)
        self._points[step] = point
        best, first = self.best, self._points.get(0)
        if first and not allowed(point.survey_fit, first.survey_fit, self._tolerance):
            return
        if not math.isfinite(point.fit) or (best is not None and point.fit <= best["fit"]):
            return
        trainer.save_model(str(self.best_folder))
        if process_rank() == 0:
            storage.write_json(self._work / BEST_FILE, {"step": step, "fit": point.fit})

    def measured(self, model: Any) -> ValidationPoint:
        """What a model gives on everything held back."""
        return self._point(list(self._ask(model)))

    def measured_by_question(self, model: Any) -> tuple[ValidationPoint, FloatArray]:
        """What a model gives on everything held back, and the mean fit of each own question.

        Questions are in the same order for every model. Guards are no own questions.
        """
        said = list(self._ask(model))
        return self._point(said), self._of_each_question(said)

    def _point(self, said: Sequence[FloatArray]) -> ValidationPoint:
        point = self._on_own(said)
        if not self.guards:
            return point
        guards = [own for own, guard in zip(said, self._guards, strict=True) if guard]
        return replace(point, survey_fit=validation_point(self.guards, guards).fit)

    def _of_each_question(self, said: Sequence[FloatArray]) -> FloatArray:
        cells = iter(self.cells)
        found: dict[str, list[float]] = {}
        for own, pair, guard in zip(said, self._pairs, self._guards, strict=True):
            if not guard:
                question, people = next(cells)
                rule = pair_agreement if pair else fit
                found.setdefault(question, []).append(float(rule(people, own)))
        return np.array([np.mean(fits) for fits in found.values()])

    def _on_own(self, said: Sequence[FloatArray]) -> ValidationPoint:
        """The mean over cells, shares by their fit and pairs of answers by agreement."""
        cells = iter(self.cells)
        found: dict[bool, tuple[list[tuple[str, FloatArray]], list[FloatArray]]] = {}
        for own, pair, guard in zip(said, self._pairs, self._guards, strict=True):
            if not guard:
                known, answers = found.setdefault(pair, ([], []))
                known.append(next(cells))
                answers.append(own)
        points = {
            pair: validation_point(*own, pair_agreement if pair else fit)
            for pair, own in found.items()
        }
        counts = [len(answers) for _, answers in found.values()]
        mean = float(np.average([point.fit for point in points.values()], weights=counts))
        return ValidationPoint(mean, points[False].name_gain if False in points else None)

    def facts(self) -> dict[str, Any]:
        """What the checkpoint's manifest says of it."""
        best = self.best or {}
        return {
            "questions": len({question for question, _ in self.cells}),
            "cells": len(self.cells),
            "survey_cells": len(self.guards),
            "pairs_of_answers": sum(self._pairs),
            "best_step": best.get("step"),
            "best_fit": best.get("fit"),
            "points": [
                {"step": step, **asdict(point)} for step, point in sorted(self._points.items())
            ],
            "stopped_early": self.stopped,
        }


def _question(row: RecordRow) -> str:
    """What cells of one question have in common; two pairs of answers to one prompt are two."""
    return "\n".join([row["item"], *row["answers"]]) if row.get("pair") else str(row["item"])
