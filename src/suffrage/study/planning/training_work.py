"""How many tokens a training reads, writes and learns from: arithmetic on a method's options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suffrage.align import TrainingOptions
from suffrage.align.blending import BLENDS
from suffrage.align.judge_check import labelled_pairs
from suffrage.study.schema import MethodSpec

# Packed rows read an item's text once for all populations; each adds the tokens that name it and
# end the turn. Measured: 10 in `examples/many-questions.yaml`, whose populations have long names.
TAIL_TOKENS = 10.0
# A judge reads the question, two answers and a principle: about so many times the question.
JUDGED = 4.0
# Tokens of a labelled pair that a judge is tried on: the mean with SmolLM2's tokenizer.
LABELLED_TOKENS = 140.0


@dataclass(frozen=True)
class TrainingWork:
    """Tokens of a training by what is done with them."""

    # Forward and backward.
    learnt: float = 0.0
    # The same in long packed rows, which a machine computes faster.
    packed: float = 0.0
    # Forward only.
    read: float = 0.0
    # One by one.
    written: float = 0.0

    def __add__(self, other: TrainingWork) -> TrainingWork:
        return TrainingWork(
            self.learnt + other.learnt,
            self.packed + other.packed,
            self.read + other.read,
            self.written + other.written,
        )

    @property
    def tokens(self) -> float:
        """All that pass through the model."""
        return self.learnt + self.packed + self.read + self.written


NOTHING = TrainingWork()


def training_work(
    spec: MethodSpec,
    steps: int,
    question: float,
    populations: float | None = None,
    described: float = 0.0,
) -> TrainingWork:
    """The tokens of one training.

    Instructions mixed in count as questions do. Answers of labelled options are one token.

    Parameters
    ----------
    spec : MethodSpec
    steps : int
    question : float
        Tokens of a question.
    populations : float, optional
        For how many a step asks one question, on average, where steps take whole questions. These
        share the question's text. None where it is not known: then the most that a step may hold.
    described : float
        Tokens that describe a population in front of a question.
    """
    options: Any = spec.options
    assert isinstance(spec.options, TrainingOptions)
    name = spec.method.name
    records = float(steps * options.batch)
    if spec.method.load is not None:
        # It reads each item once, or none where words are compared; nothing in the model changes.
        return TrainingWork(read=reads_states(options) * question * steps)
    if name == "rlhf":
        return _rlhf(options, records, question, started=bool(spec.start or spec.checkpoint))
    if name in ("rloo", "grpo"):
        return _groups(options, records, question)
    if name in ("cai", "ccai"):
        return _constitutional(options, steps, question)
    if getattr(options, "questions", None) is None:
        work = _given(options, spec.method.records, records, question + described)
    else:
        work = _whole_questions(options, steps, question, populations, described)
    return (
        work + _replay(options, steps, question) + _validation(options, steps, question, described)
    )


def reads_states(options: Any) -> bool:
    """Whether a method that trains nothing reads a model's states, and not words alone."""
    return bool(getattr(options, "states", "model") == "model")


def _given(options: Any, kind: str | None, records: float, question: float) -> TrainingWork:
    """A loss on given answers, which preference methods also read with the first model."""
    free = getattr(options, "form", "") == "simpo" or getattr(options, "reference", "") == "none"
    referred = kind in ("preference", "binary", "combined") and not free
    return TrainingWork(learnt=records * question, read=records * question * referred)


def _whole_questions(
    options: Any, steps: int, question: float, populations: float | None, described: float
) -> TrainingWork:
    """Steps of whole questions, whose text the populations share.

    Where a description comes first, only the ways of asking one population share something.
    """
    shape = options.step_shape
    asked = populations or shape.populations + shape.unasked
    visit = shape.orders * (question + (asked - 1) * TAIL_TOKENS)
    if described:
        visit = asked * (described + shape.orders * question)
    return TrainingWork(packed=steps * shape.questions * visit)


def _replay(options: Any, steps: int, question: float) -> TrainingWork:
    """Survey records that come on top of whole questions, and what the first model says of them."""
    replayed = steps * options.replayed_rows * question
    on_top = getattr(options, "questions", None) is not None
    return TrainingWork(learnt=replayed * on_top, read=replayed * bool(options.keep_close))


def _validation(options: Any, steps: int, question: float, described: float) -> TrainingWork:
    """What is held back is read before the first step, every so many steps, and at the end.

    A blend reads it once more for each weight.
    """
    held_back = options.record_settings.validation
    if held_back is None:
        return NOTHING
    times = 1 + -(-steps // options.validate_every) + len(BLENDS) * bool(options.blend)
    each = question + described if described else question / held_back.populations + TAIL_TOKENS
    return TrainingWork(read=times * held_back.cells * each)


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

    Then pairs of answers are written, judged in both orders and learnt from. Before all that the
    judge is tried on labelled pairs in both orders.
    """
    written = NOTHING
    if options.judge_is_checked:
        written += TrainingWork(read=2 * len(labelled_pairs()) * LABELLED_TOKENS)
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
