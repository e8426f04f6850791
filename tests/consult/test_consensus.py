"""Polis' formulas against measured vectors, and against themselves written plainly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.groups.consensus import (
    consensus_root,
    difference_z,
    group_informed_consensus,
    group_representativeness,
    lowest_share,
    representative_statements,
    share_z,
)
from suffrage.consult.votes import Tallies, tally
from tests.consult.opinions import made_up_votes


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize(
    ("count", "seen", "z"),
    [(0, 0, 1.0), (3, 4, 1.341640786), (9, 10, 2.713602101), (60, 100, 2.089578099)],
)
def test_a_shares_z_is_polis(count: int, seen: int, z: float) -> None:
    assert share_z(array(count), array(seen))[0] == pytest.approx(z, abs=1e-9)


@pytest.mark.parametrize(
    ("vector", "z"),
    [((9, 3, 10, 10), 2.659215781), ((60, 20, 100, 100), 5.731101854), ((0, 0, 0, 0), 0.0)],
)
def test_a_differences_z_is_polis(vector: tuple[int, ...], z: float) -> None:
    assert difference_z(*map(array, vector))[0] == pytest.approx(z, abs=1e-8)


def test_consensus_of_nobody_is_a_half_to_the_power_of_groups() -> None:
    nothing = np.zeros((3, 2))
    consensus = group_informed_consensus(nothing, nothing)
    assert consensus == pytest.approx([0.125, 0.125])
    assert consensus_root(consensus, 3) == pytest.approx([0.5, 0.5])


def test_tallies_and_everything_from_them_match_the_formulas_written_plainly() -> None:
    matrix, truth = made_up_votes(people=90, statements=12, shares=(0.5, 0.3, 0.2))
    labels = truth.astype(np.int64)
    labels[:5] = -1
    t = tally(matrix.votes, labels, 3)
    found = group_representativeness(t)
    consensus = group_informed_consensus(t.agrees, t.seen)
    for j in range(12):
        product, lowest = 1.0, 1.0
        for g in range(3):
            mine, rest = [
                [v for v in matrix.votes[who, j].tolist() if v >= -1]
                for who in (labels == g, (labels != g) & (labels >= 0))
            ]
            na, ns = mine.count(1), len(mine)
            pa = (na + 1) / (ns + 2)
            product, lowest = product * pa, min(lowest, pa)
            assert (t.agrees[g, j], t.disagrees[g, j]) == (na, mine.count(-1))
            assert (t.passes[g, j], t.seen[g, j]) == (mine.count(0), ns)
            assert found.ra[g, j] == pytest.approx(pa / ((rest.count(1) + 1) / (len(rest) + 2)))
            pd = (mine.count(-1) + 1) / (ns + 2)
            metric = (
                found.ra[g, j] * found.rat[g, j] * pa * found.pat[g, j]
                if found.rat[g, j] > found.rdt[g, j]
                else found.rd[g, j] * found.rdt[g, j] * pd * found.pdt[g, j]
            )
            assert found.metric[g, j] == pytest.approx(metric)
        assert consensus[j] == pytest.approx(product)
        assert lowest_share(t.agrees, t.seen)[j] == pytest.approx(lowest)


@pytest.mark.slow
@given(st.integers(0, 1000))
def test_turning_agree_into_disagree_turns_everything(seed: int) -> None:
    matrix, truth = made_up_votes(people=40, statements=8, seed=seed)
    turned = np.where(matrix.votes >= -1, -matrix.votes, matrix.votes)
    t, u = tally(matrix.votes, truth, 2), tally(turned, truth, 2)
    a, b = group_representativeness(t), group_representativeness(u)
    assert np.array_equal(t.agrees, u.disagrees) and np.array_equal(a.rat, b.rdt)
    assert np.array_equal(a.sufficient, b.sufficient)


def test_weights_of_one_change_nothing_and_kish_counts_what_they_are_worth() -> None:
    matrix, truth = made_up_votes()
    plain, same = tally(matrix.votes, truth, 2), tally(matrix.votes, truth, 2, np.ones(200))
    assert np.allclose(plain.effective().agrees, same.effective().agrees)
    weights = np.random.default_rng(0).uniform(0.2, 3, 200)
    t = tally(matrix.votes, truth, 2, weights)
    voted = weights[(truth == 1) & (matrix.votes[:, 3] >= -1)]
    worth = voted.sum() ** 2 / np.square(voted).sum()
    assert t.effective().seen[1, 3] == pytest.approx(worth)
    assert t.effective().agrees[1, 3] / worth == pytest.approx(t.agrees[1, 3] / t.seen[1, 3])


def test_what_nobody_in_a_group_saw_represents_it_in_no_case() -> None:
    # The others reject the second statement, which nobody of the first group has seen.
    agrees, seen = np.array([[30.0, 0, 5], [20, 0, 5]]), np.array([[40.0, 0, 10], [40, 200, 10]])
    t = Tallies(agrees, seen - agrees, seen, seen)
    found = representative_statements(group_representativeness(t), 0)
    assert found and all(row.statement != 1 for row in found)
    assert found[0].statement == 0
    unseen = Tallies(*(np.zeros((2, 3)) for _ in range(4)))
    assert representative_statements(group_representativeness(unseen), 0) == []


def test_representative_statements_are_those_that_set_a_group_apart() -> None:
    agrees = np.array([[90.0, 50, 10], [10, 50, 12]])
    seen = np.full((2, 3), 100.0)
    t = type(tally(np.zeros((1, 1), dtype=np.int8), np.zeros(1, dtype=np.int64), 1))(
        agrees, seen - agrees, seen, seen
    )
    first = representative_statements(group_representativeness(t), 0)
    second = representative_statements(group_representativeness(t), 1)
    assert (first[0].statement, first[0].agrees) == (0, True)
    assert (0, False) in [(row.statement, row.agrees) for row in second]
