"""What an evaluation is given and what it gives: one file and one `Scorecard` for each.

An evaluation has two halves. `probe` asks one model its questions and keeps the answers as a
table. This half takes long, and a run computes it once for each checkpoint. `score` turns the
tables of all methods into figures with intervals, and is cheap. An evaluation without `probe`
reads the answers that `fit` is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from suffrage.evaluate.asking.answers import Answers, Scoring
from suffrage.evaluate.asking.sampled_cells import SampledCell, is_trained
from suffrage.evaluate.results import (
    Figure,
    FigureDifference,
    Measure,
    ReadoutDisagreement,
    ScoredAnswer,
)
from suffrage.evaluate.statistics.mixing import MixingWeight
from suffrage.models import Answerer
from suffrage.models.asking import Persona
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.training_data import ItemSplit
from suffrage.training_data.answers_in_context import persona_of
from suffrage.training_data.consultation_source import ConsultationSource

AS_ITSELF = ""


class EvaluationOptions(BaseModel):
    """What a study may say to an evaluation; each evaluation's own options add to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def files(self) -> tuple[str, ...]:
        """Files whose content decides the outcome, as paths relative to the study's file."""
        return ()

    @property
    def other_models(self) -> tuple[str, ...]:
        """Models besides the one that is asked, as a study names them, that decide the outcome."""
        return ()

    def files_in(self, folder: Path) -> list[Path]:
        """The same as whole paths. folder: where the study's relative paths start."""
        return [folder / name for name in self.files]


@dataclass(frozen=True)
class Place:
    """Whom a model is asked as."""

    value_set: str  # `AS_ITSELF` when its answers count for every value set
    persona: Persona | None  # how the question names the population; None when asked as itself


@dataclass(frozen=True)
class ProbeInput:
    """One model to be asked, and what may be known while asking it."""

    model: Answerer
    value_sets: Sequence[ValueSet]  # those this model answers for
    as_population: bool  # whether questions name them
    # What is held out: one split for a trained model, one for each seed for an untrained one,
    # which is asked once for all seeds.
    splits: Sequence[ItemSplit]
    scoring: Scoring  # how the study reads answers
    options: Any
    seed: int
    folder: Path  # where the study's relative paths start
    advance: Callable[[float], None] = lambda share: None  # called with the share done, 0 to 1
    # What of the study's consultation may be trained on, for each of the splits; empty without one.
    consultations: Sequence[ConsultationSource] = ()
    # How questions describe value sets where they do not name them as usual, by name.
    personas: Mapping[str, Persona] = field(default_factory=dict)

    def persona(self, value_set: ValueSet) -> Persona:
        """How questions name or describe a value set."""
        return persona_of(value_set, self.personas)

    @property
    def places(self) -> list[Place]:
        """Each value set, or once the model as itself."""
        if self.as_population:
            return [Place(v.name, self.persona(v)) for v in self.value_sets]
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
class FloorReading:
    """A method's answers read together with the average answer, as a row next to the method's."""

    name: str
    method: str  # whose answers they are
    label: str
    explanation: str
    answers: Mapping[int, Answers]  # by seed
    # Where answers are mixed: the weight of the model's, by seed.
    weights: Mapping[int, MixingWeight] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationInput:
    """Everything an evaluation may look at when it scores."""

    value_sets: Sequence[ValueSet]
    splits: Mapping[int, ItemSplit]  # by seed
    # By method and seed; an untrained method has the same answers in every seed.
    answers: Mapping[tuple[str, int], Answers]
    methods: Sequence[str]  # names in the order of the study
    trained: Sequence[str]  # those of them that were trained
    left_out: Sequence[str] = ()  # value sets that no method was trained on
    # The tables of this evaluation's own `probe`, by method and seed.
    probes: Mapping[tuple[str, int], pl.DataFrame] = field(default_factory=dict)
    options: Any = None  # what the study says to this evaluation
    folder: Path = Path()
    # Folders of what each trained method learnt from, by method and seed.
    records: Mapping[tuple[str, int], Sequence[Path]] = field(default_factory=dict)
    # Rows next to the methods', which `fit` has alone.
    readings: Sequence[FloorReading] = ()
    # The texts of the questions that the study's models were trained on before it.
    trained_before: Sequence[str] = ()
    # What of the study's consultation may be trained on, by seed; empty without one.
    consultations: Mapping[int, ConsultationSource] = field(default_factory=dict)
    # The method whose checkpoint a method starts from, by method.
    starts: Mapping[str, str] = field(default_factory=dict)
    # Each complete method with one that lacks a part of it.
    ablations: Sequence[tuple[str, str]] = ()
    # By seed the sample of the cells trained on that models were asked; no entry where all were.
    trained_sample: Mapping[int, frozenset[SampledCell]] = field(default_factory=dict)

    @property
    def trains_on_none(self) -> bool:
        """Whether every question is held out, so that there is no answer to a trained one."""
        return not any(split.train for split in self.splits.values())

    def compares(self, seed: int, value_set: str, item: str) -> bool:
        """Whether answers in this place are compared: all but those trained on and not drawn."""
        cell, drawn = (value_set, item), self.trained_sample.get(seed)
        if drawn is None or cell in drawn:
            return True
        return not is_trained(cell, self.splits[seed], self.left_out)

    def said(self, method: str, seed: int, value_set: str) -> pl.DataFrame:
        """The rows of `probes` that speak for a value set: its own, or the model's as itself."""
        frame = self.probes[method, seed]
        return frame.filter(pl.col("value_set").is_in([value_set, AS_ITSELF]))


