"""`Respondent`: what evaluations ask of a model, whether it runs here or behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from suffrage.models.asking import Message

FloatArray = npt.NDArray[np.float64]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Choice:
    """A chat whose next turn is one of a few one-character labels."""

    messages: tuple[Message, ...]
    labels: tuple[str, ...]


class Respondent(Protocol):
    """A model that can be asked.

    reads_texts: whether `text_log_probs` can be had; endpoints mostly give the probabilities of the
    next token only. Chats are lists of {"role", "content"}; the answer asked for is the next turn.
    """

    @property
    def reads_texts(self) -> bool:
        """Whether the probability of a given text can be read."""
        ...

    def choose(self, choices: Sequence[Choice], advance: Advance | None = None) -> list[FloatArray]:
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
