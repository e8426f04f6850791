"""What a server behind an endpoint can do, found out by a few short requests and kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from suffrage.errors import InputError
from suffrage.models.asking import Message
from suffrage.models.endpoint_api import COMPLETIONS, EndpointFormat, whole_response
from suffrage.models.endpoint_client import Client, EndpointUsage, RejectedError
from suffrage.models.endpoint_settings import EndpointSettings

# How many likeliest tokens are asked for, most first: the API allows 20, some servers fewer.
TOP_TOKENS = (20, 10, 5)
LENGTH_KEYS = ("max_tokens", "max_completion_tokens")
TRIAL_CHAT: list[Message] = [
    {"role": "user", "content": "Which is it?\n\nA. One\nB. Two\n\nA or B?"}
]


@dataclass(frozen=True)
class Abilities:
    """What a server can do."""

    # How many likeliest tokens it lists; 0 when it gives no probabilities.
    top: int = 0
    # Whether it gives the probabilities of a given text.
    echo: bool = False
    # How it wants the longest answer named.
    length_key: str = "max_tokens"
    # Whether it gives several answers to one request.
    many: bool = True
    # What it calls the model itself.
    model: str | None = None


class Memory(Protocol):
    """Where an endpoint's abilities and expenses are kept between runs."""

    def recall(self, name: str) -> Any:
        """What was kept under a name, or None."""
        ...

    def remember(self, name: str, value: Any) -> None:
        """Keep something JSON can hold."""
        ...


def known_abilities(memory: Memory, settings: EndpointSettings) -> Abilities | None:
    """What was found out about an endpoint; None when it was never asked."""
    kept = memory.recall(f"abilities {settings.identity.content}")
    return Abilities(**kept) if kept else None


def keep_abilities(memory: Memory, settings: EndpointSettings, found: Abilities) -> None:
    """Keep what was found out, for this run and later ones."""
    memory.remember(f"abilities {settings.identity.content}", asdict(found))


def spent_by_purpose(memory: Memory, settings: EndpointSettings) -> dict[str, EndpointUsage]:
    """What each purpose (a method) has spent at an endpoint over all runs."""
    kept = memory.recall(_usage_name(settings)) or {}
    return {purpose: EndpointUsage(**usage) for purpose, usage in kept.items()}


def keep_spent(
    memory: Memory, settings: EndpointSettings, spent: Mapping[str, EndpointUsage]
) -> None:
    """Keep what each purpose has spent."""
    kept = {purpose: asdict(usage) for purpose, usage in spent.items()}
    memory.remember(_usage_name(settings), kept)


def _usage_name(settings: EndpointSettings) -> str:
    # What a model costs counts toward one budget, however its answers are read.
    return f"usage {settings.endpoint} {settings.name}"


def find_abilities(client: Client, format: EndpointFormat) -> Abilities:
    """Find out what a server can do, by about five short requests.

    Raises
    ------
    InputError
        The server knows no such model, or its tokenizer is not the one that the study names.
    """
    settings = format.settings
    found = _first_answer(client, format)
    format = replace(format, length_key=found.length_key)
    question = format.question(TRIAL_CHAT, 1, 1)
    if settings.logprobs:
        for top in TOP_TOKENS:
            body = question | format.listing(top)
            with suppress(RejectedError):
                listed = client.post(format.path, body, 1, format.first_tokens_or_none)
                if listed is not None:
                    found = replace(found, top=len(listed) or top)
                break
    try:
        several = question | {"n": 2, "seed": 1}
        many = len(client.post(format.path, several, 2, format.texts)) == 2
    except RejectedError:
        many = False
    return replace(found, many=many, echo=_echoes(client, format))


def _first_answer(client: Client, format: EndpointFormat) -> Abilities:
    """The first request: is there such a model, and how does it want lengths named?"""
    refused: RejectedError | None = None
    for key in LENGTH_KEYS:
        trial = replace(format, length_key=key)
        try:
            response = client.post(trial.path, trial.question(TRIAL_CHAT, 1, 1), 1, whole_response)
        except RejectedError as error:
            refused = refused or error
            continue
        _check_tokenizer(format, response)
        return Abilities(length_key=key, model=response.get("model"))
    raise InputError(f"model.endpoint: {refused}")


def _check_tokenizer(format: EndpointFormat, response: dict[str, Any]) -> None:
    """Raises InputError when the named tokenizer and the server count a question differently."""
    settings = format.settings
    counted = (response.get("usage") or {}).get("prompt_tokens")
    if format.tokenizer is None or counted is None:
        return
    own = len(format.prompt_tokens(TRIAL_CHAT))
    if own != counted:
        raise InputError(
            f"model.tokenizer: {settings.tokenizer} makes {own} tokens of a question of "
            f"which {settings.endpoint} counts {counted}; name the tokenizer with the chat "
            "template that the server uses, or leave tokenizer out."
        )


def _echoes(client: Client, format: EndpointFormat) -> bool:
    if format.tokenizer is None or not format.settings.logprobs:
        return False
    prompt = format.prompt_tokens(TRIAL_CHAT)
    try:
        response = client.post(COMPLETIONS, format.echoing(prompt), 1, whole_response)
        logs = response["choices"][0]["logprobs"]["token_logprobs"]
    except (RejectedError, InputError, KeyError, TypeError, IndexError):
        return False  # a server without /completions says 404
    return len(prompt) <= len(logs) <= len(prompt) + 1
