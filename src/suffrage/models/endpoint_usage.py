"""What requests to an endpoint use and cost, and the budget that is never passed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from suffrage.models.endpoint_failures import BudgetReachedError
from suffrage.models.endpoint_settings import EndpointSettings

# A token is at least one byte, which bounds what a request can cost, with some tokens for the
# chat's own marks.
CHAT_MARKS = 64
# A server that counts fewer tokens than one for so many bytes does not count them.
MOST_BYTES_A_TOKEN = 24
# What a server may count in addition: instructions of its own, or thoughts that it does not show. A
# larger count is a mistake, which must not use up the budget.
MOST_UNSEEN_TOKENS = 100_000


@dataclass
class EndpointUsage:
    """What was sent to an endpoint and what it cost."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    # In the currency of the settings' prices; 0 without prices.
    money: float = 0.0
    # Requests whose tokens the server did not count.
    estimated: int = 0

    def add(self, other: EndpointUsage) -> None:
        """Add another usage to this one."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Ledger:
    """What one client has used, and what it may still use; safe from several threads.

    Parameters
    ----------
    settings : EndpointSettings
        The prices and the budget.
    spent : EndpointUsage
        What earlier runs used. It counts toward the budget.
    """

    def __init__(self, settings: EndpointSettings, spent: EndpointUsage) -> None:
        self.settings = settings
        self.spent = spent
        self.used = EndpointUsage()
        # Whether the server ever counted more tokens than there can have been.
        self.impossible_count = False
        # What the settings add to every request may be read as well.
        self._extra = len(json.dumps(settings.extra)) if settings.extra else 0
        self._lock = threading.Lock()
        self._flying, self._reserved = 0, 0.0

    def most(self, body: Mapping[str, Any], longest: int) -> EndpointUsage:
        """The most that a request can use: every byte read is a token."""
        return self._priced(most_input_tokens(body) + self._extra, longest, estimated=1)

    def counted(self, answer: Mapping[str, Any], most: EndpointUsage) -> EndpointUsage:
        """What a request used by the server's count.

        Where the server counts no tokens, or 0, or fewer or many more than there can be, the most
        that the request can have used is taken, so that the budget holds.
        """
        usage = answer.get("usage")
        said = usage if isinstance(usage, dict) else {}
        read, written = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens"))
        size = sum(len(text.encode()) for text in _written_texts(answer))
        estimated = 0
        fewest = most.input_tokens - CHAT_MARKS - self._extra
        too_many = read > most.input_tokens + MOST_UNSEEN_TOKENS
        if too_many or not read or read * MOST_BYTES_A_TOKEN < fewest:
            self.impossible_count |= too_many
            read, estimated = most.input_tokens, 1
        too_many = written > max(most.output_tokens, size) + MOST_UNSEEN_TOKENS
        if too_many or not written:
            self.impossible_count |= too_many
            ignored_limit = size > MOST_BYTES_A_TOKEN * most.output_tokens
            written, estimated = (size if ignored_limit else most.output_tokens), 1
        return self._priced(read, written, estimated)

    def reserve(self, most: EndpointUsage) -> None:
        """Set aside what a request can use. Raises BudgetReachedError when that is too much."""
        budget, prices = self.settings.budget, self.settings.prices
        with self._lock:
            requests = self.spent.requests + self.used.requests + self._flying
            money = self.spent.money + self.used.money + self._reserved
            if budget.requests is not None and requests >= budget.requests:
                raise BudgetReachedError(
                    f"the budget of {budget.requests} requests to {self.settings.endpoint} is "
                    "used up. Everything answered is kept: raise model.budget.requests and run the "
                    "same command again to go on."
                )
            if budget.money is not None and money + most.money > budget.money:
                currency = prices.currency if prices else ""
                raise BudgetReachedError(
                    f"the next request to {self.settings.endpoint} could pass the budget of "
                    f"{budget.money:g} {currency} ({money:.4f} spent or under way). Everything "
                    "answered is kept: raise model.budget.money and run the same command again to "
                    "go on."
                )
            self._flying += 1
            self._reserved += most.money

    def settle(self, most: EndpointUsage, counted: EndpointUsage) -> None:
        """Count what a request used instead of what was set aside for it."""
        with self._lock:
            self._flying -= 1
            self._reserved -= most.money
            self.used.add(counted)

    def _priced(self, read: int, written: int, estimated: int) -> EndpointUsage:
        prices = self.settings.prices
        money = (read * prices.input + written * prices.output) / 1e6 if prices else 0.0
        return EndpointUsage(1, read, written, money, estimated)


def most_input_tokens(body: Mapping[str, Any]) -> int:
    """How many tokens a request holds at most.

    Examples
    --------
    >>> most_input_tokens({"prompt": [5, 6, 7]})
    3
    >>> most_input_tokens({"prompt": "Māori?"}) - CHAT_MARKS  # ā is two bytes
    7
    """
    prompt = body.get("prompt", body.get("messages", ""))
    if isinstance(prompt, list) and all(isinstance(token, int) for token in prompt):
        return len(prompt)
    texts = [message["content"] for message in prompt] if isinstance(prompt, list) else [prompt]
    return CHAT_MARKS + sum(len(text.encode()) for text in texts)


def _count(said: Any) -> int:
    """A number of tokens as a server gives it; 0 where it is none."""
    try:
        return max(0, int(said))
    except (TypeError, ValueError, OverflowError):
        return 0


def _written_texts(answer: Mapping[str, Any]) -> list[str]:
    choices = answer.get("choices")
    found: list[str] = []
    for choice in choices if isinstance(choices, Sequence) else ():
        if isinstance(choice, dict):
            message = choice.get("message")
            text = message.get("content") if isinstance(message, dict) else choice.get("text")
            found.append(text if isinstance(text, str) else "")
    return found
