"""What comes next: a statement by priority, two answers to compare, or one answer to react to.

Whatever is drawn is recorded with its probability before it is shown. The same question stays until
it is answered or passed over.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from suffrage.arrays import FloatArray, IntArray
from suffrage.consult.next_statement import draw_statement, priority, routing_probabilities
from suffrage.consult.pairing import (
    Check,
    DrawnPair,
    PairDesign,
    Pairs,
    check_places,
    core_coverage,
    next_pair,
    pair_information,
    pairs_of,
)
from suffrage.server.store import (
    consultations,
    exposures,
    participants,
    statements,
    stored_judgements,
    stored_votes,
)
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import Exposure, ExposureKind
from suffrage.server.store.shown_answers import ShownAnswer, ShownPrompt
from suffrage.server.store.statements import StoredStatement
from suffrage.server.store.stored_results import StoredResults, newest_results

# Name and version of each rule, stored with all it draws.
STATEMENT_POLICY = "polis-priority/1"
ANSWER_POLICY = "even-answers/1"
SECONDS = 2.0
REST = 20.0
# What is older by so many seconds, because nobody came for long, is read again before it is used.
MOST_STALE = 10.0
# What was compared changes what comes next but slowly, and takes longer to work out.
COMPARED_SECONDS = 10.0
# Pairs in a row that have their own tests of attention.
BLOCK = 10

_Value = TypeVar("_Value")


@dataclass
class _Kept:
    """What was read."""

    value: Any
    # When it is read again, in seconds of the monotonic clock.
    due: float
    renewing: bool = False


@dataclass(frozen=True, eq=False)
class _Deck:
    """Statements open to votes with their priorities."""

    statements: list[StoredStatement]
    ids: list[str]
    # The place of each id.
    at: dict[str, int]
    # (statements,)
    priorities: FloatArray
    # By identity: kept here, so that no other object can be in its place.
    made_of: tuple[object, object, object]

    @staticmethod
    def of(
        accepted: list[StoredStatement],
        counts: dict[str, tuple[int, int, int]],
        last: StoredResults | None,
    ) -> _Deck:
        """By Polis' priority, with the extremity of the results that participants see."""
        ids = [s.id for s in accepted]
        extremity = last.result.get("extremity", {}) if last else {}
        agrees, passes, seen = (
            np.array([counts.get(id, (0, 0, 0)) for id in ids], dtype=np.float64).reshape(-1, 3).T
        )
        far = np.array([extremity.get(id, 0.0) for id in ids], dtype=np.float64)
        return _Deck(
            accepted,
            ids,
            {id: at for at, id in enumerate(ids)},
            priority(agrees, passes, seen, far),
            (accepted, counts, last),
        )

    def is_of(self, *parts: object) -> bool:
        """Whether it was made from these very objects."""
        return all(mine is given for mine, given in zip(self.made_of, parts, strict=True))


