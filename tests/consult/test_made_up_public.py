"""The simulated public: what comes out is what was put in."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import votes_of
from suffrage.consult.groups.opinion_groups import find_groups
from suffrage.consult.made_up_public import (
    MadeUpPublicSettings,
    Public,
    TasksEach,
    make_public,
    outcome_of,
    outcome_probabilities,
    take_part,
    vote_of,
    without,
)
from suffrage.consult.pairing import INSTRUCTED_OUTCOME
from suffrage.consult.votes import AGREE, DISAGREE, PASS
from suffrage.errors import InputError
from suffrage.population.latent_classes import adjusted_rand_index


def small(**changes: object) -> Public:
    public = Public(
        agree=np.array([[0.7, 0.1], [0.2, 0.5]]),
        disagree=np.array([[0.2, 0.9], [0.2, 0.2]]),
        utility=np.array([[1.0, 0.0, -1.0], [-2.0, 0.5, -2.5]]),
        prompt_of=np.array([0, 0, 0]),
        group=np.array([0, 1]),
    )
    return replace(public, **changes)  # type: ignore[arg-type]


@pytest.mark.slow
def test_votes_come_with_the_probabilities_that_are_known() -> None:
    generator = np.random.default_rng(0)
    votes = np.array([vote_of(small(), 0, 0, generator) for _ in range(8000)])
    shares = [(votes == v).mean() for v in (AGREE, DISAGREE, PASS)]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


@pytest.mark.slow
def test_judgements_follow_davidson() -> None:
    p = outcome_probabilities(small(tie=0.5), 0, 0, 1)
    x, y = np.exp(1.0), np.exp(0.0)
    whole = x + y + 0.5 * np.sqrt(x * y)
    assert p["left"] == pytest.approx(x / whole) and p["right"] == pytest.approx(y / whole)
    assert sum(p.values()) == pytest.approx(1)
    disliked = outcome_probabilities(small(tie=0.5), 1, 0, 2)
    assert disliked["both_bad"] > 5 * disliked["tie"]
    generator = np.random.default_rng(0)
    drawn = [outcome_of(small(tie=0.5), 0, 0, 1, generator) for _ in range(5000)]
    assert drawn.count("left") / 5000 == pytest.approx(x / whole, abs=0.025)


def test_a_side_that_gains_is_chosen_more() -> None:
    even, lean = small(), small(left=0.7)
    assert (
        outcome_probabilities(lean, 0, 1, 0)["left"] > outcome_probabilities(even, 0, 1, 0)["left"]
    )


def test_the_groups_that_voted_are_found_again() -> None:
    generator = np.random.default_rng(7)
    public = make_public(240, 40, 0, generator, MadeUpPublicSettings(groups=(0.6, 0.4)))
    found = find_groups(votes_of(take_part(public, generator, TasksEach(votes=30))))
    truth = {f"p{i}": int(g) for i, g in enumerate(public.group)}
    inside = found.labels >= 0
    names = np.array(found.positions.participants)[inside]
    known = np.array([truth[name] for name in names], np.int16)
    labels = found.labels[inside].astype(np.int16)
    assert adjusted_rand_index(known, labels, np.ones(labels.size)) > 0.8


@pytest.mark.slow
def test_a_consultation_is_whole_and_the_same_seed_gives_the_same() -> None:
    def made(seed: int) -> object:
        generator = np.random.default_rng(seed)
        public = make_public(40, 12, 3, generator, strata={"age": ["young", "old"]})
        return take_part(public, generator, TasksEach(votes=10, pairs=8, reactions=4))

    first = made(1)
    assert first == made(1) and first != made(2)
    assert first.votes.height == 400 and first.reactions.height == 160  # type: ignore[attr-defined]
    comparisons = first.comparisons  # type: ignore[attr-defined]
    assert comparisons.height == 320
    assert comparisons["check"].value_counts().filter(pl.col("check") == "repeat")["count"][0] == 40
    # Orders are one count over everything a person did.
    orders = pl.concat(
        [first.votes.select("participant", "order"), comparisons.select("participant", "order")]  # type: ignore[attr-defined]
    )
    assert not orders.is_duplicated().any()


def test_statement_probabilities_are_those_of_the_draw() -> None:
    generator = np.random.default_rng(0)
    public = make_public(5, 20, 0, generator)
    votes = take_part(public, generator, TasksEach(votes=4)).votes
    assert votes.sort("participant", "order")["probability"][:4].to_list() == pytest.approx(
        [1 / 20, 1 / 19, 1 / 18, 1 / 17]
    )


def test_careless_people_fail_the_instructed_pair_and_sincere_ones_do_not() -> None:
    generator = np.random.default_rng(2)
    public = make_public(60, 10, 3, generator, MadeUpPublicSettings(careless=0.25, brigading=0.1))
    found = take_part(public, generator, TasksEach(votes=8))
    careless = [f"p{i}" for i, m in enumerate(public.manner) if m == "careless"]
    assert len(careless) == 15
    asked = found.comparisons.filter(pl.col("check") == "instructed")
    failed = asked.filter(pl.col("outcome") != INSTRUCTED_OUTCOME)["participant"].unique()
    assert sorted(failed) == sorted(careless)
    theirs = found.votes.filter(pl.col("participant").is_in(careless))["vote"]
    assert (theirs == AGREE).all()


def test_a_brigade_votes_as_one() -> None:
    generator = np.random.default_rng(2)
    public = make_public(50, 10, 0, generator, MadeUpPublicSettings(brigading=0.2))
    found = take_part(public, generator, TasksEach(votes=10)).votes
    brigade = [f"p{i}" for i, m in enumerate(public.manner) if m == "brigading"]
    theirs = found.filter(pl.col("participant").is_in(brigade))
    assert theirs.group_by("statement").agg(pl.col("vote").n_unique())["vote"].max() == 1
    assert "brigading" not in without(public, "brigading").manner


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="disagree is of shape"):
        small(disagree=np.zeros((2, 3)))
    with pytest.raises(InputError, match="sum to 1"):
        small(agree=np.full((2, 2), 0.95))
    with pytest.raises(InputError, match="careless is -1"):
        MadeUpPublicSettings(careless=-1)
