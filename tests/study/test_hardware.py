"""Estimates for other models and GPUs: worked by hand, and as they must move."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.models.shape import ModelShape, folder_shape
from suffrage.study.planning.hardware import AT_ONCE, GPUS, REACHED, SIZES, hardware_plan
from suffrage.study.planning.memory import StepSize, step_bytes, token_bytes, weight_bytes
from suffrage.study.planning.plan import training_sizes
from suffrage.study.schema import read_study
from tests.study.conftest import Write

TOKENS = 256
METHODS = [{"method": "sft", "steps": 100, "batch": 8}, {"method": "dpo", "steps": 100, "batch": 8}]


def test_hours_are_operations_over_speed(write_study: Write) -> None:
    study = read_study(write_study(methods=METHODS))
    rows = hardware_plan(study, price_per_hour=2.0)
    tokens = training_sizes(study, AT_ONCE, 4096)
    row = next(
        r
        for r in rows
        if (r["model"], r["gpu"], r["adapting"], r["method"]) == ("7B", "h100", "lora", "sft")
    )
    # Forward 2, backward to activations 2, recomputed 2.
    learnt = tokens["sft"][0].learnt
    seconds = SIZES["7B"].parameters * 6 * learnt / (GPUS["h100"].operations * REACHED)
    assert row["gpu_hours"] == pytest.approx(seconds / 3600)
    assert row["money"] == pytest.approx(2.0 * row["gpu_hours"])
    dpo = next(
        r
        for r in rows
        if (r["model"], r["gpu"], r["adapting"], r["method"]) == ("7B", "h100", "lora", "dpo")
    )
    # Read once more, by the model it began from: each token learnt is 6 and one read 2.
    assert dpo["gpu_hours"] / dpo["tokens"] == pytest.approx(
        row["gpu_hours"] / row["tokens"] * (6 + 2) / (6 * 2), rel=1e-3
    )


def test_full_fine_tuning_holds_sixteen_bytes_a_parameter() -> None:
    shape, step = SIZES["32B"], StepSize(800, 80)
    full = step_bytes(shape, "full", step, 2, 16, recomputed=True, padded=False)
    kept = 64 * 800 * shape.width * 2 + 800 * token_bytes(shape, "full", 2)
    assert full == pytest.approx(16 * shape.parameters + kept + 80 * shape.vocabulary * 14)


def test_a_loras_parameters_are_counted_as_peft_makes_them(tiny_model: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shape = folder_shape(tiny_model)
    assert shape is not None
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert weight_bytes(shape, "lora", 4, 4) == 4 * shape.parameters + 16 * trained


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("width", [2, 4])
def test_what_a_layer_keeps_is_what_autograd_saves(adapter: str, width: int) -> None:
    """Bytes of all tensors that a backward pass keeps, with two and with three layers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    def saved(layers: int) -> int:
        config = LlamaConfig(
            vocab_size=64,
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).to(torch.bfloat16 if width == 2 else torch.float32)
        if adapter == "lora":
            lora = LoraConfig(r=1, target_modules="all-linear", task_type="CAUSAL_LM")
            model = get_peft_model(model, lora)
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        held: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            place = tensor.untyped_storage()
            if place.data_ptr() not in own:
                held[place.data_ptr()] = place.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            out = model(input_ids=torch.zeros((1, TOKENS), dtype=torch.long), use_cache=False)
        assert out.logits is not None
        return sum(held.values())

    shape = ModelShape(0, 64, 2, 4, 64, inner=192, shared=32)
    counted = TOKENS * token_bytes(shape, "lora" if adapter == "lora" else "full", width)
    assert saved(3) - saved(2) == pytest.approx(counted, rel=0.1)


def test_the_command_prints_and_says_that_it_is_an_estimate(write_study: Write) -> None:
    path = str(write_study(methods=METHODS))
    shown = CliRunner().invoke(app, ["plan", path, "--gpus", "--price", "2"]).output
    assert "H100 80 GB" in shown and "Estimated, not measured" in " ".join(shown.split())
    rows = json.loads(CliRunner().invoke(app, ["plan", path, "--gpus", "--json"]).output)
    assert len(rows) == 3 * 3 * 3 * 2 and rows[0]["money"] is None
    with pytest.raises(InputError, match="trains no method"):
        hardware_plan(read_study(write_study(methods=["base"])))
