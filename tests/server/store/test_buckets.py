"""Rate limits are the same whoever counts: one process in memory, or several in PostgreSQL."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import sqlalchemy as sa

from suffrage.server.store import buckets, database
from suffrage.server.store.buckets import (
    MemoryBuckets,
    SharedBuckets,
    buckets_of,
    remove_full_buckets,
)
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import rate_bucket


@pytest.fixture
def shared(address: str) -> Iterator[Store]:
    """A store on PostgreSQL."""
    if "://" not in address:
        pytest.skip("SQLite's processes share no buckets")
    opened = database.open_store(address, create=True)
    yield opened
    opened.close()


def test_a_bucket_gives_what_a_plain_count_of_tokens_would(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(buckets.time, "monotonic", lambda: clock[0])
    generator = np.random.default_rng(0)
    found, tokens, size, seconds = MemoryBuckets(), 7.0, 7, 30.0
    refused = 0
    for pause in generator.exponential(2.0, 2000):
        clock[0] += pause
        tokens = min(size, tokens + pause * size / seconds)
        wait = found.take("me", size, seconds)
        if tokens >= 1 - 1e-9:
            assert wait == 0
            tokens -= 1
        else:
            refused += 1
            assert wait == pytest.approx((1 - tokens) * seconds / size)
    assert refused > 100


def test_processes_of_one_store_share_what_a_caller_may_do(shared: Store) -> None:
    processes = [SharedBuckets(shared) for _ in range(4)]
    given = [0, 0, 0, 0]

    def ask(at: int) -> None:
        for _ in range(100):
            given[at] += processes[at].take("network 192.0.2.0/24", 120, 36_000.0) == 0

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(given) == 120
    assert 0 < processes[0].take("network 192.0.2.0/24", 120, 36_000.0) <= 300
    assert processes[0].take("network 198.51.100.0/24", 120, 36_000.0) == 0


def test_few_tokens_are_counted_one_by_one_and_come_back(shared: Store) -> None:
    first, second = SharedBuckets(shared), SharedBuckets(shared)
    waits = [one.take("login a@example.org", 3, 0.9) for one in (first, second, first)]
    assert waits == [0, 0, 0]
    wait = second.take("login a@example.org", 3, 0.9)
    assert 0 < wait <= 0.3
    threading.Event().wait(wait)
    assert second.take("login a@example.org", 3, 0.9) == 0


def test_shared_buckets_name_nobody_and_are_removed_when_full(shared: Store) -> None:
    found = buckets_of(shared)
    found.take("vote network 192.0.2.0/24", 5, 0.05)
    found.take("vote network 198.51.100.0/24", 5, 3600)
    threading.Event().wait(0.1)
    remove_full_buckets(shared)
    with shared.read() as c:
        keys = c.scalars(sa.select(rate_bucket.c.key)).all()
    assert len(keys) == 1 and "198" not in keys[0] and len(keys[0]) >= 32


def test_a_store_on_sqlite_counts_in_memory(store: Store) -> None:
    assert isinstance(buckets_of(store), MemoryBuckets) == store.on_sqlite
