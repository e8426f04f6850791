"""What an evaluation is given and what it gives: one file an evaluation, one `Scorecard` each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.evaluate.answers import Answers
from suffrage.evaluate.results import Answer, Difference, ReadoutDisagreement, Score
from suffrage.population import ValueSet
from suffrage.training_data import ItemSplit


@dataclass(frozen=True)
class EvaluationInput:
    """Everything an evaluation may look at.

    splits: by seed. answers: by method and seed; untrained methods come once a seed with the same
    answers. methods: names in the order of the study. trained: those of them that were trained.
    """

    value_sets: Sequence[ValueSet]
    splits: Mapping[int, ItemSplit]
    answers: Mapping[tuple[str, int], Answers]
    methods: Sequence[str]
    trained: Sequence[str]


@dataclass(frozen=True)
class Scorecard:
    """Rows of the scoreboard, with what lies behind them."""

    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    answers: tuple[Answer, ...]
    readouts: tuple[ReadoutDisagreement, ...]

    def write(self, folder: Path) -> None:
        """Write `scorecard.json`, all or nothing."""
        content: dict[str, Any] = {
            name: [row.model_dump(mode="json") for row in getattr(self, name)]
            for name in ("scores", "differences", "answers", "readouts")
        }
        storage.write_folder(
            folder, lambda draft: storage.write_json(draft / "scorecard.json", content)
        )

    @classmethod
    def read(cls, folder: Path) -> Scorecard:
        """Read back what `write` wrote."""
        content = storage.read_json(folder / "scorecard.json")
        return cls(
            tuple(Score.model_validate(row) for row in content["scores"]),
            tuple(Difference.model_validate(row) for row in content["differences"]),
            tuple(Answer.model_validate(row) for row in content["answers"]),
            tuple(ReadoutDisagreement.model_validate(row) for row in content["readouts"]),
        )


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, registered under "suffrage.evaluations".

    run(input, seed): the seed draws bootstrap resamples and nothing else.
    """

    name: str
    run: Callable[[EvaluationInput, int], Scorecard]
