"""What `suffrage values` prints."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.study.commands import scoring_values
from suffrage.survey import Survey
from tests.json_keys import check_keys
from tests.synthetic import make_survey, write_survey_files
from tests.values.test_values import answers
from tests.values.test_world_values import BOOK, world


def said(*words: str) -> str:
    result = CliRunner().invoke(app, ["values", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_taxonomies_are_listed_and_shown() -> None:
    assert len(json.loads(said("list", "--json"))) == 4
    assert "schwartz19" in said("list")
    shown = json.loads(said("show", "schwartz10", "--json"))
    assert shown["values"][0]["name"] == "self-direction"
    assert "In the order of the circle" in " ".join(said("show", "schwartz10").split())


def written_study(folder: Path, survey: Survey) -> Path:
    people = {"region": pl.lit("north"), "age": pl.lit("40")}
    book = survey.codebook.model_copy(update={"demographics": ("region", "age")})
    frame = survey.responses.with_columns(**people)
    write_survey_files(folder, Survey(frame, book, survey.provenance))
    study = {
        "study": "values",
        "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
        "value_sets": [{"name": "all"}],
        "held_out": {"by": "item", "share": 0.3},
        "model": "bundled:smollm2-135m",
        "methods": ["base"],
        "output": "out",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder / "study.yaml"


@pytest.mark.slow
def test_a_studys_populations_are_scored(tmp_path: Path) -> None:
    pytest.importorskip("torch")  # a study names a model's methods
    path = str(written_study(tmp_path, answers(200)))
    plot = tmp_path / "values.html"
    scores = json.loads(said("score", path, "--json", "--out", str(plot)))
    check_keys("values score", scores)
    assert set(scores["value_sets"]["all"]["mean"]) == set(scores["values"]) == set(scores["alpha"])
    assert scores["omega"]["UN"] > 0.5  # three items of one value go together
    # These values are independent of each other: no circle, and the page says so.
    assert scores["circle"]["p_value"] > 0.05
    assert "order does not show" in plot.read_text()
    shown = " ".join(said("score", path).split())
    assert "self-direction" in shown
    line = 'Most is "Very much like me", the first option, as its labels say (all 21 items).'
    assert line in shown and line in plot.read_text().replace("&#34;", '"')


@pytest.mark.slow
def test_people_with_a_score_and_all_people_are_both_said(tmp_path: Path) -> None:
    pytest.importorskip("torch")  # a study names a model's methods
    survey = answers(200)
    # The first thirty answered nothing: they are people, and they have no score.
    silent = pl.int_range(pl.len()) < 30
    items = {
        item: pl.when(silent).then(-1).otherwise(pl.col(item)).cast(pl.Int16)
        for item in survey.codebook.item_ids
    }
    changed = survey.with_responses(survey.responses.with_columns(**items))
    path = str(written_study(tmp_path, changed))
    group = json.loads(said("score", path, "--json"))["value_sets"]["all"]
    assert group["people"] == 200
    assert group["respondents"] == 200 - group["set_aside"] <= 170
    shown = " ".join(said("score", path).split())
    assert f"{group['respondents']} of 200)" in shown
    assert "people with a score, of all in the value set" in shown


def test_the_world_values_have_sub_indices_and_a_map(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    survey, _ = world(300, 8)
    unasked = survey.responses.with_columns(Q11=pl.col("Q8"))
    items = (*survey.codebook.items, BOOK["Q11"])
    book = survey.codebook.model_copy(update={"items": items})
    path = str(written_study(tmp_path, Survey(unasked, book, survey.provenance)))
    plot = tmp_path / "values.html"
    shown = said("score", path, "--key", "WVS-7", "--out", str(plot))
    assert "autonomy" in shown and "Self-expression" in shown
    page = plot.read_text()
    assert "secular-rational" in page and "God not important" in page
    bad = CliRunner().invoke(app, ["values", "score", path, "--key", "PVQ-21"])
    assert "PVQ-21 needs ipcrtiv" in str(bad.exception)


def test_the_instrument_is_looked_for_before_an_extra_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")  # a study names a model's methods
    path = str(written_study(tmp_path, make_survey(items=3)))
    monkeypatch.setattr(scoring_values, "require_installed", pytest.fail)
    for key, message in (("PVQ-40", "PVQ-40"), ("PVQ-44", "PVQ-44")):
        result = CliRunner().invoke(app, ["values", "score", path, "--key", key])
        assert isinstance(result.exception, InputError) and message in str(result.exception)
