"""The trend files of the WVS and the EVS, small and synthetic, with their names and codes."""

from pathlib import Path
from typing import Any

import pytest

from suffrage.errors import InputError
from suffrage.survey import NonResponse, Survey
from suffrage.survey.formats.archive import read_book
from suffrage.survey.inspection import inspect
from suffrage.survey.readers.values_trend import READER, Options
from suffrage.values.direction import scale_direction
from tests.survey.test_archives import answers, write

TREND: dict[str, list[Any]] = {
    "S002VS": [6, 6, 5, None],
    "S002EVS": [None, None, None, 4],
    "S003": [276, 276, 840, 276],
    "S007_01": [1, 2, 3, 4],
    "S020": [2013, 2013, 2006, 2008],
    "S017": [0.5, 1.5, 1.0, 2.0],
    "X001": [1, 2, 2, -2],
    "X003": [30, 61, -5, 44],
    "A001": [1, 4, -1, 2],
    "A165": [1, 2, -2, -4],
    "A189": [1, 6, 2, -4],
    "C001": [1, 3, 2, 1],
    "F118": [10, 1, -3, 5],
}
COUNTRIES = {276: "Germany", 840: "United States"}
LIKE = ["Not at all like me", "Not like me", "A little like me", "Somewhat like me", "Like me"]
LIKE = [*LIKE, "Very much like me"]


def read(path: Path, **options: Any) -> Survey:
    return READER.read(Options(path=path.name, **options), path.parent)


def labelled(folder: Path, first_is_least: bool = True) -> Path:
    texts = LIKE if first_is_least else LIKE[::-1]
    like = dict(enumerate(texts, start=1))
    labels = {"S003": COUNTRIES, "A189": like}
    return write(folder / "trend.sav", TREND, variable_value_labels=labels)


def test_waves_of_both_studies_are_read_with_country_and_year(tmp_path: Path) -> None:
    survey = read(labelled(tmp_path))
    people = survey.responses.sort("respondent")
    assert people["wave"].to_list() == ["WVS 6", "WVS 6", "WVS 5", "EVS 4"]
    assert people["country"].to_list() == ["Germany", "Germany", "United States", "Germany"]
    assert people["year"].to_list() == ["2013", "2013", "2006", "2008"]
    assert people["sex"].to_list() == ["male", "female", "female", None]
    assert people["age"].to_list() == ["30", "61", None, "44"]
    assert people["weight"].to_list() == [0.5, 1.5, 1.0, 2.0]
    assert answers(survey, "A001") == [0, 3, NonResponse.DONT_KNOW, 1]
    assert answers(survey, "A165")[2:] == [NonResponse.REFUSED, NonResponse.NOT_ASKED]
    # 3 is neither, between agree and disagree.
    assert answers(survey, "C001") == [0, 1, 2, 0]
    assert {"country", "wave"} <= {group.column for group in inspect(survey).groups}


def test_waves_and_countries_are_chosen(tmp_path: Path) -> None:
    path = labelled(tmp_path)
    survey = read(path, waves=["WVS 6", "EVS 4"], countries=["Germany"])
    assert sorted(survey.responses["respondent"]) == ["1", "2", "4"]
    with pytest.raises(
        InputError, match=r"survey\.waves: WVS 2 is not in trend\.sav, which has EVS"
    ):
        read(path, waves=["WVS 2"])
    with pytest.raises(InputError, match=r"survey\.countries: France is not in"):
        read(path, countries=["France"])
    with pytest.raises(ValueError, match='write it as "WVS 6" or "EVS 4"'):
        Options(path="a", waves=["6"])


@pytest.mark.parametrize("first_is_least", [True, False])
def test_human_values_run_as_the_files_labels_say(tmp_path: Path, first_is_least: bool) -> None:
    survey = read(labelled(tmp_path, first_is_least))
    item = survey.codebook["A189"]
    assert scale_direction(item).most == "Very much like me" and scale_direction(item).is_last
    wanted = [0, 5, 1] if first_is_least else [5, 0, 4]
    assert answers(survey, "A189") == [*wanted, NonResponse.NOT_ASKED]


def test_without_labels_human_values_are_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "trend.csv", {**TREND, "COUNTRY_ALPHA": ["DEU", "DEU", "USA", "DEU"]})
    survey = read(path)
    assert "A189" not in survey.codebook.item_ids and "F118" in survey.codebook.item_ids
    assert set(survey.responses["country"]) == {"DEU", "USA"}
    told = [aside for aside in survey.provenance.set_aside if aside.what == "A189"]
    assert "does not say which end means like me" in told[0].why


def test_labels_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    labels = {"A189": {1: LIKE[0], 6: LIKE[-1]}, "A190": {1: LIKE[-1], 6: LIKE[0]}}
    columns = {**TREND, "A190": [1, 2, 3, 4]}
    path = write(tmp_path / "trend.sav", columns, variable_value_labels=labels)
    with pytest.raises(InputError, match="do not agree on which end means like me"):
        read(path)


def test_a_file_without_waves_is_refused(tmp_path: Path) -> None:
    columns = {name: values for name, values in TREND.items() if not name.startswith("S002")}
    with pytest.raises(InputError, match="is it a trend file of the WVS or the EVS"):
        read(write(tmp_path / "trend.csv", columns))


def test_every_ordered_item_of_the_codebook_says_where_its_scale_goes() -> None:
    items = read_book("values_trend.yaml").items()
    assert all(item.topic and (item.direction or not item.ordered) for item in items.values())
    # The questions that wave 7 asked too have the scale that the archive's file of it has.
    wave7 = read_book("wvs7.yaml").items()
    same = {"A008": "Q46", "A165": "Q57", "A173": "Q48", "F063": "Q164", "F118": "Q182"}
    same |= {"E018": "Q45", "E025": "Q209", "G006": "Q254", "A006": "Q6", "D059": "Q29"}
    for trend, question in same.items():
        assert items[trend].options == wave7[question].options, trend
