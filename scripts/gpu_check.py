"""Every trained method for a few steps on this machine's GPU: seconds, memory and tokens a second.

    make gpu-check
    python scripts/gpu_check.py [--steps 5] [--model NAME] [--json FILE]

Without a CUDA GPU it says so and stops with exit code 1; `--cpu` runs it all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

# Short phases for the methods that have more than one.
MORE: dict[str, dict[str, Any]] = {
    "rlhf": {"sft_steps": 2, "preference_steps": 2},
    "cai": {"drafts": 4, "then": "none"},
    "ccai": {"drafts": 4, "then": "none"},
}
SKIPPED = ("ccai",)  # needs a consultation's constitution; cai takes the same path


def main() -> int:
    """Run the check; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", default="bundled:smollm2-135m")
    parser.add_argument("--methods", default="", help="names, with commas; default: all")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--cpu", action="store_true", help="go on without a GPU")
    given = parser.parse_args()
    import torch

    if not torch.cuda.is_available() and not given.cpu:
        print("There is no CUDA GPU here; --cpu runs the check on the CPU.", file=sys.stderr)
        return 1
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    rows = []
    print(f"{device}, {given.model}, {given.steps} steps of {given.batch} records")
    print(f"{'method':<14} {'s/step':>8} {'tokens/s':>9} {'peak GB':>8}")
    for name in chosen(given.methods):
        row = check(name, given.model, given.steps, given.batch)
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
    return 1 if any(row["error"] for row in rows) else 0


def chosen(names: str) -> list[str]:
    """The methods to run: those named, or every trained one."""
    from suffrage import registry

    if names:
        return [name.strip() for name in names.split(",")]
    return [
        name
        for name in registry.names("methods")
        if registry.load("methods", name).train is not None and name not in SKIPPED
    ]


def check(name: str, model: str, steps: int, batch: int) -> dict[str, Any]:
    """One method in a study of its own; its cost from the manifest, or what went wrong."""
    import yaml

    from suffrage.errors import SuffrageError
    from suffrage.study.run import run_study
    from suffrage.study.schema import read_study

    with tempfile.TemporaryDirectory() as folder:
        study = {
            "study": "gpu-check",
            "survey": {"reader": "gss_spending"},
            "value_sets": [{"name": "americans", "description": "people in the United States"}],
            "held_out": {"by": "item", "share": 0.25},
            "model": model,
            "methods": [{"method": name, "steps": steps, "batch": batch, **MORE.get(name, {})}],
            "output": "out",
        }
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study), encoding="utf-8")
        try:
            finished = run_study(read_study(path), only="align", quiet=True)
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
