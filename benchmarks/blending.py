"""What a training forgets, and what is left of it, at weights between its start and its end.

For a finished run whose method was trained from the study's own model with `adapter: none` and
`validation`: the weights are those of the start plus a share of the whole change (WiSE-FT). Each
model is asked what the training held back, and sums that no evaluation asks (`--sums`, other ones
than those of `capability`).

    python -P benchmarks/blending.py runs/many-questions --method distribution --seed 3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from suffrage.align.blending import blended
from suffrage.align.packed import Prompts, asked_shares
from suffrage.align.validation import validation_point
from suffrage.evaluate.capability import facts, likelihoods, sums
from suffrage.models import LanguageModel, identify
from suffrage.models.loading import load_weights
from suffrage.models.packing_rule import packing_rule

WEIGHTS = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0)
SEED_OF_SUMS = 77


def main() -> None:
    """Print a line for each weight."""
    import torch

    given = _arguments()
    name = f"{given.method}-seed{given.seed}"
    checkpoint = given.run / "checkpoints" / name
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    if manifest["blend"] is not None or manifest["settings"]["adapter"] != "none":
        raise SystemExit(f"{checkpoint}: needs a training of the whole model that was not blended.")
    base = manifest["base_model"]["name"]
    records = (given.run / "records" / name / "records.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, records) if row.get("validation")]
    model, tokenizer = load_weights(identify(base, Path()), "float32")
    end = load_weights(identify(str(checkpoint), Path()), "float32")[0].state_dict()
    start = {key: value.clone() for key, value in model.state_dict().items()}
    cells = [(str(row["item"]), np.array(row["target"])) for row in rows]
    prompts, rule = Prompts.of(tokenizer), packing_rule(model)
    asked = LanguageModel(identify(base, Path()), model, tokenizer, "float32", "cpu")
    print(f"{len(cells)} cells held back, {given.sums} sums, {len(facts())} facts")
    print("weight    fit  name   sums  facts")
    for weight in WEIGHTS:
        model.load_state_dict(blended(start, end, weight, new=False))
        point = validation_point(cells, asked_shares(model, rows, prompts, rule, 40))
        with torch.inference_mode():
            right = [_right(asked, some) for some in (sums(given.sums, SEED_OF_SUMS), facts())]
        name_gain = point.name_gain or 0.0
        print(f"{weight:6.3f} {point.fit:6.4f} {name_gain:6.4f} {right[0]:5.3f}  {right[1]:5.3f}")


def _right(model: LanguageModel, some: Any) -> float:
    """The share of sentences whose right ending is the likeliest."""
    read = likelihoods(model, some)
    return float(np.mean([log.argmax() == one.right for one, log in zip(some, read, strict=True)]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--method", default="distribution")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sums", type=int, default=150)
    return parser.parse_args()


if __name__ == "__main__":
    main()
