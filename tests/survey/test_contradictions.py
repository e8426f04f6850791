import json

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.cli import app
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
        | {name: pl.Series(column, dtype=pl.Int8) for name, column in answers.items()}
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
    assert "No items were made of: age" in draft
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
