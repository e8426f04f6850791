"""What comes next: a statement by priority, two answers to compare, or one answer to react to.

Whatever is drawn is recorded with its probability before it is shown; the same question stays until it
is answered or passed over.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import polars as pl

from suffrage.consult.consensus import draw_statement, priority, routing_probabilities
from suffrage.consult.pairing import (
    Check,
    CountArray,
    DrawnPair,
    FloatArray,
    PairDesign,
    Pairs,
    check_places,
    core_coverage,
    next_pair,
    pair_information,
    pairs_of,
)
from suffrage.consult.store import acts, answers, participants, snapshots, statements
from suffrage.consult.store.acts import Exposure
from suffrage.consult.store.answers import Answer, Prompt
from suffrage.consult.store.consultations import About
from suffrage.consult.store.database import Store
from suffrage.consult.store.statements import Statement

# Name and version of each rule, stored with all it draws.
STATEMENT_POLICY = "polis-priority/1"
ANSWER_POLICY = "even-answers/1"
SECONDS = 2.0
# What was compared changes what comes next but slowly, and takes longer to work out.
COMPARED_SECONDS = 10.0
# Pairs in a row that have their own tests of attention.
BLOCK = 10

Kept = TypeVar("Kept")


@dataclass
class Drawing:
    """Draws for every participant of a process; what is the same for all is read every two seconds."""

    store: Store
    seed: int | None = None
    _kept: dict[tuple[str, str], tuple[float, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

    def next_statement(self, what: About, participant_id: str) -> tuple[Exposure, Statement] | None:
        """A statement this participant has not voted on, None when there is none."""
        shown = {s.id: s for s in self.accepted(what)}
        before = acts.open_exposure(self.store, what.id, participant_id, "vote")
        if before is not None and before.item_id in shown:
            return before, shown[before.item_id]
        voted = acts.voted_on(self.store, what.id, participant_id)
        ids = list(shown)
        open_to = np.array([id not in voted for id in ids], dtype=bool)
        probabilities = routing_probabilities(
            self._priorities(what, ids), open_to, what.settings.floor
        )
        with self._lock:
            id = draw_statement(probabilities, self._generator, ids)
        if id is None:
            return None
        exposure = acts.show(
            self.store,
            what.id,
            participant_id,
            "vote",
            id,
            STATEMENT_POLICY,
            float(probabilities[ids.index(id)]),
        )
        return exposure, shown[id]

    def next_pair(
        self, what: About, participant_id: str
    ) -> tuple[Exposure, Prompt, Answer, Answer] | None:
        """Two answers to one prompt that this participant has not seen side by side.

        By the design of `suffrage.consult.pairing`: a common core, then what tells most. Where there
        are pairs enough, a few test attention, and say so in the exposure.
        """
        prompts, shown = self.questions(what)
        before = acts.open_exposure(self.store, what.id, participant_id, "comparison")
        if before is None or before.left_id not in shown or before.right_id not in shown:
            before = self._draw_pair(what, participant_id, prompts, shown)
        if before is None:
            return None
        left, right = shown[str(before.left_id)], shown[str(before.right_id)]
        return before, prompts[before.item_id], left, right

    def next_answer(
        self, what: About, participant_id: str
    ) -> tuple[Exposure, Prompt, Answer] | None:
        """An answer this participant has not been asked about."""
        prompts, shown = self.questions(what)
        before = acts.open_exposure(self.store, what.id, participant_id, "reaction")
        if before is None or before.item_id not in shown:
            seen = {
                e.item_id for e in acts.exposures(self.store, what.id, participant_id, "reaction")
            }
            seen |= {r["answer_id"] for r in acts.reactions_by(self.store, what.id, participant_id)}
            left = [id for id in shown if id not in seen]
            if not left:
                return None
            with self._lock:
                id = left[int(self._generator.integers(len(left)))]
            before = acts.show(
                self.store, what.id, participant_id, "reaction", id, ANSWER_POLICY, 1 / len(left)
            )
        answer = shown[before.item_id]
        return before, prompts[answer.prompt_id], answer

    def accepted(self, what: About) -> list[Statement]:
        """Statements open to votes."""
        return self._recent(
            what, "accepted", lambda: statements.statements(self.store, what.id, ["accepted"])
        )

    def questions(self, what: About) -> tuple[dict[str, Prompt], dict[str, Answer]]:
        """Prompts and shown answers by id."""
        return self._recent(
            what,
            "questions",
            lambda: (
                {p.id: p for p in answers.prompts(self.store, what.id)},
                {a.id: a for a in answers.answers(self.store, what.id)},
            ),
        )

    def _draw_pair(
        self,
        what: About,
        participant_id: str,
        prompts: dict[str, Prompt],
        shown: dict[str, Answer],
    ) -> Exposure | None:
        design = PairDesign(core_share=what.settings.core_share)
        pairs = self._recent(
            what, "pairs", lambda: pairs_of({a.id: a.prompt_id for a in shown.values()}, design)
        )
        told, raters = self._recent(
            what, "compared", lambda: self._compared(what, pairs, design), COMPARED_SECONDS
        )
        seen = [
            DrawnPair(
                e.item_id,
                str(e.left_id),
                str(e.right_id),
                e.probability or 1.0,
                e.core,
                cast(Check | None, e.attention),
            )
            for e in acts.exposures(self.store, what.id, participant_id, "comparison")
        ]
        stratum = participants.stratum(self.store, what.id, participant_id)
        of = raters.get(stratum, np.zeros(len(pairs), np.int64))
        checks = _checks(participant_id, len(seen), len(pairs), design)
        with self._lock:
            drawn = next_pair(pairs, told, of, seen, checks, design, self._generator)
        if drawn is None or drawn.left not in shown or drawn.right not in shown:
            return None
        return acts.show(
            self.store,
            what.id,
            participant_id,
            "comparison",
            drawn.prompt,
            drawn.policy,
            drawn.probability,
            drawn.left,
            drawn.right,
            drawn.core,
            drawn.check,
        )

    def _compared(
        self, what: About, pairs: Pairs, design: PairDesign
    ) -> tuple[FloatArray, dict[str, CountArray]]:
        """What each pair still tells, and how many people of each stratum saw it."""
        rows, strata = acts.compared(self.store, what.id)
        kinds = {"participant": pl.String, "left": pl.String, "right": pl.String}
        kinds |= {"outcome": pl.String, "check": pl.String}
        table = pl.DataFrame(rows, schema=kinds, orient="row")
        return pair_information(pairs, table, design), core_coverage(pairs, table, strata)

    def _priorities(self, what: About, ids: list[str]) -> Any:
        counts = self._recent(what, "tallies", lambda: snapshots.tallies(self.store, what.id))
        last = self._recent(what, "snapshot", lambda: snapshots.newest(self.store, what.id))
        extremity = last.result.get("extremity", {}) if last else {}
        agrees, passes, seen = (
            np.array([counts.get(id, (0, 0, 0)) for id in ids], dtype=np.float64).reshape(-1, 3).T
        )
        return priority(
            agrees, passes, seen, np.array([extremity.get(id, 0.0) for id in ids], dtype=np.float64)
        )

    def _recent(
        self, what: About, name: str, read: Callable[[], Kept], seconds: float = SECONDS
    ) -> Kept:
        at, key = time.monotonic(), (what.id, name)
        kept = self._kept.get(key)
        if kept is not None and at - kept[0] < seconds:
            return kept[1]  # type: ignore[no-any-return]
        found = read()
        self._kept[key] = (at, found)
        return found

    def forget(self) -> None:
        """Read anew what is the same for all, as after a decision of the organisers."""
        self._kept.clear()


def _checks(participant_id: str, shown: int, pairs: int, design: PairDesign) -> dict[int, Check]:
    """Where this participant's attention is tested in the block they are in; the same at each look.

    Nowhere where there are so few pairs that a test would cost one of them.
    """
    if pairs < BLOCK:
        return {}
    block = shown // BLOCK
    digest = hashlib.sha256(f"{participant_id}\0{block}".encode()).digest()
    places = check_places(BLOCK, design, np.random.default_rng(list(digest[:8])))
    return {block * BLOCK + at: kind for at, kind in places.items()}
