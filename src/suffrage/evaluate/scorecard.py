"""What an evaluation is given and what it gives: one file an evaluation, one `Scorecard` each.

An evaluation has two halves. `probe` puts its questions to one model and keeps what it said, as a
table; it is the long half, and a run computes it once for each checkpoint. `score` turns the tables of all methods
into figures with intervals, and is cheap. An evaluation without `probe` reads the answers that `fit`
is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from suffrage import storage
from suffrage.evaluate.asking.answers import Answers, Scoring
from suffrage.evaluate.results import (
    Answer,
    Difference,
    Figure,
    FigureDifference,
    Measure,
    ReadoutDisagreement,
    Score,
)
from suffrage.models import Answerer
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data import ItemSplit

AS_ITSELF = ""
ROWS: dict[str, type[BaseModel]] = {
    "scores": Score,
    "differences": Difference,
    "answers": Answer,
    "readouts": ReadoutDisagreement,
    "figures": Figure,
    "figure_differences": FigureDifference,
}


class EvaluationOptions(BaseModel):
    """What a study may say to an evaluation; each evaluation's own options add to it.

    files: paths relative to the study's file whose content decides the outcome.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def files(self) -> tuple[str, ...]:
        """The files these options name."""
        return ()

    def files_in(self, folder: Path) -> list[Path]:
        """The same as whole paths. folder: where the study's relative paths start."""
        return [folder / name for name in self.files]


@dataclass(frozen=True)
class Place:
    """Whom a model is asked as. value_set: `AS_ITSELF` when its answers stand for every value set.

    persona: how the question names the population; None when the model is asked as itself.
    """

    value_set: str
    persona: str | None


@dataclass(frozen=True)
class ProbeInput:
    """One model to be asked, and what may be known while asking it.

    value_sets: those this model answers for. as_population: whether questions name them. splits: what
    is held out, one split for a trained model, one a seed for an untrained one, which is asked once
    for all. scoring: how the study reads answers. folder: where the study's relative paths start.
    advance: told the share of the work done, 0 to 1.
    """

    model: Answerer
    value_sets: Sequence[ValueSet]
    as_population: bool
    splits: Sequence[ItemSplit]
    scoring: Scoring
    options: Any
    seed: int
    folder: Path
    advance: Callable[[float], None] = lambda share: None

    @property
    def places(self) -> list[Place]:
        """Each value set, or once the model as itself."""
        if self.as_population:
            return [Place(value_set.name, value_set.description) for value_set in self.value_sets]
        return [Place(AS_ITSELF, None)]

    @property
    def items(self) -> list[Item]:
        """Every item any of the value sets was asked, by id."""
        found = {item.id: item for value_set in self.value_sets for item in value_set.items}
        return [found[name] for name in sorted(found)]

    @property
    def held_out(self) -> list[Item]:
        """The items held out in any of the splits, by id."""
        names = {name for split in self.splits for name in split.held_out}
        return [item for item in self.items if item.id in names]


@dataclass(frozen=True)
class EvaluationInput:
    """Everything an evaluation may look at when it scores.

    splits: by seed. answers: by method and seed; untrained methods come once a seed with the same
    answers. probes: the table of this evaluation's own `probe`, likewise. methods: names in the order
    of the study. trained: those of them that were trained. left_out: value sets that no method was
    trained on. options: the study's to this evaluation. records: the folders of what each trained
    method and seed learnt from.
    """

    value_sets: Sequence[ValueSet]
    splits: Mapping[int, ItemSplit]
    answers: Mapping[tuple[str, int], Answers]
    methods: Sequence[str]
    trained: Sequence[str]
    left_out: Sequence[str] = ()
    probes: Mapping[tuple[str, int], pl.DataFrame] = field(default_factory=dict)
    options: Any = None
    folder: Path = Path()
    records: Mapping[tuple[str, int], Sequence[Path]] = field(default_factory=dict)

    def said(self, method: str, seed: int, value_set: str) -> pl.DataFrame:
        """The rows of `asked` that speak for a value set: its own, or the model's as itself."""
        frame = self.probes[method, seed]
        return frame.filter(pl.col("value_set").is_in([value_set, AS_ITSELF]))


@dataclass(frozen=True)
class Scorecard:
    """Rows of the scoreboard, with what lies behind them. notes, details: see `EvaluationFacts`."""

    scores: tuple[Score, ...] = ()
    differences: tuple[Difference, ...] = ()
    answers: tuple[Answer, ...] = ()
    readouts: tuple[ReadoutDisagreement, ...] = ()
    figures: tuple[Figure, ...] = ()
    figure_differences: tuple[FigureDifference, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `scorecard.json`, all or nothing."""
        content: dict[str, Any] = {
            name: [row.model_dump(mode="json") for row in getattr(self, name)] for name in ROWS
        }
        content |= {"notes": list(self.notes), "details": dict(self.details)}
        storage.write_folder(
            folder, lambda draft: storage.write_json(draft / "scorecard.json", content)
        )

    @classmethod
    def read(cls, folder: Path) -> Scorecard:
        """Read back what `write` wrote."""
        content = storage.read_json(folder / "scorecard.json")
        rows: dict[str, Any] = {
            name: tuple(kind.model_validate(row) for row in content[name])
            for name, kind in ROWS.items()
        }
        return cls(**rows, notes=tuple(content["notes"]), details=content["details"])


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, registered under "suffrage.evaluations".

    question: what a sceptic asks, as a heading. cannot_show: one sentence. measures: the figures it
    gives. score(input, seed): the seed draws bootstrap resamples and nothing else. probe: a table of
    what a model said, with a column `value_set` (see `Place`); rows for every place asked.
    prompts(value_sets, splits, options, folder): about how many prompts `probe` scores as one place, for
    plans; folder: where the options' paths start.
    """

    name: str
    score: Callable[[EvaluationInput, int], Scorecard]
    question: str = ""
    cannot_show: str = ""
    measures: tuple[Measure, ...] = ()
    options: type[EvaluationOptions] = EvaluationOptions
    probe: Callable[[ProbeInput], pl.DataFrame] | None = None
    prompts: Callable[[Sequence[ValueSet], Sequence[ItemSplit], Any, Path], int] | None = None
