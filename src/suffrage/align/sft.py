"""`sft`: supervised fine-tuning on answers drawn from the population's distribution.

Learns from: demonstrations, one drawn answer each. Objective: minus the log-probability of the
answer with the end of its turn, a token's mean; the question costs nothing. Source: Nie et al.
(2025), Survey-to-Behavior, with answers drawn from a population instead of written for a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from suffrage.align.method import (
    InContextOptions,
    Method,
    TrainingFacts,
    TrainingJob,
    ValidatedOptions,
)
from suffrage.align.packed import AnswerBatch, Objective, train_packed
from suffrage.training_data.records import RecordRow
from suffrage.training_data.replay import MIXED_IN

if TYPE_CHECKING:
    import torch


class Options(InContextOptions, ValidatedOptions):
    """What a study may say to `sft`."""


def likelihood_loss(log_probs: torch.Tensor, mean_length: float) -> torch.Tensor:
    """Minus the mean log-probability of an answer, a token of a mean answer.

    It is not divided by each answer's own length, which would teach short answers more often than
    people give them.

    Parameters
    ----------
    log_probs : tensor, shape (records,)
        Of each whole answer, times the record's weight.
    mean_length : float
        Tokens of an answer, on average over all records.

    Returns
    -------
    tensor, scalar
        In nats a token.
    """
    return -log_probs.mean() / mean_length


def train(job: TrainingJob) -> TrainingFacts:
    """Train on demonstrations."""
    # A label is learnt like a text: in one spelling, and with the end of the turn after it.
    kept = pl.col("format").is_in(sorted(MIXED_IN))
    if "validation" in job.records.frame.columns:
        # What is held back is read as labels, as evaluations read it.
        kept = kept | pl.col("validation").fill_null(False)
    as_text = pl.when(kept).then(pl.col("format")).otherwise(pl.lit("written"))
    frame = job.records.frame.with_columns(format=as_text)

    def answers(rows: Sequence[RecordRow]) -> list[list[str]]:
        return [[row["completion"]] for row in rows]

    def loss(batch: AnswerBatch) -> torch.Tensor:
        return likelihood_loss(batch.weights * batch.log_probs[:, 0], batch.mean_length)

    return train_packed(
        replace(job, records=replace(job.records, frame=frame)), Objective(answers, loss)
    )


METHOD = Method(
    name="sft",
    label="Supervised fine-tuning",
    explanation="Trained on single answers, drawn as often as the population gives them.",
    options=Options,
    records="demonstration",
    train=train,
    launches=True,
    replays=True,
)
