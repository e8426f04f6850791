"""The OpenAI API's requests and responses: what is sent, and how an answer is read.

Nothing here sends anything. Chat completions and completions are described at
https://platform.openai.com/docs/api-reference; `echo` with token ids is an addition of vLLM's
server.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require
from suffrage.models.answerer import ChoiceReading
from suffrage.models.asking import Message
from suffrage.models.endpoint_failures import FilteredError, MalformedAnswerError
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.hub import resolved_revision
from suffrage.models.identity import ModelIdentity
from suffrage.models.packing import Tokens
from suffrage.models.tokenizing import encode_text, prompt_text

COMPLETIONS = "/completions"
_SPACES = " \u2581\u0120"  # as tokenizers write a leading space
NOT_LISTED = -9000.0
# Of all listed probabilities; servers round, and write 1e-5 for 0.
MOST_IN_TOTAL = 1.02


@dataclass(frozen=True)
class Dialect:
    """Which settings of the OpenAI API a server takes in a request, and under which names."""

    # How it wants the longest answer named.
    length_key: str = "max_tokens"
    # The fewest tokens that a request may ask for.
    shortest: int = 1
    temperature: bool = True
    # Together with the temperature.
    top_p: bool = True
    seed: bool = True
    # Whether it gives several answers to one request.
    many: bool = True


@dataclass(frozen=True)
class EndpointFormat:
    """How one endpoint is written to and read."""

    settings: EndpointSettings
    # The model's own tokenizer, None where the study names none.
    tokenizer: Any
    dialect: Dialect = Dialect()

    @property
    def path(self) -> str:
        """Where questions go."""
        return "/chat/completions" if self.settings.chat else COMPLETIONS

    def prompt_tokens(self, messages: Sequence[Message]) -> Tokens:
        """A chat as the tokens that a model here would read. Needs the tokenizer."""
        return encode_text(self.tokenizer, prompt_text(self.tokenizer, messages))

    def length(self, longest: int) -> int:
        """The length to ask for where `longest` tokens are wanted."""
        return max(longest, self.dialect.shortest)

    def question(
        self, messages: Sequence[Message], longest: int, temperature: float
    ) -> dict[str, Any]:
        """A request for an answer from the whole distribution, with nothing cut off."""
        body: dict[str, Any] = {"model": self.settings.name}
        if self.dialect.temperature:
            body["temperature"] = temperature
        if self.dialect.top_p:
            body["top_p"] = 1
        body[self.dialect.length_key] = self.length(longest)
        if self.settings.chat:
            return body | {"messages": list(messages)}
        prompt = (
            list(self.prompt_tokens(messages))
            if self.tokenizer
            else prompt_text(self.tokenizer, messages)
        )
        return body | {"prompt": prompt}

    def drawing(self, count: int, seed: int) -> dict[str, Any]:
        """The part of a request that asks for `count` answers, drawn from a seed."""
        more: dict[str, Any] = {"n": count} if count > 1 else {}
        return more | ({"seed": seed} if self.dialect.seed else {})

    def listing(self, top: int) -> dict[str, Any]:
        """The part of a request that asks for the `top` likeliest tokens."""
        chat = {"logprobs": True, "top_logprobs": top}
        return chat if self.settings.chat else {"logprobs": top}

    def echoing(self, tokens: Sequence[int]) -> dict[str, Any]:
        """A request for the log-probability of each token given. One more token must be written."""
        body = {"model": self.settings.name, "prompt": list(tokens), "echo": True, "logprobs": 1}
        return body | {"max_tokens": 1, "temperature": 1}

    def texts(self, response: Any) -> list[str]:
        """What was written. A refusal that the server sets apart is an answer too."""
        if not response["choices"]:
            raise ValueError("no choices")
        if not self.settings.chat:
            return [str(choice["text"]) for choice in response["choices"]]
        return [_said(choice["message"]) for choice in response["choices"]]


def _said(message: Any) -> str:
    """The text of a message, which some servers give in parts."""
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return str(content)


def first_tokens(response: Any) -> list[tuple[str, float]]:
    """The likeliest first tokens of an answer and their log-probabilities.

    Both forms are read, wherever they come: a list of tokens with their `top_logprobs` (chat), and
    a mapping for each token (completions).

    Returns
    -------
    list of (str, float)
        Empty when the answer ended at once.

    Raises
    ------
    MalformedAnswerError
        There are no probabilities, or numbers that are none.
    FilteredError
        The server's filter kept the answer back.
    """
    choice = response["choices"][0]
    logs = choice.get("logprobs")
    if not logs:
        if choice.get("finish_reason") == "content_filter":
            raise FilteredError("the server's filter kept an answer back")
        raise MalformedAnswerError("gave no token probabilities")
    if "content" in logs:
        if not logs["content"]:
            return []
        rows = logs["content"][0].get("top_logprobs") or []
        listed = [(row["token"], row["logprob"]) for row in rows]
    elif not logs.get("top_logprobs"):
        if "tokens" in logs and not logs["tokens"]:
            return []
        listed = []
    else:
        listed = list((logs["top_logprobs"][0] or {}).items())
    return _probabilities_of(listed)


def _probabilities_of(listed: Sequence[tuple[Any, Any]]) -> list[tuple[str, float]]:
    if not listed:
        raise MalformedAnswerError("listed no likeliest tokens")
    try:
        found = [(str(token), float(value)) for token, value in listed]
    except (TypeError, ValueError) as error:
        raise MalformedAnswerError("gave token probabilities that are no numbers") from error
    # OpenAI writes -9999 for a token that is not among the likeliest ones: it says nothing.
    found = [(token, log) for token, log in found if log > NOT_LISTED]
    total = sum(math.exp(min(log, 1.0)) for _, log in found)
    if not found or any(math.isnan(log) for _, log in found) or total > MOST_IN_TOTAL:
        raise MalformedAnswerError("gave token probabilities that do not add up")
    return found


def whole_response(response: Any) -> dict[str, Any]:
    """A response as it is. Raises ValueError where it has no choices that can be read."""
    choices = response["choices"]
    if not isinstance(choices, list) or not choices:
        raise ValueError("no choices")
    for choice in choices:
        if not isinstance(choice.get("message"), dict) and "text" not in choice:
            raise ValueError("a choice without what was written")
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


def label_reading(
    labels: Sequence[str], listed: Sequence[tuple[str, float]], any_case: bool = False
) -> ChoiceReading:
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
    any_case : bool
        Whether "a" means the label "A" as well.

    Examples
    --------
    >>> from math import log
    >>> reading = label_reading(("A", "B"), [("A", log(0.5)), (" A", log(0.25)), ("x", log(0.125))])
    >>> reading.probabilities
    array([0.75, 0.  ])
    >>> round(reading.unseen, 3)
    0.125
    """
    spellings = [{label, label.lower(), label.upper()} if any_case else {label} for label in labels]
    place = {text: index for index, texts in enumerate(spellings) for text in texts}
    logs = np.array([log for _, log in listed])
    probabilities = np.zeros(len(labels))
    seen = 0
    for (token, _), probability in zip(listed, np.exp(logs), strict=True):
        plain = token.lstrip(_SPACES)
        if plain in place:
            probabilities[place[plain]] += probability
            seen += 1
    rest = max(0.0, 1.0 - float(np.exp(logs).sum()))
    hidden = max(0, 2 * len(place) - seen)
    return ChoiceReading(probabilities, unseen=min(rest, hidden * float(np.exp(logs.min()))))


def endpoint_identity(settings: EndpointSettings, folder: Path) -> ModelIdentity:
    """What identifies a model behind an endpoint, with the files of the tokenizer it is given.

    Parameters
    ----------
    settings : EndpointSettings
    folder : Path
        Where a relative path to the tokenizer starts.
    """
    identity = settings.identity
    if settings.tokenizer is None:
        return identity
    path = _tokenizer_folder(settings.tokenizer, folder)
    files = (
        resolved_revision(settings.tokenizer, None, "model.tokenizer")
        if path is None
        else storage.folder_hash(path)
    )
    return replace(identity, content=storage.content_hash([identity.content, files]))


def _tokenizer_folder(name: str, folder: Path) -> Path | None:
    path = (folder / Path(name).expanduser()).resolve()
    return path if path.exists() else None


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
    path = _tokenizer_folder(settings.tokenizer, folder)
    source = settings.tokenizer if path is None else str(path)
    revision = None if path else resolved_revision(source, None, "model.tokenizer")
    try:
        return transformers.AutoTokenizer.from_pretrained(
            source, revision=revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model.tokenizer: {settings.tokenizer} could not be loaded; give a folder, or a hub "
            "id (owner/name) that can be reached."
        ) from error
