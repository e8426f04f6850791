"""The vote matrix: last votes, ids in one order, the sign from counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.votes import (
    UNSEEN,
    VoteMatrix,
    arranged,
    from_events,
    id_order,
    sign_of_agree,
)
from suffrage.errors import InputError

EVENTS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 5), st.sampled_from([-1, 0, 1])), max_size=60
)


@pytest.mark.slow
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_last_vote_counts_whatever_the_order_of_rows(events, random) -> None:
    timed = [(str(p), str(s), vote, at) for at, (p, s, vote) in enumerate(events)]
    expected = {(p, s): vote for p, s, vote, _ in timed}
    random.shuffle(timed)
    columns = [list(column) for column in zip(*timed, strict=True)] or [[], [], [], []]
    matrix = from_events(*columns)
    found = {
        (p, s): int(matrix.votes[i, j])
        for i, p in enumerate(matrix.participants)
        for j, s in enumerate(matrix.statements)
        if matrix.votes[i, j] != UNSEEN
    }
    assert found == expected


def test_numbers_sort_as_numbers_and_before_words() -> None:
    assert sorted(["10", "b", "2", "a1", "1"], key=id_order) == ["1", "2", "10", "a1", "b"]


def test_rows_and_columns_in_any_order_give_one_matrix() -> None:
    first = arranged(["2", "10"], ["1", "0"], np.array([[1, 0], [-1, UNSEEN]], dtype=np.int8))
    second = arranged(["10", "2"], ["0", "1"], np.array([[UNSEEN, -1], [0, 1]], dtype=np.int8))
    assert first == second
    assert first.participants == ("2", "10") and first.votes[0].tolist() == [0, 1]


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="participant 3 appears twice"):
        arranged(["3", "3"], ["0"], np.zeros((2, 1), dtype=np.int8))
    with pytest.raises(InputError, match="vote 2 in the log"):
        from_events(["a", "b"], ["0", "0"], [1, 2], [0, 0])
    with pytest.raises(ValueError, match="id_order"):
        VoteMatrix(("10", "2"), ("0",), np.zeros((2, 1), dtype=np.int8))


def test_the_sign_is_found_from_counts_and_not_guessed() -> None:
    assert sign_of_agree([5, 3], [1, 0], [5, 3], [1, 0]) == 1
    assert sign_of_agree([5, 3], [1, 0], [1, 0], [5, 3]) == -1
    assert sign_of_agree([5, 3], [1, 1], [2, 0], [5, 4]) == -1  # counts are often a little off
    with pytest.raises(InputError, match="do not say"):
        sign_of_agree([2], [2], [2], [2])
