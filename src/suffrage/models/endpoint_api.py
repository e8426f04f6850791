"""The OpenAI API's requests and responses: what is sent, and how an answer is read.

Nothing here sends anything. Chat completions and completions are described at
https://platform.openai.com/docs/api-reference; `echo` with token ids is an addition of vLLM's
server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require
from suffrage.models.answerer import ChoiceReading
from suffrage.models.asking import Message
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.packing import Tokens
from suffrage.models.tokenizing import encode_text, prompt_text

COMPLETIONS = "/completions"
_SPACES = " \u2581\u0120"  # as tokenizers write a leading space


@dataclass(frozen=True)
class EndpointFormat:
    """How one endpoint is written to and read."""

    settings: EndpointSettings
    # The model's own tokenizer, None where the study names none.
    tokenizer: Any
    # How the server wants the longest answer named in a chat.
    length_key: str = "max_tokens"

    @property
    def path(self) -> str:
        """Where questions go."""
        return "/chat/completions" if self.settings.chat else COMPLETIONS

    def prompt_tokens(self, messages: Sequence[Message]) -> Tokens:
        """A chat as the tokens that a model here would read. Needs the tokenizer."""
        return encode_text(self.tokenizer, prompt_text(self.tokenizer, messages))

    def question(
        self, messages: Sequence[Message], longest: int, temperature: float
    ) -> dict[str, Any]:
        """A request for an answer from the whole distribution, with nothing cut off."""
        body: dict[str, Any] = {"model": self.settings.name, "temperature": temperature, "top_p": 1}
        if self.settings.chat:
            return body | {"messages": list(messages), self.length_key: longest}
        prompt = (
            list(self.prompt_tokens(messages))
            if self.tokenizer
            else prompt_text(self.tokenizer, messages)
        )
        return body | {"prompt": prompt, "max_tokens": longest}

    def listing(self, top: int) -> dict[str, Any]:
        """The part of a request that asks for the `top` likeliest tokens."""
        chat = {"logprobs": True, "top_logprobs": top}
        return chat if self.settings.chat else {"logprobs": top}

    def echoing(self, tokens: Sequence[int]) -> dict[str, Any]:
        """A request for the log-probability of each token given. One more token must be written."""
        body = {"model": self.settings.name, "prompt": list(tokens), "echo": True, "logprobs": 1}
        return body | {"max_tokens": 1, "temperature": 1}

    def first_tokens(self, response: Any) -> list[tuple[str, float]]:
        """The likeliest first tokens and their log-probabilities; none when the answer is empty."""
        logs = response["choices"][0]["logprobs"]
        if self.settings.chat:
            content = logs["content"]
            if not content:
                return []
            return [(row["token"], float(row["logprob"])) for row in content[0]["top_logprobs"]]
        listed = logs["top_logprobs"]
        return [(token, float(log)) for token, log in listed[0].items()] if listed else []

    def first_tokens_or_none(self, response: Any) -> list[tuple[str, float]] | None:
        """None when the server accepted the request but left the probabilities out."""
        if not (response["choices"][0].get("logprobs") or {}):
            return None
        return self.first_tokens(response)

    def texts(self, response: Any) -> list[str]:
        """What was written. A refusal that the server sets apart is an answer too."""
        if not response["choices"]:
            raise ValueError("no choices")
        if not self.settings.chat:
            return [str(choice["text"]) for choice in response["choices"]]
        said = [choice["message"] for choice in response["choices"]]
        return [str(one.get("content") or one.get("refusal") or "") for one in said]


def whole_response(response: Any) -> dict[str, Any]:
    """A response as it is. Raises ValueError where it has no choices."""
    if not response["choices"]:
        raise ValueError("no choices")
    return dict(response)


def echoed_log_probs(response: Any, prompt: int, answer: int) -> FloatArray:
    """The log-probability of each token of an answer that was echoed after its prompt.

    Parameters
    ----------
    response : dict
        The server's answer to `EndpointFormat.echoing`.
    prompt, answer : int
        How many tokens of each were sent.

    Raises
    ------
    ValueError
        The server counts other tokens than those that were sent.
    """
    logs = response["choices"][0]["logprobs"]["token_logprobs"]
    length = prompt + answer
    if not length <= len(logs) <= length + 1:
        raise ValueError("not the tokens that were sent")
    return np.array([float(log) for log in logs[prompt:length]])


def label_reading(labels: Sequence[str], listed: Sequence[tuple[str, float]]) -> ChoiceReading:
    """The labels' probabilities from the likeliest tokens that a server lists.

    Each label is two tokens, one with a space before it and one without. A token that is not listed
    is no likelier than the least likely listed one, and all of them together are no likelier than
    what the listed ones leave. The smaller of these two bounds is `unseen`.

    Parameters
    ----------
    labels : sequence of str
        One character each.
    listed : sequence of (str, float)
        Tokens with their log-probabilities.

    Examples
    --------
    >>> from math import log
    >>> reading = label_reading(("A", "B"), [("A", log(0.5)), (" A", log(0.25)), ("x", log(0.125))])
    >>> reading.probabilities
    array([0.75, 0.  ])
    >>> round(reading.unseen, 3)
    0.125
    """
    logs = np.array([log for _, log in listed])
    probabilities = np.zeros(len(labels))
    seen = 0
    for (token, _), probability in zip(listed, np.exp(logs), strict=True):
        plain = token.lstrip(_SPACES)
        if plain in labels:
            probabilities[labels.index(plain)] += probability
            seen += 1
    rest = max(0.0, 1.0 - float(np.exp(logs).sum()))
    hidden = max(0, 2 * len(labels) - seen)
    return ChoiceReading(probabilities, unseen=min(rest, hidden * float(np.exp(logs.min()))))


def endpoint_tokenizer(settings: EndpointSettings, folder: Path) -> Any:
    """The tokenizer that the settings name, None where they name none.

    Parameters
    ----------
    settings : EndpointSettings
        `tokenizer` is a folder or a hub id.
    folder : Path
        Where a relative path starts.

    Raises
    ------
    InputError
        The tokenizer cannot be loaded.
    """
    if settings.tokenizer is None:
        return None
    transformers = require("transformers", "align", "model.tokenizer")
    path = (folder / Path(settings.tokenizer).expanduser()).resolve()
    source = str(path) if path.exists() else settings.tokenizer
    try:
        return transformers.AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model.tokenizer: {settings.tokenizer} could not be loaded; give a folder, or a hub "
            "id (owner/name) that can be reached."
        ) from error
