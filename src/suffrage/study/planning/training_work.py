"""How many tokens a training reads, writes and learns from: arithmetic on a method's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.study.schema import MethodSpec

# A judge reads the question, two answers and a principle: about so many times the question.
JUDGED = 4.0


@dataclass(frozen=True)
class TrainingWork:
    """Tokens of a training by what is done with them."""

    # Forward and backward.
    learnt: float = 0.0
    # Forward only.
    read: float = 0.0
    # One by one.
    written: float = 0.0

    def __add__(self, other: TrainingWork) -> TrainingWork:
        return TrainingWork(
            self.learnt + other.learnt, self.read + other.read, self.written + other.written
        )

    @property
    def tokens(self) -> float:
        """All that pass through the model."""
        return self.learnt + self.read + self.written


NOTHING = TrainingWork()


def training_work(spec: MethodSpec, steps: int, question: float) -> TrainingWork:
    """The tokens of one training of `steps` steps, whose questions have `question` tokens.

    Instructions mixed in count as questions do. Answers of labelled options are one token.
    """
    options: Any = spec.options
    assert isinstance(spec.options, TrainingOptions)
    name = spec.method.name
    records = float(steps * options.batch)
    if spec.method.load is not None:
        # It reads each item once, and trains nothing in the model.
        return TrainingWork(read=question * steps)
    if name == "rlhf":
        return _rlhf(options, records, question, started=spec.start is not None)
    if name in ("rloo", "grpo"):
        return _groups(options, records, question)
    if name in ("cai", "ccai"):
        return _constitutional(options, steps, question)
    return _given(options, spec.method.records, records, question)


def _given(options: Any, kind: str | None, records: float, question: float) -> TrainingWork:
    """A loss on given answers, which preference methods also read with the first model."""
    free = getattr(options, "form", "") == "simpo" or getattr(options, "reference", "") == "none"
    referred = kind in ("preference", "binary") and not free
    return TrainingWork(learnt=records * question, read=records * question * referred)


def _preference_model(options: Any, records: float, question: float) -> TrainingWork:
    steps = options.preference_steps
    return TrainingWork(learnt=(steps * options.batch if steps else records) * question)


def _rlhf(options: Any, records: float, question: float, started: bool) -> TrainingWork:
    """Demonstrations unless it starts from a checkpoint, pairs, then PPO.

    In PPO each answer is written, read by the policy, its reference and the preference model, and
    learnt from `rounds` times.
    """
    answer = 1 if options.format == "option" else options.longest
    first = 0.0 if started else (options.sft_steps or 0) * options.batch or records
    whole = records * (question + answer)
    ppo = TrainingWork(
        learnt=options.rounds * whole,
        read=records * question + 3 * whole,
        written=records * answer,
    )
    return (
        TrainingWork(learnt=first * question) + _preference_model(options, records, question) + ppo
    )


def _groups(options: Any, records: float, question: float) -> TrainingWork:
    """Each record's answers are written, read by policy and reference, and learnt from."""
    answers = records * options.num_generations
    whole = answers * (question + options.longest_answer)
    judged = options.reward == "preference_model"
    work = TrainingWork(
        learnt=whole,
        read=answers * question + (1 + judged) * whole,
        written=answers * options.longest_answer,
    )
    return work + (_preference_model(options, records, question) if judged else NOTHING)


def _constitutional(options: Any, steps: int, question: float) -> TrainingWork:
    """Drafts, critiques and revisions, each read with all before it; the last are learnt from.

    Then pairs of answers are written, judged in both orders and learnt from.
    """
    written = NOTHING
    for text in range(1 + 2 * options.rounds):
        before = question + text * options.longest
        written += TrainingWork(
            read=options.drafts * before, written=options.drafts * options.longest
        )
    answer = question + options.longest
    total = written + TrainingWork(learnt=steps * options.batch * answer)
    second = options.second_steps(steps)
    if second:
        pairs = options.drafts
        total += TrainingWork(read=2 * pairs * question, written=2 * pairs * options.longest)
        total += TrainingWork(read=2 * pairs * (JUDGED * question + 2 * options.longest))
        total += TrainingWork(learnt=second * options.batch * (answer + options.longest))
    return total
