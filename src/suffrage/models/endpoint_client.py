"""Requests to an OpenAI-compatible server: retried, counted, priced, and stopped at a budget.

The key is read from the environment when a client is made. It is written into the requests' header
and nowhere else.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from suffrage.errors import InputError, SuffrageError, require, require_installed
from suffrage.models.endpoint_settings import EndpointSettings, endpoint_key

Parsed = TypeVar("Parsed")

LONGEST_WAIT = 60.0
# Used where a server does not say how many tokens it read. About four letters of English make a
# token, and two of most other scripts, so this estimate is rather too high. A token is at least one
# byte, which bounds what a request can cost, with some tokens for the chat's own marks.
BYTES_A_TOKEN = 3
CHAT_MARKS = 64


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


class EndpointError(SuffrageError):
    """The server failed, or refused; what was answered before is kept."""


class BudgetReachedError(EndpointError):
    """The next request could pass what the study may spend."""


class RejectedError(EndpointError):
    """The server said no to a request and would again: how its abilities are found out."""


class FilteredError(EndpointError):
    """The server's filter kept a question from the model."""


class _TryAgainError(Exception):
    """A failure that may pass. after: seconds the server asks to wait, if it does."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Client:
    """Posts requests; safe from several threads. `used` is what this client has used.

    Parameters
    ----------
    settings : EndpointSettings
        The address, the budget and how often to try again.
    spent : EndpointUsage, optional
        What earlier runs used. It counts toward the budget.
    first_wait : float
        Seconds before the first new try. Later waits double, with jitter.

    Raises
    ------
    InputError
        The environment variable of the key is not set.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        spent: EndpointUsage | None = None,
        first_wait: float = 0.5,
    ) -> None:
        httpx = require("httpx", "endpoint", "a model behind an endpoint")
        require_installed("tenacity", "endpoint", "a model behind an endpoint")
        self.settings = settings
        self.spent = spent or EndpointUsage()
        self.used = EndpointUsage()
        self._key = endpoint_key(settings)
        self._first_wait = first_wait
        self._lock = threading.Lock()
        self._flying, self._reserved = 0, 0.0
        self._answered = False
        self._stopped = threading.Event()
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._http = httpx.Client(
            headers=headers,
            timeout=settings.timeout,
            limits=httpx.Limits(max_connections=settings.concurrency),
        )

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def stop(self) -> None:
        """Start nothing more, and wait for no new try."""
        self._stopped.set()

    def post(
        self, path: str, body: dict[str, Any], longest: int, parse: Callable[[Any], Parsed]
    ) -> Parsed:
        """Post a request, and return what `parse` makes of the server's answer.

        A request is sent again after 408, 429, 5xx and timeouts, and when its answer cannot be
        parsed.

        Parameters
        ----------
        path : str
            Such as "/chat/completions".
        body : dict
            The request, without the settings' `extra`.
        longest : int
            The most tokens that the answer may have, all its choices together.
        parse : callable
            Takes the decoded JSON. ValueError, KeyError, IndexError and TypeError mean that the
            answer is not of the expected form.

        Raises
        ------
        BudgetReachedError
            The request could pass the budget. It was not sent.
        RejectedError, FilteredError
            The server refused the request.
        InputError
            The key or the address is wrong.
        EndpointError
            No try succeeded.
        """
        import tenacity

        doubling = tenacity.wait_exponential_jitter(
            initial=self._first_wait, max=LONGEST_WAIT, jitter=self._first_wait
        )

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            after = error.after if isinstance(error, _TryAgainError) else None
            return min(after, LONGEST_WAIT) if after is not None else doubling(state)

        trying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgainError),
            stop=tenacity.stop_after_attempt(self.settings.retries + 1),
            wait=wait,
            sleep=tenacity.sleep_using_event(self._stopped),
            reraise=True,
        )
        try:
            found: Parsed = trying(self._once, path, body, longest, parse)
            return found
        except _TryAgainError as error:
            raise self._given_up(str(error)) from error

    def _once(
        self, path: str, body: dict[str, Any], longest: int, parse: Callable[[Any], Parsed]
    ) -> Parsed:
        import httpx

        if self._stopped.is_set():
            raise EndpointError("stopped")
        likely, bound = _input_tokens(body)
        most, guessed = self._priced(bound, longest), self._priced(likely, longest)
        self._reserve(most)
        # A request that the server may have worked on counts as this until its cost is known.
        counted = EndpointUsage(requests=1)
        try:
            content = json.dumps(self.settings.extra | body)
            response = self._http.post(self.settings.endpoint + path, content=content)
            self._check_status(response)
            answer = response.json()
            if isinstance(answer, dict) and "error" in answer and "choices" not in answer:
                said = self._clean(_message(response))  # some gateways say 200 to everything
                raise _TryAgainError(f"answered with an error ({said})")
            counted = self._counted(answer, guessed)
            found = parse(answer)
            self._answered = True
            return found
        except httpx.TimeoutException as error:
            if not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
                counted = guessed
            raise _TryAgainError(
                f"gave no answer within {self.settings.timeout:g} seconds"
            ) from error
        except httpx.TransportError as error:
            raise _TryAgainError(f"could not be reached ({self._clean(str(error))})") from error
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _TryAgainError("gave an answer that is not of the OpenAI API's form") from error
        finally:
            self._settle(most, counted)

    def _check_status(self, response: Any) -> None:
        status, text = response.status_code, self._clean(_message(response))
        place = self.settings.endpoint
        if status < 300:
            return
        if status < 400:
            raise InputError(
                f"model.endpoint: {place} sends requests on to another address "
                f"({self._clean(response.headers.get('location', ''))}); give that one."
            )
        if status in (401, 403):
            which = f"the key in {self.settings.key}" if self.settings.key else "no key was given"
            raise InputError(
                f"model.key: {place} refused the request ({status}; {which}): {text}. Check the "
                "key and what it may use."
            )
        if status == 404:
            raise InputError(
                f'model.endpoint: {place} knows no {response.url.path} or no model "'
                f'{self.settings.name}" ({text}); check the address, which mostly ends in /v1, '
                "and name."
            )
        if "content_filter" in response.text or "content_policy" in response.text:
            raise FilteredError(f"{place} kept a question from the model by its filter: {text}")
        if status in (408, 409, 425, 429) or status >= 500:
            if "insufficient_quota" in response.text:
                raise EndpointError(
                    f"{place}: the account has nothing left to spend ({text}). Everything answered "
                    "is kept: run the same command again to go on."
                )
            raise _TryAgainError(f"answered {status} ({text})", _seconds(response.headers))
        raise RejectedError(f"{place} refused a request ({status}): {text}")

    def _given_up(self, reason: str) -> SuffrageError:
        said = f"{self.settings.endpoint} {reason}, {self.settings.retries + 1} times"
        if not self._answered and "could not be reached" in reason:
            return InputError(
                f"model.endpoint: {said}; check the address, and that the server is running."
            )
        return EndpointError(
            f"{said}. Everything answered is kept: run the same command again to go on."
        )

    def _priced(self, input_tokens: int, output_tokens: int) -> EndpointUsage:
        prices = self.settings.prices
        money = 0.0
        if prices:
            money = (input_tokens * prices.input + output_tokens * prices.output) / 1e6
        return EndpointUsage(1, input_tokens, output_tokens, money, 1)

    def _counted(self, answer: Any, guessed: EndpointUsage) -> EndpointUsage:
        usage = answer.get("usage") or {}
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if read is None:
            return guessed
        found = self._priced(int(read), int(written or 0))
        found.estimated = 0
        return found

    def _reserve(self, most: EndpointUsage) -> None:
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

    def _settle(self, most: EndpointUsage, counted: EndpointUsage) -> None:
        with self._lock:
            self._flying -= 1
            self._reserved -= most.money
            self.used.add(counted)

    def _clean(self, text: str) -> str:
        """Fit for a message: one line, not long, without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:200]


def _message(response: Any) -> str:
    """What the server says went wrong."""
    try:
        content = response.json()
    except ValueError:
        return str(response.text) or str(response.reason_phrase)
    error = content.get("error", content) if isinstance(content, dict) else content
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return str(error)


def _seconds(headers: Any) -> float | None:
    """The wait a server asks for, where it says so in seconds."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _input_tokens(body: dict[str, Any]) -> tuple[int, int]:
    """About how many tokens a request holds, and how many at most."""
    prompt = body.get("prompt", body.get("messages", ""))
    if isinstance(prompt, list) and all(isinstance(token, int) for token in prompt):
        return len(prompt), len(prompt)
    texts = [message["content"] for message in prompt] if isinstance(prompt, list) else [prompt]
    size = sum(len(text.encode()) for text in texts)
    return 16 + size // BYTES_A_TOKEN, CHAT_MARKS + size
