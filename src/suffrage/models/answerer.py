"""`Answerer`: what evaluations ask of a model, whether it runs here or behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from suffrage.arrays import FloatArray
from suffrage.models.asking import Message

Advance = Callable[[int], None]


@dataclass(frozen=True)
class LabelChoice:
    """A chat whose next turn is one of a few one-character labels."""

    messages: tuple[Message, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ChoiceReading:
    """How a choice was read.

    probabilities: (labels,), not renormalised. unseen: the most that the labels together could have
    besides, where a server lists its likeliest tokens only; 0 when all was seen. drawn: how many
    sampled answers the probabilities are shares of; None where they were read.
    """

    probabilities: FloatArray
    unseen: float = 0.0
    drawn: int | None = None


class Answerer(Protocol):
    """A model that can be asked.

    reads_texts: whether `text_log_probs` can be had; endpoints mostly give the probabilities of the
    next token only. Chats are lists of {"role", "content"}; the answer asked for is the next turn.
    """

    @property
    def reads_texts(self) -> bool:
        """Whether the probability of a given text can be read."""
        ...

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """The probability of each label as the next turn, one array (labels,) a choice.

        Not renormalised: what is missing to 1 went to other answers.
        """
        ...

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """Log-probability of each token of each text as a whole next turn, its end included."""
        ...

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """`count` answers to each chat, at most `longest` tokens each, drawn at temperature 1."""
        ...


@runtime_checkable
class AnswererWithError(Protocol):
    """A respondent that can say how sure its probabilities are."""

    def read(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[ChoiceReading]:
        """As `Answerer.choose`, with what is known of the error."""
        ...


@runtime_checkable
class StreamingAnswerer(Protocol):
    """A respondent that gives each answer as soon as it has it, by its place in what was asked.

    What costs money can so be kept answer by answer. The methods are those of `Answerer`.
    """

    def read_each(self, choices: Sequence[LabelChoice]) -> Iterator[tuple[int, ChoiceReading]]:
        """Each choice's reading."""
        ...

    def text_log_probs_each(
        self, chats: Sequence[Sequence[Message]], texts: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, list[FloatArray]]]:
        """Each chat's log-probabilities."""
        ...

    def write_each(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> Iterator[tuple[int, list[str]]]:
        """Each chat's answers."""
        ...


def read_choices(
    model: Answerer, choices: Sequence[LabelChoice], advance: Advance | None = None
) -> list[ChoiceReading]:
    """The readings of choices by any respondent; one that says nothing of its error has none."""
    if isinstance(model, AnswererWithError):
        return model.read(choices, advance)
    return [ChoiceReading(found) for found in model.choose(choices, advance)]
