"""Acts committed together: all that were answered are there, those that failed are not."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, text

from suffrage.server.store.commits import MOST_ACTS
from suffrage.server.store.database import Store
from tests.server.empty_stores import empty_store


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[Store]:
    store = empty_store(tmp_path / "store")
    with store.write() as c:
        c.execute(text("CREATE TABLE number (n INTEGER PRIMARY KEY)"))
    yield store
    store.close()


def put(store: Store, n: int) -> None:
    with store.write() as c:
        c.execute(text("INSERT INTO number VALUES (:n)"), {"n": n})


def there(store: Store) -> set[int]:
    with store.read() as c:
        return set(c.scalars(text("SELECT n FROM number")))


@pytest.mark.slow
def test_acts_that_wait_together_share_a_commit_and_a_failing_one_takes_none_with_it(
    numbers: Store,
) -> None:
    commits = []

    def slowly(_: object) -> None:
        commits.append(1)
        time.sleep(0.002)  # as on a disk: a store in memory leaves nobody waiting

    event.listen(numbers.engine, "commit", slowly)
    answered, refused, lock = set(), set(), threading.Lock()

    def one(n: int) -> None:
        try:
            put(numbers, n % 300)  # the last hundred are there already
        except Exception:
            with lock:
                refused.add(n)
        else:
            assert n % 300 in there(numbers)  # nobody is answered before the commit
            with lock:
                answered.add(n)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(one, range(400)))
    assert len(answered) == 300 and len(refused) == 100
    assert there(numbers) == set(range(300))
    assert len(commits) < 400
    assert MOST_ACTS > 1


def test_an_act_that_fails_leaves_nothing_and_the_next_one_goes_on(numbers: Store) -> None:
    with pytest.raises(ZeroDivisionError), numbers.write() as c:
        c.execute(text("INSERT INTO number VALUES (1)"))
        raise ZeroDivisionError
    put(numbers, 2)
    assert there(numbers) == {2}


def test_when_a_commit_fails_nobody_is_told_that_it_went_well(
    numbers: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("sqlalchemy.engine.base.RootTransaction.commit", broken)
        with ThreadPoolExecutor(8) as pool:
            told = [pool.submit(put, numbers, n) for n in range(8)]
        assert all(isinstance(t.exception(), OSError) for t in told)
    put(numbers, 9)
    assert there(numbers) == {9}
