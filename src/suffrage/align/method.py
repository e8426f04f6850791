"""What a method is: one file, one `Method`, one entry point in "suffrage.methods"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage.models import ModelIdentity, SharesPredictor
from suffrage.models.device import process_count
from suffrage.settings import LAYERS
from suffrage.training_data.answers_in_context import InContextSettings
from suffrage.training_data.records import (
    Format,
    Records,
    RecordSettings,
    ValidationSample,
)

# Called with a step, the number of all steps, and the loss of that step.
OnStep = Callable[[int, int, float], None]


class MethodOptions(BaseModel):
    """What a study may say to a method that is not trained: nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def deciding(self) -> dict[str, Any]:
        """The settings that decide what is trained, for the keys of stages."""
        return self.model_dump()


class InContextOptions(MethodOptions):
    """What a study may say to a method that can describe populations by their answers."""

    # The number of answers to other questions that describe a population instead of its name, or
    # {answers: 8, name: true} to name it too. None: it is only named.
    in_context: InContextSettings | None = None

    @field_validator("in_context", mode="before")
    @classmethod
    def _number_or_settings(cls, given: Any) -> Any:
        return {"answers": given} if type(given) is int else given


class TrainingOptions(MethodOptions):
    """What a study may say to any trained method."""

    # How many steps to train. Without steps and epochs it is 60.
    steps: int | None = Field(default=None, ge=1)
    # How many epochs to train, instead of steps; an epoch has one record for each pair of a value
    # set and a trained item.
    epochs: float | None = Field(default=None, gt=0)
    # How many records each step has.
    batch: int = Field(default=12, ge=1)
    # How many records are computed at a time; None for all of a step.
    micro_batch: int | None = Field(default=None, ge=1)
    # How far a step moves the weights, at its largest.
    learning_rate: float = Field(default=3e-4, gt=0, lt=1)
    # Share of the steps in which the learning rate rises.
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    # lora; qlora, with frozen weights in 4 bits (needs a CUDA GPU and bitsandbytes); or none for
    # full fine-tuning.
    adapter: Literal["lora", "qlora", "none"] = "lora"
    # The rank of the LoRA adapter.
    rank: int = Field(default=16, ge=1)
    # The alpha of the LoRA adapter, which scales its effect.
    alpha: float = Field(default=32, gt=0)
    # Which layers are trained, by an adapter or in full: all; upper (the upper two thirds); or a
    # range counted from 1 at the input, such as 11-30.
    layers: str = Field(default="all", pattern=LAYERS)
    # The number format of the frozen weights. auto is bfloat16 if the machine computes it; in full
    # fine-tuning the weights are then float32, and only their products are bfloat16.
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    # Compute activations again in the backward pass instead of keeping them.
    gradient_checkpointing: bool = False
    # One checkpoint that answers for every value set named to it, or one each.
    together: bool = True
    # How many steps there are between the points from which an interrupted training continues.
    save_every: int = Field(default=20, ge=1)
    # A tracker that also gets each step. The local log is always written.
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    # Whether records choose a labelled option, or say it in a sentence ("written").
    format: Format = "option"
    # A JSONL file of instructions (`prompt`, `completion`) mixed in to keep abilities.
    general: str | None = None
    # The share of general instructions in each step's records.
    general_share: float = Field(default=0.1, gt=0, lt=1)
    # For training on a consultation: the share of each step's records that are survey records of
    # the same study.
    replay: float = Field(default=0.0, ge=0, lt=1)
    # With replay: the weight of a divergence that keeps the answers to those survey records close
    # to what the model said before training.
    keep_close: float = Field(default=0.0, ge=0)

    # For training on a consultation: how many texts the starting model writes to neutral prompts.
    # They are learnt by likelihood, one in each step, in turn.
    own_text: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _replay_leaves_room(self) -> TrainingOptions:
        if self.keep_close and not self.replay:
            raise ValueError("keep_close: needs replay, the share of survey records in each step")
        if (self.replay or self.own_text) and self.own_rows < 1:
            raise ValueError(
                f"replay: {self.replay:g} of a batch of {self.batch}, with what else is mixed in, "
                "leaves no record of the consultation in a step; raise batch, or lower replay"
            )
        return self

    @property
    def replay_rows(self) -> int:
        """How many of a step's records are the survey's, of a batch of records."""
        return round(self.replay * self.batch)

    @property
    def general_rows(self) -> int:
        """How many of a step's records are general instructions."""
        return max(1, round(self.general_share * self.batch)) if self.general else 0

    @property
    def own_rows(self) -> int:
        """How many of a step's records are the method's own, at most."""
        return self.batch - self.general_rows - self.replay_rows - bool(self.own_text)

    @property
    def replayed_rows(self) -> int:
        """How many survey records a step has at most."""
        return self.replay_rows

    @property
    def files(self) -> tuple[str, ...]:
        """Files whose content decides the records, relative to the study."""
        return (self.general,) if self.general else ()

    def micro_batch_size(self) -> int:
        """Records computed at a time by each process that `accelerate launch` started."""
        return self.micro_batch or max(1, self.batch // process_count())

    @property
    def record_settings(self) -> RecordSettings:
        """What records this training wants."""
        return RecordSettings(
            self.format,
            getattr(self, "labels", "shares"),
            in_context=getattr(self, "in_context", None),
        )

    def step_count(self, pair_count: int) -> int:
        """How many steps to train.

        Parameters
        ----------
        pair_count : int
            Pairs of a value set and a trained item: the records of one epoch.

        Returns
        -------
        int
            The steps that the study says, or epochs x pairs / batch; 60 when it says neither.

        Examples
        --------
        >>> TrainingOptions(epochs=2, batch=12).step_count(60)
        10
        """
        if self.epochs is not None:
            return max(1, round(self.epochs * pair_count / self.batch))
        return self.steps or 60


class ValidatedOptions(TrainingOptions):
    """What a study may say to a method whose best point is chosen on what is held back."""

    # The share of the training data that is held back to choose the best step. From a survey these
    # are questions; from a consultation, statements or prompts, and people. `steps` is then the
    # largest number of steps.
    validation: float = Field(default=0.0, ge=0, lt=0.5)
    # How many steps there are between two times of asking the held-back questions.
    validate_every: int = Field(default=40, ge=1)
    # How many cells of the held-back questions are asked each time; a cell is one population and
    # one question.
    validation_cells: int = Field(default=240, ge=1)
    # After how many times without a better point the training stops.
    patience: int = Field(default=4, ge=1)
    # For training on a consultation: how far the fit of the held-back survey questions may fall
    # below the fit before training, at the point that is kept.
    survey_tolerance: float = Field(default=0.01, ge=0)
    # Whether to try weights between those before and after training on the held-back data, and keep
    # the best; or the least that is within one standard error of the best, so that the model
    # forgets less of what the held-back data cannot show.
    blend: bool | Literal["one_standard_error"] = False

    @model_validator(mode="after")
    def _blends_on_something(self) -> ValidatedOptions:
        if self.blend and not self.validation:
            raise ValueError(
                "blend: chooses on what is held back from training; say validation: 0.1 as well"
            )
        return self

    @property
    def record_settings(self) -> RecordSettings:
        """What records this training wants, with what is held back from them."""
        sample = ValidationSample(self.validation, self.validation_cells)
        return replace(super().record_settings, validation=sample if self.validation else None)


def _nothing_to_check(records: Records) -> None:
    """Takes any records."""


@dataclass(frozen=True)
class TrainingJob:
    """One training: what it learns from, with which settings, and where its files go."""

    model: ModelIdentity
    records: Records
    # The method's own class of options.
    options: Any
    steps: int
    seed: int
    # A folder that outlives an interruption.
    work: Path
    # Where the model or adapter is saved.
    output: Path
    on_step: OnStep
    # The checkpoint that it continues from, over `model`; None for the model itself.
    start: Path | None = None
    # Whether that is what the whole study starts from, and not a method's own `from:`.
    start_of_study: bool = False
    # Stops the training when records that it makes itself hold what is held out.
    check: Callable[[Records], None] = _nothing_to_check


@dataclass(frozen=True)
class TrainingFacts:
    """What a training reports about itself, in addition to time and memory."""

    steps: int
    # Records that it learnt from.
    examples: int
    # Tokens that it read.
    tokens: int
    dtype: str
    # The step that it was resumed from; 0 when it was not interrupted.
    resumed_from: int
    # Seconds spent before it was resumed.
    seconds_before: float = 0.0
    # How many processes shared it.
    processes: int = 1
    # What was found of the questions held back, and which point was the best; None without them.
    validation: dict[str, Any] | None = None
    # Which weight between the start and the trained model won, and what each would have given;
    # None where none was tried.
    blend: dict[str, Any] | None = None


@dataclass(frozen=True)
class Method:
    """A way to align (or not) a model."""

    # As a study names it.
    name: str
    # As the report names it.
    label: str
    # One sentence for the report.
    explanation: str
    options: type[MethodOptions] = MethodOptions
    # Whether evaluations name the value set in the prompt.
    asks_as_population: bool = True
    # The kind of records that it learns from (a record builder's); None for untrained methods.
    records: str | None = None
    train: Callable[[TrainingJob], TrainingFacts] | None = None
    # Whether survey records can be mixed in among records of a consultation (`replay`).
    replays: bool = False
    # Whether several processes may share a training.
    launches: bool = False
    # Of a method whose checkpoint is no language model: what loads it, from the study's model, the
    # checkpoint's folder, a folder for what may be kept, and the checkpoint over the model that the
    # study starts from, if it does. It gives shares of items, and no text.
    load: Callable[[ModelIdentity, Path, Path, Path | None], SharesPredictor] | None = None


def layer_range(wanted: str, count: int) -> tuple[int, int]:
    """The first and the last layer that are trained, counted from 1.

    Parameters
    ----------
    wanted : str
        As `TrainingOptions.layers` says it: "all", "upper", or such as "11-30".
    count : int
        Layers of the model.

    Examples
    --------
    >>> layer_range("upper", 30), layer_range("5-8", 30), layer_range("all", 30)
    ((11, 30), (5, 8), (1, 30))
    """
    if wanted == "all":
        return 1, count
    if wanted == "upper":
        return count // 3 + 1, count
    first, last = (int(number) for number in wanted.split("-"))
    return first, last
