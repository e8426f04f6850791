"""Token buckets: how much each caller may still do, in this process or shared by all.

A bucket contains `size` tokens, and all of them come back within `seconds`. It is kept as one
number, the time at which it will be full again: that is the generic cell rate algorithm.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Protocol

from sqlalchemy import delete, text

from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import rate_bucket

# The least used are forgotten first.
MOST_BUCKETS = 200_000
# A process takes a twentieth of a shared bucket at once, and spends it by itself: most votes then
# ask the database nothing about limits.
PARTS = 20

_NOW = "extract(epoch FROM statement_timestamp())"
# How many of the tokens wanted are there.
_THERE = (
    f"greatest(0, least(:wanted, floor((:seconds - greatest(0, b.full_at - {_NOW})) / :each"
    " + 0.000001)))"
)
_TAKE = text(
    f"""
    INSERT INTO rate_bucket AS b (key, full_at, taken)
    VALUES (:key, {_NOW} + :wanted * :each, :wanted)
    ON CONFLICT (key) DO UPDATE
    SET taken = {_THERE}, full_at = greatest(b.full_at, {_NOW}) + :each * {_THERE}
    RETURNING taken, full_at - {_NOW}
    """
)
_TIDY = delete(rate_bucket).where(rate_bucket.c.full_at < text(_NOW))


class Buckets(Protocol):
    """Where tokens are counted; for many threads."""

    def take(self, key: str, size: int, seconds: float) -> float:
        """Take one token.

        Parameters
        ----------
        key : str
            Whose bucket it is, and for what.
        size : int
            How many tokens a full bucket has.
        seconds : float
            Within how many seconds an empty bucket is full again.

        Returns
        -------
        float
            0 if a token was taken, and otherwise the seconds until there is one.
        """

    def give_back(self, key: str, size: int, seconds: float) -> None:
        """Put a token back that was just taken, for an act that was refused for another reason."""


class MemoryBuckets:
    """The buckets of one process, which are full again when it starts again."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, size: int, seconds: float) -> float:
        """See `Buckets.take`."""
        each, at = seconds / size, time.monotonic()
        with self._lock:
            full_at = max(self._full_at.pop(key, at), at)
            # A token is there unless the bucket would take longer than `seconds` to be full again.
            late = full_at + each - at - seconds
            enough = late <= 1e-6 * each
            self._full_at[key] = full_at + each if enough else full_at
            if len(self._full_at) > MOST_BUCKETS:
                self._full_at.popitem(last=False)
        return 0.0 if enough else late

    def give_back(self, key: str, size: int, seconds: float) -> None:
        """See `Buckets.give_back`."""
        with self._lock:
            if key in self._full_at:
                self._full_at[key] -= seconds / size


class SharedBuckets:
    """Buckets that all processes of a store on PostgreSQL share, in its table `rate_bucket`.

    The table does not say who the callers are: its keys are hashes that need the store's secret.
    All processes together never get more than a full bucket and what comes back. One of them may
    be refused a little early, because others have taken tokens that they have not spent yet.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # What this process has taken and not spent: how many, and until when they are good.
        self._stock: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, size: int, seconds: float) -> float:
        """See `Buckets.take`."""
        if self._from_stock(key):
            return 0.0
        each = seconds / size
        taken, until_full = self._ask(key, max(1, size // PARTS), each, seconds)
        if taken == 0:
            return max(until_full + each - seconds, 0.0) or each
        with self._lock:
            left, _ = self._stock.pop(key, (0, 0.0))
            self._stock[key] = left + taken - 1, time.monotonic() + seconds
            if len(self._stock) > MOST_BUCKETS:
                self._stock.popitem(last=False)
        return 0.0

    def give_back(self, key: str, size: int, seconds: float) -> None:
        """See `Buckets.give_back`."""
        with self._lock:
            left, good_until = self._stock.pop(key, (0, time.monotonic() + seconds))
            self._stock[key] = left + 1, good_until

    def _from_stock(self, key: str) -> bool:
        with self._lock:
            left, good_until = self._stock.pop(key, (0, 0.0))
            if left == 0 or time.monotonic() >= good_until:
                return False
            if left > 1:
                self._stock[key] = left - 1, good_until
            return True

    def _ask(self, key: str, wanted: int, each: float, seconds: float) -> tuple[int, float]:
        """Return how many tokens were taken, and in how many seconds the bucket is full again."""
        values = {
            "key": self._store.secrets.hash("rate limit", key),
            "wanted": wanted,
            "each": each,
            "seconds": seconds,
        }
        engine = self._store.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as c:
            row = c.execute(_TAKE, values).one()
        return int(row[0]), float(row[1])


def buckets_of(store: Store) -> Buckets:
    """Return the buckets that the processes of a store count in."""
    return MemoryBuckets() if store.on_sqlite else SharedBuckets(store)


def remove_full_buckets(store: Store) -> None:
    """Forget the callers whose buckets are full again."""
    if not store.on_sqlite:
        with store.write() as c:
            c.execute(_TIDY)
