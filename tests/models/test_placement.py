"""Where a model's weights go, and that one on several devices says what it says on one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import numpy as np
import pytest
import torch
import transformers

from suffrage.errors import InputError
from suffrage.models import LanguageModel, device, identify, loading, placement
from suffrage.models.packing import ScoreRequest
from tests.synthetic import make_tiny_model

REQUESTS = [
    ScoreRequest((5, 6, 7, 8), ((1, 2), (3,))),
    ScoreRequest((5, 6, 9), ((4,), (2, 2, 2))),
]


def loaded(folder: Path) -> LanguageModel:
    return LanguageModel.load(identify(str(folder), folder))


def with_layers_on_disk(tiny: Path, offloaded: Path) -> LanguageModel:
    """The model with some weights in no memory, as Transformers' `device_map` leaves one."""
    plain = loaded(tiny)
    devices = {
        "model.embed_tokens": "disk",
        "model.layers.0": "cpu",
        "model.layers.1": "disk",
        "model.norm": "cpu",
        "model.rotary_emb": "cpu",
        "lm_head": "cpu",
    }
    model = accelerate.dispatch_model(
        plain.model,
        device_map=devices,
        offload_dir=str(offloaded),
        skip_keys=plain.model._skip_keys_device_placement,
    )
    return LanguageModel(
        plain.identity, placement.place_model(model), plain.tokenizer, "float32", "cpu"
    )


@pytest.mark.slow
def test_a_model_on_several_devices_is_read_and_drawn_from_as_on_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    plain, apart = loaded(tiny_model), with_layers_on_disk(tiny_model, tmp_path)
    assert next(apart.model.parameters()).device.type == "meta", "the weights are not in memory"
    assert apart.rule == plain.rule and apart.pads == plain.pads
    for mine, theirs in zip(plain.score(REQUESTS), apart.score(REQUESTS), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-6)
    prompts = [request.prompt for request in REQUESTS]
    assert apart.sample(prompts, 3, 5, seed=1) == plain.sample(prompts, 3, 5, seed=1)
    apart._pads = plain._pads = False
    assert apart.sample(prompts, 3, 5, seed=1) == plain.sample(prompts, 3, 5, seed=1)


def test_the_places_of_logits_are_left_where_every_gpu_may_use_them(
    tiny_model: Path, tmp_path: Path
) -> None:
    # The head's GPU takes no index that is on the first GPU; one in memory serves any.
    apart = with_layers_on_disk(tiny_model, tmp_path)
    assert "logits_to_keep" in apart.model._hf_hook.skip_keys
    assert "past_key_values" in apart.model._hf_hook.skip_keys
    on_two = SimpleNamespace(hf_device_map={"model": 0, "lm_head": 1})
    assert placement.input_device(on_two) == torch.device("cuda:0")
    assert placement.index_device(on_two) == torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int | str, int]:
    """Two GPUs without computing on any; their free memory may be changed."""
    free: dict[int | str, int] = {0: 10**9, 1: 10**9, "cpu": 0}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free[0], 10**10))
    monkeypatch.setattr(accelerate.utils, "get_max_memory", lambda: dict(free))
    return free


def dispatched(model: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | None:
    """The device of each module where the model is spread; None where it goes to one GPU."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(model, "to", lambda where: model)

    def record(given: Any, device_map: dict[str, Any], main_device: Any, skip_keys: Any) -> Any:
        found.append(device_map)
        assert main_device == f"cuda:{next(iter(device_map.values()))}"
        return given

    monkeypatch.setattr(accelerate, "dispatch_model", record)
    placement.place_model(model)
    return found[0] if found else None


def test_a_model_that_fits_goes_to_one_gpu_and_a_larger_one_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_gpus: dict[int | str, int]
) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(make_tiny_model(tmp_path))
    size = model.get_memory_footprint()
    two_gpus[0] = int(size / 0.85)
    assert dispatched(model, monkeypatch) is None
    # Weights that leave no room for a pass do not fit.
    two_gpus[0] = int(size / 0.95)
    devices = dispatched(model, monkeypatch)
    assert devices is not None and set(devices.values()) == {0, 1}
    # What fits on no GPU stays in memory, however little of it is free: it is there already.
    two_gpus[0] = two_gpus[1] = int(size * 0.4)
    devices = dispatched(model, monkeypatch)
    assert devices is not None and "cpu" in devices.values() and "disk" not in devices.values()


def test_each_process_loads_four_bits_onto_its_own_gpu(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}

    class ReachedError(Exception):
        pass

    def record(source: str, **more: Any) -> None:
        found.update(more)
        raise ReachedError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        loading, "require", lambda name, *_: {"torch": torch}.get(name, transformers)
    )
    monkeypatch.setattr(transformers, "BitsAndBytesConfig", lambda **_: None)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", record)
    for rank in ("0", "3"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        with pytest.raises(ReachedError):
            loading.load_weights(identify(str(tiny_model), tiny_model), "bfloat16", four_bits=True)
        assert found["device_map"] == {"": int(rank)}


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with Apple's GPU and no other."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("apple")
def test_apples_gpu_is_used_where_it_is_there(tiny_model: Path) -> None:
    assert device.device_name() == "mps"
    assert device.fast_dtype() == "float32"
    assert device.row_length("mps") == device.CPU_ROW_LENGTH
    with pytest.raises(InputError, match="qlora needs a CUDA GPU"):
        loading.load_weights(identify(str(tiny_model), tiny_model), "float32", four_bits=True)


@pytest.mark.usefixtures("apple")
def test_a_model_goes_to_apples_gpu(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    monkeypatch.setattr(
        transformers.PreTrainedModel, "to", lambda model, where: moved.append(where) or model
    )
    loaded(tiny_model)
    assert moved == ["mps"]