@dataclass
class Drawing:
    """Draws for every participant of a process.

    What is the same for all is read again every two seconds. How often each statement was voted on
    is counted apart from the requests, and where counting takes long, after twenty times as long.
    """

    store: Store
    seed: int | None = None
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)
    _decks: dict[str, _Deck] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="drawing")

    def next_statement(
        self, d: Driver, what: StoredConsultation, participant_id: str, voted: bool = False
    ) -> tuple[Exposure, StoredStatement] | None:
        """Return a statement this participant has not voted on, None when there is none.

        voted: whether a vote of theirs was stored in the same transaction before.
        """
        deck = self._deck(what)
        before = exposures.open_exposure(d, what.id, participant_id, "vote")
        if before is None and not voted:
            # Of two pages asked for at once the second waits here, and shows what the first drew.
            participants.begin_act(d, what.id, participant_id)
            before = exposures.open_exposure(d, what.id, participant_id, "vote")
        if before is not None and before.item_id in deck.at:
            return before, deck.statements[deck.at[before.item_id]]
        open_to = np.ones(len(deck.statements), dtype=bool)
        open_to[
            [
                deck.at[id]
                for id in stored_votes.statements_voted_on(d, what.id, participant_id)
                if id in deck.at
            ]
        ] = False
        probabilities = routing_probabilities(deck.priorities, open_to, what.settings.floor)
        with self._lock:
            id = draw_statement(probabilities, self._generator, deck.ids)
        if id is None:
            return None
        p = float(probabilities[deck.at[id]])
        exposure = exposures.record_exposure(
            d, what.id, participant_id, "vote", id, STATEMENT_POLICY, p
        )
        return exposure, deck.statements[deck.at[id]]

    def next_pair(
        self, what: StoredConsultation, participant_id: str
    ) -> tuple[Exposure, ShownPrompt, ShownAnswer, ShownAnswer] | None:
        """Return two answers to one prompt that this participant has not seen side by side.

        They are drawn by the design of `suffrage.consult.pairing`: a common core, then what tells
        most. Where there are enough pairs, a few test attention, and the exposure says so.
        """
        prompts, shown = self.questions(what)
        before = self._open_question(what, participant_id, "comparison")
        if before is None or before.left_id not in shown or before.right_id not in shown:
            before = self._draw_pair(what, participant_id, prompts, shown)
        if before is None:
            return None
        left, right = shown[str(before.left_id)], shown[str(before.right_id)]
        return before, prompts[before.item_id], left, right

    def next_answer(
        self, what: StoredConsultation, participant_id: str
    ) -> tuple[Exposure, ShownPrompt, ShownAnswer] | None:
        """Return an answer this participant has not been asked about."""
        prompts, shown = self.questions(what)
        before = self._open_question(what, participant_id, "reaction")
        if before is None or before.item_id not in shown:
            seen = {
                e.item_id
                for e in exposures.list_exposures(self.store, what.id, participant_id, "reaction")
            }
            seen |= {
                r["answer_id"]
                for r in stored_judgements.reactions_by(self.store, what.id, participant_id)
            }
            left = [id for id in shown if id not in seen]
            if not left:
                return None
            with self._lock:
                id = left[int(self._generator.integers(len(left)))]
            before = self._record(
                what, participant_id, "reaction", id, ANSWER_POLICY, 1 / len(left)
            )
        answer = shown[before.item_id]
        return before, prompts[answer.prompt_id], answer

    def accepted(self, what: StoredConsultation) -> list[StoredStatement]:
        """Return the statements that are open to votes."""
        return self._recent(
            what, "accepted", lambda: statements.list_statements(self.store, what.id, ["accepted"])
        )

    def translations(self, what: StoredConsultation, language: str) -> dict[str, tuple[str, str]]:
        """Return statements' texts in a language they were not written in, and their source."""
        return self._recent(
            what,
            f"translations {language}",
            lambda: statements.translations_into(self.store, what.id, language),
        )

    def questions(
        self, what: StoredConsultation
    ) -> tuple[dict[str, ShownPrompt], dict[str, ShownAnswer]]:
        """Return prompts and shown answers by id."""
        return self._recent(
            what,
            "questions",
            lambda: (
                {p.id: p for p in answers.list_prompts(self.store, what.id)},
                {a.id: a for a in answers.list_answers(self.store, what.id)},
            ),
        )

    def _draw_pair(
        self,
        what: StoredConsultation,
        participant_id: str,
        prompts: dict[str, ShownPrompt],
        shown: dict[str, ShownAnswer],
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
            for e in exposures.list_exposures(self.store, what.id, participant_id, "comparison")
        ]
        stratum = participants.stratum_of(self.store, what.id, participant_id)
        of = raters.get(stratum, np.zeros(len(pairs), np.int64))
        checks = _checks(participant_id, len(seen), len(pairs), design)
        with self._lock:
            drawn = next_pair(pairs, told, of, seen, checks, design, self._generator)
        if drawn is None or drawn.left not in shown or drawn.right not in shown:
            return None
        return self._record(
            what,
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

    def _record(self, what: StoredConsultation, participant_id: str, *shown: Any) -> Exposure:
        """Record a showing in a transaction of its own. shown: as `record_exposure` takes it."""
        with self.store.write() as c:
            consultations.require_open(c, what.id)
            return exposures.record_exposure(Driver(c), what.id, participant_id, *shown)

    def _open_question(
        self, what: StoredConsultation, participant_id: str, kind: ExposureKind
    ) -> Exposure | None:
        with self.store.read() as c:
            return exposures.open_exposure(Driver(c), what.id, participant_id, kind)

    def _compared(
        self, what: StoredConsultation, pairs: Pairs, design: PairDesign
    ) -> tuple[FloatArray, dict[str, IntArray]]:
        """Return how informative each pair is, and how many people of each stratum saw it."""
        table = stored_judgements.comparisons_that_count(self.store, what.id)
        strata = dict(table.select("participant", "stratum").iter_rows())
        return pair_information(pairs, table, design), core_coverage(pairs, table, strata)

    def _deck(self, what: StoredConsultation) -> _Deck:
        """What is drawn from, and how strongly."""
        accepted = self.accepted(what)
        counts = self._lately(
            what, "tallies", lambda: stored_votes.statement_tallies(self.store, what.id)
        )
        last = self._lately(
            what, "results", lambda: newest_results(self.store, what.id, "participants")
        )
        deck: _Deck | None = self._decks.get(what.id)
        if deck is None or not deck.is_of(accepted, counts, last):
            deck = _Deck.of(accepted, counts, last)
            self._decks[what.id] = deck
        return deck

    def _recent(
        self,
        what: StoredConsultation,
        name: str,
        read: Callable[[], _Value],
        seconds: float = SECONDS,
    ) -> _Value:
        key = (what.id, name)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept.due:
            return kept.value  # type: ignore[no-any-return]
        return self._read(key, read, seconds)

    def _lately(self, what: StoredConsultation, name: str, read: Callable[[], _Value]) -> _Value:
        """As `_recent` of what may be older: nobody waits while it is read again."""
        key, at = (what.id, name), time.monotonic()
        kept = self._kept.get(key)
        if kept is None or at > kept.due + MOST_STALE:
            return self._read(key, read, SECONDS, REST)
        if at >= kept.due and not kept.renewing:
            kept.renewing = True
            self._beside.submit(self._read, key, read, SECONDS, REST)
        return kept.value  # type: ignore[no-any-return]

    def _read(
        self, key: tuple[str, str], read: Callable[[], _Value], seconds: float, rest: float = 0.0
    ) -> _Value:
        began = time.monotonic()
        found = read()
        ended = time.monotonic()
        self._kept[key] = _Kept(found, ended + max(seconds, rest * (ended - began)))
        return found


def _checks(participant_id: str, shown: int, pairs: int, design: PairDesign) -> dict[int, Check]:
    """Where this participant's attention is tested in the block they are in; the same at each look.

    There is no test where there are so few pairs that it would cost one.
    """
    if pairs < BLOCK:
        return {}
    block = shown // BLOCK
    digest = hashlib.sha256(f"{participant_id}\0{block}".encode()).digest()
    places = check_places(BLOCK, design, np.random.default_rng(list(digest[:8])))
    return {block * BLOCK + at: kind for at, kind in places.items()}
