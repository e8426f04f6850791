"""A few short requests that find out what a server behind an endpoint can do.

A setting that a server refuses is left out or renamed, and the request is sent again. What is found
is kept for the whole study, so that every question is asked in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from suffrage.errors import InputError
from suffrage.models.asking import Message
from suffrage.models.endpoint_abilities import Abilities
from suffrage.models.endpoint_api import (
    COMPLETIONS,
    Dialect,
    EndpointFormat,
    first_tokens,
    label_reading,
    whole_response,
)
from suffrage.models.endpoint_client import Client
from suffrage.models.endpoint_failures import (
    BudgetReachedError,
    EndpointError,
    FilteredError,
    MalformedAnswerError,
    RejectedError,
)
from suffrage.models.endpoint_usage import MOST_BYTES_A_TOKEN
from suffrage.models.readouts import leading_label

_Found = TypeVar("_Found")

# How many likeliest tokens are asked for, most first: the API allows 20, some servers fewer.
TOP_TOKENS = (20, 10, 5)
TRIAL_CHAT: list[Message] = [
    {"role": "user", "content": "Which is it?\n\nA. One\nB. Two\n\nA or B?"}
]
TRIAL_LABELS = ("A", "B")
# Trial answers: in one request, or one by one where the server gives one to a request.
DRAWS, SINGLE_DRAWS = 8, 4
# Enough for a label with what may stand around it.
LONGEST_LABEL = 4
# The fewest tokens that known servers with such a limit allow, and the most that is tried.
USUAL_SHORTEST, LONGEST_SHORTEST = 16, 64
# Tries of a request for something that a server may not have.
OPTIONAL_TRIES = 2
# Lower-case labels with more probability than this are the model's way of answering.
SOME_LOWER_CASE = 0.05
# Answers of which so many begin with a label, while their first tokens are labels with less than
# half of that probability, begin with a mark such as a bracket.
MOSTLY_LABELLED = 0.75


def find_abilities(client: Client, format: EndpointFormat) -> Abilities:
    """Find out what a server can do, by about five short requests.

    Raises
    ------
    InputError
        The server knows no such model, refuses a plain question, or has another tokenizer than the
        study names; or the model thinks before it answers.
    EndpointError
        The server fails.
    """
    dialect, response = _first_answer(client, format)
    format = replace(format, dialect=dialect)
    _check_tokenizer(format, response)
    dialect, texts = _drawn(client, format)
    format = replace(format, dialect=dialect)
    first = format.texts(response)
    found = Abilities(
        counts_tokens=client.used.estimated == 0,
        keeps_length=all(
            len(text.encode()) <= MOST_BYTES_A_TOKEN * format.length(LONGEST_LABEL)
            for text in (*first, *texts)
        ),
        model=response.get("model") if isinstance(response.get("model"), str) else None,
        dialect=dialect,
    )
    if format.settings.logprobs:
        found = _reading_of_labels(client, format, found, texts)
    else:
        found = replace(found, labelled=_labelled(texts))
    return replace(found, echo=_echoes(client, format))


# ---------------------------------------------------------------------------
# A plain question
# ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """A way to write to a server that refuses the usual one."""

    # Whether a refusal asks for this change.
    is_named: Callable[[RejectedError], bool]
    change: Callable[[Dialect, str], Dialect]


_TOO_SHORT = re.compile(
    r"minimum|at least|>=|greater than|below|output limit|too (small|short|low)"
)
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _names_length(refused: RejectedError) -> bool:
    return any(refused.names(key) for key in _LENGTHS)


def _shortest_said(said: str) -> int:
    numbers = [int(number) for number in re.findall(r"(?:>=|at least|than)\s*(\d+)", said)]
    allowed = [number for number in numbers if 1 < number <= LONGEST_SHORTEST]
    return max(allowed, default=USUAL_SHORTEST)


# In the order in which they are tried. A refusal of the two together names the temperature too.
_CHANGES = (
    _Change(
        lambda refused: _names_length(refused) and bool(_TOO_SHORT.search(refused.said)),
        lambda dialect, said: replace(dialect, shortest=_shortest_said(said)),
    ),
    _Change(
        _names_length,
        lambda dialect, said: replace(dialect, length_key="max_completion_tokens"),
    ),
    _Change(
        lambda refused: refused.names("top_p"),
        lambda dialect, said: replace(dialect, top_p=False),
    ),
    _Change(
        lambda refused: refused.names("temperature"),
        lambda dialect, said: replace(dialect, temperature=False),
    ),
)


def _first_answer(client: Client, format: EndpointFormat) -> tuple[Dialect, dict[str, Any]]:
    """A plain question, with the changes that the server asks for, then with others."""

    def ask(dialect: Dialect) -> dict[str, Any]:
        trial = replace(format, dialect=dialect)
        body = trial.question(TRIAL_CHAT, 1, 1)
        return client.post(trial.path, body, trial.length(1), whole_response)

    dialect, left = format.dialect, list(_CHANGES)
    first: RejectedError | None = None
    while True:
        try:
            return dialect, ask(dialect)
        except RejectedError as error:
            first, said = first or error, error.said
            named = next((change for change in left if change.is_named(error)), None)
        if named is None:
            break
        left.remove(named)
        dialect = named.change(dialect, said)
    # The server does not say what it refuses: each change by itself, then all of them.
    every = dialect
    for change in left:
        every = change.change(every, said)
    for other in (*(change.change(dialect, said) for change in left), every):
        try:
            return other, ask(other)
        except RejectedError:
            continue
    thinks = "output limit" in first.said or "reasoning" in first.said
    raise InputError(_sentence(first) + (f" {_THINKING}" if thinks else ""))


_THINKING = (
    "A model that thinks before it answers cannot be read: switch its thinking off in model.extra, "
    "or name another model."
)


def _sentence(refused: RejectedError) -> str:
    return f"model.endpoint: {str(refused).rstrip('.')}."


def _check_tokenizer(format: EndpointFormat, response: dict[str, Any]) -> None:
    """Raises InputError when the named tokenizer and the server count a question differently."""
    settings = format.settings
    usage = response.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if format.tokenizer is None or not counted:
        return
    own = len(format.prompt_tokens(TRIAL_CHAT))
    if own != counted:
        raise InputError(
            f"model.tokenizer: {settings.tokenizer} makes {own} tokens of a question of "
            f"which {settings.endpoint} counts {counted}; name the tokenizer with the chat "
            "template that the server uses, or leave tokenizer out."
        )


# ---------------------------------------------------------------------------
# Drawn answers
# ---------------------------------------------------------------------------


def _drawn(client: Client, format: EndpointFormat) -> tuple[Dialect, list[str]]:
    """A few answers, with a seed and in one request where the server takes both."""
    usual = format.dialect
    ways = [(True, True), (True, False), (False, True), (False, False)]
    while True:
        many, seed = ways.pop(0)
        trial = replace(format, dialect=replace(usual, many=many, seed=seed))
        count = DRAWS if many else 1
        body = trial.question(TRIAL_CHAT, LONGEST_LABEL, 1) | trial.drawing(count, seed=1)
        try:
            response = _optional(
                client, trial, body, count * trial.length(LONGEST_LABEL), whole_response
            )
        except RejectedError as error:
            if not ways:
                raise InputError(_sentence(error)) from error
            if error.names("n") and not error.names("seed"):
                ways = [way for way in ways if not way[0]]
            continue
        texts = trial.texts(response)
        _check_no_thinking(format, response, texts)
        return replace(trial.dialect, many=many and len(texts) == DRAWS), texts


def _check_no_thinking(format: EndpointFormat, response: dict[str, Any], texts: list[str]) -> None:
    """Raises InputError when the answers are spent on thoughts."""
    opened = [text for text in texts if text.lstrip().startswith(("<think", "<|channel|>"))]
    hidden = []
    for choice, text in zip(response["choices"], texts, strict=True):
        message = choice.get("message") or {}
        if not text and (message.get("reasoning_content") or message.get("reasoning")):
            hidden.append(choice)
    usage = response.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    spent = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if opened or hidden or (spent and not any(texts)):
        raise InputError(
            f"model.name: {format.settings.name} at {format.settings.endpoint} thinks before it "
            f"answers, and no answer begins with a label. {_THINKING}"
        )


def _optional(
    client: Client,
    format: EndpointFormat,
    body: dict[str, Any],
    longest: int,
    parse: Callable[[Any], _Found],
    path: str | None = None,
) -> _Found:
    """Ask for something that a server may not have.

    Raises RejectedError where the server refuses it, or fails at it while it still answers a plain
    question. A server that fails at both is down, which says nothing of what it can do.
    """
    try:
        return client.post(path or format.path, body, longest, parse, tries=OPTIONAL_TRIES)
    except (RejectedError, FilteredError, BudgetReachedError):
        raise
    except EndpointError as error:
        plain = format.question(TRIAL_CHAT, 1, 1)
        client.post(format.path, plain, format.length(1), whole_response)
        raise RejectedError(str(error), str(error)) from error


# ---------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------


def _reading_of_labels(
    client: Client, format: EndpointFormat, found: Abilities, texts: list[str]
) -> Abilities:
    """How labels are read: from listed first tokens, or from drawn answers."""
    top, listed, reason = _listed(client, format)
    if not listed:
        return replace(found, why_drawn=reason, labelled=_labelled(texts))
    exact = label_reading(TRIAL_LABELS, listed).probabilities.sum()
    mass = label_reading(TRIAL_LABELS, listed, any_case=True).probabilities.sum()
    labelled = float(mass)
    if mass < MOSTLY_LABELLED:
        if len(texts) < SINGLE_DRAWS:
            body = format.question(TRIAL_CHAT, LONGEST_LABEL, 1)
            for seed in range(2, SINGLE_DRAWS + 1):
                more = body | format.drawing(1, seed)
                texts += client.post(format.path, more, format.length(LONGEST_LABEL), format.texts)
        labelled = max(labelled, _labelled(texts))
        if labelled >= MOSTLY_LABELLED and mass < labelled / 2:
            reason = "the first token of an answer does not show its label"
            return replace(found, why_drawn=reason, labelled=labelled)
    any_case = bool(mass - exact > SOME_LOWER_CASE)
    return replace(found, top=top, listed=len(listed), any_case=any_case, labelled=labelled)


def _labelled(texts: list[str]) -> float:
    return sum(leading_label(text, TRIAL_LABELS) is not None for text in texts) / len(texts)


def _listed(client: Client, format: EndpointFormat) -> tuple[int, list[tuple[str, float]], str]:
    """How many likeliest tokens to ask for, and those of a trial; else why there are none."""
    refused: RejectedError | None = None
    for top in TOP_TOKENS:
        # An answer that ends at once lists no token on some servers. The likeliest one may.
        for temperature in (1, 0):
            body = format.question(TRIAL_CHAT, 1, temperature) | format.listing(top)
            try:
                response = _optional(client, format, body, format.length(1), whole_response)
                listed = first_tokens(response)
            except RejectedError as error:
                refused = refused or error
                break
            except MalformedAnswerError as error:
                return 0, [], f"the server {error}"
            except (KeyError, IndexError, TypeError, AttributeError):
                return 0, [], "the server gave token probabilities in a form of its own"
            if listed:
                return top, listed, ""
        else:
            return 0, [], "the server listed no likeliest tokens"
    said = refused.said.rstrip(".") if refused else ""
    return 0, [], f"the server refuses token probabilities ({said})"


def _echoes(client: Client, format: EndpointFormat) -> bool:
    if format.tokenizer is None or not format.settings.logprobs:
        return False
    prompt = format.prompt_tokens(TRIAL_CHAT)
    try:
        body = format.echoing(prompt)
        response = _optional(client, format, body, 1, whole_response, COMPLETIONS)
        logs = response["choices"][0]["logprobs"]["token_logprobs"]
    except (RejectedError, FilteredError, KeyError, TypeError, IndexError):
        return False
    return len(prompt) <= len(logs) <= len(prompt) + 1
