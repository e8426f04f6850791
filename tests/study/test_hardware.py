"""Estimates for other models and GPUs: worked by hand, and as they must move."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.models.shape import ModelShape, folder_shape
from suffrage.study.inputs import ComputedInputs
from suffrage.study.planning import machine_speed
from suffrage.study.planning.hardware import AT_ONCE, GPUS, REACHED, SIZES, hardware_plan
from suffrage.study.planning.memory import StepSize, step_bytes, token_bytes, weight_bytes
from suffrage.study.planning.plan import asking_work, training_sizes
from suffrage.study.schema import Study, read_study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.wiring import wire
from tests.study.conftest import Write

TOKENS = 256
METHODS = [{"method": "sft", "steps": 100, "batch": 8}, {"method": "dpo", "steps": 100, "batch": 8}]


def place(study: Study) -> ComputedInputs:
    return ComputedInputs(wire(with_value_sets(study)))


@pytest.mark.slow
def test_hours_are_operations_over_speed(write_study: Write) -> None:
    study = read_study(write_study(methods=["base", *METHODS]))
    plan = hardware_plan(study, price_per_hour=2.0)
    inputs = place(study)
    tokens, asked = training_sizes(inputs, AT_ONCE, 4096), asking_work(inputs)
    rows = {(r.model, r.gpu, r.adapting, r.method): r for r in plan.rows}
    row = rows["7B", "h100", "lora", "sft"]
    # Forward 2, backward to activations 2, recomputed 2.
    learnt = tokens["sft"][0].learnt
    speed = GPUS["h100"].operations * REACHED
    assert row.training_hours == pytest.approx(SIZES["7B"].parameters * 6 * learnt / speed / 3600)
    read = 2 * SIZES["7B"].parameters * asked["sft"].answers
    assert row.asking_hours == pytest.approx(read / speed / 3600)
    # Once to be trained and once to be asked, 2 bytes a weight at a gigabyte a second.
    seconds = 2 * (30 + 2 * SIZES["7B"].parameters / 1e9)
    assert row.loading_hours == pytest.approx(seconds / 3600)
    assert row.gpu_hours == pytest.approx(
        row.loading_hours + row.training_hours + row.asking_hours + row.evaluating_hours
    )
    assert row.as_json()["money"] == pytest.approx(2.0 * row.gpu_hours)
    dpo = rows["7B", "h100", "lora", "dpo"]
    # Read once more, by the model it began from: each token learnt is 6 and one read 2.
    assert dpo.training_hours / dpo.tokens == pytest.approx(
        row.training_hours / row.tokens * (6 + 2) / (6 * 2), rel=1e-3
    )
    base = rows["7B", "h100", "lora", "base"]
    assert base.training_hours == 0 < base.asking_hours, "an untrained model is asked too"


@pytest.mark.slow
def test_evaluations_of_their_own_questions_take_time(write_study: Write) -> None:
    plain = hardware_plan(read_study(write_study(methods=METHODS)))
    assert {row.evaluating_hours for row in plain.rows} == {0.0}
    study = read_study(write_study(methods=METHODS, evaluate=["fit", "robustness"]))
    assert all(row.evaluating_hours > 0 for row in hardware_plan(study).rows)


def test_the_machine_has_room_for_every_method_and_a_smaller_one_has_not(
    write_study: Write,
) -> None:
    methods = [{"method": "sft", "steps": 9, "adapter": "none"}, {"method": "dpo", "steps": 9}]
    plan = hardware_plan(read_study(write_study(methods=methods)), 2.5)
    own = {"sft": "full", "dpo": "lora"}
    for machine in plan.machines:
        wanted = [r for r in plan.rows if r.model == machine.model and r.adapting == own[r.method]]
        needs = max(r.memory_bytes for r in wanted if r.gpu == machine.gpu)
        assert machine.gpus * GPUS[machine.gpu].memory * 0.9 >= needs == machine.memory_bytes
        for key, gpu in GPUS.items():
            smaller = [count for count in (1, 2, 4, 8) if count < machine.gpus]
            assert not any(count * gpu.memory * 0.9 >= needs for count in smaller), key
        assert machine.hours_to_plan >= machine.gpu_hours > machine.hours_to_plan - 0.1
        assert machine.money == pytest.approx(2.5 * machine.hours_to_plan * machine.gpus)
        # Bfloat16 weights of the model and of one full checkpoint, and 24 bytes to resume from.
        parameters = SIZES[machine.model].parameters
        assert machine.disk_bytes == pytest.approx((2 + 2 + 24) * parameters + 2e9, rel=0.01)


def test_a_busy_machine_is_said_to_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_speed, "cpu_threads", lambda: 2)
    monkeypatch.setattr(machine_speed.os, "getloadavg", lambda: (1.0, 9.0, 9.0))
    assert machine_speed.busy_sentence() == ""
    monkeypatch.setattr(machine_speed.os, "getloadavg", lambda: (8.25, 0.0, 0.0))
    assert "busy: 8.2 programs want its 2 cores" in machine_speed.busy_sentence()


@pytest.mark.slow
def test_there_is_no_total_where_the_model_is_not_known(write_study: Write) -> None:
    path = str(write_study(model="nobody/has-this-model"))
    plan = json.loads(CliRunner().invoke(app, ["plan", path, "--json"]).output)
    assert plan["seconds_left"] is None and plan["money"] is None
    by_kind = {stage["kind"]: stage["seconds"] for stage in plan["stages"]}
    assert by_kind["align"] is None and by_kind["answers"] is None and by_kind["survey"] > 0
    shown = " ".join(CliRunner().invoke(app, ["plan", path]).output.split())
    assert "There is no total" in shown and "In all about" not in shown
    known = json.loads(CliRunner().invoke(app, ["plan", str(write_study()), "--json"]).output)
    assert known["seconds_left"] > 0 and "Measured: this machine" in known["notes"][0]


@pytest.mark.slow
def test_a_method_that_changes_no_weights_is_not_said_to_train_an_adapter(
    write_study: Write,
) -> None:
    plan = hardware_plan(read_study(write_study(methods=["factors"])))
    assert {machine.adapting for machine in plan.machines} == {""}
    plan = hardware_plan(read_study(write_study(methods=["factors", *METHODS])))
    assert {machine.adapting for machine in plan.machines} == {"lora"}


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


@pytest.mark.slow
def test_the_command_prints_and_says_that_it_is_an_estimate(write_study: Write) -> None:
    path = str(write_study(methods=METHODS))
    shown = CliRunner().invoke(app, ["plan", path, "--gpus", "--price", "2"]).output
    assert "1 x A100 80 GB" in shown and "Estimated, not measured" in " ".join(shown.split())
    found = json.loads(CliRunner().invoke(app, ["plan", path, "--gpus", "--json"]).output)
    assert len(found["rows"]) == 3 * 3 * 3 * 2 and found["rows"][0]["money"] is None
    assert [machine["model"] for machine in found["machines"]] == ["7B", "14B", "32B"]
    assert "0.001" not in shown and " 0.0 " not in shown
    assert "in place of the study's own" in " ".join(shown.split()) and "--price says" not in shown
    free = CliRunner().invoke(app, ["plan", path, "--gpus"]).output
    assert "--price says what one GPU costs" in " ".join(free.split())
    wrong = CliRunner().invoke(app, ["plan", path, "--price", "2"])
    assert isinstance(wrong.exception, InputError) and "goes with --gpus" in str(wrong.exception)
    with pytest.raises(InputError, match="trains no method"):
        hardware_plan(read_study(write_study(methods=["base"])))
