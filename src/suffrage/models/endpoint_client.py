"""Requests to an OpenAI-compatible server: retried, counted, priced, and stopped at a budget.

The key is read from the environment when a client is made. It is written into the requests' header
and nowhere else.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from suffrage.errors import InputError, SuffrageError, require, require_installed
from suffrage.models.endpoint_failures import (
    LONGEST_WAIT,
    EndpointError,
    MalformedAnswerError,
    TryAgainError,
    check_status,
    message_of,
)
from suffrage.models.endpoint_settings import EndpointSettings, endpoint_key
from suffrage.models.endpoint_usage import EndpointUsage, Ledger

Parsed = TypeVar("Parsed")

log = logging.getLogger("suffrage.models")

# Seconds to wait for a connection: a server that is there takes it at once.
CONNECT_WAIT = 5.0
# Tries until a server has answered once: what is wrong then is mostly the address.
FIRST_TRIES = 3
# How many names of the model are kept, should a server give a new one with every answer.
MOST_NAMES = 20
# Continues a sentence that begins with the server's address.
NOT_OF_THE_FORM = "gave an answer that is not of the OpenAI API's form"
# The user hears of waits of so many seconds, and not more often than every so many.
TOLD_WAIT = 2.0
TOLD_EVERY = 10.0


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read whom to trust once: it takes longer than many an answer."""
    import httpx

    return httpx.create_ssl_context()


class Client:
    """Posts requests; safe from several threads.

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
        self.ledger = Ledger(settings, spent or EndpointUsage())
        self._key = endpoint_key(settings)
        self._first_wait = first_wait
        # What the server called the model in its answers.
        self.models: set[str] = set()
        self._answered = False
        self._told = 0.0
        self._stopped = threading.Event()
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(settings.timeout, connect=min(settings.timeout, CONNECT_WAIT)),
            limits=httpx.Limits(max_connections=settings.concurrency),
            verify=_trusted_authorities(),
        )

    @property
    def used(self) -> EndpointUsage:
        """What this client has used."""
        return self.ledger.used

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def stop(self) -> None:
        """Start nothing more, and wait for no new try."""
        self._stopped.set()

    def post(
        self,
        path: str,
        body: dict[str, Any],
        longest: int,
        parse: Callable[[Any], Parsed],
        tries: int | None = None,
    ) -> Parsed:
        """Send a request, and again while that may help.

        Parameters
        ----------
        path : str
            Follows the address, such as "/chat/completions".
        body : dict
            Sent as JSON, together with what the settings want in every request.
        longest : int
            The most tokens that the server may write, over all answers to the request.
        parse : callable
            Takes the decoded JSON. ValueError, KeyError, IndexError and TypeError mean that the
            answer is not of the expected form.
        tries : int, optional
            How often at most; as the settings say where none is given. A server that has never
            answered is tried `FIRST_TRIES` times, unless it says that it is busy.

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

        most = tries or self.settings.retries + 1

        def enough(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            limit = most
            if isinstance(error, TryAgainError) and not self._answered and not error.busy:
                limit = 1 if error.waited else min(most, FIRST_TRIES)
            return state.attempt_number >= limit

        doubling = tenacity.wait_exponential_jitter(
            initial=self._first_wait, max=LONGEST_WAIT, jitter=self._first_wait
        )

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            after = error.after if isinstance(error, TryAgainError) else None
            return after if after is not None else doubling(state)

        trying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryAgainError),
            stop=enough,
            wait=wait,
            sleep=tenacity.sleep_using_event(self._stopped),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            found: Parsed = trying(self._once, path, body, longest, parse)
            return found
        except TryAgainError as error:
            raise self._given_up(error, trying.statistics["attempt_number"]) from error

    def _once(
        self, path: str, body: dict[str, Any], longest: int, parse: Callable[[Any], Parsed]
    ) -> Parsed:
        import httpx

        if self._stopped.is_set():
            raise EndpointError("stopped")
        most = self.ledger.most(body, longest)
        self.ledger.reserve(most)
        # A request that the server may have worked on counts as the most it can have used until
        # the server's own count is known.
        counted = EndpointUsage(requests=1)
        try:
            content = json.dumps(self.settings.extra | body)
            response = self._http.post(self.settings.endpoint + path, content=content)
            check_status(response, self.settings, self._clean, self._answered)
            counted = most
            answer = response.json()
            if isinstance(answer, dict) and answer.get("error") and "choices" not in answer:
                counted = EndpointUsage(requests=1)  # some gateways say 200 to everything
                said = self._clean(message_of(response))
                raise TryAgainError(f"answered with an error ({said})")
            counted = self.ledger.counted(answer, most)
            found = parse(answer)
            name = answer.get("model")
            if isinstance(name, str) and len(self.models) < MOST_NAMES:
                self.models.add(name)
            self._answered = True
            return found
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
                reason = f"could not be reached within {CONNECT_WAIT:g} seconds"
                raise TryAgainError(reason) from error
            counted = most
            reason = f"gave no answer within {self.settings.timeout:g} seconds"
            raise TryAgainError(reason, waited=True) from error
        except httpx.TransportError as error:
            reached = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
            if reached:
                counted = most
            reason = "broke the connection off" if reached else "could not be reached"
            raise TryAgainError(f"{reason} ({self._clean(str(error))})") from error
        except MalformedAnswerError as error:
            raise TryAgainError(str(error)) from error
        except httpx.DecodingError as error:  # not compressed as its header says
            counted = most
            raise TryAgainError(NOT_OF_THE_FORM) from error
        except (
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise TryAgainError(NOT_OF_THE_FORM) from error
        finally:
            self.ledger.settle(most, counted)

    def _tell(self, state: Any) -> None:
        """Say what is waited for: nobody should sit in front of a silent terminal."""
        seconds, now = state.next_action.sleep, time.monotonic()
        if seconds >= TOLD_WAIT and now - self._told >= TOLD_EVERY:
            self._told = now
            log.warning(
                "%s %s; trying again in %.0f seconds.",
                self.settings.endpoint,
                state.outcome.exception(),
                seconds,
            )

    def _given_up(self, error: TryAgainError, tries: int) -> SuffrageError:
        times = f", {tries} times" if tries > 1 else ""
        said = f"{self.settings.endpoint} {error}{times}"
        if self._answered or error.busy:
            return EndpointError(
                f"{said}. Everything answered is kept: run the same command again to go on."
            )
        remedy = (
            "a model that is slow to load needs a longer model.timeout"
            if error.waited
            else "check the address, which mostly ends in /v1, and that the server is running"
        )
        return InputError(f"model.endpoint: {said}; {remedy}.")

    def _clean(self, text: str) -> str:
        """Fit for a message: one line, not long, without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:200]
