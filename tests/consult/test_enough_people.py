"""How many people are enough: simulated errors against formulas, and what harm does to them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from suffrage.cli.commands import app
from suffrage.consult.groups.enough_people import (
    RealPublic,
    Turnout,
    comparisons_needed,
    expect,
    real_public,
)
from suffrage.consult.votes import UNSEEN, VoteMatrix
from suffrage.errors import InputError


def public(people: int = 3000, statements: int = 40, spread: float = 0.0) -> RealPublic:
    """Two subgroups; with a spread, those of a high rank agree more often."""
    generator = np.random.default_rng(3)
    group = np.repeat([0, 1], people // 2)
    rank = np.tile(np.linspace(0, 1, people // 2), 2)
    agree = np.where(np.arange(statements) < statements // 2, 0.8, 0.4)[None].repeat(2, 0)
    agree[1] -= 0.1
    chance = (agree[group] + spread * (rank[:, None] - 0.5)).clip(0.02, 0.98)
    votes = np.where(generator.random(chance.shape) < chance, 1, -1).astype(np.int8)
    return RealPublic(votes, group, rank, 0.0)


PUBLIC = public()
MANY = {"rounds": 60, "seed": 5}


@pytest.mark.parametrize("people", [20, 80, 320])
def test_the_error_of_a_share_is_that_of_a_sample_of_so_many(people: int) -> None:
    found = expect(PUBLIC, Turnout(people=people, statements=40), **MANY)  # type: ignore[arg-type]
    p = PUBLIC.shares()[..., 0]
    # Of (agrees + 1) / (voters + 2), by the binomial distribution.
    k = np.arange(people + 1)
    weights = binom.pmf(k, people, p[..., None])
    wanted = (weights * np.abs((k + 1) / (people + 2) - p[..., None])).sum(-1).mean()
    assert found.voters == people
    assert found.share_error == pytest.approx(wanted, rel=0.05)


@pytest.mark.slow
def test_four_times_as_many_people_halve_the_error() -> None:
    few, many = (
        expect(PUBLIC, Turnout(people=n, statements=40), **MANY)  # type: ignore[arg-type]
        for n in (100, 400)
    )
    assert few.share_error / many.share_error == pytest.approx(2, rel=0.1)
    assert many.record_fit > few.record_fit and many.consensus_found > few.consensus_found


def test_time_bounds_how_many_vote_on_a_statement() -> None:
    short = Turnout(people=100, minutes=2.5, statements=40)
    assert short.votes_each == 10
    found = expect(PUBLIC, short, **MANY)  # type: ignore[arg-type]
    assert found.voters == pytest.approx(100 * 10 / 40)


@pytest.mark.slow
def test_bias_leaves_an_error_that_more_people_do_not_remove() -> None:
    skewed = public(spread=0.6)
    errors = {
        (bias, n): expect(skewed, Turnout(people=n, bias=bias, statements=40), **MANY).share_error  # type: ignore[arg-type]
        for bias in (1.0, 4.0)
        for n in (50, 800)
    }
    # With weights 4^rank the mean rank is 1 / (1 - 1/4) - 1 / ln 4; shares are off by 0.6 times
    # how far that is from a half.
    moved = 0.6 * (4 / 3 - 1 / np.log(4) - 0.5)
    assert errors[4.0, 800] == pytest.approx(moved, rel=0.15)
    assert errors[1.0, 800] < errors[4.0, 800] / 4


@pytest.mark.slow
def test_strategic_voters_and_bots_hide_consensus() -> None:
    honest, strategic, bots = (
        expect(PUBLIC, Turnout(people=200, statements=40, **more), **MANY)  # type: ignore[arg-type]
        for more in ({}, {"strategic": 0.2}, {"bots": 0.2})
    )
    assert strategic.consensus_error > 2 * honest.consensus_error
    assert bots.consensus_error > 1.5 * honest.consensus_error
    # A fifth who vote against 0.7 leave 0.56, and a fifth by chance leave 0.63.
    assert strategic.consensus_found < bots.consensus_found <= honest.consensus_found


@pytest.mark.slow
def test_a_planted_group_is_found_among_people_who_differ_on_nothing_else() -> None:
    found = expect(PUBLIC, Turnout(people=200, statements=40), 1, planted=6)
    lost = expect(PUBLIC, Turnout(people=5, minutes=1, statements=40), 1, planted=6)
    assert found.planted_found is not None and lost.planted_found is not None
    assert found.planted_found > lost.planted_found


def test_votes_that_were_given_stay_and_others_follow_the_subgroup() -> None:
    generator = np.random.default_rng(1)
    side = np.repeat([0, 1], 100)
    chance = np.where(side[:, None] == np.arange(20) % 2, 0.9, 0.1)
    votes = np.where(generator.random((200, 20)) < chance, 1, -1).astype(np.int8)
    hidden = generator.random(votes.shape) < 0.25
    votes[hidden] = UNSEEN
    matrix = VoteMatrix(tuple(map(str, range(200))), tuple(map(str, range(20))), votes)
    found = real_public(matrix, 2)
    assert found.groups == 2 and len(found.votes) == 200
    assert (found.votes[~hidden] == votes[~hidden]).all()
    assert found.filled == pytest.approx(hidden.mean())
    agreed = (found.votes == 1)[hidden].mean() - chance[hidden].mean()
    assert abs(agreed) < 0.05


@pytest.mark.parametrize(("share", "chance"), [(0.6, 0.95), (0.7, 0.9), (0.55, 0.8)])
def test_comparisons_are_the_least_number_by_the_binomial_distribution(
    share: float, chance: float
) -> None:
    def wins(n: int) -> float:
        tie = binom.pmf(n // 2, n, share) / 2 if n % 2 == 0 else 0.0
        return float(binom.sf(n // 2, n, share) + tie)

    needed = comparisons_needed(share, chance)
    assert wins(needed) >= chance
    assert all(wins(n) < chance for n in range(1, needed))


@pytest.mark.parametrize(
    "more", [{"people": 0}, {"minutes": -1}, {"strategic": 0.6, "bots": 0.5}, {"bots": -0.1}]
)
def test_impossible_turnouts_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Turnout(**more)


@pytest.mark.slow
def test_the_command_says_what_to_expect_and_json_has_every_figure() -> None:
    given = ["consult", "plan", "--people", "20,100", "--rounds", "3"]
    said = CliRunner().invoke(app, given)
    assert said.exit_code == 0, said.output
    assert "3 subgroups, 15 minutes each, 60 statements" in said.output
    assert "67 people" in said.output
    found = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)
    assert [row["people"] for row in found["rows"]] == [20, 100]
    assert found["rows"][1]["share_error"] < found["rows"][0]["share_error"]


@pytest.mark.slow
def test_a_real_export_can_stand_for_the_public(shared_data: Path) -> None:
    folder = shared_data / "polis" / "scoop-hivemind.biodiversity"
    given = ["consult", "plan", str(folder), "--people", "50", "--rounds", "3", "--json"]
    found = json.loads(CliRunner().invoke(app, given).output)
    assert found["respondents"] == folder.name and found["public"] > 400
    assert 0.5 < found["filled"] < 0.65
