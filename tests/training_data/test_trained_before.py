"""Items that a model was trained on before a study are never held out of it."""

from typing import Any

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.survey import Item
from suffrage.training_data import (
    HeldOut,
    ItemSplit,
    TrainedBefore,
    TrainedQuestion,
    split_items,
    trained_before,
)
from suffrage.training_data.overlap import overlapping
from suffrage.training_data.split import held_back, with_held_back
from tests.synthetic import PLAIN_QUESTIONS, make_item

BEFORE = "the earlier checkpoint"
BRIDGE = "Is the old bridge over the river safe?"


def plain(text: str) -> str:
    """A text as this test compares texts: letters and digits in lower case."""
    return "".join(character for character in text.lower() if character.isalnum())


def questions(count: int = 12) -> list[Item]:
    return [asked(make_item(k), PLAIN_QUESTIONS[k]) for k in range(count)]


def asked(item: Item, question: str, **more: Any) -> Item:
    return item.model_copy(update={"question": question, **more})


def learnt(texts: list[str]) -> list[TrainedQuestion]:
    """Questions of an earlier study, whose ids say nothing."""
    return [TrainedQuestion(f"earlier{place}", text) for place, text in enumerate(texts)]


def split(asked_now: list[Item], texts: list[str], seed: int = 1, **rule: Any) -> ItemSplit:
    before = trained_before(asked_now, {BEFORE: learnt(texts)})
    return split_items(asked_now, HeldOut(**rule), seed, before=before)


@pytest.mark.parametrize(
    "rule", [{"by": "item", "share": 0.3}, {"question": 0.3}, {"by": "topic", "share": 0.4}]
)
def test_no_draw_holds_out_a_question_trained_on_before(rule: dict[str, Any]) -> None:
    items = questions()
    # All but one topic would be refused, so the texts are those of one topic.
    texts = [item.question.upper() + "!" for item in items if item.topic == "family"]
    known = {plain(text) for text in texts}
    drawn: set[str] = set()
    for seed in range(40):
        found = split(items, texts, seed, **rule)
        assert found.held_out
        drawn |= {item.question for item in items if item.id in found.held_out}
        assert found.trained_before == tuple(i.id for i in items if plain(i.question) in known)
        assert set(found.trained_before) <= set(found.train)
    assert not {plain(question) for question in drawn} & known
    assert len(drawn) == len(items) - len(texts), "every new question can be drawn"


def test_nearly_the_same_question_counts_and_so_does_what_is_like_that() -> None:
    items = questions()
    items[4] = asked(items[4], BRIDGE)
    items[7] = asked(items[7], "Is the old bridge over the river safe these days?")
    texts = ["Would you say: is the old bridge over the river safe?"]
    found = split(items, texts, question=0.2)
    assert found.trained_before == ("q4", "q7")


def test_a_battery_trained_on_in_part_is_no_new_topic_and_new_questions_of_it_are_new() -> None:
    stem = "Here are some reasons that people give for moving to another town: "
    ends = ("work", "rent", "schools", "noise", "friends", "health")
    battery = [
        asked(item, stem + end, battery="moving", topic=None)
        for item, end in zip(questions(6), ends, strict=True)
    ]
    other = [asked(make_item(k), make_item(k).question, battery="b", topic=None) for k in (6, 7)]
    items = [*battery, *other]
    texts = [stem + "work"]
    for seed in range(20):
        topics = split(items, texts, seed, topic=0.3)
        assert set(topics.held_out) == {"q6", "q7"}
        whole = split(items, texts, seed, by="item", share=0.3)
        assert set(whole.held_out) == {"q6", "q7"}
    singly = {
        name for seed in range(20) for name in split(items, texts, seed, question=0.2).held_out
    }
    assert singly == {item.id for item in items[1:]}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"by": "list", "items": ("q1", "q2")}, r"held_out.items: .*q1 \(\"Is your neigh"),
        ({"by": "topic", "topics": ("family",)}, r"held_out.topics: .*q1 .*q4 "),
        ({"topic": ("family",)}, r"held_out.topic: .*q1 .*q4 "),
        ({"survey": ("two",)}, r"held_out.survey: .*two:q1 "),
    ],
)
def test_a_question_that_is_named_and_was_trained_on_before_is_refused(
    rule: dict[str, Any], said: str
) -> None:
    items, texts = questions(), [PLAIN_QUESTIONS[1], PLAIN_QUESTIONS[4]]
    if "survey" in rule:
        names = ("one", "two")
        items = [asked(i, i.question, id=f"{names[k % 2]}:{i.id}") for k, i in enumerate(items)]
    with pytest.raises(InputError, match=said) as refused:
        split(items, texts, **rule)
    assert BEFORE in str(refused.value) and "hold out other questions" in str(refused.value)
    if "survey" not in rule:
        # Everything else may be named.
        split(items, [PLAIN_QUESTIONS[3]], **rule)


def test_a_share_that_the_new_questions_cannot_fill_is_refused_with_what_there_is() -> None:
    items = questions()
    texts = [item.question for item in items[:9]]
    assert len(split(items, texts, question=0.25).held_out) == 3
    with pytest.raises(InputError, match=r"is 4, and only 3 can.*at most 0.25, or start"):
        split(items, texts, question=0.34)
    with pytest.raises(InputError, match=r"share: 0.34 of 12 questions is 4.*q0 .*6 more"):
        split(items, texts, by="item", share=0.34)


