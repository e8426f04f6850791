import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.survey import Codebook, Item, Option, Provenance, Survey, read_survey
from suffrage.survey.contradictions import contradictions, item_rest_correlations
from suffrage.survey.draft import draft_codebook

STUDY = """
study: town
seed: 1
survey: {reader: labelled_file, path: town.csv, codebook: town.yaml}
value_sets:
  - {name: all, where: {}}
held_out: {by: item, share: 0.25}
model: bundled:smollm2-135m
methods: [base]
evaluate: [fit]
output: out
"""


def survey(answers: dict[str, list[int]]) -> Survey:
    options = tuple(Option(code=str(k), text=f"point {k}") for k in range(3))
    items = tuple(Item(id=i, question="Q?", options=options, battery="b") for i in answers)
    n = len(next(iter(answers.values())))
    frame = pl.DataFrame(
        {"respondent": [str(i) for i in range(n)], "weight": [1.0] * n}
        | {name: pl.Series(column, dtype=pl.Int16) for name, column in answers.items()}
    )
    return Survey(frame, Codebook(title="t", items=items), Provenance("r", {}, "s"))


def test_a_reversed_item_is_named_and_the_others_are_not():
    base = [0, 1, 2] * 20
    found = contradictions(
        survey({"a": base, "b": base, "c": base, "d": [2 - answer for answer in base]})
    )
    assert [fault.item for fault in found] == ["d"]
    assert "-1.00" in found[0].what


def test_unused_options_and_items_answered_alike_are_named():
    found = contradictions(survey({"a": [0, 1, -1], "b": [2, 2, -2], "c": [-4, -4, -4]}))
    assert [fault.item for fault in found] == ["a", "b", "c"]
    assert "nobody chose option 2" in found[0].what
    assert 'all 2 answers are "point 2"' in found[1].what
    assert "nobody answered" in found[2].what


def test_item_rest_correlation_is_pearsons_with_the_sum_of_the_others():
    answers = np.random.default_rng(1).normal(size=(50, 4))
    answers[3, 2] = np.nan
    complete = np.delete(answers, 3, axis=0)
    for j, r in enumerate(item_rest_correlations(answers)):
        rest = complete.sum(axis=1) - complete[:, j]
        assert r == pytest.approx(np.corrcoef(complete[:, j], rest)[0, 1], abs=1e-12)


