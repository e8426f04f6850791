"""What comes next: a statement by priority, two answers to compare, or one answer to react to.

Whatever is drawn is recorded with its probability before it is shown; the same question stays until it
is answered or passed over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from suffrage.consult.consensus import draw_statement, priority, routing_probabilities
from suffrage.consult.store import acts, answers, snapshots, statements
from suffrage.consult.store.acts import Exposure
from suffrage.consult.store.answers import Answer, Prompt
from suffrage.consult.store.consultations import About
from suffrage.consult.store.database import Store
from suffrage.consult.store.statements import Statement

# Name and version of each rule, stored with all it draws.
STATEMENT_POLICY = "polis-priority/1"
PAIR_POLICY = "even-pairs/1"
ANSWER_POLICY = "even-answers/1"
SECONDS = 2.0

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
        voted = {v.statement_id for v in acts.votes_by(self.store, what.id, participant_id)}
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

        Prompts are drawn evenly, then pairs, then which answer stands left.
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
        seen = {
            frozenset((e.left_id, e.right_id))
            for e in acts.exposures(self.store, what.id, participant_id, "comparison")
        }
        open_pairs: dict[str, list[tuple[str, str]]] = {}
        for prompt_id in prompts:
            of = [a.id for a in shown.values() if a.prompt_id == prompt_id]
            pairs = [pair for pair in combinations(of, 2) if frozenset(pair) not in seen]
            if pairs:
                open_pairs[prompt_id] = pairs
        if not open_pairs:
            return None
        with self._lock:
            prompt_id = list(open_pairs)[int(self._generator.integers(len(open_pairs)))]
            pairs = open_pairs[prompt_id]
            left, right = pairs[int(self._generator.integers(len(pairs)))]
            if self._generator.random() < 0.5:
                left, right = right, left
        return acts.show(
            self.store,
            what.id,
            participant_id,
            "comparison",
            prompt_id,
            PAIR_POLICY,
            1 / len(open_pairs) / len(pairs),
            left,
            right,
        )

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

    def _recent(self, what: About, name: str, read: Callable[[], Kept]) -> Kept:
        at, key = time.monotonic(), (what.id, name)
        kept = self._kept.get(key)
        if kept is not None and at - kept[0] < SECONDS:
            return kept[1]  # type: ignore[no-any-return]
        found = read()
        self._kept[key] = (at, found)
        return found

    def forget(self) -> None:
        """Read anew what is the same for all, as after a decision of the organisers."""
        self._kept.clear()
