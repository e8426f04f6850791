"""What a study says of a model behind an OpenAI-compatible address.

The key itself is read from the environment, only when it is needed; a study never has it.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage import storage
from suffrage.errors import InputError
from suffrage.models.identity import ModelIdentity

# What decides neither an answer nor how it is read.
_NOT_CONTENT = {"key", "prices", "budget", "concurrency", "timeout", "retries"}

# Raised when the same answers of a server would now be read otherwise.
_READING = 2

# Keys of a request that the readouts set.
_OURS = {
    "model",
    "messages",
    "prompt",
    "n",
    "seed",
    "temperature",
    "top_p",
    "logprobs",
    "top_logprobs",
    "echo",
    "stream",
    "max_tokens",
    "max_completion_tokens",
}


class Prices(BaseModel):
    """What a million tokens cost, read and written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The price of a million tokens that the model reads.
    input: float = Field(ge=0)
    # The price of a million tokens that the model writes.
    output: float = Field(ge=0)
    # The currency's three letters.
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")


class Budget(BaseModel):
    """The most a study may spend at an endpoint, over all its runs: money, requests, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The most money, in the currency of the prices.
    money: float | None = Field(default=None, gt=0)
    # The largest number of requests.
    requests: int | None = Field(default=None, ge=1)


class EndpointSettings(BaseModel):
    """A model behind an OpenAI-compatible address: `model: {endpoint: ..., name: ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The address up to `/v1`.
    endpoint: str
    # The model, as the server calls it.
    name: str = Field(min_length=1)
    # The name of the environment variable that holds the key.
    key: str | None = None
    # Whether questions go to `/chat/completions`. False for a base model, which gets its questions
    # as plain text at `/completions`.
    chat: bool = True
    # The model's own tokenizer (a folder or hub id). With it, whole texts can be read where the
    # server echoes.
    tokenizer: str | None = None
    # False ignores the server's probabilities.
    logprobs: bool = True
    # How many short answers are drawn for each way of asking, if the server gives no probabilities.
    samples: int = Field(default=24, ge=2, le=1000)
    # Anything that tells two models behind one name apart, such as a date. Answers of one version
    # are never used for another.
    version: str | None = None
    # What else the server needs in every request, such as the option that turns a model's thinking
    # off.
    extra: dict[str, Any] = Field(default_factory=dict)
    # What tokens cost; needed for a budget of money.
    prices: Prices | None = None
    # The most that may be spent over all runs of the study.
    budget: Budget = Budget()
    # Requests at a time.
    concurrency: int = Field(default=8, ge=1, le=256)
    # Seconds to wait for an answer.
    timeout: float = Field(default=60.0, gt=0)
    # Tries after the first one, when the server is busy or fails.
    retries: int = Field(default=6, ge=0, le=20)

    @field_validator("endpoint")
    @classmethod
    def _address(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as https://host/v1")
        if parts.port == 0:  # reading it refuses what is no port
            raise ValueError("must have a port above 0")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "must not contain a password, key or query; name the key's variable in key"
            )
        return given.rstrip("/")

    @field_validator("extra")
    @classmethod
    def _decides_no_reading(cls, given: dict[str, Any]) -> dict[str, Any]:
        ours = sorted(_OURS & set(given))
        if ours:
            raise ValueError(f"{ours[0]} is for the readouts to set")
        return given

    @model_validator(mode="after")
    def _money_needs_prices(self) -> EndpointSettings:
        if self.budget.money is not None and self.prices is None:
            raise ValueError("budget.money needs prices, or nothing is known of what is spent")
        return self

    @property
    def identity(self) -> ModelIdentity:
        """What identifies this model in a study: everything that decides its answers."""
        decides = self.model_dump(mode="json", exclude=_NOT_CONTENT)
        content = storage.content_hash([_READING, decides])
        return ModelIdentity(f"{self.name} at {self.endpoint}", self.endpoint, content)


def check_no_secrets(content: dict[str, Any], source: str) -> None:
    """Refuse a key or password that is written in a study, without repeating it.

    Parameters
    ----------
    content : dict
        The study's `model` section.
    source : str
        The name of the file, for the message.

    Raises
    ------
    InputError
        `key` cannot be the name of an environment variable, or the address has a password in it.
    """
    key = content.get("key")
    if key is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", str(key)):
        raise InputError(
            f"{source}: model.key must be the name of an environment variable that holds the key, "
            "such as OPENAI_API_KEY; never write the key itself into a study."
        )
    if re.search(r"//[^/]*@", str(content.get("endpoint", ""))):
        raise InputError(
            f"{source}: model.endpoint must not contain a password; name the environment variable "
            "that holds the key in model.key."
        )


def endpoint_key(settings: EndpointSettings) -> str | None:
    """The key from the environment. Raises InputError when its variable is not set."""
    if settings.key is None:
        return None
    found = os.environ.get(settings.key, "").strip()
    if not found:
        raise InputError(
            f"model.key: the environment variable {settings.key} is not set; "
            f"export {settings.key}=... with the key for {settings.endpoint} first."
        )
    return found
