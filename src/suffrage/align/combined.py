"""`combined`: one training on several signals: survey answers, votes, comparisons and reactions.

Learns from: records of each signal, so many of each in turn as its weight says. Objective: the mean
over records of each signal's own loss. Votes and survey answers are learnt as `distribution` learns
them, comparisons as the proportional form of `dpo`, reactions as `kto`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field, field_validator, model_validator

from suffrage.align import dpo, kto
from suffrage.align.method import Method, TrainingFacts, TrainingJob, ValidatedOptions
from suffrage.align.packed import AnswerBatch, Objective, train_packed
from suffrage.align.share_losses import distribution_loss
from suffrage.training_data.combined_records import MISMATCHED, SIGNAL
from suffrage.training_data.records import RecordRow, RecordSettings, Signal
from suffrage.training_data.replay import own_records

if TYPE_CHECKING:
    import torch

# Of the method, its records and their source.
COMBINED = "combined"
SURVEY = "survey"


class Options(ValidatedOptions):
    """What a study may say to `combined`."""

    # The weight of each consultation signal, filled in from `signals` without the survey's.
    signals: dict[Signal, float] = Field(
        default={"votes": 0.25, "comparisons": 0.125, "reactions": 0.125},
        min_length=1,
        # In a study's file the survey is one of them.
        json_schema_extra={"propertyNames": {"enum": [SURVEY, *get_args(Signal)]}},
    )
    # The survey's share of each step, filled in from `signals`.
    replay: float = Field(default=0.5, ge=0, lt=1)
    # How sharply reactions count.
    beta: float = Field(default=0.1, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _survey_is_replayed(cls, content: Any) -> Any:
        given = content.get("signals") if isinstance(content, Mapping) else None
        if not isinstance(given, Mapping) or "replay" in content:
            if isinstance(content, Mapping) and isinstance(given, Mapping) and SURVEY in given:
                raise ValueError("replay: is signals.survey here; say one of the two")
            return content
        numbers = {
            name: weight for name, weight in given.items() if isinstance(weight, int | float)
        }
        whole = sum(numbers.values())
        if len(numbers) < len(given) or min(numbers.values(), default=0) <= 0:
            raise ValueError("signals: every weight must be a number above 0; leave others out")
        own = {name: weight for name, weight in given.items() if name != SURVEY}
        return {**content, "signals": own, "replay": numbers.get(SURVEY, 0) / whole}

    @field_validator("signals")
    @classmethod
    def _weights_are_positive(cls, given: dict[Signal, float]) -> dict[Signal, float]:
        if min(given.values()) <= 0:
            raise ValueError("every weight must be above 0; leave others out")
        return given

    @property
    def record_settings(self) -> RecordSettings:
        """What records this training wants."""
        return replace(super().record_settings, signals=self.signals)


def _of_signal(batch: AnswerBatch, name: str, width: int | None = None) -> AnswerBatch | None:
    """A batch's records of one signal, with their weights in the whole step; None without any."""
    lines = [line for line, row in enumerate(batch.rows) if row[SIGNAL] == name]
    if not lines:
        return None
    rows = [batch.rows[line] for line in lines]
    width = width or max(len(row["answers"]) for row in rows)
    reference = None if batch.reference is None else batch.reference[lines, :width]
    return replace(
        batch,
        log_probs=batch.log_probs[lines, :width],
        reference=reference,
        lengths=batch.lengths[lines, :width],
        rows=rows,
        weights=batch.weights[lines],
    )


def _answers(row: RecordRow, pairs: Objective) -> list[str]:
    """The answers of a record whose log-probabilities its signal's loss needs."""
    if row[SIGNAL] == "comparisons":
        return pairs.answers([row])[0]
    if row[SIGNAL] == "reactions":
        return [row["answer"], row[MISMATCHED]]
    return list(row["answers"])


def combined_objective(options: Options, learnt: Sequence[RecordRow]) -> Objective:
    """The mean over records of each signal's loss.

    learnt: all records that are trained on.
    """
    pairs = dpo.preference_objective(dpo.Options(form="proportional", format="written"))
    judged = [row for row in learnt if row[SIGNAL] == "reactions"]
    likings = None
    if judged:
        own = kto.Options(labels="shares", format="written", beta=options.beta, z0="batch")
        likings = kto.liking_objective(own, judged)

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        return [_answers(row, pairs) for row in rows]

    def shared(batch: AnswerBatch) -> torch.Tensor:
        """The sum of the log-ratios behind z0 and how many there are, over the records."""
        own = _of_signal(batch, "reactions", 2)
        if own is None:
            return batch.log_probs.new_zeros(2)
        count = len(own.rows)
        found = batch.log_probs.new_tensor([0.0, count])
        found[0] = kto.mismatched_divergence(own).detach() * count
        return found / len(batch.rows)

    def loss(batch: AnswerBatch) -> torch.Tensor:
        total = batch.log_probs.new_zeros(())
        votes = _of_signal(batch, "votes")
        if votes is not None:
            people = _targets(votes)
            total = total + distribution_loss(votes.log_probs, people, votes.weights) * len(
                votes.rows
            )
        compared = _of_signal(batch, "comparisons", 3)
        if compared is not None:
            total = total + pairs.loss(compared) * len(compared.rows)
        liked = _of_signal(batch, "reactions", 2)
        if liked is not None and likings is not None:
            assert batch.shared is not None
            z0 = batch.shared[0] / batch.shared[1].clamp_min(1e-9)
            total = total + likings.loss(replace(liked, shared=z0)) * len(liked.rows)
        return total / len(batch.rows)

    return Objective(
        answers, loss, shared=shared if likings else None, needs_reference=likings is not None
    )


def _targets(batch: AnswerBatch) -> torch.Tensor:
    """The people's shares, (records, options)."""
    found = batch.log_probs.new_zeros(batch.log_probs.shape)
    for line, row in enumerate(batch.rows):
        found[line, : len(row["target"])] = found.new_tensor(row["target"])
    return found


def train(job: TrainingJob) -> TrainingFacts:
    """Train on the records of all signals together."""
    rows = own_records(job.records.frame.to_dicts())
    learnt = [row for row in rows if not row.get("validation")]
    return train_packed(job, combined_objective(job.options, learnt))


METHOD = Method(
    name=COMBINED,
    label="Combined signals",
    explanation="Trained on survey answers, votes, comparisons and reactions in one run.",
    options=Options,
    records=COMBINED,
    train=train,
    launches=True,
    replays=True,
)
