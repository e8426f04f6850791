"""A model's own texts and judgements in a training: each is kept at once, none is made twice."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from suffrage import storage
from suffrage.align.checkpoint import load_checkpoint
from suffrage.align.method import TrainingJob
from suffrage.align.training import SECONDS_FILE, seconds_spent, training_dtype
from suffrage.models import LanguageModel
from suffrage.models.asking import Message
from suffrage.models.packing import ScoreRequest, Tokens
from suffrage.training_data.ai_preferences import Judgement, judge_messages

# Prompts drawn together; what a kill can lose.
PROMPTS_AT_ONCE = 32
ANSWER_LETTERS = ("A", "B")


class WritingModel(Protocol):
    """What writing needs of a `LanguageModel`."""

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """The prompt as token ids."""

    def sample(
        self, prompts: Sequence[Tokens], count: int, longest: int, seed: int, rows: int = 128
    ) -> list[list[str]]:
        """`count` answers to each prompt."""


class JudgingModel(Protocol):
    """What judging needs of a `LanguageModel`."""

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """The prompt as token ids."""

    def label_tokens(self, label: str) -> Tokens:
        """Every single token that means this label."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[list[Any]]:
        """Log-probabilities of every continuation's tokens."""


def writing_model(job: TrainingJob, start: Path | None) -> LanguageModel:
    """The study's model, or a checkpoint over it, ready to write."""
    return load_checkpoint(job.model, start, training_dtype(job.options))


@dataclass
class FeedbackProgress:
    """Reports the progress of a whole training, and keeps how long writing and judging took.

    The time inside `with progress:` is kept on disk, so that it outlives an interruption.
    """

    job: TrainingJob
    # Everything there is to do: batches of prompts, and steps of training.
    total: int
    done: int = 0

    def __post_init__(self) -> None:
        # Seconds that earlier tries spent.
        self.before = seconds_spent(self.job.work)
        self._spent = 0.0
        self._since: float | None = None

    def __enter__(self) -> FeedbackProgress:
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._note()
        self._since = None

    def advance(self, prompts: int) -> None:
        """One batch of prompts is done."""
        self._note()
        self.done += 1
        self.job.on_step(self.done, self.total, float("nan"))

    def step(self, step: int, total: int, loss: float) -> None:
        """One step of a training is done, the `step`th since it began."""
        self.job.on_step(self.done + step, self.total, loss)

    def trained(self, steps: int) -> None:
        """A whole training of so many steps is done."""
        self.done += steps

    def _note(self) -> None:
        now = time.monotonic()
        if self._since is not None:
            self._spent += now - self._since
            self._since = now
        storage.write_json(self.job.work / SECONDS_FILE, {"seconds": self.before + self._spent})


@dataclass
class Kept:
    """A file of JSON lines that only grows: what was made, by stage and prompt.

    A line that a kill cut short is removed when the file is read again.
    """

    path: Path
    # By the names of the stage and of the prompt.
    found: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Kept:
        """What an earlier try kept, nothing when there was none."""
        kept = cls(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return kept
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(path, len(whole))
        for _, line in storage.json_lines(whole.decode("utf-8")):
            row = json.loads(line)
            kept.found[row["stage"], row["id"]] = row["made"]
        return kept

    def add(self, stage: str, made: Sequence[tuple[str, Any]]) -> None:
        """Append what is not there yet, and have it on the disk before going on."""
        new = [(name, value) for name, value in made if (stage, name) not in self.found]
        lines = [
            json.dumps({"stage": stage, "id": name, "made": value}, ensure_ascii=False) + "\n"
            for name, value in new
        ]
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            file.write("".join(lines).encode("utf-8"))
        storage.sync(self.path)
        if is_new:
            storage.sync(self.path.parent)
        self.found |= {(stage, name): value for name, value in new}

    def missing(self, stage: str, names: Sequence[str]) -> bool:
        """Whether any of these is still to be made."""
        return any((stage, name) not in self.found for name in names)

    def complete(
        self,
        stage: str,
        names: Sequence[str],
        make: Callable[[int, int], Sequence[Any]],
        advance: Callable[[int], None],
    ) -> list[Any]:
        """Everything of a stage, in the order of `names`; only what is missing is made.

        make(start, stop): of the names from start up to stop. Batches begin at the same places in
        every try, so that a broken run writes what an unbroken one would.
        """
        for start in range(0, len(names), PROMPTS_AT_ONCE):
            batch = names[start : start + PROMPTS_AT_ONCE]
            if self.missing(stage, batch):
                made = make(start, start + len(batch))
                self.add(stage, list(zip(batch, made, strict=True)))
            advance(len(batch))
        return [self.found[stage, name] for name in names]


def stage_seed(seed: int, stage: str, start: int) -> int:
    """A seed for one batch of one stage."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(stage.encode()), start])
    return int(sequence.generate_state(1)[0])


def write(
    model: WritingModel,
    conversations: Sequence[Sequence[Message]],
    count: int,
    longest: int,
    seed: int,
) -> list[list[str]]:
    """`count` texts to each conversation, without the space around them."""
    prompts = [model.encode(messages) for messages in conversations]
    texts = model.sample(prompts, count, longest, seed)
    return [[text.strip() for text in some] for some in texts]


def judge(model: JudgingModel, pairs: Sequence[tuple[str, str, str, str]]) -> list[Judgement]:
    """Judge (question, first answer, second answer, principle) in both orders by "A" against "B".

    Source: Bai et al. (2022), section 4: normalised probabilities as labels; both orders, because
    small models lean to one letter.
    """
    tokens = [model.label_tokens(letter) for letter in ANSWER_LETTERS]
    continuations = tuple((token,) for some in tokens for token in some)
    split = len(tokens[0])
    requests = []
    for user, first, second, principle in pairs:
        for one, other in ((first, second), (second, first)):
            prompt = model.encode(judge_messages(user, one, other, principle))
            requests.append(ScoreRequest(prompt, continuations))
    shares, masses = [], []
    for logs in model.score(requests):
        p = np.exp(np.array([float(log[0]) for log in logs]))
        a, b = float(p[:split].sum()), float(p[split:].sum())
        # Neither letter has any probability left in float32: nothing is said for either.
        shares.append(a / (a + b) if a + b > 0 else 0.5)
        masses.append(a + b)
    return [
        Judgement(shares[i], shares[i + 1], min(masses[i], masses[i + 1]))
        for i in range(0, len(requests), 2)
    ]


def outcomes_in_words(counts: Mapping[str, int]) -> str:
    """Counts of outcomes for a message, such as "3 ok, 1 off format"."""
    return ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items())
