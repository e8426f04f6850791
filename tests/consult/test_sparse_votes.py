"""Sparse votes give the groups that the same votes give as a table."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from suffrage.consult.groups import opinion_groups
from suffrage.consult.groups import sparse_votes as sparse
from suffrage.consult.groups.opinion_groups import GroupSettings, find_groups, place
from suffrage.consult.groups.sparse_votes import SparseVotes, sparse_tally, sparse_votes
from suffrage.consult.groups.stability import group_stability, read_consensus
from suffrage.consult.votes import UNSEEN, VoteMatrix, arranged, tally
from suffrage.errors import InputError
from tests.consult.opinions import made_up_votes


def table_of(votes: SparseVotes) -> np.ndarray:
    """The table, filled cell by cell."""
    table = np.full((len(votes.participants), len(votes.statements)), UNSEEN, dtype=np.int8)
    for person in range(len(votes.participants)):
        for at in range(votes.starts[person], votes.starts[person + 1]):
            table[person, votes.columns[at]] = votes.votes[at]
    return table


def seldom_seen(people: int, statements: int, seen: float) -> VoteMatrix:
    """Votes of people in two groups who saw few of the statements, some of them none."""
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, people)
    agreeing = generator.beta(0.5, 0.5, (2, statements))[truth]
    votes = np.where(generator.random(agreeing.shape) < agreeing, 1, -1).astype(np.int8)
    votes[generator.random(votes.shape) < 0.1] = 0
    votes[generator.random(votes.shape) > seen] = UNSEEN
    votes[:3] = UNSEEN
    return arranged([str(i) for i in range(people)], [str(j) for j in range(statements)], votes)


def test_no_vote_is_lost_or_moved() -> None:
    dense = seldom_seen(60, 30, 0.2)
    alone = sparse_votes(dense)
    assert (table_of(alone) == dense.votes).all()
    kept = [s for s in dense.statements if int(s) % 3]
    assert (table_of(alone.only(kept)) == dense.only(kept).votes).all()
    assert alone.only(kept).statements == tuple(kept)
    with pytest.raises(ValueError, match="do not fit"):
        SparseVotes(("a",), ("1",), np.array([0, 2]), np.zeros(1, np.int32), np.ones(1, np.int8))


@pytest.mark.slow
@pytest.mark.parametrize("seen", [0.6, 0.15])
@pytest.mark.parametrize("moderated_out", [(), ("1", "5", "12")])
def test_places_and_groups_are_those_of_the_table(
    seen: float, moderated_out: tuple[str, ...]
) -> None:
    dense = seldom_seen(400, 60, seen)
    weights = np.random.default_rng(0).integers(0, 4, 400).astype(float)
    for w in (None, weights):
        one = place(dense, moderated_out, weights=w)
        other = place(sparse_votes(dense), moderated_out, weights=w)
        assert np.allclose(one.places, other.places, atol=1e-8)
        assert np.allclose(one.explained, other.explained, atol=1e-10)
        assert np.allclose(one.extremity, other.extremity, atol=1e-8)
        assert (one.inside == other.inside).all() and one.statements == other.statements
    found = find_groups(dense, moderated_out)
    again = find_groups(sparse_votes(dense), moderated_out)
    assert found.count == again.count and (found.labels == again.labels).all()


def test_components_are_those_of_the_filled_table_decomposed_whole() -> None:
    dense = seldom_seen(300, 80, 0.3)
    table = np.where(dense.seen, dense.votes, np.nan)
    filled = np.where(np.isnan(table), np.nanmean(table, axis=0), table)
    rows = np.linalg.svd(filled - filled.mean(axis=0), full_matrices=False)[2][:2]
    found = place(sparse_votes(dense))
    assert np.allclose(np.abs(found.components @ rows.T), np.eye(2), atol=1e-8)


@pytest.mark.parametrize("statements", [1, 2, 12])
def test_few_statements_and_people_who_all_agree_are_placed(statements: int) -> None:
    dense = seldom_seen(40, statements, 0.8)
    assert np.allclose(place(dense).places, place(sparse_votes(dense)).places, atol=1e-9)
    alike = arranged(["a", "b"], ["1", "2"], np.ones((2, 2), dtype=np.int8))
    assert not place(sparse_votes(alike)).places.any()


def test_counts_and_consensus_of_groups_are_those_of_the_table() -> None:
    dense, truth = made_up_votes(120, 30)
    alone = sparse_votes(dense)
    labels = np.where(np.arange(120) % 7 == 0, -1, truth)
    for weights in (None, np.random.default_rng(1).uniform(0, 3, 120)):
        one = tally(dense.votes, labels, 2, weights)
        other = sparse_tally(alone, labels, 2, weights)
        for name in ("agrees", "disagrees", "seen", "squares", "passes"):
            assert np.allclose(getattr(one, name), getattr(other, name))
        read = [read_consensus(votes, labels, 2, weights) for votes in (dense, alone)]
        assert np.allclose(read[0].consensus, read[1].consensus)
        assert np.allclose(read[0].low, read[1].low)


def test_a_large_table_with_few_votes_is_taken_as_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = seldom_seen(100, 40, 0.1), seldom_seen(100, 40, 0.5)
    monkeypatch.setattr(sparse, "LARGE_TABLE", 3999)
    assert sparse.is_better_sparse(few) and not sparse.is_better_sparse(many)
    used = []
    whole = opinion_groups.sparse_votes
    monkeypatch.setattr(opinion_groups, "sparse_votes", lambda m: used.append(m) or whole(m))
    found = place(few)
    assert used == [few]
    monkeypatch.setattr(sparse, "LARGE_TABLE", 4000)
    assert np.allclose(place(few).places, found.places, atol=1e-8) and used == [few]


@pytest.mark.slow
def test_stability_is_measured_on_sparse_votes_too() -> None:
    dense = seldom_seen(150, 40, 0.5)
    one = group_stability(dense, (), GroupSettings(groups=2), 5)
    other = group_stability(sparse_votes(dense), (), GroupSettings(groups=2), 5)
    assert [row.agreement for row in one] == [row.agreement for row in other]


def test_zeroing_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="use drop"):
        place(sparse_votes(seldom_seen(20, 10, 0.5)), ["1"], GroupSettings(moderated="zero"))


def test_the_matrix_is_one_of_scipy() -> None:
    alone = sparse_votes(seldom_seen(20, 10, 0.5))
    assert isinstance(alone.matrix(alone.votes), csr_array)
