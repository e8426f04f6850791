"""A model that writes answers for people to compare, at an address that the operator names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from suffrage.errors import InputError

# The most tokens of one answer.
LONGEST = 300


class AnswerModel(Protocol):
    """What writing answers needs of a model."""

    @property
    def name(self) -> str:
        """What the model is called in the log and in exports."""

    def write(self, prompts: Sequence[str], count: int) -> list[list[str]]:
        """`count` answers to each prompt. Raises SuffrageError where the model does not answer."""


@dataclass(frozen=True)
class EndpointModel:
    """A model behind the address that the operator names."""

    address: str
    name: str
    # The environment variable with the key of the address.
    key: str | None = None

    def write(self, prompts: Sequence[str], count: int) -> list[list[str]]:
        """See `AnswerModel.write`."""
        from suffrage.models.endpoint import Endpoint
        from suffrage.models.endpoint_settings import EndpointSettings

        settings = EndpointSettings(
            endpoint=self.address, name=self.name, key=self.key, logprobs=False, retries=1
        )
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
        return Endpoint(settings, Path(), _Forgetful()).write(chats, count, LONGEST, seed=0)


class _Forgetful:
    """Keeps nothing of an endpoint between two requests of organisers."""

    def recall(self, name: str) -> Any:
        """Nothing was kept."""

    def remember(self, name: str, value: Any) -> None:
        """Keep nothing."""


def answer_model(address: str | None, name: str | None, key: str | None) -> AnswerModel | None:
    """Read what the operator says of the model; None where no address is named.

    Raises InputError where the address comes without the model's name.
    """
    if address is None:
        return None
    if not name:
        raise InputError("--answers-from needs --answers-model, the model's name at that address.")
    return EndpointModel(address, name, key)