def test_without_an_earlier_training_the_draw_is_what_it_was() -> None:
    items = questions()
    for rule in ({"by": "item", "share": 0.3}, {"question": 0.2, "topic": 0.4}):
        for seed in range(5):
            assert split(items, [], seed, **rule) == split_items(items, seed=seed, **rule)
            elsewhere = split(items, ["Do you own a parrot?"], seed, **rule)
            assert elsewhere == split_items(items, seed=seed, **rule)


def test_every_checkpoint_is_named_with_the_questions_it_learnt() -> None:
    items = questions()
    both = trained_before(
        items, {"the first": learnt([items[2].question]), "the second": learnt([items[5].question])}
    )
    assert both.items == {"q2": "the first", "q5": "the second"}
    with pytest.raises(InputError, match="the second was trained on q5"):
        split_items(items, by="list", items=("q5",), before=both)
    with pytest.raises(InputError, match="the first and the second"):
        split_items(items, by="list", items=("q2", "q5"), before=both)


def test_a_split_keeps_what_was_trained_on_before(tmp_path: Any) -> None:
    found = split(questions(), [PLAIN_QUESTIONS[3]], question=0.2)
    found.write(tmp_path / "split")
    assert ItemSplit.read(tmp_path / "split") == found
    assert TrainedBefore() == trained_before(questions(), {})


def test_nothing_is_chosen_on_questions_trained_on_before() -> None:
    """Neither a mixing weight nor the best point of a training."""
    items = questions()
    texts = [item.question for item in items[:6]]
    for seed in range(20):
        found = split(items, texts, seed, question=0.2)
        back = with_held_back(found, items, 0.3, seed)
        assert back.held_back and not set(back.held_back) & {f"q{k}" for k in range(6)}
        assert set(back.held_back) | set(back.train) == set(found.train)
        left = [item for item in items if item.id in found.train]
        generator = np.random.default_rng(seed)
        drawn = held_back(left, 0.3, generator, found.trained_before)
        assert drawn and not drawn & set(found.trained_before)
    every = split(items, [item.question for item in items], by="item", share=0.0)
    with pytest.raises(InputError, match=r"calibrate: .* holds none .*has learnt 12 of the"):
        with_held_back(every, items, 0.3, 1)
    with pytest.raises(InputError, match=r"validation: .* holds none .*has learnt 12 of the"):
        held_back(items, 0.3, np.random.default_rng(1), every.trained_before)


STATEMENTS = (
    "On the whole, men make better political leaders than women do",
    "A university education is more important for a boy than for a girl",
    "When a mother works for pay, the children suffer",
    "Being a housewife is just as fulfilling as working for pay",
    "Work should always come first, even if it means less spare time",
)


def test_the_same_statement_under_another_stem_is_no_new_question() -> None:
    now = 'How strongly do you agree or disagree with the following statement: "{}."'
    then = "For each statement, do you agree strongly, agree, disagree, or disagree strongly? - {}"
    items = [asked(make_item(k), now.format(said)) for k, said in enumerate(STATEMENTS)]
    found = trained_before(items, {BEFORE: learnt([then.format(said) for said in STATEMENTS[:3]])})
    assert set(found.items) == {"q0", "q1", "q2"}


def test_ids_count_where_most_of_them_are_found_by_their_texts() -> None:
    items = questions(6)
    other = "What is your view of the newcomers to our part of town?"
    texts = {item.id: item.question for item in items[:3]} | {"q4": other, "q9": "Do you ski?"}
    same = [TrainedQuestion(f"wvs:{name}", text) for name, text in texts.items()]
    # q4 is there in words of its own. q5 has an id that the earlier survey does not know.
    assert set(trained_before(items, {BEFORE: same}).items) == {"q0", "q1", "q2", "q4"}
    # In another survey the same ids mean other questions.
    chance = [TrainedQuestion("q1", items[1].question)]
    chance += [TrainedQuestion(f"q{k}", other) for k in (0, 2, 3, 4)]
    assert set(trained_before(items, {BEFORE: chance}).items) == {"q1"}


@pytest.mark.slow
def test_overlaps_are_those_that_comparing_every_pair_finds() -> None:
    """Against the definition in its docstring, pair by pair, on questions made of a few words."""
    generator = np.random.default_rng(4)
    words = [f"{letter}word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]

    def question(k: int) -> Item:
        some = generator.choice(words, size=int(generator.integers(2, 7)), replace=False)
        where = int(generator.integers(1, len(some) + 1))
        return asked(make_item(k), f"{' '.join(some[:where])}: {' '.join(some[where:])}?")

    items, trained = [question(k) for k in range(120)], [question(200 + k) for k in range(120)]
    texts = {item.question for item in (*items, *trained)}

    def stems(text: str) -> set[str]:
        return {word.strip("?:")[:5] for word in text.split() if len(word) > 3}

    common = {w for w in words if sum(w[:5] in stems(t) for t in texts) > max(2, 0.25 * len(texts))}

    def end(text: str) -> set[str]:
        parts = [stems(part) for part in text.split(": ")]
        return next((part for part in reversed(parts) if len(part) > 1), set())

    def same(one: str, other: str) -> bool:
        a, b = (stems(t) - {w[:5] for w in common} for t in (one, other))
        near = len(a & b) > 0.6 * len(a | b) or len(a & b) >= max(3, 0.75 * min(len(a), len(b)))
        x, y = end(one), end(other)
        return near or (len(x & y) > 1 and len(x & y) > 0.6 * len(x | y))

    expected = {
        item.id: next(other.id for other in trained if same(item.question, other.question))
        for item in items
        if any(same(item.question, other.question) for other in trained)
    }
    assert 10 < len(expected) < 110
    assert overlapping(items, trained) == expected
