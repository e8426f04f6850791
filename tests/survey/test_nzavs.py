"""The panel's wide file, small and synthetic, with the column names that users' scripts show."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.survey import NonResponse, Survey, read_survey

BOOK = """
title: Panel
respondent: Questionnaire.Num
demographics: {age: "Age.T{wave:02}", region: NZREG.T10}
non_response: {refused: [-98], missing: [-99]}
items:
  - {id: SDO01, question: "Ranks?", options: {1: "No", 2: Perhaps, 3: "Yes"}}
  - {id: SDO04, column: "SDO04r.T{wave:02}", question: "Equal?", options: {1: "No", 2: "Yes"}}
"""
WIDE: dict[str, list[Any]] = {
    "Questionnaire.Num": [11, 12, 13, 14],
    "Age.T09": [40, 30, None, 21],
    "SDO01.T09": [1, 3, None, -99],
    "Age.T10": [41, 31, 22, None],
    "NZREG.T10": ["Ōtākou", "Otago", "Otago", None],
    "TSCORE.T10": [3400.0, 3500.0, 3600.0, None],
    "SDO01.T10": [1, 2, -98, None],
    "SDO04r.T10": [2, 1, -99, None],
}


def panel(folder: Path, suffix: str = ".csv", book: str = BOOK, **change: Any) -> Path:
    frame = pd.DataFrame({**WIDE, **{k.replace("_", "."): v for k, v in change.items()}})
    path = folder / f"panel{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        pyreadstat = pytest.importorskip("pyreadstat")
        pyreadstat.write_sav(frame, path)
    (folder / "nzavs.yaml").write_text(book, encoding="utf-8")
    return path


def read(path: Path, wave: int = 10, **options: Any) -> Survey:
    section = {"reader": "nzavs", "path": path.name, "codebook": "nzavs.yaml", "wave": wave}
    return read_survey({**section, **options}, path.parent)


def answers(survey: Survey, item: str) -> dict[str, int]:
    return dict(survey.responses.select("respondent", item).iter_rows())


@pytest.mark.parametrize("suffix", [".csv", ".sav"])
def test_a_wave_is_read_under_panel_ids_and_the_absent_are_counted(tmp_path, suffix):
    survey = read(panel(tmp_path, suffix))
    assert answers(survey, "SDO01") == {"11": 0, "12": 1, "13": NonResponse.REFUSED}
    assert answers(survey, "SDO04") == {"11": 1, "12": 0, "13": NonResponse.MISSING}
    ages = dict(survey.responses.select("respondent", "age").iter_rows())
    assert {who: float(age) for who, age in ages.items()} == {"11": 41, "12": 31, "13": 22}
    aside = {entry.why: entry.count for entry in survey.provenance.set_aside}
    assert aside["did not take part in wave 10"] == 1
    assert "Ōtākou" in survey.responses["region"].to_list()


def test_two_waves_join_by_the_panel_id_and_items_of_another_wave_are_set_aside(tmp_path):
    path = panel(tmp_path)
    ninth, tenth = read(path, 9), read(path, 10)
    assert answers(ninth, "SDO01") == {"11": 0, "12": 2, "14": NonResponse.MISSING}
    assert set(ninth.responses["respondent"]) & set(tenth.responses["respondent"]) == {"11", "12"}
    assert ninth.codebook.item_ids == ("SDO01",)
    assert ("SDO04", "items not asked in wave 9") in [
        (entry.what, entry.why) for entry in ninth.provenance.set_aside
    ]


def test_a_column_or_a_code_says_who_took_part(tmp_path):
    filled = panel(tmp_path, book=BOOK + "took_part: TSCORE.T{wave:02}\n")
    assert read(filled).responses.height == 3
    coded = BOOK + "took_part: {column: In.T10, codes: [1]}\n"
    path = panel(tmp_path, book=coded, In_T10=[1, 0, 1, -1])
    assert set(read(path).responses["respondent"]) == {"11", "13"}


def test_the_weight_is_the_codebooks_or_the_studys(tmp_path):
    book = BOOK + "weight: W.T{wave:02}\n"
    path = panel(tmp_path, book=book, W_T10=[1, 2, 3, None], V_T10=[2, 2, 5, None])
    assert sorted(read(path).weights) == [1, 2, 3]
    assert sorted(read(path, weight="V.T{wave}").weights) == [2, 2, 5]
    assert read(path, weight="none").provenance.weight_variable is None


def test_the_pattern_of_columns_is_a_setting(tmp_path):
    book = BOOK.replace("title: Panel", 'title: Panel\ncolumn: "T{wave}_{id}"')
    path = panel(tmp_path, book=book, T10_SDO01=[3, 3, 3, None])
    pd.read_csv(path).rename(columns={"T10.SDO01": "T10_SDO01"}).to_csv(path, index=False)
    assert set(answers(read(path), "SDO01").values()) == {2}


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
def test_a_file_that_is_not_utf8_is_read_when_its_encoding_is_named(tmp_path, encoding):
    path = panel(tmp_path, NZREG_T10=["Whangārei".replace("ā", "ä"), "Otago", "Otago", None])
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(InputError, match="line 2: byte 0xe4 is not UTF-8"):
        read(path)
    assert "Whangärei" in read(path, encoding=encoding).responses["region"].to_list()


@pytest.mark.parametrize(
    ("change", "book", "wave", "message"),
    [
        ({"SDO01_T10": [1, 2, 7, None]}, BOOK, 10,
         r'panel\.csv row 4: SDO01 \(column SDO01\.T10\) is "7'),
        ({"Questionnaire_Num": [11, 11, 13, 14]}, BOOK, 10,
         'Questionnaire.Num "11" stands on rows 2, 3'),
        ({"Questionnaire_Num": [11, None, 13, 14]}, BOOK, 10, "row 3: Questionnaire.Num is empty"),
        ({}, BOOK, 12, "none of its items in wave 12"),
        ({}, BOOK.replace("id: SDO01", "id: SDO1"), 10,
         r'no column "SDO1\.T10".*mean "SDO01\.T10"'),
        ({}, BOOK + "column: X.T{wave}\n", 10, r"must contain \{id\} and \{wave\}"),
        ({}, BOOK.replace("SDO04r.T{wave:02}", "SDO04r.{time}"), 10, r"\{time\} is neither"),
        ({}, BOOK + "took_part: In.T10\n", 10, r'took_part: panel\.csv has no column "In\.T10"'),
        ({}, BOOK + "weight: W.T10\n", 10, r'weight: panel\.csv has no column "W\.T10"'),
        ({}, BOOK.replace('options: {1: "No", 2: "Yes"}', "topic: x"), 10,
         r"items\[1\]\.options.*no value labels"),
        ({"SDO01_T10": [None] * 4, "SDO04r_T10": [None] * 4}, BOOK, 10,
         "nobody took part in wave 10"),
    ],
)  # fmt: skip
def test_a_bad_row_or_codebook_is_refused(tmp_path, change, book, wave, message):
    with pytest.raises(InputError, match=message):
        read(panel(tmp_path, book=book, **change), wave)


def test_options_may_come_from_the_labels_of_an_spss_file(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    (tmp_path / "nzavs.yaml").write_text(
        BOOK.replace('options: {1: "No", 2: "Yes"}', "topic: x"), encoding="utf-8"
    )
    labels = {"SDO04r.T10": {1.0: "Gar nicht", 2.0: "Völlig", -99.0: "missing"}}
    frame = pd.DataFrame(WIDE)
    pyreadstat.write_sav(frame, tmp_path / "panel.sav", variable_value_labels=labels)
    survey = read(tmp_path / "panel.sav")
    assert survey.codebook["SDO04"].texts == ("Gar nicht", "Völlig")


def test_the_template_reads_a_file_in_its_layout(tmp_path):
    result = CliRunner().invoke(app, ["survey", "draft-codebook", "--template", "nzavs"])
    assert result.exit_code == 0
    path = panel(
        tmp_path,
        book=result.stdout,
        **{"SDO01_T10": [1, 2, 7, None], "Gender_T10": [1, 0, 1, None]},
        **{"EthnicCats_T10": [1, 2, 4, None]},
        **{
            f"Issue_{name}_T10": [4, 7, 1, None]
            for name in ("SameSexMarriage", "IncomeRedistribution")
        },
    )
    survey = read(path)
    assert survey.responses.height == 3
    assert set(survey.codebook.item_ids) >= {"Issue.SameSexMarriage", "SDO01", "SDO04"}
    wrong = CliRunner().invoke(app, ["survey", "draft-codebook", "--template", "abc"])
    assert isinstance(wrong.exception, InputError)
