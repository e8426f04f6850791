"""Rate limits: a token bucket an act and caller, in this process's memory and nowhere else."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache

from suffrage.server.web.server_settings import Allowance

MOST_BUCKETS = 200_000


class TooManyError(Exception):
    """The caller has used up an allowance."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests; again in {seconds} s")
        # Until there is one more.
        self.seconds = seconds


class Limits:
    """Buckets of every act and caller; the least used are forgotten first."""

    def __init__(self, allowances: Mapping[str, tuple[Allowance, Allowance]] | None) -> None:
        self._allowances = allowances
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def spend(self, act: str, network: str, caller: str | None = None) -> None:
        """Take one from the caller's bucket and one from their network's. Raises TooManyError."""
        if self._allowances is None:
            return
        mine, everyones = self._allowances[act]
        at = time.monotonic()
        with self._lock:
            if caller is not None:
                self._take(mine, (act, f"caller {caller}"), at)
            self._take(everyones, (act, f"network {network}"), at)

    def _take(self, allowance: Allowance, key: tuple[str, str], at: float) -> None:
        left, then = self._buckets.pop(key, (float(allowance.each), at))
        rate = allowance.each / allowance.seconds
        left = min(float(allowance.each), left + (at - then) * rate)
        enough = left >= 1
        self._buckets[key] = (left - 1 if enough else left, at)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not enough:
            raise TooManyError(math.ceil((1 - left) / rate))


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
