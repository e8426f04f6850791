"""A gradient is a spectrum, planted groups are groups, and noise is neither."""

from dataclasses import replace

import numpy as np
import pytest

from suffrage.consult.groups.continuum import (
    Continuum,
    Separation,
    fit_continuum,
    separation,
    share_halfway,
)
from suffrage.consult.groups.opinion_groups import place
from suffrage.consult.groups.stability import Stability, stable_groups, stable_number
from suffrage.consult.votes import UNSEEN
from tests.consult.continuums import spread_along_a_line, votes_along_a_line, votes_in_a_plane
from tests.consult.opinions import made_up_votes


def verdict(matrix: object, resamples: int = 10) -> str:
    found, tried = stable_groups(matrix, resamples=resamples)
    return next(row for row in tried if row.groups == found.count).verdict


@pytest.mark.slow
@pytest.mark.parametrize("how", ["uniform", "normal"])
def test_a_gradient_is_a_spectrum(how: str) -> None:
    verdicts = [
        verdict(votes_along_a_line(spread_along_a_line(200, seed, how), 40, seed))
        for seed in range(4)
    ]
    assert "groups" not in verdicts and verdicts.count("spectrum") >= 3


@pytest.mark.slow
def test_planted_groups_are_groups_and_noise_is_neither() -> None:
    for shares in ((0.6, 0.4), (0.5, 0.3, 0.2)):
        matrix, _ = made_up_votes(people=200, statements=40, shares=shares, seed=2)
        found, tried = stable_groups(matrix, resamples=10)
        row = next(row for row in tried if row.groups == found.count)
        assert (found.count, row.verdict) == (len(shares), "groups")
        assert (
            row.separation is not None and row.separation.halfway < row.separation.halfway_expected
        )
    noise, _ = made_up_votes(people=200, statements=40, shares=(1.0,))
    assert verdict(noise) == "uncertain"


@pytest.mark.slow
def test_two_camps_along_one_line_are_groups_although_people_in_them_differ() -> None:
    camps = np.where(np.arange(200) % 2, 1.2, -1.2) + np.random.default_rng(0).normal(0, 0.4, 200)
    matrix = votes_along_a_line(camps, 40, 1)
    assert separation(matrix, [2])[2].apart
    even = votes_along_a_line(spread_along_a_line(200, 1), 40, 1)
    assert not separation(even, [2])[2].apart


def test_the_share_halfway_is_counted_by_hand() -> None:
    # Centres at 0 and 10 on a slanted line: 3.5 to 6.5 is halfway.
    along = np.array([-1.0, -1, -1, 3, 12, 12, 12, 4])
    places = np.stack([along * 0.6, along * 0.8], axis=1)
    assert share_halfway(places, np.array([0, 0, 0, 0, 1, 1, 1, 1])) == pytest.approx(1 / 8)


@pytest.mark.slow
def test_slopes_and_steps_are_recovered_and_draws_follow_them() -> None:
    generator = np.random.default_rng(0)
    truth = Continuum(generator.uniform(-1.5, 1.5, (1, 30)), generator.normal(size=(2, 30)))
    votes = truth.drawn(generator.random((3000, 30)) < 0.8, generator)
    line = np.array([-1.0, 0.5])
    plain = np.exp(
        [
            np.zeros((30, 2)),
            *(truth.steps[k][:, None] + (k + 1) * truth.slopes.T * line for k in (0, 1)),
        ]
    )
    assert np.exp(truth.log_shares(line[:, None])) == pytest.approx(plain / plain.sum(axis=0))
    shares = [(votes == kind).sum(axis=0) / (votes != UNSEEN).sum(axis=0) for kind in (-1, 0, 1)]
    places = np.sqrt(3) * np.linspace(-1, 1, 2001)[:, None]
    assert np.abs(shares - np.exp(truth.log_shares(places)).mean(axis=2)).max() < 0.05
    ids = made_up_votes(people=3000, statements=30)[0]
    matrix = type(ids)(ids.participants, ids.statements, votes)
    found = fit_continuum(matrix.votes, place(matrix).components[:1])
    sign = np.sign(found.slopes @ truth.slopes.T)
    assert np.abs(sign * found.slopes - truth.slopes).max() < 0.25
    assert np.abs(found.steps - truth.steps).mean() < 0.15


@pytest.mark.slow
def test_the_fit_of_a_plane_says_as_much_of_the_votes_as_the_plane_itself() -> None:
    generator = np.random.default_rng(1)
    truth = Continuum(generator.uniform(-1.5, 1.5, (2, 30)), generator.normal(size=(2, 30)))
    votes = truth.drawn(generator.random((2000, 30)) < 0.8, generator)
    ids = made_up_votes(people=2000, statements=30)[0]
    matrix = type(ids)(ids.participants, ids.statements, votes)
    found = fit_continuum(votes, place(matrix).components)

    def expected_share_of_two(model: Continuum) -> np.ndarray:
        """Shares of people who agree with both of two statements, by an integral over the plane."""
        line = np.sqrt(3) * np.linspace(-1, 1, 101)
        places = np.stack([x.ravel() for x in np.meshgrid(line, line)], axis=1)
        agree = np.exp(model.log_shares(places))[2]
        return agree @ agree.T / len(places)

    # A plane may be turned and skewed, so slopes are not compared, but what they say is.
    difference = expected_share_of_two(found) - expected_share_of_two(truth)
    assert np.abs(difference[~np.eye(30, dtype=bool)]).max() < 0.06


@pytest.mark.slow
def test_people_spread_over_a_plane_are_no_groups_and_three_planted_groups_are() -> None:
    # Compared with a line alone, both are called groups.
    for seed in (6, 8):
        generator = np.random.default_rng([seed, 5])
        places = generator.uniform(-np.sqrt(3), np.sqrt(3), (250, 2))
        matrix = votes_in_a_plane(places, 40, generator)
        found = separation(matrix, [2, 3, 4, 5])
        assert not any(one.apart for one in found.values())
        assert any(one.dimensions == 2 for one in found.values())
    groups, _ = made_up_votes(people=250, statements=40, shares=(0.5, 0.3, 0.2), seed=2)
    three = separation(groups, [3])[3]
    assert three.apart and three.dimensions == 2


def test_groups_that_stand_apart_are_reported_before_a_better_silhouette() -> None:
    apart = Separation(0.03, 0.15, 0.02, 0.5, 0.4, 5.0)
    along = Separation(0.14, 0.15, 0.02, 0.5, 0.4, 5.0)
    assert not replace(apart, score=2.5).apart
    rows = [
        Stability(2, 0.50, (60, 40), 0.9, 0.8, (0.95, 0.9), along),
        Stability(3, 0.40, (50, 30, 20), 0.9, 0.8, (0.9, 0.9, 0.9), apart),
        Stability(4, 0.60, (40, 30, 20, 10), 0.5, 0.2, (0.6, 0.6, 0.5, 0.5)),
    ]
    assert [row.verdict for row in rows] == ["spectrum", "groups", "uncertain"]
    assert stable_number(rows) == 3 and stable_number([rows[0], rows[2]]) == 2
