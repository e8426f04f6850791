"""The plan's memory against what trainings take: each in a process of its own.

    python -P benchmarks/memory.py [--steps 3] [--only sft,dpo] [--json FILE]

Prints the plan's estimate, the measured peak and their ratio; exits with 1 where one is more than
15% off. On a CPU the peak is the process's resident memory, on a GPU the allocator's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOLERANCE = 0.15
SMOLLM = "bundled:smollm2-135m"
# A model of other proportions: wider, fewer layers. Memory does not ask what the weights hold.
WIDE = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 16}
SETTINGS: dict[str, dict[str, Any]] = {
    "sft": {},
    "sft batch 24": {"batch": 24},
    "sft micro_batch 4": {"micro_batch": 4},
    "sft checkpointing": {"batch": 24, "gradient_checkpointing": True},
    "sft written": {"format": "written"},
    "sft full": {"adapter": "none"},
    "distribution": {},
    "distribution batch 24": {"batch": 24},
    "distribution full": {"adapter": "none"},
    "distribution checkpointing": {"batch": 24, "gradient_checkpointing": True},
    "dpo": {},
    "dpo written": {"format": "written"},
    "kto": {},
    "kto written": {"format": "written"},
    "rlhf": {"sft_steps": 2, "preference_steps": 2},
    "rloo": {"batch": 4},
    "grpo": {"batch": 4},
    "sft wide": {},
    "distribution wide": {},
    "dpo wide": {},
}


def main() -> int:
    """Run every setting and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--only", default="", help="settings, with commas; default: all")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.steps)))
        return 0
    wanted = [name.strip() for name in given.only.split(",") if name.strip()] or list(SETTINGS)
    rows = []
    print(f"{'setting':<28} {'estimated GB':>12} {'measured GB':>12} {'ratio':>6}")
    for name in wanted:
        command = [sys.executable, "-P", __file__, "--one", name, "--steps", str(given.steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr[-2000:], file=sys.stderr)
            return 1
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{name:<28} {row['estimated'] / 1e9:>12.2f} {row['measured'] / 1e9:>12.2f} "
            f"{row['estimated'] / row['measured']:>6.2f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(any(abs(row["estimated"] / row["measured"] - 1) > TOLERANCE for row in rows))


def measure(name: str, steps: int) -> dict[str, Any]:
    """One training: what the plan says it takes, and what it took."""
    import yaml

    from suffrage.study.planning.plan import plan_study
    from suffrage.study.run import run_study
    from suffrage.study.schema import read_study

    method = name.split()[0]
    with tempfile.TemporaryDirectory() as folder:
        model = wide_model(Path(folder) / "wide") if name.endswith("wide") else SMOLLM
        study = {
            "study": "memory",
            "survey": {"reader": "gss_spending"},
            "value_sets": [{"name": "americans", "description": "people in the United States"}],
            "held_out": {"by": "item", "share": 0.25},
            "model": model,
            "methods": [{"method": method, "steps": steps, **SETTINGS[name]}],
            "output": "out",
        }
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study), encoding="utf-8")
        loaded = read_study(path)
        planned = plan_study(loaded)
        (estimated,) = [p.memory_bytes for p in planned.stages if p.stage.kind == "align"]
        finished = run_study(loaded, only="align", quiet=True)
        (manifest,) = (finished.folder / "checkpoints").glob(f"{method}-seed*-*/manifest.json")
        cost = json.loads(manifest.read_text())["cost"]
    return {
        "setting": name,
        "estimated": estimated,
        "measured": cost["peak_memory_bytes"],
        "tokens_a_step": cost["tokens"] / steps,
        "seconds": cost["seconds"],
    }


def wide_model(folder: Path) -> str:
    """A Llama with random weights and SmolLM2's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from suffrage.models import identify
    from suffrage.models.loading import load_weights

    model, tokenizer = load_weights(identify(SMOLLM, folder), "float32")
    config = AutoConfig.for_model(
        **{
            **model.config.to_dict(),
            **WIDE,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "head_dim": 64,
        }
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    raise SystemExit(main())
