"""A wave's folder, small and synthetic, in the layout of OpinionQA's release."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from suffrage.errors import InputError
from suffrage.survey import NonResponse, Survey, read_survey, survey_files

DATA = Path(os.environ.get("SUFFRAGE_SHARED_DATA", "../shared/data"))
INFO = """,Unnamed: 0,key,option_mapping,question,references,option_ordinal
0,0,SAFECRIME_W26,"{1.0: 'Very safe', 99.0: 'Refused'}",\
"How safe is your community?",\
"['Very safe', 'Not safe', 'Refused']","[1.0, 2.0]"
1,1,WORLDDANGER_W26,"{}","Compared to 50 years ago, do you think",\
"['We live in a safer world', 'A more dangerous world', ""It's neither"", 'Refused']",\
"[1.0, 2.0, 1.5]"
2,2,IMPREASONGUN_W26,"{}","Which is the most important reason?",\
"['For hunting', 'For my job', 'Refused']","[1, 1]"
3,3,UNASKED_W26,"{}","Which?","['Yes', 'No', 'Refused']","[1.0, -1.0]"
"""
METADATA = """,key,options
0,CREGION,"['Northeast', 'South']"
1,AGE,"['18-29', '65+']"
2,RACE,"['White', 'Black']"
"""
RESPONSES = """,QKEY,WEIGHT_W26,WEIGHT_W25W26,CREGION,AGE,\
SAFECRIME_W26,WORLDDANGER_W26,IMPREASONGUN_W26
0,100314.0,0.5,,South,18-29,Very safe,We live in a safer world,For my job
1,100363.0,1.5,1.0,Northeast,Refused,Refused,It's neither,
2,100446.0,2.0,2.0,,65+,Not safe,A more dangerous world,For hunting
"""


@pytest.fixture
def wave(tmp_path: Path) -> Path:
    folder = tmp_path / "American_Trends_Panel_W26"
    folder.mkdir()
    for name, text in (("info", INFO), ("metadata", METADATA), ("responses", RESPONSES)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def read(wave: Path, **options: Any) -> Survey:
    section = {"reader": "american_trends_panel", "path": wave.name, **options}
    return read_survey(section, wave.parent)


def answers(survey: Survey, item: str) -> list[int]:
    return survey.responses.sort("respondent")[item].to_list()


def test_a_wave_is_read_with_its_weight_and_its_refusals(wave):
    survey = read(wave)
    people = survey.responses.sort("respondent")
    assert people["respondent"].to_list() == ["100314", "100363", "100446"]
    assert people["weight"].to_list() == [0.5, 1.5, 2.0]
    assert people["cregion"].to_list() == ["South", "Northeast", None]
    assert people["age"].to_list() == ["18-29", None, "65+"]
    assert answers(survey, "SAFECRIME_W26") == [0, NonResponse.REFUSED, 1]
    assert answers(survey, "IMPREASONGUN_W26") == [1, NonResponse.NOT_ASKED, 0]
    assert survey.provenance.set_aside[0].what == "UNASKED_W26"


def test_the_releases_ordinals_order_the_options(wave):
    book = read(wave).codebook
    assert book["WORLDDANGER_W26"].texts == (
        "We live in a safer world",
        "It's neither",
        "A more dangerous world",
    )
    assert book["WORLDDANGER_W26"].ordered
    assert not book["IMPREASONGUN_W26"].ordered


def test_a_weight_is_named_or_none(wave):
    assert read(wave, weight="none").provenance.weight_variable is None
    with pytest.raises(InputError, match=r"responses\.csv row 2: the weight WEIGHT_W25W26"):
        read(wave, weight="WEIGHT_W25W26")
    with pytest.raises(InputError, match="no weight W; it has WEIGHT_W26, WEIGHT_W25W26"):
        read(wave, weight="W")


def test_without_metadata_the_demographics_of_the_release_are_looked_for(wave):
    (wave / "metadata.csv").unlink()
    assert read(wave).codebook.demographics == ("cregion", "age")
    assert read(wave).responses["age"].null_count() == 1
    section = {"reader": "american_trends_panel", "path": wave.name}
    names = [path.name for path in survey_files(section, wave.parent)]
    assert names == ["info.csv", "responses.csv"]


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
def test_files_that_are_not_utf8_are_read_when_their_encoding_is_named(wave, encoding):
    for name, text in (("info", INFO), ("responses", RESPONSES)):
        (wave / f"{name}.csv").write_bytes(
            text.replace("For my job", "À la carte").encode("cp1252")
        )
    with pytest.raises(InputError, match=r"info\.csv line 4: byte 0xc0 is not UTF-8"):
        read(wave)
    assert "À la carte" in read(wave, encoding=encoding).codebook["IMPREASONGUN_W26"].texts


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("responses", ",Not safe,", ",Unsafe,", r'responses\.csv row 4: SAFECRIME_W26 is "Unsafe"'),
        ("responses", "100363.0", "100314", 'QKEY "100314" stands on rows 2, 3'),
        ("responses", "100363.0", "", "row 3: QKEY is empty"),
        ("responses", "QKEY", "ID", "no column QKEY"),
        ("responses", "0,100314.0,0.5", "0,100314.0,-0.5", "row 2: the weight WEIGHT_W26"),
        ("responses", RESPONSES.split("\n", 1)[1], "", "no rows"),
        ("info", "references", "refs", r"info\.csv has no column references"),
        ("info", '"[1.0, 2.0]"', '"[1.0]"', "row 2: SAFECRIME_W26: there are 1 options"),
        ("info", '"[1.0, 2.0]"', '"[1.0, 2.0, 3.0, 4.0]"',
         "row 2: SAFECRIME_W26: 3 references and 4 ordinals"),
        ("metadata", "['White', 'Black']", "White", "row 4: RACE: not readable as a list"),
        ("info", "['For hunting'", "('For hunting'", "row 4: IMPREASONGUN_W26: not readable"),
        ("info", "'Very safe', 'Not safe', ", "'Very safe', 'Very safe', ",
         "row 2: .* two options read"),
        ("info", "IMPREASONGUN", "SAFECRIME", "row 4: SAFECRIME_W26 appears twice"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused(wave, name, old, new, message):
    path = wave / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(wave)


@pytest.mark.slow
def test_the_releases_own_questions_are_read(wave):
    path = DATA / "opinionqa" / "refined_qkey_dict.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    entries = json.loads(path.read_text(encoding="utf-8"))
    with (wave / "info.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "key", "question", "references", "option_ordinal"])
        for number, (key, about) in enumerate(entries.items()):
            rows.writerow(
                [number, key, about["original_qbody"], about["options"], about["ordinal"]]
            )
    with (wave / "responses.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["QKEY", "WEIGHT_W26", *entries])
        for k in range(4):
            rows.writerow(
                [k, 1, *(about["options"][k % len(about["options"])] for about in entries.values())]
            )
    survey = read(wave)
    assert len(survey.codebook.items) == len(entries) > 400
    for item in survey.codebook.items:
        about = entries[item.id]
        points = dict(zip(about["options"], about["ordinal"], strict=False))
        assert len(item.options) == len(about["ordinal"])
        if item.ordered:
            assert [points[text] for text in item.texts] == sorted(about["ordinal"])


def test_items_and_folders_that_are_not_there_are_named(wave):
    assert read(wave, items=["SAFECRIME_W26"]).codebook.item_ids == ("SAFECRIME_W26",)
    with pytest.raises(InputError, match="Q1 is not a question"):
        read(wave, items=["Q1"])
    with pytest.raises(InputError, match="no column UNASKED_W26"):
        read(wave, items=["UNASKED_W26"])
    (wave / "responses.csv").unlink()
    with pytest.raises(InputError, match=r"survey\.path: .*responses\.csv does not exist"):
        read(wave)