def test_a_draft_from_labels_reads_once_the_todos_are_left_as_they_are(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": range(20, 40), "q1": [1, 2, 2, 9] * 5})
    pyreadstat.write_sav(
        frame,
        tmp_path / "town.sav",
        column_labels={"q1": "Should the town plant trees?"},
        variable_value_labels={"q1": {1: "Certainly", 2: "No", 9: "Refused"}},
    )
    draft = draft_codebook(tmp_path / "town.sav")
    assert "#   age: has more than 11 different answers" in draft
    (item,) = yaml.safe_load(draft)["items"]
    assert item["question"] == "Should the town plant trees?"
    assert item["options"] == {"1": "Certainly", "2": "No"}
    (tmp_path / "town.yaml").write_text(draft, encoding="utf-8")
    section = {"reader": "labelled_file", "path": "town.sav", "codebook": "town.yaml"}
    read = read_survey(section, tmp_path)
    assert sorted(read.positions("q1").tolist()) == [-2] * 5 + [0] * 5 + [1] * 10


def test_the_command_prints_the_draft(tmp_path):
    (tmp_path / "town.csv").write_text("id,q1\nx,1\ny,2\nz,1\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["survey", "draft-codebook", str(tmp_path / "town.csv")])
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["items"][0]["id"] == "q1"


def test_check_ends_with_one_when_it_finds_something_and_zero_otherwise(tmp_path):
    (tmp_path / "town.csv").write_text("q1\n1\n2\n1\n", encoding="utf-8")
    study = tmp_path / "study.yaml"
    study.write_text(STUDY, encoding="utf-8")
    book = "title: T\nitems:\n  - {id: q1, question: Trees, options: {1: A, 2: B%s}}\n"
    for extra, code in (("", 0), (", 3: C", 1)):
        (tmp_path / "town.yaml").write_text(book % extra, encoding="utf-8")
        result = CliRunner().invoke(app, ["survey", "check", str(study), "--json"])
        assert result.exit_code == code, result.output
        assert len(json.loads(result.stdout)) == code


BOOK = """
title: Town
demographics: {sex: {column: sex, labels: {1: male, 2: female}}}
items:
  - {id: trees, column: q1, question: Trees, options: {1: A, 2: B, 3: C}}
  - {id: bus, question: Buses, options: {1: A, 2: B}}
"""


def bare(folder: Path, rows: list[str], encoding: str = "utf-8") -> list[str]:
    text = "sex,q1,bus\n" + "".join(f"{row}\n" for row in rows)
    (folder / "town.csv").write_text(text, encoding=encoding)
    (folder / "town.yaml").write_text(BOOK, encoding="utf-8")
    return ["survey", "check", str(folder / "town.csv"), "--codebook", str(folder / "town.yaml")]


def test_a_bare_file_is_checked_and_every_unknown_code_is_listed_with_its_rows(tmp_path):
    rows = ["1,1,1", "2,7,2", "3,8,1", "1,7,9", "2,2,2"] + ["1,7,1"] * 5
    result = CliRunner().invoke(app, [*bare(tmp_path, rows), "--json"])
    assert result.exit_code == 1, result.output
    found = {
        (fault["kind"], fault["item"], fault["code"]): fault for fault in json.loads(result.stdout)
    }
    assert set(found) == {
        ("unknown code", "sex", "3"),
        ("unknown code", "trees", "7"),
        ("unknown code", "trees", "8"),
        ("unknown code", "bus", "9"),
        ("unused option", "trees", "3"),
    }  # fmt: skip
    sevens = found["unknown code", "trees", "7"]
    assert sevens["rows"] == [3, 5, 7, 8, 9] and sevens["count"] == 7
    assert (sevens["file"], sevens["column"]) == ("town.csv", "q1")
    assert found["unknown code", "sex", "3"]["rows"] == [4]


def test_the_rows_are_named_in_words_too(tmp_path):
    result = CliRunner().invoke(app, bare(tmp_path, ["1,1,1", "2,2,2"] + ["1,7,1"] * 6 + ["1,3,1"]))
    assert "trees: town.csv rows 4, 5, 6, 7, 8 and 1 more, column q1: the code " in result.output
    assert "\n1 contradiction.\n" in result.output
    clean = CliRunner().invoke(app, bare(tmp_path, ["1,1,1", "2,2,2", "1,3,1"]))
    assert clean.exit_code == 0 and "No contradictions." in clean.output


def test_reading_stops_at_an_unknown_code_once_the_check_is_over(tmp_path):
    CliRunner().invoke(app, bare(tmp_path, ["1,7,1", "2,2,2"]))
    section = {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"}
    with pytest.raises(InputError, match=r'row 2: trees \(column q1\) is "7"'):
        read_survey(section, tmp_path)


def test_the_readers_keys_are_given_by_option(tmp_path):
    command = bare(tmp_path, ["1,1,1", "2,2,2", "1,3,1"], "utf-8")
    (tmp_path / "town.csv").write_bytes(
        "sex,q1,bus,n\n1,1,1,ä\n2,2,2,b\n1,3,1,c\n".encode("cp1252")
    )
    latin = CliRunner().invoke(app, [*command, "--option", "encoding=windows-1252"])
    assert latin.exit_code == 0, latin.output
    wrong = CliRunner().invoke(app, [*command, "--option", "encoding"])
    assert isinstance(wrong.exception, InputError)
    assert "write it as key=value" in str(wrong.exception)


def test_an_archives_file_is_checked_with_its_own_codebook(tmp_path):
    text = "cntry,idno,anweight,ipcrtiv,impsafe\nDE,1,1,1,44\nNO,1,1,2,1\nNO,2,1,45,45\n"
    (tmp_path / "ess.csv").write_text(text, encoding="utf-8")
    command = ["survey", "check", str(tmp_path / "ess.csv"), "--reader", "ess"]
    result = CliRunner().invoke(app, [*command, "--option", 'countries=["NO"]', "--json"])
    unknown = [fault for fault in json.loads(result.stdout) if fault["kind"] == "unknown code"]
    assert [(u["item"], u["code"], u["rows"]) for u in unknown] == [
        ("ipcrtiv", "45", [4]),
        ("impsafe", "45", [4]),
    ]


@pytest.mark.parametrize(
    "value_sets",
    [
        "[{name: up, where: {place: up}}, {name: down, where: {place: down}}]",
        "{each: place, least_items: 1}",
    ],
)
def test_check_compares_the_value_sets_of_a_study(tmp_path, value_sets):
    rows = [f"up,{1 + k % 3}" for k in range(120)] + [f"down,{1 + k % 2}" for k in range(120)]
    (tmp_path / "town.csv").write_text("place,q1\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "town.yaml").write_text(
        "title: T\ndemographics: {place: place}\n"
        "items:\n  - {id: q1, question: Trees, options: {1: A, 2: B, 3: C}}\n",
        encoding="utf-8",
    )
    study = tmp_path / "study.yaml"
    listed = "\n  - {name: all, where: {}}\n"
    study.write_text(STUDY.replace(listed, f" {value_sets}\n"), encoding="utf-8")
    result = CliRunner().invoke(app, ["survey", "check", str(study)])
    assert "q1: in down (value set) only 2 of 3 options were used" in result.output, result.output
    assert "No demographic was recognised as a country, wave or mode" in result.output
    assert "answers of 2 value sets were compared" in result.output
    assert "\n1 contradiction.\n" in result.output
    bare_file = ["survey", "check", str(tmp_path / "town.csv")]
    plain = CliRunner().invoke(app, [*bare_file, "--codebook", str(tmp_path / "town.yaml")])
    assert (
        "No demographic was recognised as a country, wave or mode; groups by place are listed "
        "where they never used options of several scales." in " ".join(plain.output.split())
    )
