"""A finished run of a small study, made once for all tests of publishing."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.synthetic import make_survey, write_survey_files


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The folder of a finished run with one adapter; tests that change it take `run`."""
    from suffrage.study.run import run_study
    from suffrage.study.schema import read_study

    folder = tmp_path_factory.mktemp("published")
    write_survey_files(folder, make_survey(respondents=240, items=8))
    content = {
        "study": "small",
        "title": "What people say",
        "seed": 3,
        "survey": {"reader": "labelled_file", "path": "survey.csv", "codebook": "codebook.yaml"},
        "value_sets": [
            {"name": "north", "where": {"region": "north"}, "description": "people up north"},
            {"name": "south", "where": {"region": "south"}, "description": "people down south"},
        ],
        "held_out": {"by": "item", "share": 0.4},
        "model": str(tiny_model),
        "methods": [
            "base",
            "prompt",
            {"method": "distribution", "steps": 4, "batch": 4, "save_every": 2},
        ],
        "scoring": {"lowest_mass": 0.0},
        "output": "out",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return run_study(read_study(folder / "study.yaml"), quiet=True).folder


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(small_run, tmp_path / "run", symlinks=True))
