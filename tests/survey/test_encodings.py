"""Every reader on CSV, SPSS and Stata files in UTF-8 and in Western encodings, labels missing."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suffrage.errors import InputError
from suffrage.survey import Survey, read_survey
from tests.survey.test_archives import ESS, GSS, WVS

# ASCII stand-ins of equal length: the writers of SPSS and Stata files write UTF-8 only, so the
# bytes of a Western encoding are put into the finished file.
STAND_INS = {"Whang_rei": "Whangärei", "Fr_ge": "Fräge", "V_llig": "Völlig"}
# Five letters, as "UTF-8" has, for the place where an SPSS file says its encoding.
SPSS_LATIN1 = b"CP819"
BOOK = """
title: Town
respondent: id
demographics: {place: place}
items: [{id: q1, question: Trees, options: {1: A, 2: B}}]
"""
PANEL = 'title: P\nrespondent: id\ndemographics: {place: "place"}\ncolumn: "{id}.T{wave}"\n'
PANEL += "items: [{id: q1, question: Trees, options: {1: A, 2: B}}]\n"
PLACES = ["Whang_rei", "b", "c"]
FILES: dict[str, tuple[dict[str, list[Any]], dict[str, Any], str, str]] = {
    # reader: columns, keys of the study, a demographic that is a text, a column with a label
    "wvs7_crossnational": ({**WVS, "Q289": PLACES}, {}, "religion", "Q1"),
    "ess": ({**ESS, "region": PLACES}, {}, "region", "ipcrtiv"),
    "gss": (
        {**GSS, "year": [2018] * 3, "id": [1, 2, 3], "region": PLACES}, {}, "region", "natspac"
    ),
    "labelled_file": (
        {"id": [1, 2, 3], "q1": [1, 2, 1], "place": PLACES},
        {"codebook": "book.yaml"},
        "place",
        "q1",
    ),
    "nzavs": (
        {"id": [1, 2, 3], "q1.T7": [1, 2, 1], "place": PLACES},
        {"codebook": "panel.yaml", "wave": 7},
        "place",
        "q1.T7",
    ),
}  # fmt: skip


def western(raw: bytes) -> bytes:
    for stand_in, text in STAND_INS.items():
        raw = raw.replace(stand_in.encode(), text.encode("cp1252"))
    return raw


def written(
    folder: Path, reader: str, suffix: str, version: int = 15, label: str | None = None
) -> Path:
    """The reader's small file, ASCII only, with a label on one column."""
    columns, _, _, labelled = FILES[reader]
    path = folder / f"data{suffix}"
    frame = pd.DataFrame(columns)
    (folder / "book.yaml").write_text(BOOK, encoding="utf-8")
    (folder / "panel.yaml").write_text(PANEL, encoding="utf-8")
    if suffix == ".csv":
        frame.to_csv(path, index=False)
        return path
    pyreadstat = pytest.importorskip("pyreadstat")
    kinds: dict[str, Any] = {"column_labels": {labelled: label} if label else None}
    if suffix == ".dta":
        frame.columns = [name.replace(".", "_") for name in frame.columns]
        pyreadstat.write_dta(frame, path, version=version, **kinds)
    else:
        pyreadstat.write_sav(frame, path, **kinds)
    return path


def read(path: Path, reader: str, **more: Any) -> Survey:
    _, keys, _, _ = FILES[reader]
    return read_survey({"reader": reader, "path": path.name, **keys, **more}, path.parent)


def formats(*suffixes: str) -> list[tuple[str, str]]:
    """Every reader with every format; Stata has no names with dots, so nzavs is left out there."""
    return [(r, s) for r in FILES for s in suffixes if (r, s) != ("nzavs", ".dta")]


@pytest.mark.parametrize(("reader", "suffix"), formats(".csv", ".sav", ".dta"))
def test_utf8_is_read_as_it_is(tmp_path, monkeypatch, reader, suffix):
    columns, keys, demographic, labelled = FILES[reader]
    accented = {
        name: ["Māori – Ōtaki", *values[1:]] if values is PLACES else values
        for name, values in columns.items()
    }
    monkeypatch.setitem(FILES, reader, (accented, keys, demographic, labelled))
    survey = read(written(tmp_path, reader, suffix), reader)
    assert "Māori – Ōtaki" in survey.responses[demographic].to_list()


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
@pytest.mark.parametrize(("reader", "suffix"), formats(".csv", ".sav", ".dta"))
def test_a_western_encoding_is_read_when_named_and_refused_otherwise(
    tmp_path, reader, suffix, encoding
):
    path = written(tmp_path, reader, suffix)
    path.write_bytes(western(path.read_bytes()))
    with pytest.raises(InputError, match=r"is not UTF-8|Name its true encoding"):
        read(path, reader)
    survey = read(path, reader, encoding=encoding)
    assert "Whangärei" in survey.responses[FILES[reader][2]].to_list()


