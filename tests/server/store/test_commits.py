"""Acts committed together: all that were answered are there, those that failed are not."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from suffrage.server.store.commits import MOST_ACTS
from suffrage.server.store.database import Store
from suffrage.server.store.faults import UndoneError, fault_of
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


Act = Callable[[Connection], object]


def fills_the_disk(c: Connection) -> None:
    pages = c.exec_driver_sql("PRAGMA page_count").scalar()
    c.exec_driver_sql(f"PRAGMA max_page_count={pages + 8}")
    c.execute(text("CREATE TABLE large (x BLOB)"))
    for _ in range(1000):
        c.execute(text("INSERT INTO large VALUES (randomblob(3000))"))


def meets(code: int) -> Act:
    """An act in which SQLite ends the transaction by itself, as it may at these errors."""

    def act(c: Connection) -> None:
        c.execute(text("INSERT INTO number VALUES (1000)"))
        raw = c.connection.dbapi_connection
        assert raw is not None
        raw.rollback()
        error = sqlite3.OperationalError("an error of the disk or the memory")
        error.sqlite_errorcode = code
        raise error

    return act


def hides(code: int) -> Act:
    """The same by an act that goes on as if nothing had happened."""

    def act(c: Connection) -> None:
        try:
            meets(code)(c)
        except sqlite3.OperationalError:
            return

    return act


def share_one(store: Store, worst: Act) -> tuple[set[int], list[BaseException]]:
    """Put 0 to 4 in one transaction with the worst act: who was told that all went well."""
    commits = store._commits
    told: set[int] = set()
    errors: list[BaseException] = []

    def first(c: Connection) -> None:
        began = time.monotonic()
        while commits._waiting < 5 and time.monotonic() - began < 20:
            time.sleep(0.001)
        c.execute(text("INSERT INTO number VALUES (0)"))

    def one(n: int, act: Act) -> None:
        try:
            with store.write() as c:
                act(c)
        except Exception as error:
            errors.append(error)
        else:
            told.add(n)

    def putting(n: int) -> Act:
        return lambda c: c.execute(text("INSERT INTO number VALUES (:n)"), {"n": n})

    acts = [first, *map(putting, range(1, 5)), worst]
    threads = [threading.Thread(target=one, args=each) for each in enumerate(acts)]
    threads[0].start()
    while commits._batch is None:
        time.sleep(0.001)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(30)
    return told, errors


@pytest.mark.parametrize(
    "worst",
    [
        fills_the_disk,
        meets(sqlite3.SQLITE_IOERR_WRITE),
        meets(sqlite3.SQLITE_NOMEM),
        meets(sqlite3.SQLITE_INTERRUPT),
        hides(sqlite3.SQLITE_FULL),
    ],
    ids=["full", "io", "memory", "interrupted", "hidden"],
)
def test_where_sqlite_ends_the_transaction_nobody_in_it_is_told_that_it_went_well(
    numbers: Store, worst: Act
) -> None:
    told, errors = share_one(numbers, worst)
    assert told == there(numbers)
    assert 0 not in told and 5 not in told  # the first one always shared it with the worst act
    assert any(isinstance(error, UndoneError) for error in errors)
    assert len([error for error in errors if fault_of(error) not in (None, "undone")]) <= 1
    put(numbers, 7)  # the next ones go on
    assert 7 in there(numbers)


def test_a_commit_without_a_transaction_is_an_error(numbers: Store) -> None:
    with pytest.raises(UndoneError), numbers.engine.connect() as c, c.begin():
        c.execute(text("INSERT INTO number VALUES (1)"))
        raw = c.connection.dbapi_connection
        assert raw is not None
        raw.rollback()
    assert there(numbers) == set()