@dataclass(frozen=True)
class Scorecard:
    """What one evaluation found about every method of a study."""

    figures: tuple[Figure, ...] = ()
    # Paired: two methods on the answers that both gave.
    figure_differences: tuple[FigureDifference, ...] = ()
    # What happened in this run, in sentences.
    notes: tuple[str, ...] = ()
    # What its part of the report draws.
    details: Mapping[str, Any] = field(default_factory=dict)
    # Every answer with its distance from the population's; `fit` alone keeps them.
    answers: tuple[ScoredAnswer, ...] = ()
    # How far two ways of reading a model's answers are apart.
    readouts: tuple[ReadoutDisagreement, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, registered under "suffrage.evaluations"."""

    name: str
    score: Callable[[EvaluationInput, int], Scorecard]  # the seed draws bootstrap resamples only
    question: str = ""  # what a sceptic asks, as a heading
    cannot_show: str = ""  # one sentence
    measures: tuple[Measure, ...] = ()
    options: type[EvaluationOptions] = EvaluationOptions
    # A table of what a model said, with rows for every place and a column `value_set`.
    probe: Callable[[ProbeInput], pl.DataFrame] | None = None
    # Whether `probe` only asks items for shares (`read_letters`), as their survey words them. A
    # method that gives shares and no text can then be asked too.
    asks_for_shares: bool = False
    # (value sets, splits, options, folder of the options' paths): about how many prompts `probe`
    # scores as one place, for plans.
    prompts: Callable[[Sequence[ValueSet], Sequence[ItemSplit], Any, Path], int] | None = None
    # Whether `probe` asks a model as often whatever it is asked as: `prompts` are then all of them.
    asks_once: bool = False
    # Whether it needs the study's consultation, with statements and people held out.
    needs_consultation: bool = False
    # (value sets, what of the consultation may be trained on by seed, options): about how many
    # prompts `probe` scores as one value set, where it asks about a consultation.
    consultation_prompts: (
        Callable[[Sequence[ValueSet], Sequence[ConsultationSource], Any], int] | None
    ) = None
    # (value sets, options, folder of the options' paths): the items whose answers `score` needs
    # whether they were trained on or not. Of other items trained on it may get a sample.
    items_needed: Callable[[Sequence[ValueSet], Any, Path], Collection[str]] | None = None
    # The ids that those can be among, known from the options and their files alone.
    items_named: Callable[[Any, Path], Collection[str]] | None = None

    def scored(self, given: EvaluationInput, seed: int) -> Scorecard:
        """What `score` found, with its intervals cut off where a measure has an end."""
        card, measures = self.score(given, seed), {m.name: m for m in self.measures}
        return replace(
            card,
            figures=tuple(_possible(row, measures.get(row.measure)) for row in card.figures),
            figure_differences=tuple(
                _possible_difference(row, measures.get(row.measure))
                for row in card.figure_differences
            ),
        )


def cut_off(
    low: float | None, high: float | None, lowest: float | None, highest: float | None
) -> tuple[float | None, float | None]:
    """An interval without what is not possible; None stands for an end that is not known.

    Examples
    --------
    >>> cut_off(0.76, 1.01, 0.0, 1.0)
    (0.76, 1.0)
    """
    if low is None or high is None:
        return low, high
    floor = low if lowest is None else lowest
    top = high if highest is None else highest
    return min(max(low, floor), top), max(min(high, top), floor)


def _possible(figure: Figure, measure: Measure | None) -> Figure:
    if measure is None:
        return figure
    low, high = cut_off(figure.low, figure.high, measure.lowest, measure.highest)
    return figure.model_copy(update={"low": low, "high": high})


def _possible_difference(gap: FigureDifference, measure: Measure | None) -> FigureDifference:
    if measure is None:
        return gap
    low, high = gap.low, gap.high
    if measure.lowest is not None and measure.highest is not None:
        span = measure.highest - measure.lowest
        low, high = cut_off(low, high, -span, span)
    better = "lower" if measure.better == "lower" else "higher"
    return gap.model_copy(update={"low": low, "high": high, "better": better})
