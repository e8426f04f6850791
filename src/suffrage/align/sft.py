"""`sft`: supervised fine-tuning on answers drawn from the population's distribution.

Learns from: demonstrations, one drawn answer each. Objective: minus the log-probability of the
answer's tokens, the question's tokens left out. Source: Nie et al. (2025), Survey-to-Behavior,
with answers drawn from a population instead of written for a value. Trained by TRL.
"""

from __future__ import annotations

from typing import Any

from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.training import prepare, run_trainer, trainer_settings
from suffrage.errors import require
from suffrage.models.asking import Message
from suffrage.models.language_model import prompt_text


def conversations(rows: list[dict[str, Any]], tokenizer: Any) -> list[dict[str, Any]]:
    """Records in TRL's prompt-completion form; plain text for a model without chat template."""
    examples: list[dict[str, Any]] = []
    for row in rows:
        messages: list[Message] = [{"role": "user", "content": row["user"]}]
        if tokenizer.chat_template is None:
            text = prompt_text(tokenizer, messages)
            examples.append({"prompt": text, "completion": f" {row['completion']}"})
        else:
            answer = [{"role": "assistant", "content": row["completion"]}]
            examples.append({"prompt": messages, "completion": answer})
    return examples


def train(job: TrainingJob) -> TrainingFacts:
    """Train on demonstrations with TRL's SFTTrainer, loss on the answer only."""
    trl = require("trl", "align", "method sft")
    datasets = require("datasets", "align", "method sft")
    datasets.disable_progress_bars()
    model, tokenizer = prepare(job)
    examples = conversations(job.records.frame.to_dicts(), tokenizer)

    def make(callbacks: list[Any]) -> Any:
        return trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(
                **trainer_settings(job),
                completion_only_loss=True,
                max_length=None,
                include_num_input_tokens_seen="all",
            ),
            train_dataset=datasets.Dataset.from_list(examples),
            processing_class=tokenizer,
            callbacks=callbacks,
        )

    return run_trainer(job, make)


METHOD = Method(
    name="sft",
    label="Supervised fine-tuning",
    explanation="Trained on single answers, drawn as often as the population gives them.",
    options=TrainingOptions,
    records="demonstration",
    train=train,
    launches=True,
)