@pytest.mark.parametrize("reader", FILES)
def test_an_spss_file_that_states_latin1_needs_no_word(tmp_path, reader):
    path = written(tmp_path, reader, ".sav")
    path.write_bytes(western(path.read_bytes()).replace(b"UTF-8", SPSS_LATIN1))
    assert "Whangärei" in read(path, reader).responses[FILES[reader][2]].to_list()


@pytest.mark.parametrize("reader", [reader for reader, _ in formats(".dta")])
def test_an_old_stata_file_is_windows_by_nature(tmp_path, reader):
    path = written(tmp_path, reader, ".dta", version=13)
    path.write_bytes(western(path.read_bytes()))
    assert "Whangärei" in read(path, reader).responses[FILES[reader][2]].to_list()


@pytest.mark.parametrize("suffix", [".sav", ".dta"])
@pytest.mark.parametrize("reader", ["wvs7_crossnational", "ess", "gss"])
def test_the_files_own_wording_keeps_its_accents_and_is_missed_by_name(tmp_path, reader, suffix):
    item = FILES[reader][3]
    path = written(tmp_path, reader, suffix, label="Fr_ge")
    path.write_bytes(western(path.read_bytes()))
    survey = read(path, reader, wording="file", items=[item], encoding="windows-1252")
    assert survey.codebook[item].question == "Fräge"
    bare = written(tmp_path, reader, suffix)
    with pytest.raises(InputError, match=f"has no variable label for {item}"):
        read(bare, reader, wording="file", items=[item])


@pytest.mark.parametrize(("reader", "suffix"), formats(".csv", ".sav", ".dta"))
def test_options_that_neither_codebook_nor_labels_give_are_asked_for(tmp_path, reader, suffix):
    if reader not in ("labelled_file", "nzavs"):
        survey = read(written(tmp_path, reader, suffix), reader)
        assert survey.codebook.items[0].texts[0] != survey.codebook.items[0].options[0].code
        return
    path = written(tmp_path, reader, suffix)
    for book in ("book.yaml", "panel.yaml"):
        text = (tmp_path / book).read_text(encoding="utf-8").replace(", options: {1: A, 2: B}", "")
        (tmp_path / book).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"items\[0\]\.options: they are missing"):
        read(path, reader)


@pytest.mark.parametrize(("reader", "suffix"), formats(".csv", ".sav", ".dta"))
def test_a_bad_row_is_named_in_every_format(tmp_path, monkeypatch, reader, suffix):
    columns, keys, demographic, item = FILES[reader]
    bad = {**columns, item: [columns[item][0], 55, columns[item][2]]}
    monkeypatch.setitem(FILES, reader, (bad, keys, demographic, item))
    with pytest.raises(InputError, match=rf'data\{suffix} row 3: .*is "55"'):
        read(written(tmp_path, reader, suffix), reader)


@pytest.mark.parametrize("suffix", [".csv", ".sav", ".dta"])
@pytest.mark.parametrize(("change", "message"), [
    ({"id": [1, None, 2]}, "row 3: id is empty"),
    ({"id": [4, 4, 2]}, 'id "4" stands on rows 2, 3'),
    ({"wtssps": [0.5, -1.5, 1.0], "wtssnrps": [0.5, -1.5, 1.0]}, "row 3: the weight wtssnrps"),
    ({"natspac": [1, 77, 2]}, 'row 3: natspac is "77"'),
])  # fmt: skip
def test_a_bad_gss_row_is_refused(tmp_path, monkeypatch, suffix, change, message):
    columns, keys, demographic, item = FILES["gss"]
    monkeypatch.setitem(FILES, "gss", ({**columns, **change}, keys, demographic, item))
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, "gss", suffix), "gss")
