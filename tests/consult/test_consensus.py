"""Polis' formulas against measured vectors, and against themselves written plainly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.groups.consensus import (
    consensus_root,
    difference_z,
    draw_statement,
    group_informed_consensus,
    group_representativeness,
    lowest_share,
    priority,
    representative_statements,
    routing_probabilities,
    share_z,
)
from suffrage.consult.votes import tally
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


@pytest.mark.parametrize(
    ("agrees", "passes", "seen", "extremity", "expected"),
    [
        (0, 0, 0, 0, 5.0625),
        (1, 0, 1, 0, 12.529726),
        (20, 3, 20, 0, 1.372383),
        (18, 3, 20, 1, 4.493699),
        (50, 10, 100, 1.5, 1.243681),
    ],
)
def test_priority_is_polis(
    agrees: int, passes: int, seen: int, extremity: float, expected: float
) -> None:
    found = priority(array(agrees), array(passes), array(seen), array(extremity))
    assert found[0] == pytest.approx(expected, abs=1e-6)


def test_priorities_vary_and_only_meta_statements_get_theirs() -> None:
    # In production all were once 49 for sixteen months, and routing was blind.
    seen = array(0, 3, 50)
    found = priority(seen * 0.8, seen * 0.1, seen, array(0.1, 2, 1), np.array([False, False, True]))
    assert found[2] == 49 and len(set(found.round(6))) == 3


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


def test_routing_follows_priorities_above_a_floor() -> None:
    open_to = np.array([True, True, False, True])
    polis = routing_probabilities(array(1, 3, 50, np.nan), open_to, floor=0)
    assert polis == pytest.approx([0.2, 0.6, 0, 0.2])
    found = routing_probabilities(array(1, 3, 50, np.nan), open_to)
    assert found.sum() == pytest.approx(1) and found[open_to].min() >= 0.2 / 3 and found[2] == 0
    generator = np.random.default_rng(0)
    drawn = [draw_statement(found, generator, ["a", "b", "c", "d"]) for _ in range(3000)]
    assert drawn.count("b") / 3000 == pytest.approx(found[1], abs=0.03) and "c" not in drawn
    assert draw_statement(np.zeros(2), generator, ["a", "b"]) is None
