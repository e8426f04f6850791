"""Every trained method for a few steps on this machine's GPU: seconds, memory and tokens a second.

    make gpu-check
    python scripts/gpu_check.py [--steps 5] [--model NAME] [--json FILE] [--launcher NAME]

With `--launcher` the methods that several processes may share are trained so. On a CUDA GPU the
model is also read with half of it kept in memory, as one that is larger than the GPU would be.

Without a GPU it says so and stops with exit code 1; `--cpu` runs it all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Short phases for the methods that have more than one.
MORE: dict[str, dict[str, Any]] = {
    "rlhf": {"sft_steps": 2, "preference_steps": 2},
    "cai": {"drafts": 4, "then": "none"},
    "ccai": {"drafts": 4, "then": "none"},
}
# The most that a model on several devices may differ from one on a GPU, in nats.
MOST = 1e-3
# They learn from a consultation. cai and sft take the same paths.
SKIPPED = ("ccai", "combined")


def main() -> int:
    """Run the check; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", default="bundled:smollm2-135m")
    parser.add_argument("--methods", default="", help="names, with commas; default: all")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--launcher", default="", help="as for `suffrage run`")
    parser.add_argument("--cpu", action="store_true", help="go on without a GPU")
    given = parser.parse_args()
    from suffrage.models.device import gpu_name

    device = gpu_name() or "CPU"
    if device == "CPU" and not given.cpu:
        print("There is no GPU here; --cpu runs the check on the CPU.", file=sys.stderr)
        return 1
    rows = []
    names = chosen(given.methods, given.launcher)
    # The first training of a process also loads the libraries and starts the GPU.
    check(names[0], given.model, 1, given.batch, given.launcher)
    print(f"{device}, {given.model}, {given.steps} steps of {given.batch} records")
    print(f"{'method':<14} {'s/step':>8} {'tokens/s':>9} {'peak GB':>8}")
    for name in names:
        row = check(name, given.model, given.steps, given.batch, given.launcher)
        rows.append({"device": device, **row})
        if row["error"]:
            print(f"{name:<14} {row['error']}", flush=True)
            continue
        print(
            f"{name:<14} {row['seconds'] / given.steps:>8.2f} {row['tokens_per_second']:>9.0f} "
            f"{row['peak_memory_bytes'] / 1e9:>8.2f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    gap = difference_when_spread(given.model)
    if gap is not None:
        print(f"read with half of the model in memory: differs by at most {gap:.1e} nats")
    return 1 if any(row["error"] for row in rows) or (gap or 0.0) > MOST else 0


def chosen(names: str, launcher: str = "") -> list[str]:
    """The methods to run: those named, or every trained one that the launcher may start."""
    from suffrage import registry

    if names:
        return [name.strip() for name in names.split(",")]
    return [
        name
        for name in registry.names("methods")
        if registry.load("methods", name).train is not None
        and registry.load("methods", name).load is None  # it trains no language model
        and name not in SKIPPED
        and (registry.load("methods", name).launches or not launcher)
    ]


def difference_when_spread(name: str) -> float | None:
    """How far answers differ when half of the model is in memory, in nats; None without CUDA."""
    import accelerate
    import torch

    from suffrage.models import LanguageModel, identify, placement
    from suffrage.models.packing import ScoreRequest

    if not torch.cuda.is_available():
        return None
    requests = [ScoreRequest(tuple(range(5, 25 + k)), ((30,), (31, 32))) for k in range(4)]
    whole = LanguageModel.load(identify(name, Path()))
    half = whole.model.get_memory_footprint() // 2
    plain = whole.score(requests)
    with (
        patch.object(placement, "fits_on_one_gpu", return_value=False),
        patch.object(accelerate.utils, "get_max_memory", return_value={0: half}),
    ):
        apart = LanguageModel.load(identify(name, Path()))
    assert placement.is_spread(apart.model)
    return max(
        float(abs(one - other).max())
        for mine, theirs in zip(plain, apart.score(requests), strict=True)
        for one, other in zip(mine, theirs, strict=True)
    )


def study_of(name: str, model: str, steps: int, batch: int) -> dict[str, Any]:
    """A study that trains one method and nothing else, as its file has it."""
    return {
        "study": "gpu-check",
        "survey": {"reader": "gss_spending"},
        "value_sets": [{"name": "americans", "description": "people in the United States"}],
        "held_out": {"by": "item", "share": 0.25},
        "model": model,
        "methods": [{"method": name, "steps": steps, "batch": batch, **MORE.get(name, {})}],
        "output": "out",
    }


def check(name: str, model: str, steps: int, batch: int, launcher: str = "") -> dict[str, Any]:
    """One method in a study of its own; its cost from the manifest, or what went wrong."""
    import yaml

    from suffrage.align.launch import launcher_file
    from suffrage.errors import SuffrageError
    from suffrage.study.run import run_study
    from suffrage.study.schema import read_study

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study_of(name, model, steps, batch)), encoding="utf-8")
        try:
            started = launcher_file(launcher) if launcher else None
            finished = run_study(read_study(path), only="align", quiet=True, launcher=started)
        except SuffrageError as error:
            return {"method": name, "error": str(error)}
        (manifest,) = (finished.folder / "checkpoints").glob(f"{name}-seed*-*/manifest.json")
        cost = json.loads(manifest.read_text())["cost"]
    return {
        "method": name,
        "error": "",
        "seconds": cost["seconds"],
        "tokens_per_second": cost["tokens"] / cost["seconds"],
        "peak_memory_bytes": cost["peak_memory_bytes"],
    }


if __name__ == "__main__":
    raise SystemExit(main())
