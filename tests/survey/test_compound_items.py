"""Questions with several answers, orders and numbers, read as items."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.population import build_value_set
from suffrage.survey import NonResponse, Survey, read_survey
from suffrage.survey.formats.compound_entries import NumbersEntry
from suffrage.survey.inspection import inspect

MISSING, DONT_KNOW = int(NonResponse.MISSING), int(NonResponse.DONT_KNOW)


def read(folder: Path, rows: str, *items: dict[str, Any], **book: Any) -> Survey:
    (folder / "town.csv").write_text(rows)
    content = {"title": "Town", "respondent": "id", "items": list(items), **book}
    (folder / "town.yaml").write_text(yaml.safe_dump(content))
    return read_survey("labelled_file", folder, path="town.csv", codebook="town.yaml")


def answers(survey: Survey, item: str) -> list[int]:
    return survey.responses.sort("respondent")[item].to_list()


MEDIA = {
    "id": "media",
    "question": "Which did you use?",
    "multiple": {"columns": {"m1": "Newspaper", "m2": "Radio"}},
}


def test_each_option_of_several_is_a_yes_no_item(tmp_path: Path) -> None:
    rows = "id,m1,m2\na,1,0\nb,1,\nc,,\nd,0,0\ne,8,8\nf,0,1\n"
    survey = read(tmp_path, rows, MEDIA, non_response={"don't know": [8]})
    assert survey.codebook.item_ids == ("media_m1", "media_m2")
    assert answers(survey, "media_m1") == [0, 0, MISSING, 1, DONT_KNOW, 1]
    # b chose the newspaper, so an empty cell is a radio not chosen; c chose nothing.
    assert answers(survey, "media_m2") == [1, 1, MISSING, 1, DONT_KNOW, 0]
    item = survey.codebook["media_m2"]
    assert item.question == "Which did you use? Radio" and item.texts == ("Yes", "No")
    assert item.battery == "media" and not item.ordered
    found = inspect(survey)
    assert found.provenance.made == (
        "media: several options may be chosen; 2 items, yes or no to each",
    )
    assert [read.name for read in found.provenance.read_codes] == ["media", "media"]


def test_codes_of_what_was_chosen_may_be_others(tmp_path: Path) -> None:
    given = {**MEDIA, "multiple": {**MEDIA["multiple"], "chosen": [2, 3], "not_chosen": [1]}}
    survey = read(tmp_path, "id,m1,m2\na,2,1\nb,1,3\n", given)
    assert answers(survey, "media_m1") == [0, 1] and answers(survey, "media_m2") == [1, 0]
    with pytest.raises(InputError, match='row 2: m1 is "0", which is not in its codebook'):
        read(tmp_path, "id,m1,m2\na,0,1\nb,1,3\n", given)


OPTIONS = {1: "Rents", 2: "Noise", 3: "Traffic"}


def test_one_cell_and_several_mentions_say_the_same(tmp_path: Path) -> None:
    cell = {"id": "w", "question": "Worries?", "multiple": {"options": OPTIONS}}
    one = read(tmp_path, 'id,w\na,"1;3"\nb,2\nc,\nd,9\n', cell, non_response={"refused": [9]})
    columns = {"columns": ["x", "y"], "options": OPTIONS}
    several = {"id": "w", "question": "Worries?", "multiple": columns}
    rows = "id,x,y\na,3,1\nb,2,\nc,,\nd,9,9\n"
    other = read(tmp_path, rows, several, non_response={"refused": [9]})
    for item, wanted in {"w_1": [0, 1], "w_2": [1, 0], "w_3": [0, 1]}.items():
        assert answers(one, item) == [*wanted, MISSING, int(NonResponse.REFUSED)]
        assert answers(other, item) == answers(one, item)
    with pytest.raises(InputError, match=r'row 3: w \(column w\) is "2;4"'):
        read(tmp_path, 'id,w\na,"1;3"\nb,2;4\n', cell)


def test_shares_of_several_answers_are_those_counted_plainly(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    ticks = generator.random((200, 2)) < [0.7, 0.2]
    lines = [f"p{k},{int(a)},{int(b)}" for k, (a, b) in enumerate(ticks)]
    survey = read(tmp_path, "id,m1,m2\n" + "\n".join(lines) + "\n", MEDIA)
    found = build_value_set(survey, "all")
    shares = [found.distributions[item].shares[0] for item in ("media_m1", "media_m2")]
    assert shares == pytest.approx(ticks.mean(axis=0))


AIMS = {"id": "aims", "question": "What first?"}


def test_an_order_is_read_as_its_first_choice_and_as_pairs(tmp_path: Path) -> None:
    places = {"columns": ["a1", "a2"], "options": OPTIONS, "as": "both"}
    rows = "id,a1,a2\na,1,3\nb,2,\nc,,\nd,8,\n"
    survey = read(tmp_path, rows, {**AIMS, "ranking": places}, non_response={"don't know": [8]})
    assert survey.codebook.item_ids == ("aims", "aims_1_2", "aims_1_3", "aims_2_3")
    assert answers(survey, "aims") == [0, 1, MISSING, DONT_KNOW]
    assert answers(survey, "aims_1_2") == [0, 1, MISSING, DONT_KNOW]
    # b ranked neither 1 nor 3.
    assert answers(survey, "aims_1_3") == [0, MISSING, MISSING, DONT_KNOW]
    assert answers(survey, "aims_2_3") == [1, 0, MISSING, DONT_KNOW]
    ranks = {"columns": {"r1": "Rents", "r2": "Noise", "r3": "Traffic"}, "as": "pairs"}
    rows = "id,r1,r2,r3\na,1,,2\nb,,1,\nc,,,\nd,8,8,8\n"
    other = read(tmp_path, rows, {**AIMS, "ranking": ranks}, non_response={"don't know": [8]})
    for first, second in (("1_2", "r1_r2"), ("1_3", "r1_r3"), ("2_3", "r2_r3")):
        assert answers(other, f"aims_{second}") == answers(survey, f"aims_{first}")


def test_two_options_of_rank_one_are_no_first_choice(tmp_path: Path) -> None:
    ranks = {"columns": {"r1": "Rents", "r2": "Noise"}}
    survey = read(tmp_path, "id,r1,r2\na,1,1\nb,2,1\n", {**AIMS, "ranking": ranks})
    assert answers(survey, "aims") == [MISSING, 1]


def test_an_order_in_one_cell(tmp_path: Path) -> None:
    cell = {"separator": ">", "options": OPTIONS}
    survey = read(tmp_path, "id,aims\na,3>1\nb,1>2>3\n", {**AIMS, "ranking": cell})
    assert answers(survey, "aims") == [2, 0]


def test_numbers_are_put_in_bins(tmp_path: Path) -> None:
    item = {
        "id": "warm",
        "question": "How warm, 0 to 100?",
        "numbers": {"range": [0, 100]},
        "non_response": {"don't know": [98]},
    }
    rows = "id,warm\na,0\nb,19\nc,20\nd,100\ne,98\nf,\ng,99\nh,998\n"
    survey = read(tmp_path, rows, item, non_response={"refused": [99, 998]})
    texts = ("0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 100")
    assert survey.codebook["warm"].texts == texts and survey.codebook["warm"].ordered
    wanted = [0, 0, 1, 4, DONT_KNOW, MISSING, 4, int(NonResponse.REFUSED)]
    assert answers(survey, "warm") == wanted
    assert "in 5 bins (0 to 19" in survey.provenance.made[0]
    with pytest.raises(InputError, match='row 3: warm is "101", which is not in its codebook'):
        read(tmp_path, "id,warm\na,0\nb,101\n", item)


def test_bins_and_labels_are_the_codebooks(tmp_path: Path) -> None:
    numbers = {"range": [0, 10], "bins": [0, 5, 10], "labels": ["low", "high", "full"]}
    item = {"id": "q", "question": "How much?", "numbers": numbers, "reversed": True}
    survey = read(tmp_path, "id,q\na,4.9\nb,5\nc,10\n", item)
    assert survey.codebook["q"].texts == ("full", "high", "low")
    assert answers(survey, "q") == [2, 1, 0]
    broken = {"id": "q", "question": "How much?", "numbers": {"range": [0, 1]}}
    fractions = read(tmp_path, "id,q\na,0.1\nb,0.25\nc,1\n", broken)
    assert fractions.codebook["q"].texts[:2] == ("0 to below 0.2", "0.2 to below 0.4")


@pytest.mark.slow
@given(st.floats(0, 100), st.lists(st.integers(1, 100), min_size=1, max_size=8, unique=True))
def test_every_number_of_the_range_is_in_the_bin_it_is_between(
    number: float, inner: list[int]
) -> None:
    entry = NumbersEntry(range=(0, 100), bins=(0, *sorted(inner)))
    place = int(np.searchsorted(entry.starts, [number], side="right")[0]) - 1
    ends = [*entry.starts[1:], np.inf]
    assert entry.starts[place] <= number < ends[place]
    assert len(entry.options(True)) == len({option.text for option in entry.options(True)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multiple": {"columns": {"m1": "One"}}}, "fewer than two options"),
        ({"multiple": {"columns": ["m1", "m2"]}}, "say either which column is which option"),
        ({"multiple": {"columns": {"m1": "One", "m2": "One"}}}, "same text"),
        ({"numbers": {"range": [0, 100]}}, "it is both multiple and numbers"),
        ({"options": {1: "a", 2: "b"}}, "options does not go with multiple"),
        ({"multiple": {"columns": {"m1": "A", "m2": "B"}, "chosen": 0}}, "both chosen and not"),
    ],
)
def test_a_mistake_in_such_a_question_is_named(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, "id,m1,m2\na,1,0\n", {**MEDIA, **change})


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"range": [100, 0]}, "is not below"),
        ({"range": [0, 100], "bins": [10, 50]}, "the first 0"),
        ({"range": [0, 100], "bins": [0, 50, 20]}, "in order"),
        ({"range": [0, 100], "labels": ["a"]}, "there are 1 for 5 bins"),
    ],
)
def test_bins_that_do_not_fit_are_refused(tmp_path: Path, numbers: Any, message: str) -> None:
    item = {"id": "q", "question": "How much?", "numbers": numbers}
    with pytest.raises(InputError, match=message):
        read(tmp_path, "id,q\na,1\n", item)


def test_items_of_one_name_are_refused(tmp_path: Path) -> None:
    plain = {"id": "media_m1", "question": "Another?", "column": "z", "options": {1: "a", 2: "b"}}
    with pytest.raises(InputError, match="media_m1 would be the name of two items"):
        read(tmp_path, "id,m1,m2,z\na,1,0,1\n", MEDIA, plain)
    twice = {"id": "m", "question": "Radio?", "column": "m2", "options": {1: "a", 0: "b"}}
    with pytest.raises(InputError, match="reads column m2 too"):
        read(tmp_path, "id,m1,m2\na,1,0\n", MEDIA, twice)
