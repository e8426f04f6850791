"""Snapshots: the groups that were put in, nobody's name, and everybody's place by their votes."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import Consultation, votes_of
from suffrage.consult.groups.opinion_groups import find_groups
from suffrage.consult.made_up_public import MadeUpPublicSettings, TasksEach, make_public, take_part
from suffrage.consult.votes import UNSEEN
from suffrage.server.organisers_results import place_of, snapshot_of


@pytest.fixture(scope="module")
def made() -> Consultation:
    generator = np.random.default_rng(7)
    public = make_public(120, 24, 0, generator, MadeUpPublicSettings(groups=(0.6, 0.4)))
    return take_part(public, generator, TasksEach(votes=18))


def test_a_snapshot_is_json_without_anybodys_id_and_the_order_of_rows_changes_nothing(
    made: Consultation,
) -> None:
    found = snapshot_of(made, resamples=3)
    text = json.dumps(found)
    assert not any(f'"{person}"' in text for person in made.participants["participant"])
    assert found["waiting"] is None and len(found["groups"]) == 2
    assert found["votes"] == 120 * 18 and len(found["places"]) == 120
    turned = replace(made, votes=made.votes.reverse(), participants=made.participants.reverse())
    assert snapshot_of(turned, resamples=3) == found


def test_a_person_is_placed_by_their_own_votes_where_the_groups_placed_them(
    made: Consultation,
) -> None:
    snapshot, matrix = snapshot_of(made, resamples=3), votes_of(made)
    found = find_groups(matrix)
    for row in range(0, 120, 7):
        votes = {
            s: int(v)
            for s, v in zip(matrix.statements, matrix.votes[row], strict=True)
            if v != UNSEEN
        }
        placed = place_of(snapshot, votes)
        assert placed is not None
        assert placed[:2] == pytest.approx(found.positions.places[row])
        assert placed[2] == found.labels[row]
    assert place_of(snapshot, {}) is None


def test_priorities_differ_between_statements(made: Consultation) -> None:
    wanted = snapshot_of(made, resamples=3)["priorities"]
    assert len(wanted) == 24 and len({round(p, 6) for p in wanted.values()}) > 12


def test_only_accepted_statements_and_people_not_excluded_count(made: Consultation) -> None:
    states = made.statements.with_columns(
        state=pl.when(pl.col("statement") == "s3")
        .then(pl.lit("rejected"))
        .otherwise(pl.col("state"))
    )
    people = made.participants.with_columns(excluded=pl.col("participant") == "p9")
    found = snapshot_of(replace(made, statements=states, participants=people), resamples=3)
    assert "s3" not in {row["statement"] for row in found["all"]}
    assert found["participants"] == 119 and len(found["places"]) == 119


def test_too_few_to_tell_says_so(made: Consultation) -> None:
    found = snapshot_of(replace(made, votes=made.votes[:0]))
    assert found["waiting"] and found["participants"] == 0
    assert [row["voters"] for row in found["all"]] == [0] * 24
    assert place_of(found, {"s1": 1}) is None
    # Many people with few votes each are too few as well.
    early = snapshot_of(replace(made, votes=made.votes.filter(pl.col("order") < 3)))
    assert early["waiting"] == "0 people have voted on 7 statements or more; 15 are needed"
