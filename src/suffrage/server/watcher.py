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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from suffrage import __version__
from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.group_names import KnownGroup, remembered
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.errors import SuffrageError
from suffrage.server.consultation_results import (
    RESAMPLES,
    ConsultationResults,
    find_results,
    is_next_step,
    results_without,
    results_without_votes,
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
    Departures,
    HeldVotes,
    ReadSoFar,
    StepSoFar,
    held_as_json,
    left_out_since,
    nothing_shown,
    read_so_far,
    somebody_withdrew,
    without_statements,
)
from suffrage.server.store.stored_results import (
    ActsSoFar,
    ResultsToSave,
    RowsToSave,
    StoredResults,
    acts_known,
    acts_so_far,
    made_ready,
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
# How often results are counted again, without those who have withdrawn meanwhile, before the
# transaction that stores them.
COUNTED_AGAIN = 3
# Seconds between two looks of those who would take over.
AFTER_LEADER = 2.0
WATCHED = "SUFFRAGE_WATCHED_STORE"


def is_due(store: Store, consultation: StoredConsultation) -> bool:
    """Whether something came after the last results.

    Those of an archived consultation are computed once, and again after a withdrawal.
    """
    known = acts_known(store, consultation.id)
    if known is None:
        return True
    if consultation.phase == "archived":
        with store.read() as c:
            return somebody_withdrew(c, consultation.id, known.acts)
    newest = acts_so_far(store, consultation.id)
    return newest.event_id > known.event_id or newest.acts > known.acts


def recompute(
    store: Store,
    consultation: StoredConsultation,
    settings: GroupSettings | None = None,
    resamples: int = RESAMPLES,
) -> StoredResults:
    """Find the groups in what is there now, and save what each audience sees of them.

    People may withdraw meanwhile, in a large consultation during every computation. To begin again
    each time would then never end. So everything is counted again without them, in the groups that
    were found, which is quick. The next computation finds the groups without their votes too.

    Returns
    -------
    StoredResults
        What organisers see.
    """
    began = time.perf_counter()
    computed = _compute(store, consultation, settings or GroupSettings(), resamples)
    make = lru_cache(maxsize=1)(computed.rows)
    for _ in range(COUNTED_AGAIN):
        # While votes and withdrawals go on, so that there is hardly ever work within the
        # transaction, where they wait for it.
        made_ready(store, consultation.id, computed.known, make)
    how = {**vars(computed.settings), "resamples": resamples}
    made = save_results(
        store,
        consultation.id,
        computed.known,
        {**how, "seconds": round(time.perf_counter() - began, 3)},
        __version__,
        make,
    )
    store.forget_deleted()
    return made


def _compute(
    store: Store, consultation: StoredConsultation, settings: GroupSettings, resamples: int
) -> _Computed:
    # Read before the votes: a vote that comes between is counted as behind, never as known.
    known = acts_so_far(store, consultation.id)
    with store.read() as c:
        groups = stored_groups(c, consultation.id)
    before = step_so_far(store, consultation.id)
    content = to_consultation(store, consultation.slug)
    read = read_so_far(store, consultation.id)
    found = find_results(content, settings, resamples, groups)
    with store.read() as c:
        known_to = before.acts if before.version is not None else known.acts
        moved = left_out_since(c, consultation.id, known_to)
    computed = _Computed(consultation, settings, known, read, groups, found, moved)
    if before.must_go or (moved and computed.is_due(found, before)):
        some, left_out = computed.without_some(found.content, before)
        fewer = find_results(some, settings, resamples, groups)
        return replace(computed, fewer=fewer, left_out=left_out)
    return computed


@dataclass(frozen=True, eq=False)
class _Computed:
    """What was found in the votes at one moment, before it is known who withdrew since."""

    consultation: StoredConsultation
    settings: GroupSettings
    # How far votes and acts had come before the votes were read.
    known: ActsSoFar
    # How far votes and consents had come when the votes had been read.
    read: ReadSoFar
    # The groups as they were found before.
    groups: Sequence[KnownGroup]
    found: ConsultationResults
    # Whom organisers left out, or counted again, after the step before.
    moved: frozenset[str]
    # The same of several people fewer, and who they are; None where that was not needed then.
    fewer: ConsultationResults | None = None
    left_out: tuple[str, ...] = ()

    def is_due(self, found: ConsultationResults, so_far: StepSoFar) -> bool:
        """Whether enough people came or went since a step."""
        renewed = self.consultation.phase in ("open", "closed")
        return renewed and is_next_step(found.people, so_far.people, self.consultation.settings)

    def without_some(
        self, content: Consultation, so_far: StepSoFar
    ) -> tuple[Consultation, tuple[str, ...]]:
        """Leave so many out that a step without one more differs by several people."""
        others = self.consultation.settings.batch - 1
        near = [of.members for of in self.groups if of.number in so_far.groups]
        return without_some(content, others, so_far.left_out, random.SystemRandom(), near)

    def rows(self, gone: Departures, so_far: StepSoFar) -> RowsToSave:
        """Return what to save when these people have gone and this step is the newest."""
        found = self.found
        if gone.people:
            found = results_without(found, gone.people, self.settings)
        taken_back = self._taken_back(gone)

        def saved(of: ConsultationResults, told: Mapping[str, Any] | None) -> ResultsToSave:
            seen = None if told and told.get("nothing") else organisers_results(of)
            return ResultsToSave(
                of.people,
                of.votes,
                without_statements(seen, taken_back),
                without_statements(told, taken_back),
            )

        shown, told = self._step(found, gone, so_far)
        everybody = saved(found, told if shown is found else None)
        step = None if told is None else everybody if shown is found else saved(shown, told)
        # Groups that are not there any more are stored again as they were, without who went.
        before = [replace(of, members=of.members - gone.people) for of in self.groups]
        groups = remembered(found.analysis.groups, before) if found.analysis else ()
        return RowsToSave(everybody, step, groups)

    def _step(
        self, found: ConsultationResults, gone: Departures, so_far: StepSoFar
    ) -> tuple[ConsultationResults, dict[str, Any] | None]:
        """Return whose results the next step has, and what it shows; None where the last one stays.

        found: results of everybody who has not gone.
        """
        # Another computation that began later may have been stored before this one.
        older = so_far.event_id > self.known.event_id or so_far.acts > self.known.acts
        due, left_out = self.is_due(found, so_far) and not older, self.left_out
        overtaken = found.people < self.found.people
        if not (so_far.must_go or (self.moved and due)):
            if not due:
                return found, None
            return self._shown(found, found, (), self._held(found, (), so_far), overtaken)
        if self.fewer is None:
            # It was not known yet that this would be needed.
            _, left_out = self.without_some(found.content, so_far)
            fewer, overtaken = results_without(found, left_out, self.settings), True
        else:
            left_out = tuple(id for id in left_out if id not in gone.people)
            fewer = results_without(self.fewer, gone.people, self.settings)
        # A step that replaces an overtaken one is not replaced again for the same reason: who comes
        # and goes during each computation would otherwise have results renewed without end.
        overtaken = overtaken and (so_far.withdrawn > 0 or not so_far.overtaken)
        held = self._held(found, left_out, so_far)
        shown, told = self._shown(fewer, found, left_out, held, overtaken)
        if fewer.people < self.consultation.settings.least_people:
            told = None
        if told is None and so_far.must_go:
            # The step after the one that goes must still differ from it by several people.
            told = nothing_shown(self._of_next(found, (), held, False))
        return shown, told

    def _shown(
        self,
        some: ConsultationResults,
        found: ConsultationResults,
        left_out: tuple[str, ...],
        held: tuple[HeldVotes, ...],
        overtaken: bool,
    ) -> tuple[ConsultationResults, dict[str, Any] | None]:
        """Return results without the votes that are held, and what participants see of them.

        some: without who is left out. They see nothing where there are no groups.
        """
        pairs = [(person, one.statement) for one in held for person in one.people]
        shown = results_without_votes(some, pairs)
        if shown.analysis is None:
            return shown, None
        told = participants_results(shown.content, shown.analysis)
        return shown, {**told, **self._of_next(found, left_out, held, overtaken)}

    def _of_next(
        self,
        found: ConsultationResults,
        left_out: tuple[str, ...],
        held: tuple[HeldVotes, ...],
        overtaken: bool,
    ) -> dict[str, Any]:
        """What a step says of the next one."""
        return {
            "counted_from": found.people,
            "left_out": list(left_out),
            "overtaken": overtaken,
            "read": [self.read.event_id, self.read.consent_id],
            "held": held_as_json(held),
        }

    def _held(
        self, found: ConsultationResults, left_out: tuple[str, ...], so_far: StepSoFar
    ) -> tuple[HeldVotes, ...]:
        """Return the votes that the next step does not count, besides those of who is left out.

        Where few vote on each statement, the counts of what somebody had voted on would fall by
        their vote alone, at once or when the others are counted again. So others' votes there are
        held until five people more, by default, have voted on the statement.
        """
        given = found.content.votes.filter(pl.col("participant").is_in(list(self.moved)))
        touched = {*so_far.touched, *given["statement"]}
        voters = _voters(found, touched.union(one.statement for one in so_far.held))
        others = self.consultation.settings.batch - 1
        near = {id for of in self.groups if of.number in so_far.groups for id in of.members}
        held = {
            one.statement: one
            for one in so_far.held
            if len(voters.get(one.statement, ())) < one.until
        }
        for id in sorted(touched.intersection(voters)):
            before = set(held[id].people if id in held else ())
            draw = random.SystemRandom()
            order = draw.sample(voters[id], len(voters[id]))
            # First who is left out anyway, then others of the same groups; who was held before
            # only where there are no others.
            order.sort(key=lambda p: (p in before, p not in left_out, p not in near))
            held[id] = HeldVotes(id, len(order) + others + 1, tuple(order[:others]))
        return tuple(held[id] for id in sorted(held))

    def _taken_back(self, gone: Departures) -> frozenset[str]:
        """The statements that went with people who have gone."""
        written = self.found.content.statements.select("statement", "author").iter_rows()
        return frozenset(id for id, author in written if author in gone.with_texts)


def _voters(found: ConsultationResults, statements: Collection[str]) -> dict[str, list[str]]:
    """Who counts and voted on each of these statements."""
    votes = found.conversation.votes
    return {
        id: [votes.participants[at] for at in np.flatnonzero(votes.seen[:, j])]
        for j, id in enumerate(votes.statements)
        if id in statements
    }


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
