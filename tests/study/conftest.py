import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from suffrage.study.planning import machine_speed

Write = Callable[..., Path]


@pytest.fixture(scope="package", autouse=True)
def a_moment_is_enough() -> Iterator[None]:
    """Measure this machine for a moment only: how fast it is is no claim of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine_speed, "SECONDS", 0.01)
        yield


@pytest.fixture
def write_study(tmp_path: Path, survey_files: Path, tiny_model: Path) -> Write:
    """Writes a small, whole study into a folder, with changes, and gives its path."""
    return study_writer(tmp_path, survey_files, tiny_model)


def study_writer(folder: Path, survey_files: Path, tiny_model: Path) -> Write:
    """Return what writes the study into this folder."""
    shutil.copytree(survey_files, folder, dirs_exist_ok=True)

    def write(**changes: Any) -> Path:
        content: dict[str, Any] = {
            "study": "small",
            "seed": 3,
            "survey": {
                "reader": "labelled_file",
                "path": "survey.csv",
                "codebook": "codebook.yaml",
            },
            "value_sets": [
                {"name": "north", "where": {"region": "north"}, "description": "people up north"},
                {"name": "south", "where": {"region": "south"}, "description": "people down south"},
            ],
            "held_out": {"by": "item", "share": 0.3},
            "model": str(tiny_model),
            "methods": [
                "base",
                "prompt",
                {"method": "distribution", "steps": 4, "batch": 4, "save_every": 2},
            ],
            "scoring": {"samples": 2, "lowest_mass": 0.0},
            "output": "out",
        }
        content.update(changes)
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
        return path

    return write
