"""Two processes take the steps that one takes."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.align.test_training import job, run, weights


def losses(folder: Path) -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_two_processes_take_the_steps_of_one(tiny_model: Path, tmp_path: Path) -> None:
    more = {"learning_rate": 0.01, "adapter": "none"}
    alone = run("distribution", job(tiny_model, "distribution", tmp_path / "one", 4, **more))
    given = job(tiny_model, "distribution", tmp_path / "two", 4, **more)
    kept = tmp_path / "job.pickle"
    kept.write_bytes(pickle.dumps(replace(given, on_step=None, check=None)))  # type: ignore[arg-type]
    script = Path(__file__).parent / "one_of_two.py"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    done = subprocess.run(
        [*launch, str(script), str(kept)],
        cwd=Path(__file__).parents[2],
        env={**__import__("os").environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(given.output) == pytest.approx(losses(alone), abs=1e-5)
    one, two = weights(alone), weights(given.output)
    for name, value in one.items():
        assert (value - two[name]).abs().max() < 1e-4, name
