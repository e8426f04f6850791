"""Rate limits: a token bucket for each kind of act and caller, and one for each network."""

from __future__ import annotations

import ipaddress
import logging
import math
from collections.abc import Mapping
from functools import lru_cache

from suffrage.server.store.buckets import Buckets
from suffrage.server.web.server_settings import Allowance

# So many people from one address, and from no other, are more than a household.
ONE_ADDRESS_JOINS = 20


class TooManyError(Exception):
    """The caller has used up an allowance."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests; again in {seconds} s")
        # Until there is one more.
        self.seconds = seconds


class Limits:
    """What each caller, and each network, may do of every kind of act."""

    def __init__(
        self, allowances: Mapping[str, tuple[Allowance, Allowance]] | None, buckets: Buckets
    ) -> None:
        self._allowances = allowances
        self._buckets = buckets

    def spend(self, act: str, network: str, caller: str | None = None) -> None:
        """Take one from the caller's bucket and one from their network's. Raises TooManyError.

        Where one of them is empty nothing is taken from the other: an act that is refused must not
        use up what others behind the same address, or the same person elsewhere, still have.
        """
        if self._allowances is None:
            return
        mine, everyones = self._allowances[act]
        key = f"{act} caller {caller}"
        if caller is not None:
            self._take(mine, key)
        try:
            self._take(everyones, f"{act} network {network}")
        except TooManyError:
            if caller is not None:
                self._buckets.give_back(key, mine.each, mine.seconds)
            raise

    def _take(self, allowance: Allowance, key: str) -> None:
        wait = self._buckets.take(key, allowance.each, allowance.seconds)
        if wait > 0:
            raise TooManyError(math.ceil(wait))


@lru_cache(maxsize=4096)
def network(address: str | None) -> str:
    """The /24 of an IPv4 address, the /56 of an IPv6 one: what one household or office has."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 56}", strict=False))


class OneAddressWatch:
    """Warns once where all callers seem to have one address, as behind a proxy that is not named.

    Then the limits of a network would hold for all people together.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._address: str | None = None
        self._joins = 0

    def joined(self, address: str | None) -> None:
        """Count somebody who takes part, from an address."""
        if self._joins < 0:
            return
        if self._joins and address != self._address:
            self._joins = -1
            return
        self._address, self._joins = address, self._joins + 1
        if self._joins == ONE_ADDRESS_JOINS:
            self._joins = -1
            self._log.warning(
                "the first %d people all came from the address %s. If a proxy is in front of the "
                "server, name it with --proxy; otherwise all people share one rate limit. If they "
                "are in one building, raise the limits with --limits.",
                ONE_ADDRESS_JOINS,
                address,
            )
