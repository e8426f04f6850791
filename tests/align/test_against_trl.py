"""SFT, DPO and KTO on packed answers take the steps of TRL's trainers on the same records."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from suffrage.align import TrainingJob
from suffrage.align.training import trainer_settings
from tests.align.test_training import job, run

STEPS = 4


def losses(folder: Path) -> list[float]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def theirs(tiny: Path, given: TrainingJob, folder: Path, kind: str, **more: Any) -> list[float]:
    import datasets
    import trl

    rows = given.records.frame.to_dicts()
    examples = [{"prompt": [{"role": "user", "content": row["user"]}]} for row in rows]
    for example, row in zip(examples, rows, strict=True):
        names = ["chosen", "rejected"] if kind == "DPO" else ["completion"]
        texts = {"DPO": names, "KTO": ["answer"], "SFT": names}[kind]
        for name, text in zip(names, texts, strict=True):
            example[name] = [{"role": "assistant", "content": row[text]}]
        if kind == "KTO":
            example["label"] = bool(row["desirable"])  # type: ignore[assignment]
    settings = {**trainer_settings(replace(given, work=folder)), "save_strategy": "no", **more}
    settings.pop("save_steps")
    settings.pop("save_total_limit")
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    trainer = getattr(trl, f"{kind}Trainer")(
        model=model,
        **(
            {"ref_model": AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)}
            if kind != "SFT"
            else {}
        ),
        args=getattr(trl, f"{kind}Config")(**settings, max_length=None),
        train_dataset=datasets.Dataset.from_list(examples),
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["option", "written"])
def test_sft_takes_trls_steps(form: str, tiny_model: Path, tmp_path: Path) -> None:
    more = {"format": form, "adapter": "none", "learning_rate": 0.01}
    given = job(tiny_model, "sft", tmp_path / "ours", STEPS, **more)
    if form == "written":
        # One length for all: TRL divides by the tokens of each step, we by the mean step's.
        same = pl.lit("I would say nothing at all.")
        frame = given.records.frame.with_columns(completion=same)
        given = replace(given, records=replace(given.records, frame=frame))
    ours = losses(run("sft", given))
    assert ours[-1] < ours[0] - 0.01
    # The question costs nothing on either side, and the end of the turn counts on both.
    assert ours == pytest.approx(
        theirs(tiny_model, given, tmp_path / "trl", "SFT", completion_only_loss=True), abs=2e-4
    )


@pytest.mark.slow
def test_dpo_takes_trls_steps(tiny_model: Path, tmp_path: Path) -> None:
    more = {"format": "written", "adapter": "none", "learning_rate": 0.01, "labels": "majority"}
    given = job(tiny_model, "dpo", tmp_path / "ours", STEPS, **more)
    frame = given.records.frame
    given = replace(given, records=replace(given.records, frame=frame.with_columns(share=1.0)))
    ours = losses(run("dpo", given))
    assert ours[0] == pytest.approx(0.6931, abs=1e-3) and abs(ours[-1] - ours[0]) > 0.01
    assert ours == pytest.approx(
        theirs(tiny_model, given, tmp_path / "trl", "DPO", beta=0.1), abs=2e-4
    )


@pytest.mark.slow
def test_kto_takes_trls_steps(tiny_model: Path, tmp_path: Path) -> None:
    more = {"format": "written", "adapter": "none", "learning_rate": 0.01, "labels": "drawn"}
    weights = {"desirable": 1.0, "undesirable": 1.5}
    given = job(tiny_model, "kto", tmp_path / "ours", STEPS, **more, **weights)
    ours = losses(run("kto", given))
    assert abs(ours[-1] - ours[0]) > 0.005
    known = {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.5}
    assert ours == pytest.approx(
        theirs(tiny_model, given, tmp_path / "trl", "KTO", **known), abs=2e-4
    )
