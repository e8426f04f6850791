"""What anybody may see of a consultation: right, whole, and nothing of a few people."""

from dataclasses import replace
from math import sqrt

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.analysis import OpinionAnalysis, analyse, analysis_without
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.groups.shown_results import shown_results
from suffrage.consult.groups.shown_shares import (
    LEAST_OF_GROUP,
    LEAST_VOTERS,
    shown_cells,
    shown_shares,
    whole_percentages,
)
from suffrage.consult.polis.conversation import conversation_of
from suffrage.consult.votes import tally
from suffrage.errors import InputError
from suffrage.server.demo import simulated_demo


@pytest.fixture(scope="module")
def found() -> tuple[Consultation, OpinionAnalysis]:
    content = simulated_demo(90).content
    # Every third vote says that the statement matters.
    votes = content.votes.with_columns(important=pl.int_range(pl.len()) % 3 == 0)
    content = replace(content, votes=votes)
    return content, analyse(conversation_of(content), GroupSettings(groups=2), resamples=2)


def test_percentages_are_whole_and_a_hundred_together() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        counts = generator.integers(0, 40, 3) + np.array([1, 0, 0])
        shares = whole_percentages(counts)
        assert sum(shares) == 100
        exact = 100 * counts / counts.sum()
        assert all(abs(one - other) < 1 for one, other in zip(shares, exact, strict=True))


@pytest.mark.slow
def test_shares_are_those_of_a_count_by_hand(found: tuple[Consultation, OpinionAnalysis]) -> None:
    content, analysis = found
    groups = analysis.groups.by_participant()
    rows = content.votes.to_dicts()
    for id, row in zip(analysis.votes.statements, shown_shares(content, analysis), strict=True):
        for of, shown in ((None, row.everybody), *zip(("0", "1"), row.groups, strict=True)):
            own = [
                r
                for r in rows
                if r["statement"] == id and (of is None or groups.get(r["participant"]) == of)
            ]
            if shown is None:
                assert len(own) < LEAST_VOTERS
                continue
            agree = sum(r["vote"] == 1 for r in own) / len(own)
            assert shown.voters == len(own)
            assert abs(shown.agree - 100 * agree) < 1
            assert abs(shown.disagree - 100 * sum(r["vote"] == -1 for r in own) / len(own)) < 1
            assert abs(shown.important - 100 * sum(r["important"] for r in own) / len(own)) <= 0.5
            # Wilson (1927), as Newcombe (1998) writes it.
            n, z = len(own), 1.959964
            spread = z * sqrt(z * z + 4 * n * agree * (1 - agree))
            low = (2 * n * agree + z * z - spread) / (2 * (n + z * z))
            high = (2 * n * agree + z * z + spread) / (2 * (n + z * z))
            assert abs(shown.low - 100 * low) <= 0.5 and abs(shown.high - 100 * high) <= 0.5


@pytest.mark.parametrize("groups", [1, 2, 3, 5])
def test_neither_a_share_nor_a_difference_of_shares_is_of_a_few(groups: int) -> None:
    generator = np.random.default_rng(groups)
    inside = generator.integers(0, 12, (groups, 400))
    outside = generator.integers(0, 8, 400)
    voters = np.vstack([inside.sum(axis=0) + outside, inside])
    shown = shown_cells(voters)
    for at in range(400):
        parts = voters[1:, at][shown[1:, at]]
        assert all(part >= LEAST_OF_GROUP for part in parts)
        if not shown[0, at]:
            assert not parts.size and voters[0, at] < LEAST_VOTERS
        elif parts.size:
            rest = voters[0, at] - parts.sum()
            assert rest == 0 or rest >= LEAST_OF_GROUP
    # Where nobody is left over, nothing needs to be left out.
    assert shown_cells(np.array([[12], [6], [6]])).all()
    assert shown_cells(np.array([[14], [8], [6]]))[:, 0].tolist() == [True, True, True]
    assert shown_cells(np.array([[16], [8], [6]]))[:, 0].tolist() == [True, True, False]


def test_the_finding_names_statements_that_the_counts_bear_out(
    found: tuple[Consultation, OpinionAnalysis],
) -> None:
    content, analysis = found
    told = shown_results(content, analysis)
    rows = {row["id"]: row for row in told["all"]}
    assert told["people"] == 90 and told["votes"] == content.votes.height
    assert told["verified"] == 90
    for id in told["most_agree"]:
        assert rows[id]["everybody"]["low"] >= 50
    shares = [rows[id]["everybody"]["agree"] for id in told["most_agree"]]
    assert shares == sorted(shares, reverse=True) and len(shares) == 5
    for id in told["agree"]:
        assert all(group is None or group["agree"] > 50 for group in rows[id]["groups"])
    for id in told["divided"]:
        a, b = (group["agree"] for group in rows[id]["groups"])
        assert abs(a - b) > 29
    assert [group["name"] for group in told["groups"]] == ["A", "B"]
    assert told["all"] == sorted(told["all"], key=lambda r: -r["everybody"]["voters"])
    # Not one statement of a few voters is told of.
    seen = content.votes["statement"].value_counts()
    few = set(seen.filter(pl.col("count") < LEAST_VOTERS)["statement"])
    assert not few & set(rows)


def test_without_some_people_every_count_is_made_again_and_the_groups_stay(
    found: tuple[Consultation, OpinionAnalysis],
) -> None:
    content, analysis = found
    people = analysis.votes.participants
    gone = set(people[:7])
    fewer = analysis_without(analysis, gone)
    stay = np.array([person not in gone for person in people])
    labels = analysis.groups.labels[stay]
    assert fewer.votes.participants == fewer.groups.positions.participants == people[7:]
    assert fewer.groups.labels.tolist() == labels.tolist()
    counted = tally(analysis.votes.votes[stay], labels, analysis.groups.count)
    assert np.array_equal(fewer.sample.voters, counted.seen)
    assert np.allclose(np.nan_to_num(fewer.sample.agree) * counted.seen, counted.agrees)
    assert fewer.stability.sizes == tuple(np.bincount(labels[labels >= 0]).tolist())
    before, after = shown_results(content, analysis), shown_results(content, fewer)
    assert after["people"] == before["people"] - 7
    assert sum(g["people"] for g in after["groups"]) == after["in_groups"] < before["in_groups"]
    voters = {row["id"]: row["everybody"]["voters"] for row in after["all"]}
    seen = dict(zip(fewer.votes.statements, fewer.votes.seen.sum(axis=0).tolist(), strict=True))
    assert voters == {id: seen[id] for id in voters}


def test_there_are_no_groups_where_everybody_of_one_has_gone(
    found: tuple[Consultation, OpinionAnalysis],
) -> None:
    _, analysis = found
    pairs = zip(analysis.votes.participants, analysis.groups.labels.tolist(), strict=True)
    with pytest.raises(InputError, match="nobody is left in one"):
        analysis_without(analysis, {person for person, group in pairs if group == 1})
