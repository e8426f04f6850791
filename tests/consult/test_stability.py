"""Stability, intervals, false discoveries and raking, on people whose groups are known."""

import numpy as np
import polars as pl
import pytest

from suffrage.consult.groups.opinion_groups import GroupSettings, find_groups
from suffrage.consult.groups.stability import (
    Stability,
    difference_p,
    group_differences,
    group_stability,
    read_consensus,
    stable_groups,
    stable_number,
)
from suffrage.consult.people import raked_to_population
from suffrage.consult.votes import UNSEEN, arranged
from suffrage.errors import InputError
from suffrage.survey.weighting import WeightingSpec
from tests.consult.opinions import made_up_votes


@pytest.mark.slow
def test_true_groups_come_back_and_too_many_do_not() -> None:
    matrix, _ = made_up_votes(people=300, statements=50, shares=(0.5, 0.3, 0.2))
    found, tried = stable_groups(matrix, resamples=10)
    of = {row.groups: row for row in tried}
    assert found.count == 3 and of[3].trusted and of[3].agreement > 0.95
    assert of[5].agreement < of[3].agreement and not of[5].trusted
    assert of[3].sizes == tuple(found.sizes.tolist())


def test_stability_is_the_same_each_time() -> None:
    matrix, _ = made_up_votes(people=120)
    assert group_stability(matrix, resamples=3) == group_stability(matrix, resamples=3)
    with pytest.raises(InputError, match="2 or more"):
        group_stability(matrix, resamples=1)


def test_a_better_silhouette_does_not_excuse_groups_that_do_not_come_back() -> None:
    two = Stability(2, 0.35, (60, 40), 0.9, 0.8, (0.95, 0.9))
    five = Stability(5, 0.40, (30, 25, 20, 15, 10), 0.5, 0.3, (0.7, 0.6, 0.5, 0.5, 0.4))
    assert stable_number([two, five]) == 2
    shaky = Stability(2, 0.35, (60, 40), 0.6, 0.3, (0.7, 0.6))
    assert stable_number([shaky, five]) == 2


def test_a_resample_without_the_dissenters_counts_as_one_that_lost_their_group() -> None:
    votes = np.ones((30, 8), dtype=np.int8)
    votes[:2] = -1
    matrix = arranged([str(i) for i in range(30)], [str(j) for j in range(8)], votes)
    found, tried = stable_groups(matrix, resamples=60)
    assert found.sizes.tolist() == [28, 2]
    missed = (28 / 30) ** 30  # the share of resamples that draw neither of the two
    assert tried[0].agreement == pytest.approx(1 - missed, abs=0.13)
    assert tried[0].agreement < 1 and tried[0].agreement_low == 0


def test_votes_without_groups_behind_them_show_no_differences() -> None:
    # Everyone has the same opinions; k-means cuts the cloud anyway. Tested on the same votes,
    # dozens of statements would seem to differ.
    generator = np.random.default_rng(5)
    votes = np.where(generator.random((400, 60)) < generator.beta(2, 2, 60), 1, -1)
    votes[generator.random(votes.shape) < 0.3] = UNSEEN
    ids = [str(i) for i in range(400)], [str(j) for j in range(60)]
    matrix = arranged(*ids, votes.astype(np.int8))
    found = find_groups(matrix, settings=GroupSettings(groups=2))
    honest = group_differences(matrix, found)
    assert honest.clear_agree.sum() + honest.clear_disagree.sum() <= 3
    labels = found.labels
    naive = [
        abs(np.mean(matrix.votes[labels == 0, j] == 1) - np.mean(matrix.votes[labels == 1, j] == 1))
        for j in range(60)
    ]
    assert sum(gap > 0.15 for gap in naive) > 5


def test_true_differences_are_found() -> None:
    matrix, _ = made_up_votes(people=400, statements=40)
    found = find_groups(matrix, settings=GroupSettings(groups=2))
    told = group_differences(matrix, found, ("5",))
    assert np.isnan(told.p_agree[:, 5]).all() and not told.clear_agree[:, 5].any()
    large = np.abs(told.agrees_more[0]) > 0.3
    large[5] = False
    clear = told.clear_agree.any(axis=0) | told.clear_disagree.any(axis=0)
    assert clear[large].mean() > 0.95 and large.sum() > 5


