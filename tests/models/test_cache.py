"""Answers kept on disk: nothing computed twice, nothing shared that could differ, nothing lost."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.models import (
    ItemProbe,
    LanguageModel,
    identify,
    read_letters,
    read_text,
    ways_of_asking,
)
from suffrage.models import cache as cache_module
from suffrage.models.answerer import Advance, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.cache import AnswerStore, CachedAnswerer
from tests.synthetic import make_item, make_tiny_model


class Counted:
    """The tiny model, counting what it is asked; stops after `most` questions."""

    reads_texts = True

    def __init__(self, model: LanguageModel, most: int | None = None) -> None:
        self.model, self.asked, self.most = model, 0, most

    def count(self, questions: int) -> None:
        if self.most is not None and self.asked + questions > self.most:
            raise KeyboardInterrupt
        self.asked += questions

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        self.count(len(choices))
        return self.model.choose(choices, advance)

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        self.count(len(chats))
        return self.model.text_log_probs(chats, texts, advance)

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        self.count(len(chats))
        return self.model.write(chats, count, longest, seed)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return LanguageModel.load(identify(str(tiny_model), Path()))


def choices(items: int = 3) -> list[LabelChoice]:
    return [
        LabelChoice(tuple(question.messages), question.label_of_position)
        for number in range(items)
        for question in ways_of_asking(make_item(number), "people up north")
    ]


def test_asking_again_computes_nothing_and_gives_the_same(
    model: LanguageModel, tmp_path: Path
) -> None:
    chats = [choice.messages for choice in choices()]
    texts = [("Yes", "No")] * len(chats)
    found = []
    for asked in (3 * len(chats), 0):
        counted = Counted(model)
        with AnswerStore(tmp_path / "a.sqlite") as store:
            cached = CachedAnswerer(counted, store, ["weights"])
            told: list[int] = []
            found.append(
                (
                    cached.choose(choices(), told.append),
                    cached.text_log_probs(chats, texts),
                    cached.write(chats, 3, 5, seed=1),
                )
            )
        assert counted.asked == asked and sum(told) == len(chats)
    (one, logs, said), (two, logs_again, said_again) = found
    np.testing.assert_array_equal(np.array(one), np.array(two))
    for a, b in zip(logs, logs_again, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert said == said_again
    for cached_one, own in zip(one, model.choose(choices()), strict=True):
        np.testing.assert_allclose(cached_one, own, rtol=1e-4)


def test_progress_moves_within_a_portion_and_counts_repeated_questions_once_done(
    tmp_path: Path,
) -> None:
    class OneByOne:
        reads_texts = True

        def choose(self, choices, advance=None):  # type: ignore[no-untyped-def]
            for _ in choices:
                advance(1)
            return [np.array([0.25, 0.5]) for _ in choices]

        def text_log_probs(self, chats, texts, advance=None):  # type: ignore[no-untyped-def]
            for _ in chats:
                advance(1)
            return [[np.array([-1.0])] for _ in chats]

    asked = choices()
    twice = [*asked, *asked[:2]]
    with AnswerStore(tmp_path / "a.sqlite") as store:
        cached = CachedAnswerer(OneByOne(), store, ["w"])  # type: ignore[arg-type]
        told: list[int] = []
        cached.choose(twice, told.append)
        assert told[: len(asked)] == [1] * len(asked) and sum(told) == len(twice)
        told.clear()
        chats = [choice.messages for choice in twice]
        cached.text_log_probs(chats, [("Yes",)] * len(chats), told.append)
        assert told[: len(asked)] == [1] * len(asked) and sum(told) == len(twice)


def test_two_evaluations_that_ask_the_same_share_the_answer(
    model: LanguageModel, tmp_path: Path
) -> None:
    counted = Counted(model)
    with AnswerStore(tmp_path / "a.sqlite") as store:
        cached = CachedAnswerer(counted, store, ["weights"])
        read_letters(cached, [ItemProbe(make_item(1), None)], 0.0)
        first = counted.asked
        both = [ItemProbe(make_item(2), None), ItemProbe(make_item(1), None)]
        answers = read_letters(cached, both, 0.0)
        assert counted.asked == 2 * first
        # In another order, and twice in one call, it is still each item's own answer.
        again = read_letters(cached, [*both[::-1], *both], 0.0)
        assert counted.asked == 2 * first
    for place, answer in zip((1, 0, 0, 1), (*again[:2], *again[2:]), strict=True):
        expected = answers[place] if answer.item_id == answers[place].item_id else None
        assert expected is not None
        np.testing.assert_array_equal(answer.shares, expected.shares)


@pytest.mark.slow
def test_nothing_is_shared_that_could_differ(model: LanguageModel, tmp_path: Path) -> None:
    other = LanguageModel.load(identify(str(make_tiny_model(tmp_path / "m", seed=1)), Path()))
    chats = [choices()[0].messages]
    with AnswerStore(tmp_path / "a.sqlite") as store:
        for content, network in ((["one", "float32"], model), (["two", "float32"], other)):
            counted = Counted(network)
            cached = CachedAnswerer(counted, store, content)
            (own,) = cached.choose(choices()[:1])
            np.testing.assert_allclose(own, network.choose(choices()[:1])[0], rtol=1e-4)
            assert counted.asked == 1
        counted = Counted(model)
        CachedAnswerer(counted, store, ["one", "bfloat16"]).choose(choices()[:1])
        assert counted.asked == 1, "another number format"
        counted = Counted(model)
        cached = CachedAnswerer(counted, store, ["one", "float32"])
        other_labels = LabelChoice(choices()[0].messages, ("A", "B"))
        assert cached.choose([other_labels])[0].shape == (2,)
        drawn = {
            tuple(cached.write(chats, count, longest, seed)[0])
            for count, longest, seed in ((4, 8, 1), (4, 8, 2), (4, 9, 1), (3, 8, 1))
        }
        assert len(drawn) == 4 and counted.asked == 5, "every way of drawing by itself"
        cached.text_log_probs(chats, [("A",)])
        cached.text_log_probs(chats, [("A", "B")])
        assert counted.asked == 7


@pytest.mark.slow
def test_an_interrupted_asking_goes_on_where_it_was(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "CHUNK", 4)
    monkeypatch.setattr(cache_module, "WRITTEN_CHUNK", 4)
    chats = [choice.messages for choice in choices()]
    with AnswerStore(tmp_path / "whole.sqlite") as store:
        whole = CachedAnswerer(model, store, ["w"])
        expected = whole.choose(choices()), whole.write(chats, 2, 6, 3)
    with AnswerStore(tmp_path / "broken.sqlite") as store:
        broken = CachedAnswerer(Counted(model, most=9), store, ["w"])
        with pytest.raises(KeyboardInterrupt):
            broken.choose(choices())
        with pytest.raises(KeyboardInterrupt):
            broken.write(chats, 2, 6, 3)
    with AnswerStore(tmp_path / "broken.sqlite") as store:
        assert store.count() == 8
        counted = Counted(model)
        rest = CachedAnswerer(counted, store, ["w"])
        found = rest.choose(choices()), rest.write(chats, 2, 6, 3)
        assert counted.asked == 2 * len(chats) - 8
    np.testing.assert_array_equal(np.array(found[0]), np.array(expected[0]))
    assert found[1] == expected[1]


KILLED = """
import os, signal, sys
from pathlib import Path
import suffrage.models.cache as cache
from suffrage.models.cache import AnswerStore, CachedAnswerer
from suffrage.models.answerer import LabelChoice
import numpy as np

