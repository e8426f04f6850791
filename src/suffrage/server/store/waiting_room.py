"""Acts of many people done in one transaction, each answered after the commit.

Most requests are votes and questions for what comes next. They wait here for a few milliseconds for
others, and one thread does them all, with one transaction and one wait for the disk for a whole
batch. An act that is refused is refused alone. Where the database itself fails, the batch is undone
and each act is done again in a transaction of its own, so that none fails because of another. On
SQLite that transaction may be shared with acts of other threads (`commits.py`); an act that is
undone because one of those ended it is done again too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from suffrage.server.store.database import Store
from suffrage.server.store.driver import Driver, LaterError, Outcome, side_by_side
from suffrage.server.store.faults import UndoneError, fault_log, fault_of

# How long the first one waits for others, in seconds.
GATHERING = 0.004
# More acts in one transaction would make the first one wait too long.
MOST_ACTS = 128
# How often an act is done again that others undid.
MOST_TRIES = 3

Found = TypeVar("Found")
log = logging.getLogger("suffrage.consult")


@dataclass
class _Waiting:
    order: str
    act: Callable[[Driver], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    outcome: Outcome = field(default_factory=Outcome)

    def tell(self) -> None:
        """On the loop's own thread."""
        if self.answer.done():
            return  # whoever asked has gone
        if self.outcome.error is not None:
            self.answer.set_exception(self.outcome.error)
        else:
            self.answer.set_result(self.outcome.result)


class WaitingRoom:
    """The one thread of a process that does what is waited for."""

    def __init__(self, store: Store, refusals: tuple[type[Exception], ...]) -> None:
        self._store = store
        # Errors that refuse one act and leave the others.
        self._refusals = refusals
        self._queue: list[_Waiting] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        # Since it began: transactions, and acts in them.
        self.commits = self.acts = 0

    async def ask(self, order: str, act: Callable[[Driver], Found]) -> Found:
        """Return what the act returns, once it is committed, or raise the error that refused it.

        Parameters
        ----------
        order : str
            Whose act it is, such as their session. Acts of one session stay in the order they came,
            and every process takes sessions in the same order, so that two processes do not wait
            for each other's rows.
        act : callable
            It reads and writes with the driver it is given, raises a refusal only before it writes
            what others would see, and may be called a second time.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(order, act, loop, loop.create_future())
        with self._changed:
            if self._closed:
                raise RuntimeError("the store is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="votes", daemon=True)
                self._thread.start()
            self._queue.append(waiting)
            if len(self._queue) == 1:
                self._changed.notify()
        found: Found = await waiting.answer
        return found

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(30)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._closed:
                        return
                    self._changed.wait()
            time.sleep(GATHERING)
            with self._changed:
                batch, self._queue = self._queue[:MOST_ACTS], self._queue[MOST_ACTS:]
            self._do(batch)
            self._tell(batch)

    def _do(self, batch: list[_Waiting], tries: int = MOST_TRIES) -> None:
        batch = sorted(batch, key=lambda one: one.order)
        try:
            with self._store.write() as c:
                if self._store.on_sqlite or len(batch) == 1:
                    driver = Driver(c)
                    outcomes = [self._attempt(driver, one.act) for one in batch]
                else:
                    outcomes = side_by_side(c, [one.act for one in batch], self._refusals)
        except Exception as error:
            if len(batch) == 1:
                if isinstance(error, UndoneError) and tries > 1:
                    self._do(batch, tries - 1)
                else:
                    batch[0].outcome = Outcome(error=error)
                return
            fault = fault_of(error)
            if fault is not None:
                fault_log.tell(fault)
            else:
                kind = type(error).__name__
                log.warning("%d acts together failed (%s); each alone", len(batch), kind)
            for one in batch:
                self._do([one])
            return
        self.commits, self.acts = self.commits + 1, self.acts + len(batch)
        for one, outcome in zip(batch, outcomes, strict=True):
            one.outcome = outcome
        # An act of somebody who had another one in this batch; it has done nothing yet.
        for one in batch:
            if isinstance(one.outcome.error, LaterError):
                self._do([one])

    def _attempt(self, driver: Driver, act: Callable[[Driver], Any]) -> Outcome:
        try:
            return Outcome(act(driver))
        except self._refusals as error:
            return Outcome(error=error)

    def _tell(self, batch: list[_Waiting]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        for one in batch:
            by_loop.setdefault(one.loop, []).append(one)
        for loop, told in by_loop.items():
            try:
                loop.call_soon_threadsafe(_tell_all, told)
            except RuntimeError:
                continue  # that loop has ended, and with it whoever asked


def _tell_all(told: list[_Waiting]) -> None:
    for one in told:
        one.tell()
