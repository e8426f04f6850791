"""`Answerer`: what can be asked of a model, whether it runs here or behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from suffrage.arrays import FloatArray
from suffrage.models.asking import Message

# Called with how many more questions are answered, for progress.
Advance = Callable[[int], None]


@dataclass(frozen=True)
class LabelChoice:
    """A chat whose next turn is one of a few labels."""

    messages: tuple[Message, ...]
    # One character each.
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ChoiceReading:
    """How a choice was read."""

    # (labels,), not renormalised.
    probabilities: FloatArray
    # The most that the labels together could have in addition, where a server lists its likeliest
    # tokens only; 0 when everything was seen.
    unseen: float = 0.0
    # How many sampled answers the probabilities are shares of; None where they were read.
    drawn: int | None = None


class Answerer(Protocol):
    """A model that can be asked.

    A chat is a list of {"role", "content"}. The answer is its next turn.
    """

    @property
    def reads_texts(self) -> bool:
        """Whether `text_log_probs` works. Most endpoints give the next token only."""
        ...

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """The probability of each label as the next turn.

        Parameters
        ----------
        choices : sequence of LabelChoice
        advance : callable, optional
            Called with the number of choices that are done, for progress.

        Returns
        -------
        list of array, shape (labels,)
            One a choice. It is not renormalised: what is missing to 1 went to other answers.
        """
        ...

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """The log-probability of each token of each text as a whole next turn.

        Parameters
        ----------
        chats : sequence of chats
        texts : sequence of sequences of str
            The texts to read after each chat.
        advance : callable, optional
            Called with the number of chats that are done, for progress.

        Returns
        -------
        list of list of array, shape (tokens,)
            One array a text. Its last token is the end of the turn.
        """
        ...

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """Answers to each chat, drawn at temperature 1.

        Parameters
        ----------
        chats : sequence of chats
        count : int
            How many answers to each.
        longest : int
            The most tokens of an answer.
        seed : int

        Returns
        -------
        list of list of str
            `count` answers a chat.
        """
        ...


@runtime_checkable
class AnswererWithError(Protocol):
    """An answerer that can say how sure its probabilities are."""

    def read(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[ChoiceReading]:
        """Like `Answerer.choose`, with what is known of the error."""
        ...


@runtime_checkable
class StreamingAnswerer(Protocol):
    """An answerer that gives each answer as soon as it has it, with the place of its question.

    Answers that cost money can be kept one by one that way. The methods are those of `Answerer`.
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
    """The readings of choices by any answerer. One that knows no error gives probabilities only."""
    if isinstance(model, AnswererWithError):
        return model.read(choices, advance)
    return [ChoiceReading(found) for found in model.choose(choices, advance)]
