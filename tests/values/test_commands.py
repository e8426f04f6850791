"""What `suffrage values` prints."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.survey import Survey
from tests.synthetic import write_survey_files
from tests.values.test_values import answers


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


def test_a_studys_populations_are_scored(tmp_path: Path) -> None:
    pytest.importorskip("torch")  # a study names a model's methods
    survey = answers(200)
    people = {"region": pl.lit("north"), "age": pl.lit("40")}
    book = survey.codebook.model_copy(update={"demographics": ("region", "age")})
    frame = survey.responses.with_columns(**people)
    write_survey_files(tmp_path, Survey(frame, book, survey.provenance))
    study = {
        "study": "values",
        "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
        "value_sets": [{"name": "all"}],
        "held_out": {"by": "item", "share": 0.3},
        "model": "bundled:smollm2-135m",
        "methods": ["base"],
        "output": "out",
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    scores = json.loads(said("score", str(tmp_path / "study.yaml"), "--json"))
    assert set(scores["value_sets"]["all"]["mean"]) == set(scores["values"]) == set(scores["alpha"])
    assert "self-direction" in said("score", str(tmp_path / "study.yaml"))
