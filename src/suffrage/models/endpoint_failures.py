"""What can go wrong with a request to an endpoint, and what each failure means."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from suffrage.errors import InputError, SuffrageError
from suffrage.models.endpoint_settings import EndpointSettings

# Seconds. A server that asks for more is not waited for.
LONGEST_WAIT = 60.0

_FILTERED = ("content_filter", "content_policy", "flagged_input", "moderation")
_NOTHING_LEFT = ("insufficient_quota", "exceeded your current quota", "insufficient_balance")
# Statuses that mean "not now": a later try may succeed.
_BUSY = (408, 425, 429, 503, 529)
# Where servers name the setting that they refuse: OpenAI's "param", Pydantic's "loc".
_PARAMETER = re.compile(
    r'\\*"param\\*"\s*:\s*\\*"([\w.]+)|\\*"loc\\*"\s*:\s*\[\s*\\*"body\\*"\s*,\s*\\*"(\w+)'
)


class EndpointError(SuffrageError):
    """The server failed, or refused; what was answered before is kept."""


class BudgetReachedError(EndpointError):
    """The next request could pass what the study may spend."""


class FilteredError(EndpointError):
    """The server's filter kept a question from the model."""


class RejectedError(EndpointError):
    """The server said no to a request and would again: how its abilities are found out.

    Parameters
    ----------
    message : str
        The sentence for the user.
    said : str
        What the server said itself.
    parameters : set of str
        The settings that the server named as what it refuses; empty where it named none.
    """

    def __init__(
        self, message: str, said: str = "", parameters: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(message)
        self.said = said
        self.parameters = parameters

    def names(self, parameter: str) -> bool:
        """Whether the server blames this setting of the request."""
        if self.parameters:
            return parameter in self.parameters
        return re.search(rf"(?<!\w){parameter}(?!\w)", self.said) is not None


class MalformedAnswerError(ValueError):
    """An answer that lacks something. Its text continues a sentence that names the server."""


class TryAgainError(Exception):
    """A failure that may pass.

    Parameters
    ----------
    reason : str
        Continues a sentence that begins with the server's address.
    after : float, optional
        Seconds that the server asks to wait.
    busy : bool
        The server is there and says "not now".
    waited : bool
        The whole time that the study allows for an answer has passed.
    """

    def __init__(
        self, reason: str, after: float | None = None, busy: bool = False, waited: bool = False
    ) -> None:
        super().__init__(reason)
        self.after, self.busy, self.waited = after, busy, waited


def check_status(
    response: Any, settings: EndpointSettings, clean: Callable[[str], str], answered: bool
) -> None:
    """Raise what the status of a response means.

    Parameters
    ----------
    response : httpx.Response
    settings : EndpointSettings
    clean : callable
        Makes what a server says fit for a message.
    answered : bool
        Whether the server has answered a request with this key, model and address already. A
        refusal is then about what the request asks for.

    Raises
    ------
    InputError
        The address, the key or the model's name is wrong.
    FilteredError, RejectedError
        The server refused this request.
    EndpointError
        The account has nothing left, or the server asks to wait for longer than `LONGEST_WAIT`.
    TryAgainError
        The server is busy or failed.
    """
    status, place = response.status_code, settings.endpoint
    if status < 300:
        return
    if status < 400:
        raise InputError(
            f"model.endpoint: {place} sends requests on to another address "
            f"({clean(response.headers.get('location', ''))}); give that one."
        )
    text = response.text
    said = clean(message_of(response))
    if any(mark in text for mark in _FILTERED):
        raise FilteredError(f"{place} kept a question from the model by its filter: {said}")
    if status == 402 or any(mark in text for mark in _NOTHING_LEFT):
        raise EndpointError(
            f"{place}: the account has nothing left to spend ({said}). Everything answered "
            "is kept: run the same command again to go on."
        )
    if status == 401 or (status == 403 and not answered):
        which = f"the key in {settings.key}" if settings.key else "no key was given"
        raise InputError(
            f"model.key: {place} refused the request ({status}; {which}): {said}. Check the "
            "key and what it may use."
        )
    if status == 404 and not answered:
        raise InputError(
            f'model.endpoint: {place} knows no {response.url.path} or no model "'
            f'{settings.name}" ({said}); check the address, which mostly ends in /v1, '
            "and name."
        )
    if status in (409, *_BUSY) or (status >= 500 and status != 501):
        after = _seconds(response.headers)
        if after is not None and after > LONGEST_WAIT:
            raise EndpointError(
                f"{place} answered {status} and asks to wait {after:.0f} seconds ({said}). "
                "Everything answered is kept: run the same command again then to go on."
            )
        raise TryAgainError(f"answered {status} ({said})", after, busy=status in _BUSY)
    raise RejectedError(
        f"{place} refused a request ({status}): {said}", said, refused_parameters(text)
    )


def refused_parameters(text: str) -> frozenset[str]:
    """The settings that a server names as what it refuses, in the text of its answer.

    Examples
    --------
    >>> sorted(refused_parameters('{"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}'))
    ['seed']
    """
    return frozenset(one or other for one, other in _PARAMETER.findall(text))


def message_of(response: Any) -> str:
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
    """The wait a server asks for, in seconds or as a date; None where it does not say."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())
