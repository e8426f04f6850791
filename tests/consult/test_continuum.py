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
from tests.consult.continuums import spread_along_a_line, votes_along_a_line
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
    truth = Continuum(generator.uniform(-1.5, 1.5, 30), generator.normal(size=(2, 30)))
    votes = truth.drawn(generator.random((3000, 30)) < 0.8, generator)
    line = np.array([-1.0, 0.5])
    plain = np.exp(
        [
            np.zeros((30, 2)),
            *(truth.steps[k][:, None] + (k + 1) * truth.slopes[:, None] * line for k in (0, 1)),
        ]
    )
    assert np.exp(truth.log_shares(line)) == pytest.approx(plain / plain.sum(axis=0))
    shares = [(votes == kind).sum(axis=0) / (votes != UNSEEN).sum(axis=0) for kind in (-1, 0, 1)]
    places = np.sqrt(3) * np.linspace(-1, 1, 2001)
    assert np.abs(shares - np.exp(truth.log_shares(places)).mean(axis=2)).max() < 0.05
    ids = made_up_votes(people=3000, statements=30)[0]
    matrix = type(ids)(ids.participants, ids.statements, votes)
    found = fit_continuum(matrix.votes, place(matrix).components[0])
    sign = np.sign(found.slopes @ truth.slopes)
    assert np.abs(sign * found.slopes - truth.slopes).max() < 0.25
    assert np.abs(found.steps - truth.steps).mean() < 0.15


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
