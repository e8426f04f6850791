"""Where a reader stands follows from their own votes, without finding the groups again."""

import math
from typing import Any

import numpy as np
import pytest

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.groups.standing import (
    LEAST_OWN_VOTES,
    Likeness,
    ReaderStanding,
    standing_of,
)
from suffrage.server.consultation_results import ConsultationResults, find_results
from suffrage.server.demo import simulated_demo
from suffrage.server.participants_results import participants_results, public_part
from suffrage.server.store import statements
from suffrage.server.store.participants import find_participant
from suffrage.server.watcher import recompute
from suffrage.server.web import mine
from tests.server.browser import texts
from tests.server.site import Site, consultation, crowd, site

NAMES = [f"s{n}" for n in range(10)]


@pytest.fixture(scope="module")
def found() -> ConsultationResults:
    return find_results(simulated_demo(90).content, GroupSettings(most=3), resamples=2)


@pytest.fixture(scope="module")
def result(found: ConsultationResults) -> dict[str, Any]:
    assert found.analysis is not None
    return participants_results(found.content, found.analysis)


@pytest.mark.slow
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
    names = NAMES
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
    assert (standing.group, standing.between) == (0, ())
    assert [(x.same, x.compared) for x in standing.likeness] == [(3, 4), (1, 4)]
    # Half of each: in the middle, between both.
    even = standing_of(result, dict(zip(names, [1, -1] * 5, strict=True)))
    assert even is not None and {even.group, *even.between} == {0, 1}


def groups_in_a_row(centres: list[float], cells: list[Any]) -> dict[str, Any]:
    """Results with groups on one axis, and ten statements on which each has the same shares."""
    return {
        "plane": {
            "statements": NAMES,
            "centre": [0.0] * 10,
            "components": [[1 / math.sqrt(10)] * 10, [0.0] * 10],
            "centres": [[x, 0.0] for x in centres],
        },
        "all": [{"id": id, "groups": cells} for id in NAMES],
    }


def test_every_group_that_is_as_near_within_rounding_is_named() -> None:
    result = groups_in_a_row([2.0, -2.1, 1.9, 9.0], [shown(40, 40)] * 4)
    standing = standing_of(result, dict.fromkeys(NAMES, 0))
    assert standing is not None
    assert (standing.group, standing.between) == (2, (0, 1))


@pytest.mark.parametrize(
    ("other", "between"), [(shown(90, 5), (1,)), (shown(5, 90), ()), (shown(45, 45), ())]
)
def test_a_group_with_which_a_reader_says_the_same_as_often_is_named_too(
    other: dict[str, int], between: tuple[int, ...]
) -> None:
    # By distance the first group is clearly nearer.
    result = groups_in_a_row([3.0, -3.0], [shown(80, 10), other])
    standing = standing_of(result, dict.fromkeys(NAMES, 1))
    assert standing is not None
    assert (standing.group, standing.between) == (0, between)


@pytest.fixture(scope="module")
def in_four_languages(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site(tmp_path_factory.mktemp("standing"))
    languages = ["en", "mi", "es", "ar"]
    what = consultation(made.store, languages=languages, least_votes=0, least_people=15)
    crowd(made.store, what, 30)
    assert recompute(made.store, what, resamples=2)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "two", "several"),
    [
        ("en", "Your votes are between group B and group A.", "these groups: B, A, and B."),
        ("mi", "Kei waenga ō pōti i te rōpū B me te rōpū A.", "i ēnei rōpū: B, A, B."),
        ("es", "Sus votos están entre el grupo B y el grupo A.", "estos grupos: B, A y B."),
        ("ar", "أصواتك بين المجموعة B والمجموعة A.", "بين هذه المجموعات: B وA وB."),
    ],
)
def test_the_page_names_all_groups_that_are_as_near(
    in_four_languages: Site, monkeypatch: pytest.MonkeyPatch, language: str, two: str, several: str
) -> None:
    person = in_four_languages.browser().join()
    for between, said in (((0,), two), ((0, 1), several)):
        likeness = tuple(Likeness(group, 5, 10) for group in (0, 1))
        standing = ReaderStanding(1, between, (0.0, 0.0), 12, likeness)
        monkeypatch.setattr(mine, "standing_of", lambda *_, found=standing: found)
        page = person.get(f"/c/water/results?lang={language}").text
        assert said in page
        # Both rows of the table say so, and no group is said to be the nearest alone.
        assert page.count(texts(language)("(nearest to you)")) == 2


def test_what_a_place_is_worked_out_from_is_shown_to_nobody(result: dict[str, Any]) -> None:
    assert not {"plane", "extremity"} & set(public_part(result))
    assert {"groups", "all", "most_agree"} <= set(public_part(result))


def test_who_voted_on_all_there_is_sees_results_where_statements_are_few(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = site(tmp_path_factory.mktemp("few"))
    what = consultation(made.store, count=3, least_votes=7, least_people=15)
    people = crowd(made.store, what, 30)
    assert recompute(made.store, what, resamples=2)
    person = find_participant(made.store, what.id, people[0])
    assert mine.results_for(made.store, what, person)["why"] == ""
    statements.add_seeds(
        made.store, what.id, [("One statement more than they voted on.", "en")], "t"
    )
    shown = mine.results_for(made.store, what, person)
    assert (shown["why"], shown["own"], shown["least"]) == ("votes", 3, 4)