cache.CHUNK = 10
class Slow:
    reads_texts = False
    asked = 0
    def choose(self, choices, advance=None):
        if Slow.asked == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        Slow.asked += len(choices)
        return [np.array([0.25, 0.5]) for _ in choices]

asked = [LabelChoice(({"role": "user", "content": str(n)},), ("A", "B")) for n in range(100)]
CachedAnswerer(Slow(), AnswerStore(Path(sys.argv[1])), ["w"]).choose(asked)
"""


@pytest.mark.slow
def test_a_kill_loses_no_answer_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with AnswerStore(path) as store:
        assert store.count() == 50
        store.keep({"more": [1]})
        assert store.get(["more", "nothing"]) == {"more": [1]}


def test_forgetting_answers_keeps_what_was_spent(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.keep({"a": 1})
        store.remember("usage", {"requests": 3})
        store.remember("abilities", {"top": 20})
        store.forget_answers()
        assert store.count() == 0 and store.recall("usage") == {"requests": 3}
        assert store.recall("abilities") is None


def test_a_damaged_file_is_named_with_the_mend(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(InputError, match=r"a.sqlite: not readable .* delete it and run again"):
        AnswerStore(path)


def test_texts_are_read_through_the_store(model: LanguageModel, tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        cached = CachedAnswerer(model, store, ["w"])
        assert cached.reads_texts
        for one, two in zip(
            read_text(cached, [ItemProbe(make_item(1), None)]),
            read_text(model, [ItemProbe(make_item(1), None)]),
            strict=True,
        ):
            np.testing.assert_allclose(one.shares, two.shares, rtol=1e-4)


def test_the_store_is_no_larger_than_it_need_be(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.keep({f"{n:016x}": [[0.1, 0.2, 0.3], 0.0, None] for n in range(5000)})
    assert (tmp_path / "a.sqlite").stat().st_size < 100 * 5000
