"""What works after `pip install suffrage`: everything that loads no model and starts no server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.synthetic import make_survey, write_survey_files

STUDY: dict[str, Any] = {
    "study": "small",
    "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
    "value_sets": [
        {"name": "north", "where": {"region": "north"}},
        {"name": "south", "where": {"region": "south"}},
    ],
    "held_out": {"by": "item", "share": 0.3},
    "model": "model",
    "methods": ["prompt", {"method": "sft", "steps": 2}, {"method": "rloo", "steps": 2}],
    "evaluate": ["fit", "memorisation"],
    "output": "out",
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_survey_files(tmp_path, make_survey(respondents=120, items=8))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def without_extras(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.without_extras", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_plan_needs_no_extra(study: Path) -> None:
    found = without_extras("plan", study, "--json")
    assert found.returncode == 0, found.stderr
    plan = json.loads(found.stdout)
    assert plan["floating_point_operations_per_second"] > 1e6
    # A folder without weights is a model of unknown size: there is no total.
    assert plan["seconds_left"] is None


@pytest.mark.slow
@pytest.mark.parametrize("only", ["value_sets", pytest.param("records", marks=pytest.mark.slow)])
def test_the_stages_that_load_no_model_need_no_extra(study: Path, only: str) -> None:
    found = without_extras("run", study, "--only", only)
    assert found.returncode == 0, found.stderr
    assert len(list((study.parent / "out" / "value_sets").glob("north-*"))) == 1
    found_in = (study.parent / "out").glob("records/*/records.jsonl")
    records = {path.resolve() for path in found_in}  # without links to the latest
    assert len(records) == (2 if only == "records" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("only", [[], pytest.param(["--only", "align"], marks=pytest.mark.slow)])
def test_a_run_that_loads_a_model_names_the_extra_before_anything_is_computed(
    study: Path, only: list[str]
) -> None:
    found = without_extras("run", study, *only)
    assert found.returncode == 2
    message = " ".join(found.stderr.split())
    assert 'loading a model needs torch, which is not installed: pip install "suffrage[align]"' in (
        message
    )
    assert not (study.parent / "out" / "survey").exists()


@pytest.mark.slow
def test_the_process_of_these_tests_finds_no_extra(study: Path) -> None:
    found = without_extras("doctor", "--json")
    assert found.returncode == 0, found.stderr
    assert "runs on" not in json.loads(found.stdout), "there is no PyTorch to tell"
