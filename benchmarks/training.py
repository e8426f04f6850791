"""SFT, DPO and KTO on packed answers against TRL's trainers: same records, same model, one process.

    python -P benchmarks/training.py [--steps 6] [--batch 8]

Prints seconds a step (the median, the first left out), tokens a second and the ratio. Tokens are
those of the records written out, each question once for every answer to it, the same count for
both: what is shared or padded counts for neither. The losses of both are held to each other in
tests/align/test_against_trl.py.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import registry
from suffrage.align import TrainingJob
from suffrage.align.training import prepare, trainer_settings
from suffrage.models import identify
from suffrage.population import build_value_set
from suffrage.survey import read_survey
from suffrage.training_data import HeldOut, split_items

BUILDERS = {"sft": "demonstrations", "dpo": "preferences", "kto": "binary"}

SAID = {"demonstration": ["completion"], "preference": ["chosen", "rejected"], "binary": ["answer"]}


def main() -> None:
    """Run every comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    given = parser.parse_args()
    rows = []
    print(
        f"{'method':<6} {'format':<8} {'ours s/step':>12} {'tokens/s':>9} {'TRL s/step':>11} "
        f"{'tokens/s':>9} {'ratio':>6}"
    )
    for name in BUILDERS:
        for form in ("option", "written"):
            with tempfile.TemporaryDirectory() as folder:
                job = make_job(name, form, given.steps, given.batch, Path(folder))
                ours = median_step(functools.partial(run_ours, name, job))
                theirs = median_step(functools.partial(run_trl, name, job))
                tokens = written_out(job) / given.steps
            rows.append(
                {
                    "method": name,
                    "format": form,
                    "tokens_a_step": tokens,
                    "ours_seconds": ours,
                    "trl_seconds": theirs,
                }
            )
            print(
                f"{name:<6} {form:<8} {ours:>12.2f} {tokens / ours:>9.0f} {theirs:>11.2f} "
                f"{tokens / theirs:>9.0f} {theirs / ours:>6.1f}",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def written_out(job: TrainingJob) -> int:
    """Tokens of all records, each question written before each of its answers."""
    from suffrage.models.loading import load_weights
    from suffrage.models.tokenizing import answer_tokens, encode_text, prompt_text

    _, tokenizer = load_weights(job.model, "float32")
    total = 0
    for row in job.records.frame.to_dicts():
        prompt = encode_text(
            tokenizer, prompt_text(tokenizer, [{"role": "user", "content": row["user"]}])
        )
        said = [row[key] for key in SAID[job.records.kind]]
        total += sum(len(prompt) + len(answer_tokens(tokenizer, text)) for text in said)
    return total


def make_job(name: str, form: str, steps: int, batch: int, folder: Path) -> TrainingJob:
    """The quickstart's survey and model; hard labels, because TRL has no soft ones here."""
    survey = read_survey({"reader": "gss_spending"}, folder)
    everyone = build_value_set(survey, "everyone", {}, 1, "people in the United States")
    split = split_items(survey.codebook.items, HeldOut(share=0.25), 1)
    settings = {"format": form}
    if name != "sft":
        settings["labels"] = "majority" if name == "dpo" else "drawn"
    options = registry.load("methods", name).options(
        batch=batch, steps=steps, save_every=10_000, **settings
    )
    builder = registry.load("record_builders", BUILDERS[name])
    generator = np.random.default_rng(1)
    records = builder.build([everyone], split, steps * batch, generator, options.record_settings)
    (folder / "out").mkdir()
    model = identify("bundled:smollm2-135m", folder)
    nothing: Any = lambda *_: None  # noqa: E731
    return TrainingJob(model, records, options, steps, 1, folder / "work", folder / "out", nothing)


def median_step(run: Any) -> float:
    """Seconds between the ends of steps, the median."""
    ends: list[float] = []
    run(lambda *_: ends.append(time.perf_counter()))
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    return statistics.median(gaps)


def run_ours(name: str, job: TrainingJob, told: Any) -> None:
    """The method as a study runs it; the reference is computed before the first step."""
    registry.load("methods", name).train(replace(job, on_step=told))


def run_trl(name: str, job: TrainingJob, told: Any) -> None:
    """TRL's trainer with the same adapter, dtype and settings, its reference computed before."""
    import datasets
    import transformers
    import trl

    datasets.disable_progress_bars()
    model, tokenizer = prepare(job)
    examples = []
    for row in job.records.frame.to_dicts():
        said = {"dpo": ("chosen", "rejected"), "kto": ("answer",), "sft": ("completion",)}[name]
        into = said if name == "dpo" else ("completion",)
        example: dict[str, Any] = {"prompt": [{"role": "user", "content": row["user"]}]}
        for key, text in zip(into, said, strict=True):
            example[key] = [{"role": "assistant", "content": row[text]}]
        if name == "kto":
            example["label"] = bool(row["desirable"])
        examples.append(example)
    settings = {**trainer_settings(replace(job, work=job.work / "trl")), "save_strategy": "no"}
    for key in ("save_steps", "save_total_limit"):
        settings.pop(key)
    kind = name.upper()
    more = {"completion_only_loss": True} if name == "sft" else {"precompute_ref_log_probs": True}
    config = getattr(trl, f"{kind}Config")(**settings, max_length=None, **more)

    class Watch(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            told()

    trainer = getattr(trl, f"{kind}Trainer")(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(examples),
        processing_class=tokenizer,
        callbacks=[Watch()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()


if __name__ == "__main__":
    main()
