"""Where a reader stands follows from their own votes, without finding the groups again."""

import math
from typing import Any

import numpy as np
import pytest

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.groups.standing import LEAST_OWN_VOTES, standing_of
from suffrage.server.consultation_results import ConsultationResults, find_results
from suffrage.server.demo import simulated_demo
from suffrage.server.participants_results import participants_results, public_part


@pytest.fixture(scope="module")
def found() -> ConsultationResults:
    return find_results(simulated_demo(90).content, GroupSettings(most=3), resamples=2)


@pytest.fixture(scope="module")
def result(found: ConsultationResults) -> dict[str, Any]:
    assert found.analysis is not None
    return participants_results(found.content, found.analysis)


def test_participants_stand_where_the_analysis_placed_them(
    found: ConsultationResults, result: dict[str, Any]
) -> None:
    analysis = found.analysis
    assert analysis is not None
    positions = analysis.groups.positions
    same = 0
    for at, person in enumerate(positions.participants):
        own = found.content.votes.filter(participant=person)
        votes = dict(own.select("statement", "vote").iter_rows())
        standing = standing_of(result, votes)
        assert standing is not None and standing.votes == len(votes)
        assert np.allclose(standing.place, positions.places[at], atol=1e-3)
        same += standing.group == analysis.groups.labels[at]
    # Groups are by the nearest centre of all people, but for a few at an edge.
    assert same >= 0.95 * len(positions.participants)


def test_a_place_needs_ten_votes_on_statements_that_take_part(result: dict[str, Any]) -> None:
    ids = result["plane"]["statements"]
    nine = dict.fromkeys(ids[: LEAST_OWN_VOTES - 1], 1)
    assert standing_of(result, nine) is None
    assert standing_of(result, {**nine, "unknown": 1}) is None
    standing = standing_of(result, {**nine, ids[LEAST_OWN_VOTES]: 0})
    assert standing is not None and standing.votes == LEAST_OWN_VOTES


def shown(agree: int, disagree: int) -> dict[str, int]:
    return {"agree": agree, "disagree": disagree}


def test_likeness_compares_sides_with_the_majority_of_each_group() -> None:
    names = [f"s{n}" for n in range(10)]
    cells = [(shown(80, 10), shown(20, 70))] * 5 + [(shown(40, 40), None)] * 5
    result = {
        "plane": {
            "statements": names,
            "centre": [0.0] * 10,
            "components": [[1 / math.sqrt(10)] * 10, [0.0] * 10],
            "centres": [[2.0, 0.0], [-2.0, 0.0]],
        },
        "all": [{"id": id, "groups": list(row)} for id, row in zip(names, cells, strict=True)],
    }
    votes = dict(zip(names, [1, 1, 1, -1, 0, 1, 1, 1, 1, -1], strict=True))
    standing = standing_of(result, votes)
    assert standing is not None
    # Seven agree, two disagree: (7 - 2) / sqrt(10) to the side of the first group.
    assert standing.place == pytest.approx((5 / math.sqrt(10), 0))
    assert (standing.group, standing.between) == (0, None)
    assert [(x.same, x.compared) for x in standing.likeness] == [(3, 4), (1, 4)]
    # Half of each: in the middle, between both.
    even = standing_of(result, dict(zip(names, [1, -1] * 5, strict=True)))
    assert even is not None and {even.group, even.between} == {0, 1}


def test_what_a_place_is_worked_out_from_is_shown_to_nobody(result: dict[str, Any]) -> None:
    assert not {"plane", "extremity"} & set(public_part(result))
    assert {"groups", "all", "most_agree"} <= set(public_part(result))
