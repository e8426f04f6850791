"""A group keeps its letter when the groups are found again."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.consult.group_letters import COLOURS, group_name
from suffrage.consult.groups.analysis import analyse
from suffrage.consult.groups.group_names import (
    KnownGroup,
    carried_over,
    known_groups,
    remembered,
)
from suffrage.consult.groups.opinion_groups import OUTSIDE, GroupSettings, OpinionGroups, Positions
from suffrage.consult.polis.conversation import Conversation, PolisStatement
from tests.consult.opinions import made_up_votes


def found(*groups: str, outside: str = "") -> OpinionGroups:
    """Groups of people, each of whom is a letter, in this order."""
    people = sorted("".join(groups) + outside)
    labels = [next((g for g, own in enumerate(groups) if p in own), OUTSIDE) for p in people]
    nothing = np.zeros((len(people), 2))
    positions = Positions(
        tuple(people),
        (),
        nothing,
        np.zeros((2, 0)),
        np.zeros(0),
        np.zeros(2),
        np.array(labels) >= 0,
        np.zeros(0),
    )
    return OpinionGroups(positions, np.array(labels), {}, GroupSettings())


def named(groups: OpinionGroups) -> dict[str, str]:
    """The people of each letter."""
    numbers = {p: int(n) for p, n in groups.by_participant().items()}
    return {
        group_name(number): "".join(sorted(p for p, n in numbers.items() if n == number))
        for number in sorted(set(numbers.values()))
    }


def after(*rounds: OpinionGroups) -> OpinionGroups:
    """The last of these, when the groups were found in each round."""
    known: list[KnownGroup] = []
    for groups in rounds:
        last = carried_over(groups, known)
        known = remembered(last, known)
    return last


def test_a_group_that_becomes_the_largest_keeps_its_letter() -> None:
    last = after(found("abcdef", "mno"), found("mnopqrst", "abcdef"))
    assert named(last) == {"A": "abcdef", "B": "mnopqrst"}
    assert last.sizes.tolist() == [6, 8] and last.numbers == (0, 1) and last.order == (1, 0)


def test_newcomers_change_no_letter_however_many_they_are() -> None:
    # Of those who were there before, nobody moved.
    last = after(found("abc", "mno"), found("mnotuvwxyz", "abcdefghi"))
    assert named(last) == {"A": "abcdefghi", "B": "mnotuvwxyz"}


def test_the_part_of_a_split_group_with_most_of_its_people_keeps_the_letter() -> None:
    last = after(found("abcdefg", "mno"), found("mno", "efg", "abcd"))
    assert named(last) == {"A": "abcd", "B": "mno", "C": "efg"}


def test_a_letter_that_is_gone_is_given_to_no_other_group_but_comes_back() -> None:
    first, joined = found("abcd", "mno", "xy"), found("abcdxy", "mno")
    assert named(after(first, joined)) == {"A": "abcdxy", "B": "mno"}
    assert named(after(first, joined, found("abcd", "mno", "xy")))["C"] == "xy"
    other = after(first, joined, found("abxy", "mno", "cd"))
    assert named(other) == {"A": "abxy", "B": "mno", "D": "cd"}


def test_no_two_groups_there_at_once_have_one_colour() -> None:
    first = found("ab", "cd", "ef", "gh", "ij")
    last = after(first, found("abcdefgh", "ij"), found("ij", "klmn", "opqr", "stuv", "abcdefgh"))
    assert len({number % COLOURS for number in last.numbers}) == 5
    assert named(last)["A"] == "abcdefgh" and named(last)["E"] == "ij"


@pytest.mark.parametrize("seed", range(5))
def test_letters_follow_people_whatever_order_groups_are_found_in(seed: int) -> None:
    generator = np.random.default_rng(seed)
    people = "abcdefghijklmnopqrstuvwxyz"
    of = generator.integers(0, 3, len(people))
    known: list[KnownGroup] = []
    moved = of
    for _ in range(20):
        # One or two people change sides at a time; the order is drawn.
        moved = moved.copy()
        moved[generator.integers(0, len(people), 2)] = generator.integers(0, 3, 2)
        order = generator.permutation(3)
        parts = ["".join(np.array(list(people))[moved == g]) for g in order]
        now = carried_over(found(*parts), known)
        if not known:
            first = {int(g): now.numbers[at] for at, g in enumerate(order)}
        known = remembered(now, known)
        by_person = now.by_participant()
        assert all(by_person[p] == str(first[int(g)]) for p, g in zip(people, moved, strict=True))


@pytest.mark.slow
def test_letters_are_those_of_polis_files_where_they_name_groups() -> None:
    matrix, _ = made_up_votes(80, 30, seed=3)
    statements = tuple(PolisStatement(id, f"Say {id}", moderated=1) for id in matrix.statements)
    conversation = Conversation({}, statements, matrix)
    two = GroupSettings(groups=2)
    plain = analyse(conversation, two, resamples=2)
    # Groups by size are the other way round than in the file.
    ids = {p: str(1 - int(g)) for p, g in plain.groups.by_participant().items()}
    turned = analyse(replace(conversation, group_ids=ids), two, resamples=2)
    assert plain.groups.count == turned.groups.count == 2
    assert all(turned.groups.by_participant()[p] == ids[p] for p in turned.groups.by_participant())
    # Everything that is told of a group goes with it.
    back = list(turned.groups.order)
    assert turned.sample.agree.tolist() == plain.sample.agree[back].tolist()
    assert turned.differences.agrees_more.tolist() == plain.differences.agrees_more[back].tolist()
    assert turned.stability.sizes == tuple(turned.groups.sizes.tolist())
    assert turned.stability.overlap == tuple(plain.stability.overlap[at] for at in back)


def test_known_groups_are_read_from_numbers() -> None:
    assert known_groups({"a": 2, "b": 0, "c": 2}) == [
        KnownGroup(0, frozenset("b")),
        KnownGroup(2, frozenset("ac")),
    ]
