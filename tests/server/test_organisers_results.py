"""What organisers see: the groups that were put in, and nobody's name."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.made_up_public import MadeUpPublicSettings, TasksEach, make_public, take_part
from suffrage.server.consultation_results import find_results
from suffrage.server.organisers_results import organisers_results, without_few_voters


@pytest.fixture(scope="module")
def made() -> Consultation:
    generator = np.random.default_rng(7)
    public = make_public(120, 24, 0, generator, MadeUpPublicSettings(groups=(0.6, 0.4)))
    return take_part(public, generator, TasksEach(votes=18))


def shown(content: Consultation, most: int = 5) -> dict[str, Any]:
    """most: the largest number of groups that is tried."""
    return organisers_results(find_results(content, GroupSettings(most=most), resamples=2))


@pytest.mark.slow
def test_organisers_results_are_json_without_anybodys_id_and_the_order_of_rows_changes_nothing(
    made: Consultation,
) -> None:
    found = shown(made)
    text = json.dumps(found)
    assert not any(f'"{person}"' in text for person in made.participants["participant"])
    assert found["waiting"] is None and len(found["groups"]) == 2
    assert found["votes"] == 120 * 18 and len(found["places"]) == 120
    turned = replace(made, votes=made.votes.reverse(), participants=made.participants.reverse())
    assert shown(turned) == found


@pytest.mark.slow
def test_only_accepted_statements_and_people_not_excluded_count(made: Consultation) -> None:
    states = made.statements.with_columns(
        state=pl.when(pl.col("statement") == "s3")
        .then(pl.lit("rejected"))
        .otherwise(pl.col("state"))
    )
    people = made.participants.with_columns(excluded=pl.col("participant") == "p9")
    found = shown(replace(made, statements=states, participants=people), most=2)
    assert "s3" not in {row["statement"] for row in found["all"]}
    assert found["participants"] == 119 and len(found["places"]) == 119


def test_too_few_to_tell_says_so(made: Consultation) -> None:
    found = shown(replace(made, votes=made.votes[:0]))
    assert found["waiting"] and found["participants"] == 0
    assert [row["voters"] for row in found["all"]] == [0] * 24
    # Many people with few votes each are too few as well.
    early = shown(replace(made, votes=made.votes.filter(pl.col("order") < 3)))
    assert early["waiting"] == "0 people have voted on 7 statements or more; 15 are needed"


def test_those_who_may_not_look_at_single_votes_see_no_counts_of_a_few() -> None:
    def row(id: str, *voters: int) -> dict[str, Any]:
        of_groups = [{"name": "AB"[n], "voters": float(v)} for n, v in enumerate(voters)]
        return {"statement": id, "voters": sum(voters), "groups": of_groups}

    rows = [row("many", 8, 5), row("few", 9, 0), row("few of B", 20, 4), row("none of B", 12, 0)]
    mine = {"name": "A", "agrees_more": rows, "disagrees_more": rows[1:2]}
    found = without_few_voters({"waiting": None, "all": rows, "groups": [mine]})
    assert [one["statement"] for one in found["all"]] == ["many", "none of B"]
    assert found["groups"][0]["agrees_more"] == found["all"]
    assert found["groups"][0]["disagrees_more"] == []
    waiting = without_few_voters({"waiting": "too few", "all": [{"statement": "a", "voters": 1}]})
    assert waiting == {"waiting": "too few", "all": []}
