"""Drafts of codebooks, and the files they are made from."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.population import build_value_set
from suffrage.survey import NonResponse, Survey, read_survey
from suffrage.survey.draft import draft_codebook
from suffrage.survey.formats.labelled_table import read_table


def drafted(path: Path) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in yaml.safe_load(draft_codebook(path))["items"]}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read_with(path: Path, book: str) -> Survey:
    write(path.with_suffix(".yaml"), book)
    section = {
        "reader": "labelled_file",
        "path": path.name,
        "codebook": path.with_suffix(".yaml").name,
    }
    return read_survey(section, path.parent)


@pytest.mark.parametrize("mark", ["NA", "<NA>", "NaN", "#NULL!", ".", "NULL"])
def test_a_programs_mark_for_a_missing_value_is_no_answer(tmp_path, mark):
    path = write(tmp_path / "town.csv", f"q,w\n1,1\n{mark},1\n2,1\n")
    text = draft_codebook(path)
    (item,) = yaml.safe_load(text)["items"]
    assert item["options"] == {"1": "1", "2": "2"}
    assert item["non_response"] == {"missing": [mark]}
    assert f"{mark}: missing (the mark that programs write for a missing value); in q" in text
    survey = read_with(path, text)
    assert sorted(survey.positions("q")) == [NonResponse.MISSING, 0, 1]


def test_a_codebook_need_not_name_rs_mark_for_a_missing_value(tmp_path):
    path = write(tmp_path / "town.csv", "q,sex\n1,f\nNA,NA\n2,m\n")
    survey = read_with(
        path,
        "title: t\ndemographics: {sex: sex}\n"
        "items: [{id: q, question: How so, options: {1: a, 2: b}}]\n",
    )
    assert sorted(survey.positions("q")) == [NonResponse.MISSING, 0, 1]
    assert survey.responses["sex"].null_count() == 1
    assert [(read.name, read.code, read.kind) for read in survey.provenance.read_codes] == [
        ("sex", "NA", "missing"),
        ("q", "NA", "missing"),
    ]


def test_namibia_is_a_country(tmp_path):
    path = write(tmp_path / "town.csv", "q,land\n1,DE\n1,NA\n2,FR\n")
    survey = read_with(
        path,
        "title: t\ndemographics: {land: land}\n"
        "items: [{id: q, question: How so, options: {1: a, 2: b}}]\n",
    )
    assert set(survey.responses["land"]) == {"DE", "NA", "FR"}


def test_words_that_grade_an_answer_are_a_scale_from_the_low_end(tmp_path):
    rows = ["Agree", "Disagree", "Neither", "Don't know", "Agree"]
    path = write(tmp_path / "town.csv", "q,n\n" + "".join(f"{row},1\n" for row in rows))
    (item,) = yaml.safe_load(draft_codebook(path))["items"]
    assert list(item["options"]) == ["Disagree", "Neither", "Agree"] and "ordered" not in item


def test_answers_in_other_words_are_items_without_an_order(tmp_path):
    rows = ["Bus", "Car", "Train", "Don't know", "Bus"]
    path = write(tmp_path / "town.csv", "q,n\n" + "".join(f"{row},1\n" for row in rows))
    text = draft_codebook(path)
    (item,) = yaml.safe_load(text)["items"]
    assert set(item["options"]) == {"Bus", "Car", "Train"}
    assert item["ordered"] is False
    assert item["non_response"] == {"don't know": ["Don't know"]}
    survey = read_with(path, text)
    assert (survey.positions("q") >= 0).sum() == 4


def test_a_draft_without_items_is_an_error_with_the_reason(tmp_path):
    path = write(tmp_path / "town.csv", "q,w\n1,0.5\n1,1.5\n")
    with pytest.raises(InputError, match=r"q has one answer only; w has numbers that are not whol"):
        draft_codebook(path)
    result = CliRunner().invoke(app, ["survey", "draft-codebook", str(path)])
    assert result.exit_code != 0 and "items:" not in result.output


ANSWERS = st.lists(
    st.sampled_from(["1", "2", "3", "NA", "", "Agree", "Don't know", "0.5"]), min_size=1, max_size=9
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(first=ANSWERS, second=ANSWERS)
def test_every_draft_has_an_item_and_reads_the_file_it_was_made_from(
    tmp_path_factory, first, second
):
    folder = tmp_path_factory.mktemp("town")
    rows = "".join(f"{a},{b},1\n" for a, b in zip(first, second, strict=False))
    path = write(folder / "town.csv", "a,b,c\n" + rows)
    try:
        text = draft_codebook(path)
    except InputError as error:
        assert "no column can be an item" in str(error)
        return
    survey = read_with(path, text)
    assert survey.codebook.items


def test_a_label_in_doubt_stays_an_option_and_is_listed(tmp_path):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    pyreadstat.write_sav(
        pd.DataFrame({"spend": [1.0, 2.0, 9.0], "nb": [1.0, 2.0, 1.0]}),
        str(tmp_path / "town.sav"),
        variable_value_labels={
            "spend": {1: "Roads", 2: "Refuse collection", 9: "Refused"},
            "nb": {1: "I know them well", 2: "I do not know them"},
        },
    )
    text = draft_codebook(tmp_path / "town.sav")
    items = {item["id"]: item for item in yaml.safe_load(text)["items"]}
    assert items["spend"]["options"] == {"1": "Roads", "2": "Refuse collection"}
    assert items["spend"]["non_response"] == {"refused": ["9"]}
    assert items["nb"]["options"]["2"] == "I do not know them"
    taken, doubt = text.split("# In doubt")
    assert '9 "Refused": refused (its label); in spend' in taken
    assert '2 "I do not know them": its label may mean "don\'t know"; in nb' in doubt


def test_a_demographic_keeps_the_group_that_begins_like_refused(tmp_path):
    path = write(
        tmp_path / "town.csv", "q,job\n1,Refuse collection\n2,Parks\n1,Refused\n1,Unsure of it\n"
    )
    survey = read_with(
        path,
        "title: t\ndemographics: {job: job}\n"
        "items: [{id: q, question: How so, options: {1: a, 2: b}}]\n",
    )
    assert set(survey.responses["job"]) == {"Refuse collection", "Parks", None, "Unsure of it"}
    assert {(read.code, read.kind) for read in survey.provenance.read_codes} == {
        ("Refused", "refused"),
        ("Unsure of it", ""),
    }


@pytest.mark.parametrize(
    ("name", "separator"),
    [("a.tsv", "\t"), ("a.tab", "\t"), ("a.txt", "|"), ("a.csv", "|"), ("a.csv", ";")],
)
def test_text_files_are_read_with_any_common_separator(tmp_path, name, separator):
    rows = [["id", '"q, or|r;s"', "w"], ["1", "1", "0.9"], ["2", "2", "1.1"]]
    path = write(tmp_path / name, "".join(separator.join(row) + "\n" for row in rows))
    assert read_table(path).frame.rows() == [("1", "1", "0.9"), ("2", "2", "1.1")]


@pytest.mark.parametrize("suffix", [".por", ".xpt"])
def test_portable_files_are_read(tmp_path, suffix):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    writer = {".por": pyreadstat.write_por, ".xpt": pyreadstat.write_xport}[suffix]
    path = tmp_path / f"town{suffix}"
    writer(pd.DataFrame({"Q1": [1.0, 2.0, None], "W": [0.5, 1.0, 2.0]}), str(path))
    table = read_table(path)
    assert table.frame["Q1"].to_list() == ["1", "2", None]
    assert table.frame["W"].to_list() == ["0.5", "1", "2"]
    assert drafted(path)["Q1"]["options"] == {"1": "1", "2": "2"}


def test_a_damaged_sas_file_is_an_error_and_no_traceback(tmp_path):
    pytest.importorskip("pyreadstat")
    (tmp_path / "town.sas7bdat").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"town\.sas7bdat: not readable as \.sas7bdat"):
        read_table(tmp_path / "town.sas7bdat")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("town.rds", r'haven::write_sav\(readRDS\("town.rds"\), "town.sav"\)'),
        ("town.rda", r'load\("town.rda", e\); haven::write_sav\(e\[\[ls\(e\)\[1\]\]\], "town.sav"'),
        ("town.RData", r'load\("town.RData", e\)'),
        ("town.xlsx", r"Save the sheet as CSV"),
    ],
)
def test_files_that_are_not_read_are_refused_with_what_converts_them(tmp_path, name, command):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=command):
        read_table(tmp_path / name)


def test_a_date_that_no_calendar_has_is_missing_and_the_others_are_read(tmp_path):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    seconds = [13_000_000_000.0, 13_500_000_000.0, None, 12_345_678_901.0]
    frame = {"q": [1.0, 2.0, 1.0, 2.0, 1.0], "day": [*seconds, 9e13], "at": [*seconds, 9e13]}
    formats = {"day": "DATE11", "at": "DATETIME20"}
    path = tmp_path / "town.sav"
    pyreadstat.write_sav(pd.DataFrame(frame), str(path), variable_format=formats)
    table = read_table(path)
    # What the library makes of the same dates without the bad one.
    good = pd.DataFrame({name: values[:4] for name, values in frame.items()})
    pyreadstat.write_sav(good, str(tmp_path / "good.sav"), variable_format=formats)
    assert table.frame[:4].equals(read_table(tmp_path / "good.sav").frame)
    assert table.frame["at"][0] == str(
        datetime.datetime(1582, 10, 14) + datetime.timedelta(0, 13e9)
    )
    assert table.frame.row(4) == ("1", None, None)
    assert table.out_of_range == {"day": 1, "at": 1}
    survey = read_with(
        path,
        "title: t\ndemographics: {at: at}\n"
        "items: [{id: q, question: How so, options: {1: a, 2: b}}]\n",
    )
    assert survey.responses["at"].null_count() == 2
    assert ("dates in at", 1) in [(a.what, a.count) for a in survey.provenance.set_aside]


@pytest.mark.parametrize("options", [128, 129, 200, 300])
def test_an_item_with_many_options_keeps_every_answer(tmp_path, options):
    codes = [str(code) for code in range(1, options + 1)]
    path = write(tmp_path / "town.csv", "h\n" + "".join(f"{code}\n" for code in codes))
    book = {
        "title": "t",
        "items": [{"id": "h", "question": "How so?", "options": {c: f"o{c}" for c in codes}}],
    }
    survey = read_with(path, yaml.safe_dump(book, sort_keys=False))
    assert sorted(survey.positions("h")) == list(range(options))
    survey.write(tmp_path / "kept")
    again = Survey.read(tmp_path / "kept")
    assert sorted(again.positions("h")) == list(range(options))
    found = build_value_set(again, "all", {}, 1).distributions["h"]
    np.testing.assert_allclose(found.shares, 1 / options)


COUNTRY_BOOK = (
    "title: t\ndemographics: {place: where}\n"
    "items: [{id: q, question: How so, options: {1: a, 2: b}}]\n"
)


@pytest.mark.parametrize("codes", [("DE", "DK", "FR"), ("EU", "NA", "SA"), ("NA", "DK", "DE")])
def test_country_codes_of_a_text_file_are_groups(tmp_path, codes):
    rows = "".join(f"{1 + k % 2},{code}\n" for k, code in enumerate(codes * 2))
    path = write(tmp_path / "town.csv", "q,where\n" + rows)
    assert read_with(path, COUNTRY_BOOK).responses["place"].to_list() == [*codes, *codes]
    assert set(drafted(path)["where"]["options"]) == set(codes)


def test_denmark_alone_is_a_country_where_the_column_says_so(tmp_path):
    path = write(tmp_path / "town.csv", "q,where\n1,DK\n2,DK\n")
    book = COUNTRY_BOOK.replace("place:", "country:")
    assert read_with(path, book).responses["country"].to_list() == ["DK", "DK"]
    assert read_with(path, COUNTRY_BOOK).responses["place"].to_list() == [None, None]


def test_labels_that_are_codes_of_places_are_groups_and_options(tmp_path):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    labels = {1: "EU", 2: "NA", 3: "SA"}
    path = tmp_path / "town.sav"
    pyreadstat.write_sav(
        pd.DataFrame({"q": [1.0, 2.0, 3.0], "where": [1.0, 2.0, 3.0]}),
        str(path),
        variable_value_labels={"q": labels, "where": labels},
    )
    book = "title: t\ndemographics: {place: where}\nitems: [{id: q, question: How so}]\n"
    survey = read_with(path, book)
    assert survey.responses["place"].to_list() == ["EU", "NA", "SA"]
    assert survey.codebook["q"].texts == ("EU", "NA", "SA")
    assert drafted(path)["q"]["options"] == {"1": "EU", "2": "NA", "3": "SA"}


@pytest.mark.parametrize(
    ("codes", "doubtful"),
    [
        (["1", "2", "3", "-1"], {"-1"}),
        (["1", "2", "-8", "-99"], {"-8", "-99"}),
        (["1", "2", "3", "99"], {"99"}),
        (["1", "2", "8", "9"], {"8", "9"}),
        ([*map(str, range(11)), "77", "88", "99"], {"77", "88", "99"}),
        (["-2", "-1", "0", "1", "2"], set()),
        (["5", "6", "7", "8", "9"], set()),
        (["1", "3", "5", "7"], {"7"}),
    ],
)
def test_unlabelled_numbers_that_archives_use_for_non_response_are_in_doubt(
    tmp_path, codes, doubtful
):
    path = write(tmp_path / "town.csv", "q,w\n" + "".join(f"{code},1\n" for code in codes * 2))
    text = draft_codebook(path)
    (item,) = yaml.safe_load(text)["items"]
    assert set(item["options"]) == set(codes)
    listed = text.partition("# In doubt")[2]
    assert {code for code in codes if f"#   {code}:" in listed} == doubtful


def test_a_file_with_carriage_returns_alone_is_read(tmp_path):
    (tmp_path / "town.csv").write_bytes(b"q,w\r1,a\r2,b\r")
    assert read_table(tmp_path / "town.csv").frame.rows() == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\n', "\ufeffSEP=;\n"])
def test_the_line_that_excel_puts_first_names_the_separator(tmp_path, first):
    path = write(tmp_path / "town.csv", first + "q;a,b,c\n1;x\n2;y\n")
    table = read_table(path)
    assert table.all_columns == ("q", "a,b,c") and table.frame.rows() == [("1", "x"), ("2", "y")]


def test_decimal_commas_are_no_words(tmp_path):
    path = write(tmp_path / "town.csv", "q;w\n1;0,5\n2;1,25\n1;0,5\n2;3\n")
    text = draft_codebook(path)
    assert [item["id"] for item in yaml.safe_load(text)["items"]] == ["q"]
    assert "w: has numbers with commas" in text


def test_a_column_of_lists_is_left_out_and_the_others_are_drafted(tmp_path):
    path = tmp_path / "nested.parquet"
    columns = {
        "q": ["a", "b"] * 5,
        "several": [["x"], ["x", "y"]] * 5,
        "parts": [{"x": 1}, {"x": 2}] * 5,
        "bytes": [b"1", b"2"] * 5,
        "minutes": [datetime.timedelta(minutes=5), datetime.timedelta(minutes=7)] * 5,
    }
    pl.DataFrame(columns).write_parquet(path)
    text = draft_codebook(path)
    assert list(drafted(path)) == ["q"]
    why = "has lists, groups of fields, bytes or lengths of time in its cells"
    assert f"#   several, parts, bytes, minutes: {why}" in text
    with pytest.raises(InputError, match=r"column several has lists.*make a column of each part"):
        read_table(path, ["q", "several"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2024-05-01", "2024-05-02"),
        ("2024-05-01 10:30:00", "2024-5-2T08:00"),
        ("1.5.2024", "12.5.2024"),
        ("5/1/24", "5/2/24"),
        ("10:30", "8:15:00.5"),
    ],
)
def test_dates_and_times_are_no_items(tmp_path, first, second):
    lines = "".join(f"{first},1\n{second},2\n" for _ in range(5))
    path = write(tmp_path / "town.csv", "when,q\n" + lines)
    assert list(drafted(path)) == ["q"]
    assert "when: has dates or times" in draft_codebook(path)


def test_a_column_with_an_answer_besides_dates_is_an_item(tmp_path):
    path = write(tmp_path / "town.csv", "when\n" + "2024-05-01\nnever\n" * 5)
    assert list(drafted(path)) == ["when"]
