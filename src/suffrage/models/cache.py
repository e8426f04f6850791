"""Answers kept on disk, so that the same question to the same model is computed once.

An interrupted evaluation continues where it stopped, and two evaluations that ask the same thing
share the answer. The key of an answer is everything that decides it: the model's content, how it
computes, and the exact text of the question with its labels or its seed.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, SuffrageError
from suffrage.models.answerer import (
    Advance,
    Answerer,
    ChoiceReading,
    LabelChoice,
    StreamingAnswerer,
    read_choices,
)
from suffrage.models.asking import Message

Answer = TypeVar("Answer")

# Increased when the same question would now get another answer.
ANSWER_VERSION = 1
# How many questions a model here answers before the answers are kept: enough for packed rows to
# share what populations have in common, few enough to lose little.
CHUNK = 1024
WRITTEN_CHUNK = 32
_KEYS_AT_ONCE = 500


class AnswerStore:
    """An SQLite file of answers, and of what an endpoint must not forget.

    Every write is a transaction of its own: whatever ends the process, what was kept stays.

    Raises
    ------
    InputError
        The file is damaged.
    SuffrageError
        The disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            # Threads never write at once: a run keeps answers from the one that reads them.
            self._base = sqlite3.connect(path, timeout=30, check_same_thread=False)
            # A commit is then a write, not a wait for the disk, and still whole after a kill.
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            with self._base:
                for table in ("answers", "memory"):
                    self._base.execute(
                        f"CREATE TABLE IF NOT EXISTS {table} "
                        "(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
                    )

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """The answers kept under these keys."""
        wanted, found = list(dict.fromkeys(keys)), {}
        with self._errors():
            for start in range(0, len(wanted), _KEYS_AT_ONCE):
                some = wanted[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = self._base.execute(
                    f"SELECT key, value FROM answers WHERE key IN ({marks})", some
                )
                found.update({key: json.loads(value) for key, value in rows})
        return found

    def keep(self, answers: dict[str, Any]) -> None:
        """Keep answers, all or none of them."""
        rows = [(key, json.dumps(value)) for key, value in answers.items()]
        with self._errors(), self._base:
            self._base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

    def count(self) -> int:
        """How many answers are kept."""
        with self._errors():
            return int(self._base.execute("SELECT count(*) FROM answers").fetchone()[0])

    def forget_answers(self) -> None:
        """Delete the answers and what was found out about a server, but keep what was spent."""
        with self._errors(), self._base:
            self._base.execute("DELETE FROM answers")
            self._base.execute("DELETE FROM memory WHERE key NOT LIKE 'usage%'")

    def recall(self, name: str) -> Any:
        """What was kept under a name, or None."""
        with self._errors():
            row = self._base.execute("SELECT value FROM memory WHERE key = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep something JSON can hold under a name."""
        with self._errors(), self._base:
            self._base.execute(
                "INSERT OR REPLACE INTO memory VALUES (?, ?)", (name, json.dumps(value))
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise SuffrageError(
                f"{self.path}: answers cannot be kept ({error}); free some space, or set "
                "`output:` to another disk, and run the same command again."
            ) from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path}: not readable ({error}); delete it and run again: the questions that "
                "it had answers to are asked again."
            ) from error


class CachedAnswerer:
    """An answerer whose answers are kept. It is an `Answerer` and an `AnswererWithError`.

    Parameters
    ----------
    model : Answerer
        Asked where there is no answer yet.
    store : AnswerStore
        Where the answers are kept.
    content : sequence of str
        Everything about the model that decides an answer: weights, dtype, device. Two models with
        the same content share their answers, so it must differ wherever the answers could. A
        model's `prompt_style` counts too, where it has one.
    """

    def __init__(self, model: Answerer, store: AnswerStore, content: Sequence[str]) -> None:
        self.model = model
        self.store = store
        style = getattr(model, "prompt_style", None)
        decides = [*content] if style is None else [*content, {"prompts": style}]
        self._content = storage.content_hash([ANSWER_VERSION, *decides])

    @property
    def reads_texts(self) -> bool:
        """Whether the model reads texts."""
        return self.model.reads_texts

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """See `Answerer.choose`."""
        return [reading.probabilities for reading in self.read(choices, advance)]

    def read(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[ChoiceReading]:
        """See `AnswererWithError.read`."""

        def compute(places: Sequence[int], within: Advance) -> Iterator[dict[int, ChoiceReading]]:
            wanted = [choices[place] for place in places]
            if isinstance(self.model, StreamingAnswerer):
                yield from _one_by_one(places, self.model.read_each(wanted))
                return
            for some in _chunks(places, CHUNK):
                found = read_choices(self.model, [choices[place] for place in some], within)
                yield dict(zip(some, found, strict=True))

        kept = self._answered(
            [["choice", list(choice.messages), list(choice.labels)] for choice in choices],
            compute,
            lambda reading: [reading.probabilities.tolist(), reading.unseen, reading.drawn],
            advance,
        )
        return [ChoiceReading(np.array(shares), unseen, drawn) for shares, unseen, drawn in kept]

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """See `Answerer.text_log_probs`."""

        def compute(
            places: Sequence[int], within: Advance
        ) -> Iterator[dict[int, list[FloatArray]]]:
            if isinstance(self.model, StreamingAnswerer):
                wanted = [chats[p] for p in places], [texts[p] for p in places]
                yield from _one_by_one(places, self.model.text_log_probs_each(*wanted))
                return
            for some in _chunks(places, CHUNK):
                found = self.model.text_log_probs(
                    [chats[p] for p in some], [texts[p] for p in some], within
                )
                yield dict(zip(some, found, strict=True))

        kept = self._answered(
            [["texts", list(chat), list(some)] for chat, some in zip(chats, texts, strict=True)],
            compute,
            lambda logs: [log.tolist() for log in logs],
            advance,
        )
        return [[np.array(log) for log in logs] for logs in kept]

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """See `Answerer.write`.

        Chats are answered in the same portions whatever is kept already, each portion with a seed
        of its own, so that an interruption changes no answer.
        """
        times_asked: Counter[str] = Counter()
        questions: list[Any] = []
        for chat in chats:  # the same chat twice in one call is two draws
            text = json.dumps(list(chat))
            questions.append(["write", list(chat), count, longest, seed, times_asked[text]])
            times_asked[text] += 1
        every = sorted(range(len(chats)), key=lambda place: json.dumps(questions[place]))
        portions = {place: some for some in _chunks(every, WRITTEN_CHUNK) for place in some}

        def compute(places: Sequence[int], _: Advance) -> Iterator[dict[int, list[str]]]:
            if isinstance(self.model, StreamingAnswerer):
                wanted = [chats[place] for place in places]
                found = self.model.write_each(wanted, count, longest, seed)
                yield from _one_by_one(places, found)
                return
            for some in dict.fromkeys(portions[place] for place in places):
                own = int(storage.content_hash([questions[place] for place in some])[:7], 16)
                written = self.model.write([chats[place] for place in some], count, longest, own)
                yield dict(zip(some, written, strict=True))

        return self._answered(questions, compute, lambda texts: texts, None)

    def _answered(
        self,
        questions: Sequence[Any],
        compute: Callable[[Sequence[int], Advance], Iterator[dict[int, Answer]]],
        as_json: Callable[[Answer], Any],
        advance: Advance | None,
    ) -> list[Any]:
        """Every question's answer in JSON's form, from the store or computed and kept.

        compute: gives a portion at a time, and may say how much of one is done before it gives it.
        """
        keys = [storage.content_hash([self._content, question]) for question in questions]
        times = Counter(keys)
        kept = self.store.get(keys)
        if advance and kept:
            advance(sum(times[key] for key in kept))
        missing: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key not in kept:
                missing.setdefault(key, place)
        # Like questions come together: packed rows compute what they share once.
        places = sorted(missing.values(), key=lambda place: json.dumps(questions[place]))
        told = 0

        def within(count: int) -> None:
            nonlocal told
            told += count
            if advance:
                advance(count)

        if places:
            for found in compute(places, within):
                new = {keys[place]: as_json(answer) for place, answer in found.items()}
                self.store.keep(new)
                if advance:
                    advance(sum(times[key] for key in new if key not in kept) - told)
                told = 0
                kept |= new
        return [kept[key] for key in keys]


def _chunks(places: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(places), size):
        yield tuple(places[start : start + size])


def _one_by_one(
    places: Sequence[int], answers: Iterator[tuple[int, Answer]]
) -> Iterator[dict[int, Answer]]:
    for index, answer in answers:
        yield {places[index]: answer}
