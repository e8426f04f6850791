"""Work that takes minutes: a page starts it, and every page can see how far it is.

The last work of each kind has a row. A process that works says every few seconds that it is alive,
so that work whose process was killed is known to have stopped. Outcomes that count somebody are
deleted when they withdraw (`result_steps.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Literal

from sqlalchemy import select, update

from suffrage.errors import InputError
from suffrage.server.store.database import Store, now, upsert
from suffrage.server.store.database_schema import background_work
from suffrage.server.store.faults import trace_of
from suffrage.server.store.result_steps import somebody_withdrew
from suffrage.server.store.stored_results import acts_so_far

WorkKind = Literal["groups", "principles"]
# Seconds between two signs of life, and without one after which work counts as stopped.
SIGN_EVERY = 5.0
SILENCE = 60.0
# How often work is done again because somebody withdrew meanwhile. People may do so during each
# try, and then the work would never end.
MOST_TRIES = 3
STOPPED = InputError("the work stopped before it was finished. Start it again.")
log = logging.getLogger("suffrage.consult")


@dataclass(frozen=True)
class BackgroundWork:
    """The last work of a kind. Times are milliseconds since 1970."""

    started: int
    alive: int
    ended: int | None
    outcome: Any
    problem: Mapping[str, Any] | None

    @property
    def is_running(self) -> bool:
        """Whether a process works on it."""
        return self.ended is None and now() - self.alive < 1000 * SILENCE

    @property
    def error(self) -> InputError | None:
        """Why there is no outcome, as it can be said in every language."""
        if self.problem is not None:
            text, values = self.problem["message"], self.problem["values"]
            return InputError(text, **values)
        return STOPPED if self.ended is None and not self.is_running else None


def find_work(store: Store, consultation_id: str, kind: WorkKind) -> BackgroundWork | None:
    """Return the last work of a kind."""
    columns = [background_work.c[name] for name in BackgroundWork.__dataclass_fields__]
    with store.read() as c:
        row = c.execute(select(*columns).where(*_of(consultation_id, kind))).one_or_none()
    return None if row is None else BackgroundWork(*row)


def start_work(
    store: Store, consultation_id: str, kind: WorkKind, work: Callable[[], Any]
) -> Thread | None:
    """Start work in a thread of its own.

    Parameters
    ----------
    work : callable
        Returns the outcome, of plain values. An InputError is kept as the problem.

    Returns
    -------
    Thread or None
        None where work of this kind is going on, also in another process.
    """
    with store.write() as c:
        at = now()
        of = {"consultation_id": consultation_id, "kind": kind}
        fresh = {"started": at, "alive": at, "ended": None, "outcome": None, "problem": None}
        row = upsert(c, background_work).values(**of, **fresh)
        over = background_work.c.ended.is_not(None) | (
            background_work.c.alive <= at - 1000 * SILENCE
        )
        got = c.execute(
            row.on_conflict_do_update(
                index_elements=["consultation_id", "kind"], set_=fresh, where=over
            ).returning(background_work.c.started)
        )
        if got.first() is None:
            return None
    done = Event()
    thread = Thread(target=_work, args=(store, consultation_id, kind, work, done), daemon=True)
    thread.start()
    Thread(target=_give_signs, args=(store, consultation_id, kind, done), daemon=True).start()
    return thread


def _work(
    store: Store, consultation_id: str, kind: WorkKind, work: Callable[[], Any], done: Event
) -> None:
    try:
        for left in reversed(range(MOST_TRIES)):
            before = acts_so_far(store, consultation_id).acts
            end = {**_done(work), "ended": now()}
            with store.write() as c:
                # As with results: what counts somebody who withdrew meanwhile is never kept.
                if end["outcome"] is not None and somebody_withdrew(c, consultation_id, before):
                    if left:
                        continue
                    end |= _stopped()
                of = _of(consultation_id, kind)
                c.execute(update(background_work).where(*of).values(**end))
                return
    except Exception as error:
        # It counts as stopped once there are no more signs of life.
        log.error("%s could not be kept: %s", kind, trace_of(error))
    finally:
        done.set()


def _done(work: Callable[[], Any]) -> dict[str, Any]:
    """Return the outcome, or why there is none."""
    try:
        return {"outcome": work(), "problem": None}
    except InputError as error:
        values = {name: str(value) for name, value in error.values.items()}
        return {"outcome": None, "problem": {"message": error.message, "values": values}}
    except Exception as error:
        log.error("work in the background failed\n%s", trace_of(error))
        return _stopped()


def _stopped() -> dict[str, Any]:
    return {"outcome": None, "problem": {"message": STOPPED.message, "values": {}}}


def _give_signs(store: Store, consultation_id: str, kind: WorkKind, done: Event) -> None:
    while not done.wait(SIGN_EVERY):
        # A sign that is missed is made up for by the next.
        with suppress(Exception), store.write() as c:
            c.execute(
                update(background_work)
                .where(*_of(consultation_id, kind), background_work.c.ended.is_(None))
                .values(alive=now())
            )


def _of(consultation_id: str, kind: WorkKind) -> tuple[Any, ...]:
    return (
        background_work.c.consultation_id == consultation_id,
        background_work.c.kind == kind,
    )