def test_the_p_value_is_the_pooled_z_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = (
        np.array([30.0, 2.0]),
        np.array([60.0, 4.0]),
        np.array([20.0, 5.0]),
        np.array([70.0, 90.0]),
    )
    found = difference_p(*values)
    table = np.array([[30, 30], [20, 50]])
    chi2 = stats.chi2_contingency(table, correction=False)
    assert found[0] == pytest.approx(chi2.pvalue / 2) and np.isnan(found[1])


def test_a_reading_with_equal_weights_is_the_samples() -> None:
    matrix, truth = made_up_votes()
    plain = read_consensus(matrix, truth, 2)
    same = read_consensus(matrix, truth, 2, np.ones(200))
    assert same.consensus == pytest.approx(plain.consensus)
    assert np.nanmax(np.abs(same.low - plain.low)) < 1e-9
    assert (plain.consensus_low < plain.consensus).all()
    assert (plain.consensus_high > plain.consensus).all()
    assert (plain.low <= plain.agree).all() and (plain.agree <= plain.high).all()


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    shares = generator.uniform(0.1, 0.9, (2, 2000))
    truth = np.repeat([0, 1], [40, 60])
    votes = np.where(generator.random((100, 2000)) < shares[truth], 1, -1).astype(np.int8)
    ids = [str(i) for i in range(100)], [str(j) for j in range(2000)]
    read = read_consensus(arranged(*ids, votes), truth, 2)
    held = (read.low <= shares) & (shares <= read.high)
    whole = shares.prod(axis=0)
    held_together = (read.consensus_low <= whole) & (whole <= read.consensus_high)
    assert 0.93 < held.mean() < 0.97 and 0.92 < held_together.mean() < 0.98


def test_nobodys_share_is_unknown() -> None:
    matrix, truth = made_up_votes()
    votes = matrix.votes.copy()
    votes[truth == 1, 0] = UNSEEN
    read = read_consensus(arranged(matrix.participants, matrix.statements, votes), truth, 2)
    assert np.isnan(read.agree[1, 0]) and (read.low[1, 0], read.high[1, 0]) == (0, 1)


SPEC = WeightingSpec(margins={"age": {"young": 0.5, "old": 0.5}}, source="made up")


def test_raking_turns_the_sample_into_the_population() -> None:
    # The young, who always agree, are a fifth of the sample and half of the population.
    people = [str(i) for i in range(200)]
    young = np.arange(200) < 40
    votes = np.where(young, 1, -1)[:, None].repeat(2, axis=1).astype(np.int8)
    matrix = arranged(people, ["0", "1"], votes)
    labels = np.zeros(200, dtype=np.int64)
    labels[199] = -1
    frame = pl.DataFrame({"participant": people, "age": np.where(young, "young", "old")})
    weights, told = raked_to_population(frame.reverse(), matrix.participants, labels, SPEC)
    assert weights[199] == 0 and weights[:199].mean() == pytest.approx(1)
    assert weights[:40].sum() == pytest.approx(weights[40:].sum())
    assert told.n == 199 and told.n_eff[1] < 199
    sample = read_consensus(matrix, labels, 1)
    population = read_consensus(matrix, labels, 1, weights)
    assert sample.agree[0, 0] == pytest.approx(40 / 199)
    assert population.agree[0, 0] == pytest.approx(0.5)
    assert population.voters[0, 0] == pytest.approx(told.n_eff[1])
    wide = population.high[0, 0] - population.low[0, 0]
    assert wide > sample.high[0, 0] - sample.low[0, 0]


def test_people_who_said_nothing_of_themselves_are_told() -> None:
    people = pl.DataFrame({"participant": ["0", "1"], "age": ["young", "old"]})
    labels = np.zeros(3, dtype=np.int64)
    with pytest.raises(InputError, match="no known category"):
        raked_to_population(people, ("0", "1", "2"), labels, SPEC)
    keep = SPEC.model_copy(update={"unknown": "keep"})
    weights, _ = raked_to_population(people, ("0", "1", "2"), labels, keep)
    assert weights == pytest.approx([1, 1, 1])
    with pytest.raises(InputError, match="no column participant"):
        raked_to_population(people.drop("participant"), ("0",), labels[:1], SPEC)
    with pytest.raises(InputError, match="appears twice"):
        raked_to_population(pl.concat([people, people]), ("0",), labels[:1], SPEC)
