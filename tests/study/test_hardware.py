"""Estimates for other models and GPUs: worked by hand, and as they must move."""

import json

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.study.hardware import GPUS, REACHED, SIZES, hardware_plan, memory_bytes
from suffrage.study.plan import training_tokens
from suffrage.study.schema import load_study
from tests.study.conftest import Write

METHODS = [{"method": "sft", "steps": 100, "batch": 8}, {"method": "dpo", "steps": 100, "batch": 8}]


def test_hours_are_operations_over_speed(write_study: Write) -> None:
    study = load_study(write_study(methods=METHODS))
    rows = hardware_plan(study, price_per_hour=2.0)
    tokens = training_tokens(study)
    row = next(
        r
        for r in rows
        if (r["model"], r["gpu"], r["adapting"], r["method"]) == ("7B", "h100", "lora", "sft")
    )
    # Forward 2, backward to activations 2, recomputed 2.
    seconds = SIZES["7B"].parameters * 6 * tokens["sft"][0] / (GPUS["h100"].operations * REACHED)
    assert row["gpu_hours"] == pytest.approx(seconds / 3600)
    assert row["money"] == pytest.approx(2.0 * row["gpu_hours"])
    dpo = next(
        r
        for r in rows
        if (r["model"], r["gpu"], r["adapting"], r["method"]) == ("7B", "h100", "lora", "dpo")
    )
    assert dpo["gpu_hours"] / dpo["tokens"] == pytest.approx(
        row["gpu_hours"] / row["tokens"] * 8 / 6, rel=1e-3
    )


def test_full_fine_tuning_holds_sixteen_bytes_a_parameter() -> None:
    shape = SIZES["32B"]
    full, lora = (memory_bytes(shape, way, 8, 100) for way in ("full", "lora"))
    assert full - lora == pytest.approx(14 * shape.parameters)
    assert memory_bytes(shape, "qlora", 8, 100) < lora < memory_bytes(shape, "lora", 16, 100)
    # 32.8e9 parameters: LoRA does not fit one 80 GB card, QLoRA does.
    assert lora > 66e9 and memory_bytes(shape, "qlora", 8, 100) < 72e9


def test_the_command_prints_and_says_that_it_is_an_estimate(write_study: Write) -> None:
    path = str(write_study(methods=METHODS))
    shown = CliRunner().invoke(app, ["plan", path, "--gpus", "--price", "2"]).output
    assert "H100 80 GB" in shown and "Estimated, not measured" in " ".join(shown.split())
    rows = json.loads(CliRunner().invoke(app, ["plan", path, "--gpus", "--json"]).output)
    assert len(rows) == 3 * 3 * 3 * 2 and rows[0]["money"] is None
    with pytest.raises(InputError, match="trains no method"):
        hardware_plan(load_study(write_study(methods=["base"])))
