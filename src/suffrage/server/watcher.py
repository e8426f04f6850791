"""Groups are found anew apart from requests: in a process of its own, which writes snapshots.

Votes never wait for it and never depend on it. While it works or if it stops, pages show the last
snapshot, when it was made and how many votes came since.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from suffrage import __version__
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.errors import InputError, SuffrageError
from suffrage.server.organisers_results import RESAMPLES, snapshot_of
from suffrage.server.store import organisers_results_table as analyses
from suffrage.server.store.consultations import About, all_consultations
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import Store, open_store
from suffrage.server.store.database_schema import audit, vote_event
from suffrage.server.store.organisers_results_table import Snapshot

# From one computation to the next, at least; and so many times as long as the last one took, so
# that it never holds more than a part of a core.
LEAST_SECONDS = 2.0
REST = 4.0
# After a failure, so that a fault does not fill the log.
AFTER_FAILURE = 30.0
LOOK_EVERY = 0.5


@dataclass(frozen=True)
class State:
    """How far a consultation's votes and its staff's acts have come: what a snapshot must know.

    event: the newest vote event. acts: the last entry of the audit log but for what was only looked
    at; moderation and exclusion move it.
    """

    event: int
    acts: int


def state_of(store: Store, consultation_id: str) -> State:
    """The state now."""
    with store.read() as c:
        event = c.scalar(
            select(func.max(vote_event.c.id)).where(vote_event.c.consultation_id == consultation_id)
        )
        acts = c.scalar(
            select(func.max(audit.c.number)).where(
                audit.c.chain == consultation_id, audit.c.action.not_like("%.view")
            )
        )
    return State(int(event or 0), int(acts or 0))


def votes_behind(store: Store, consultation_id: str, snapshot: Snapshot | None) -> int:
    """Votes given, or changed, since the snapshot."""
    after = 0 if snapshot is None else snapshot.event_id
    with store.read() as c:
        query = select(func.count()).where(
            vote_event.c.consultation_id == consultation_id, vote_event.c.id > after
        )
        return int(c.scalar(query) or 0)


def is_due(store: Store, consultation_id: str) -> bool:
    """Whether something came after the last snapshot."""
    last = analyses.known(store, consultation_id)
    if last is None:
        return True
    state = state_of(store, consultation_id)
    return state.event > last[0] or state.acts > last[1]


def recompute(
    store: Store,
    slug: str,
    consultation_id: str,
    settings: GroupSettings | None = None,
    resamples: int = RESAMPLES,
) -> Snapshot:
    """Find the groups in what is there now, and save the snapshot."""
    began = time.perf_counter()
    # Read before the votes: a vote that comes between is counted as behind, never as known.
    state = state_of(store, consultation_id)
    result = snapshot_of(to_consultation(store, slug), settings, resamples)
    how: dict[str, Any] = {**vars(settings or GroupSettings()), "resamples": resamples}
    how["seconds"] = round(time.perf_counter() - began, 3)
    return analyses.save(
        store,
        consultation_id,
        state.event,
        state.acts,
        result["participants"],
        result["votes"],
        how,
        __version__,
        result,
    )


def watch(
    store: Store,
    going: Callable[[], bool],
    beside: Callable[[Store, About], object] = lambda *_: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Recompute whatever is due, until told not to go on.

    The groups of a consultation are found anew at most every `LEAST_SECONDS`, and not before
    `REST` times as long as it took has passed. Archived ones are left as they are. beside: done at
    every look, as what participants see, which moves in steps of its own. What fails is
    written to stderr with the place it failed in, tried again after a while, and stops nothing else.
    """
    not_before: dict[tuple[str, str], float] = {}

    def attempt(what: str, about: About, act: Callable[[], object]) -> None:
        """Do it if it is time, and say when it may be done again."""
        key = (what, about.id)
        if clock() < not_before.get(key, 0):
            return
        began = clock()
        try:
            done = act()
        except Exception as error:
            # Whatever it was, the next votes may mend it, and other consultations go on.
            _report(f"{what} of {about.slug}", error)
            not_before[key] = clock() + AFTER_FAILURE
            return
        took = clock() - began
        not_before[key] = clock() + max(LEAST_SECONDS if done else 0.0, REST * took)

    while going():
        try:
            everything = all_consultations(store)
        except Exception as error:
            _report("the list of consultations", error)
            sleep(AFTER_FAILURE)
            continue
        for about in everything:
            attempt("results", about, lambda about=about: beside(store, about))  # type: ignore[misc]
            attempt("groups", about, lambda about=about: _if_due(store, about))  # type: ignore[misc]
        sleep(LOOK_EVERY)


def _if_due(store: Store, about: About) -> bool:
    """Find the groups anew if something came; whether it was done."""
    if about.phase == "archived" and analyses.known(store, about.id) is not None:
        return False
    if not is_due(store, about.id):
        return False
    recompute(store, about.slug, about.id)
    return True


def _report(what: str, error: Exception) -> None:
    """One line for what a user can mend; with the place in the code for anything else."""
    print(f"{what}: {type(error).__name__}: {error}", file=sys.stderr)
    if not isinstance(error, SuffrageError):
        traceback.print_exception(error, file=sys.stderr)


def watch_for_parent(where: str) -> None:
    """Watch a store as long as the process that started this one lives."""
    from suffrage.server.participants_results import refresh

    parent = os.getppid()
    if hasattr(os, "nice"):
        os.nice(10)  # requests come first
    store = open_store(where)
    try:
        watch(store, lambda: os.getppid() == parent, _steps(refresh))
    finally:
        store.close()


def _steps(refresh: Callable[[Store, About], object]) -> Callable[[Store, About], object]:
    """What participants see, in phases that have participants."""

    def step(store: Store, about: About) -> None:
        if about.phase in ("open", "closed"):
            try:
                refresh(store, about)
            except InputError as error:
                # Too few or too alike to find groups among: no fault, and no reason to wait.
                print(f"results of {about.slug}: {error}", file=sys.stderr)

    return step


def start_watching(where: str) -> subprocess.Popen[bytes]:
    """Start the process that watches a store; it ends with this one."""
    code = "import sys; from suffrage.server.watcher import watch_for_parent as w; w(sys.argv[1])"
    return subprocess.Popen(
        [sys.executable, "-c", code, where], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
