"""`augmented-sft`: supervised fine-tuning on items said in many ways.

Learns from: augmented demonstrations. Objective: as `sft`. Source: Li et al. (2024), CultureLLM,
with contexts and checked paraphrases instead of their generated examples.
"""

from __future__ import annotations

from suffrage.align.method import Method, TrainingOptions
from suffrage.align.sft import train


class Options(TrainingOptions):
    """What a study may say to `augmented-sft`."""

    # A JSON file as `suffrage paraphrase` writes it. Without one only contexts vary.
    paraphrases: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The instructions and the paraphrases."""
        return (*super().files, *((self.paraphrases,) if self.paraphrases else ()))


METHOD = Method(
    name="augmented-sft",
    label="Augmented fine-tuning",
    explanation="Trained on single answers to questions said in many ways.",
    options=Options,
    records="augmented_demonstration",
    train=train,
    launches=True,
)
