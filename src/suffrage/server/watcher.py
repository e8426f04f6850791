"""Finds the groups in a process of its own: `python -m suffrage.server.watcher`.

The store's address is in `SUFFRAGE_WATCHED_STORE`, because everybody on a machine can read the
arguments of its processes and the address may contain a password.

Votes never wait for it and never depend on it. While it works or if it stops, pages show the last
results, when they were computed and how many votes came since. Where several servers share a store,
each starts such a process, and one of these leads (`store/leadership.py`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from suffrage import __version__
from suffrage.consult.groups.group_names import remembered
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.errors import SuffrageError
from suffrage.server.consultation_results import (
    RESAMPLES,
    ConsultationResults,
    find_results,
    is_next_step,
    without_some,
)
from suffrage.server.organisers_results import organisers_results
from suffrage.server.participants_results import participants_results
from suffrage.server.predictions import compare_predictions
from suffrage.server.store.consultations import StoredConsultation, list_consultations
from suffrage.server.store.contents import to_consultation
from suffrage.server.store.database import Store, open_store
from suffrage.server.store.faults import SENTENCES, fault_of
from suffrage.server.store.known_groups import stored_groups
from suffrage.server.store.leadership import Leadership
from suffrage.server.store.result_steps import (
    StepSoFar,
    nothing_shown,
    somebody_was_left_out,
)
from suffrage.server.store.stored_results import (
    ResultsToSave,
    StoredResults,
    acts_known,
    acts_so_far,
    save_results,
    step_so_far,
)
from suffrage.terminal_text import visible

# The shortest time from one computation to the next, and how many times as long as the last one
# took the process rests, so that it never uses more than a part of a core.
LEAST_SECONDS = 2.0
REST = 4.0
# After a failure, so that a fault does not fill the log.
AFTER_FAILURE = 30.0
LOOK_EVERY = 0.5
# Seconds between two looks of those who would take over.
AFTER_LEADER = 2.0
WATCHED = "SUFFRAGE_WATCHED_STORE"


def is_due(store: Store, consultation: StoredConsultation) -> bool:
    """Whether something came after the last results. Archived ones are computed once."""
    known = acts_known(store, consultation.id)
    if known is None:
        return True
    if consultation.phase == "archived":
        return False
    now = acts_so_far(store, consultation.id)
    return now.event_id > known.event_id or now.acts > known.acts


def recompute(
    store: Store,
    consultation: StoredConsultation,
    settings: GroupSettings | None = None,
    resamples: int = RESAMPLES,
) -> StoredResults:
    """Find the groups in what is there now, and save what each audience sees of them.

    Returns
    -------
    StoredResults
        What organisers see.
    """
    while True:
        made = _compute(store, consultation, settings or GroupSettings(), resamples)
        # Nothing is stored when somebody withdrew while it was computed.
        if made is not None:
            store.forget_deleted()
            return made


def _compute(
    store: Store, consultation: StoredConsultation, settings: GroupSettings, resamples: int
) -> StoredResults | None:
    began = time.perf_counter()
    # Read before the votes: a vote that comes between is counted as behind, never as known.
    known = acts_so_far(store, consultation.id)
    with store.read() as c:
        groups = stored_groups(c, consultation.id)
    before = step_so_far(store, consultation.id)
    content = to_consultation(store, consultation.slug)
    found = find_results(content, settings, resamples, groups)
    with store.read() as c:
        moved = before.version is not None and somebody_was_left_out(
            c, consultation.id, before.acts
        )
    everybody = step = ResultsToSave(found.people, found.votes, organisers_results(found))
    renewed = consultation.phase in ("open", "closed")
    due = renewed and is_next_step(found.people, before.people, consultation.settings)
    if before.withdrawn or (moved and due):
        others = consultation.settings.batch - 1
        some, left_out = without_some(content, others, before.left_out, random.SystemRandom())
        fewer = find_results(some, settings, resamples, groups)
        step = _step_without_some(consultation, fewer, found.people, left_out)
        if not before.withdrawn and fewer.people < consultation.settings.least_people:
            step = everybody  # the step that they see now stays
    elif renewed and not moved:
        told = _for_participants(found, found.people)
        everybody = step = replace(everybody, participants=told)

    def is_step(so_far: StepSoFar) -> bool:
        if so_far.withdrawn:
            return True
        return step.participants is not None and (
            is_next_step(found.people, so_far.people, consultation.settings)
        )

    how = {**vars(settings), "resamples": resamples}
    return save_results(
        store,
        consultation.id,
        known,
        {**how, "seconds": round(time.perf_counter() - began, 3)},
        __version__,
        everybody,
        step,
        is_step,
        remembered(found.analysis.groups, groups) if found.analysis else (),
    )


def _step_without_some(
    consultation: StoredConsultation,
    fewer: ConsultationResults,
    people: int,
    left_out: tuple[str, ...],
) -> ResultsToSave:
    """Return what a step shows that leaves several people out. people: how many there are."""
    told = None
    if fewer.people >= consultation.settings.least_people:
        told = _for_participants(fewer, people, left_out)
    if told is None:
        # The step after the one that went away must still differ from it by several people.
        return ResultsToSave(fewer.people, fewer.votes, None, nothing_shown(people))
    return ResultsToSave(fewer.people, fewer.votes, organisers_results(fewer), told)


def _for_participants(
    found: ConsultationResults, counted_from: int, left_out: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """What participants see, with what the next step needs; None where there are no groups."""
    if found.analysis is None:
        return None
    told = participants_results(found.content, found.analysis)
    return {**told, "counted_from": counted_from, "left_out": list(left_out)}


def watch(
    store: Store,
    going: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    leads: Callable[[], bool] = lambda: True,
) -> None:
    """Recompute whatever is due, for as long as `going` says so and while this process leads.

    The groups of a consultation are found again at most every `LEAST_SECONDS`, and not before
    `REST` times as long as it took has passed. What fails is written to stderr with the place it
    failed in, tried again after a while, and stops nothing else.
    """
    not_before: dict[str, float] = {}
    while going():
        if not leads():
            sleep(AFTER_LEADER)
            continue
        try:
            everything = list_consultations(store)
        except Exception as error:
            _report("the list of consultations", error)
            sleep(AFTER_FAILURE)
            continue
        for consultation in everything:
            began = clock()
            if began < not_before.get(consultation.id, 0):
                continue
            try:
                due = is_due(store, consultation)
                if due:
                    recompute(store, consultation)
                compare_predictions(store, consultation)
            except Exception as error:
                # Whatever it was, the next votes may change it, and other consultations go on.
                _report(f"groups of {consultation.slug}", error)
                not_before[consultation.id] = clock() + AFTER_FAILURE
                continue
            rest = max(LEAST_SECONDS if due else 0.0, REST * (clock() - began))
            not_before[consultation.id] = clock() + rest
        sleep(LOOK_EVERY)


def _report(what: str, error: Exception) -> None:
    """One line for what a user can correct; with the place in the code for anything else."""
    fault = fault_of(error)
    if fault is not None:
        print(f"{what}: {SENTENCES[fault]}", file=sys.stderr)
        return
    print(visible(f"{what}: {type(error).__name__}: {error}"), file=sys.stderr)
    if not isinstance(error, SuffrageError):
        traceback.print_exception(error, file=sys.stderr)


def start_watching(where: str) -> subprocess.Popen[bytes]:
    """Start the process that watches a store; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "suffrage.server.watcher"],
        env={**os.environ, "OMP_NUM_THREADS": "1", WATCHED: where},
    )


def watch_for_parent(where: str) -> None:
    """Watch a store for as long as the process that started this one lives."""
    parent = os.getppid()
    if hasattr(os, "nice"):
        os.nice(10)  # requests come first
    store = open_store(where)
    leadership = Leadership(store)
    try:
        watch(store, lambda: os.getppid() == parent, leads=leadership.is_ours)
    finally:
        leadership.give_up()
        store.close()


if __name__ == "__main__":
    watch_for_parent(os.environ[WATCHED])
