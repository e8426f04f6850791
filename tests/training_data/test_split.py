"""Which items are held out."""

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.survey import Item
from suffrage.text_overlap import jaccard
from suffrage.training_data import HeldOut, ItemSplit, split_items
from suffrage.training_data.split import (
    NEAR_DUPLICATE,
    item_clusters,
    near_duplicate_groups,
    nearly_the_same,
    question_words,
)
from tests.synthetic import make_item


def items(count: int = 12) -> list[Item]:
    return [make_item(i) for i in range(count)]


@pytest.mark.slow
@given(st.integers(0, 10_000), st.floats(0.1, 0.6), st.permutations(range(12)))
def test_a_split_divides_the_items_whatever_their_order(
    seed: int, share: float, order: list[int]
) -> None:
    held_out = HeldOut(share=share)
    split = split_items(items(), held_out, seed)
    assert set(split.train) | set(split.held_out) == {item.id for item in items()}
    assert not set(split.train) & set(split.held_out)
    assert len(split.held_out) <= round(share * 12)
    shuffled = split_items([items()[i] for i in order], held_out, seed)
    assert set(shuffled.held_out) == set(split.held_out)


@pytest.mark.slow
@given(st.integers(0, 10_000), st.floats(0.2, 0.7))
def test_parts_of_a_battery_stay_on_one_side(seed: int, share: float) -> None:
    questions = [make_item(i, battery="grid" if i < 4 else None) for i in range(14)]
    split = split_items(questions, HeldOut(share=share), seed)
    assert len({split.side(f"q{i}") for i in range(4)}) == 1


def test_near_duplicates_stay_on_one_side() -> None:
    questions = [
        *items(),
        make_item(50).model_copy(update={"question": "Is the old bridge over the river safe?"}),
        make_item(51).model_copy(update={"question": "Is the old bridge over the river safe now?"}),
    ]
    clusters = item_clusters(questions)
    assert clusters["q51"] == clusters["q50"]
    assert len(set(clusters.values())) == len(questions) - 1


def test_pairs_are_those_of_comparing_every_question_with_every_other() -> None:
    names = ["old bridge", "new road", "long river", "tall school"]
    texts = [
        f"Is the {name} {more} in our town safe{end}"
        for name in names
        for more in ("here", "we have here", "that people and their children use here every day")
        for end in ("", " now")
    ]
    questions = [make_item(k).model_copy(update={"question": text}) for k, text in enumerate(texts)]
    words = question_words(questions)
    every = {
        (one.id, other.id)
        for one, other in combinations(questions, 2)
        if jaccard(words[one.id], words[other.id]) > NEAR_DUPLICATE
    }
    assert every and set(nearly_the_same(questions)) == every


def test_what_is_found_of_the_same_questions_again_can_be_changed_without_harm() -> None:
    questions = items()
    for find in (item_clusters, near_duplicate_groups):
        found = find(questions)
        kept = dict(found)
        found.clear()
        assert find(questions) == kept


def test_by_topic_holds_out_whole_topics() -> None:
    split = split_items(items(), HeldOut(by="topic", topics=("work",)), 1)
    assert {int(item[1:]) % 3 for item in split.held_out} == {0}
    assert len(split.held_out) == 4


def test_by_list_brings_the_rest_of_a_battery_along() -> None:
    questions = [make_item(i, battery="grid" if i < 3 else None) for i in range(8)]
    split = split_items(questions, HeldOut(by="list", items=("q1",)), 1)
    assert split.held_out == ("q0", "q1", "q2")


def test_a_split_reads_back_equal(tmp_path: Path) -> None:
    split = split_items(items(), HeldOut(share=0.3), 4)
    split.write(tmp_path / "split")
    assert ItemSplit.read(tmp_path / "split") == split


def test_another_seed_holds_out_other_items() -> None:
    found = {split_items(items(), HeldOut(share=0.3), seed).held_out for seed in range(10)}
    assert len(found) > 3


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (HeldOut(share=1.0), "leaves no item to train on"),
        (HeldOut(share=0.01), "holds nothing out"),
        (HeldOut(by="list", items=("q99",)), 'there is no "q99"'),
        (HeldOut(by="topic", topics=("sport",)), 'there is no "sport"; there are family'),
    ],
)
def test_a_split_that_cannot_be_names_the_key(held_out: HeldOut, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_items(items(), held_out, 1)


def test_everything_may_be_held_out_when_nothing_is_trained() -> None:
    assert not split_items(items(), HeldOut(share=1.0), 1, to_train=False).train


def test_topics_are_needed_to_hold_out_by_topic() -> None:
    questions = [make_item(0).model_copy(update={"topic": None}), *items()[1:]]
    with pytest.raises(InputError, match="q0 has none"):
        split_items(questions, HeldOut(by="topic", share=0.3), 1)


@pytest.mark.parametrize(
    "section",
    [
        {"by": "item"},
        {"by": "item", "share": 0.2, "items": ["q1"]},
        {"by": "topic", "share": 0.2, "topics": ["work"]},
        {"by": "list"},
        {"by": "item", "share": 1.2},
    ],
)
def test_held_out_sections_that_contradict_themselves_are_refused(
    section: dict[str, object],
) -> None:
    with pytest.raises(InputError, match=r"^HeldOut: "):
        HeldOut.model_validate(section)
