"""What a method is: one file, one `Method`, one entry point in "suffrage.methods"."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from suffrage.models import ModelIdentity
from suffrage.training_data.records import Format, Records, RecordSettings

# step, all steps, and the loss of that step
OnStep = Callable[[int, int, float], None]


class MethodOptions(BaseModel):
    """What a study may say to a method that is not trained: nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingOptions(MethodOptions):
    """What a study may say to any trained method.

    steps, or epochs (records for each pair of a value set and a trained item), say how long;
    batch: records a step, computed `micro_batch` at a time (None: all at once).
    adapter: lora; qlora, with frozen weights in 4 bits (needs a CUDA GPU and bitsandbytes); or none
    for full fine-tuning. rank, alpha: LoRA's. dtype: of the frozen
    weights; auto is bfloat16 where the machine computes it, float32 in full fine-tuning.
    together: one checkpoint that answers for every value set named to it, or one each.
    save_every: steps between the points an interrupted training goes on from.
    report_to: a tracker that gets each step as well; the local log is always written.
    format: whether records choose a labelled option, or say it in a sentence ("written").
    general: a JSONL file of instructions (`prompt`, `completion`) mixed in to keep abilities, and
    general_share: their share of each step's records.
    """

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch: int = Field(default=12, ge=1)
    micro_batch: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0, lt=1)
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    adapter: Literal["lora", "qlora", "none"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    together: bool = True
    save_every: int = Field(default=20, ge=1)
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    format: Format = "option"
    general: str | None = None
    general_share: float = Field(default=0.1, gt=0, lt=1)

    @property
    def general_rows(self) -> int:
        """How many of a step's records are general instructions."""
        return max(1, round(self.general_share * self.batch)) if self.general else 0

    @property
    def files(self) -> tuple[str, ...]:
        """Files whose content decides the records, relative to the study."""
        return (self.general,) if self.general else ()

    def micro_batch_size(self) -> int:
        """Records computed at a time by each of the processes `accelerate launch` started."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        return self.micro_batch or max(1, self.batch // processes)

    @property
    def record_settings(self) -> RecordSettings:
        """What records this training wants."""
        return RecordSettings(self.format, getattr(self, "labels", "shares"))

    def step_count(self, pair_count: int) -> int:
        """How many steps: as said, or epochs x pairs / batch; 60 when neither is said."""
        if self.epochs is not None:
            return max(1, round(self.epochs * pair_count / self.batch))
        return self.steps or 60


def _nothing_to_check(records: Records) -> None:
    """Takes any records."""


@dataclass(frozen=True)
class TrainingJob:
    """One training: what from, with which settings, and where the pieces go.

    start: the checkpoint it goes on from, None for the study's model. work: a folder that outlives
    an interruption. output: where the model or adapter is saved. check: stops when records made in
    training hold what is held out.
    """

    model: ModelIdentity
    records: Records
    options: Any
    steps: int
    seed: int
    work: Path
    output: Path
    on_step: OnStep
    start: Path | None = None
    check: Callable[[Records], None] = _nothing_to_check


@dataclass(frozen=True)
class TrainingFacts:
    """What a training reports of itself, besides time and memory.

    resumed_from: the step it went on from, 0 when unbroken. seconds_before: spent until then.
    processes: how many shared it.
    """

    steps: int
    examples: int
    tokens: int
    dtype: str
    resumed_from: int
    seconds_before: float = 0.0
    processes: int = 1


@dataclass(frozen=True)
class Method:
    """A way to align (or not) a model.

    explanation: one sentence for the report. asks_as_population: whether evaluations name the
    value set in the prompt. records: the kind it learns from (a record builder's), None for
    untrained methods. launches: whether several processes may share a training.
    """

    name: str
    label: str
    explanation: str
    options: type[MethodOptions] = MethodOptions
    asks_as_population: bool = True
    records: str | None = None
    train: Callable[[TrainingJob], TrainingFacts] | None = None
    launches: bool = False
