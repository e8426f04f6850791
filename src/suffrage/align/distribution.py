"""`distribution`: the model's option probabilities are pulled to the population's shares.

Learns from: distribution records. Objective: the Kullback-Leibler divergence KL(p || q) of each
record, p the population's shares, q the probability the model gives each option's label among all
tokens. Source: Suh et al. (2025), SubPOP, equation 1, except that mass outside the options
is not normalised away: it counts as loss, so the model also learns to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.training import prepare, run_trainer, trainer_settings
from suffrage.errors import require
from suffrage.models.language_model import (
    encode_text,
    label_tokens,
    pack_log_probs,
    prompt_text,
)
from suffrage.models.packing import ScoreRequest, packed

if TYPE_CHECKING:
    import torch


def distribution_loss(log_q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Mean over records of KL(p || q) = sum_k p_k (log p_k - log q_k).

    log_q: (records, options), log-probabilities among all tokens, -inf where a record has fewer
    options. p: (records, options), rows sum to 1, 0 where a record has fewer options.
    """
    import torch

    terms = torch.where(p > 0, p * (p.clamp_min(1e-12).log() - log_q), torch.zeros_like(p))
    return terms.sum(-1).mean()


def train(job: TrainingJob) -> TrainingFacts:
    """Train on distribution records; a batch is one packed forward pass."""
    transformers = require("transformers", "align", "method distribution")
    torch = require("torch", "align", "method distribution")
    model, tokenizer = prepare(job)
    labels: dict[str, tuple[int, ...]] = {}

    def request(row: dict[str, Any]) -> ScoreRequest:
        text = prompt_text(tokenizer, [{"role": "user", "content": row["user"]}])
        for label in row["labels"]:
            labels.setdefault(label, label_tokens(tokenizer, label))
        return ScoreRequest(
            encode_text(tokenizer, text),
            tuple((token,) for label in row["labels"] for token in labels[label]),
        )

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        widest = max(len(row["labels"]) for row in rows)
        target = torch.zeros(len(rows), widest)
        for line, row in enumerate(rows):
            target[line, : len(row["labels"])] = torch.tensor(row["target"])
        (pack,) = packed([request(row) for row in rows], 10**9)
        # Where in (record, option) each query's probability belongs.
        option_of = [
            [option for option, label in enumerate(row["labels"]) for _ in labels[label]]
            for row in rows
        ]
        cells = [index * widest + option_of[index][which] for index, which in pack.owners]
        return {"pack": pack, "cells": torch.tensor(cells), "target": target}

    class Trainer(transformers.Trainer):  # type: ignore[misc,name-defined]
        def compute_loss(self, model: Any, inputs: dict[str, Any], **_: Any) -> Any:
            values = pack_log_probs(model, inputs["pack"])
            target = inputs["target"].to(values.device)
            q = torch.zeros(target.numel(), device=values.device)
            q = q.index_add(0, inputs["cells"].to(values.device), values.exp())
            log_q = q.clamp_min(1e-30).log().view_as(target)
            self.state.num_input_tokens_seen += len(inputs["pack"].tokens)
            return distribution_loss(log_q, target)

    def make(callbacks: list[Any]) -> Any:
        trainer = Trainer(
            model=model,
            args=transformers.TrainingArguments(**trainer_settings(job)),
            data_collator=collate,
            train_dataset=job.records.frame.to_dicts(),
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        trainer.model_accepts_loss_kwargs = False
        return trainer

    return run_trainer(job, make)


METHOD = Method(
    name="distribution",
    label="Distribution matching",
    explanation="Trained on the population's whole answer distribution, one example an item.",
    options=TrainingOptions,
    records="distribution",
    train=train,
)
