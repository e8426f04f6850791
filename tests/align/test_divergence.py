"""A training whose numbers go bad stops before they reach a saved point or the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from suffrage.align import packed, ppo
from suffrage.align.loop import STATE, Loop, kept_point
from suffrage.align.preference_model import PreferenceModel, train_preference_model
from suffrage.align.training import last_whole_checkpoint
from suffrage.errors import SuffrageError, TrainingDivergedError
from tests.align.test_training import job, run


def with_bad_gradient(values: torch.Tensor) -> torch.Tensor:
    """The same values with a gradient that is not a number."""
    nothing = (values * 0).sum().abs()
    return values + 0 * nothing.sqrt()


def points(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


# The last step is 4.
@pytest.mark.slow
@pytest.mark.parametrize("at", [3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("adapter", ["lora", pytest.param("none", marks=pytest.mark.slow)])
def test_a_bad_gradient_reaches_no_saved_point_and_no_result(
    at: int, adapter: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, calls = packed.answer_log_probs, 0

    def worse(model: Any, given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        values = usual(model, given)
        return with_bad_gradient(values) if calls == at else values

    monkeypatch.setattr(packed, "answer_log_probs", worse)
    given = job(tiny_model, "sft", tmp_path, 4, save_every=1, adapter=adapter)
    with pytest.raises(TrainingDivergedError, match=f"the gradient at step {at} is not a number"):
        run("sft", given)
    assert points(given.work)[-1] == f"checkpoint-{at - 1}"
    for file in given.work.rglob("*.safetensors"):
        assert all(bool(value.isfinite().all()) for value in load_file(file).values())
    assert not list(given.output.glob("*.safetensors"))


@pytest.mark.slow
def test_training_goes_on_from_the_last_point_whose_weights_are_numbers(
    tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, "sft", tmp_path, 2, save_every=1)
    run("sft", given)
    newest = given.work / "checkpoint-2" / "adapter_model.safetensors"
    weights = load_file(newest)
    next(iter(weights.values()))[0, 0] = float("nan")
    save_file(weights, newest)
    found = last_whole_checkpoint(given.work)
    assert found is not None and found.name == "checkpoint-1"
    assert points(given.work) == ["checkpoint-1"]


@pytest.mark.slow
def test_ppo_stops_before_a_bad_gradient_is_learnt(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, calls = ppo.clipped_policy_loss, 0

    def worse(*given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        values = usual(*given)
        return with_bad_gradient(values) if calls == 3 else values

    monkeypatch.setattr(ppo, "clipped_policy_loss", worse)
    given = job(tiny_model, "rlhf", tmp_path, 4, save_every=1, rounds=1)
    with pytest.raises(SuffrageError, match="PPO diverged at step 3"):
        run("rlhf", given)
    state = torch.load(given.work / "ppo" / STATE, weights_only=False)
    assert state["step"] == 2
    assert all(bool(value.isfinite().all()) for value in state["trained"].values())
    assert not list(given.output.glob("*.safetensors"))


@pytest.mark.slow
def test_a_preference_model_stops_before_a_bad_gradient_is_learnt(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, calls = PreferenceModel.scores, 0

    def worse(self: PreferenceModel, *given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        values = usual(self, *given)
        return with_bad_gradient(values) if calls == 3 else values

    monkeypatch.setattr(PreferenceModel, "scores", worse)
    given = job(tiny_model, "rlhf", tmp_path, 4, save_every=1)
    with pytest.raises(SuffrageError, match="preference model diverged at step 3"):
        train_preference_model(given, tmp_path / "preference", 4, lambda step, of: None)
    state = torch.load(tmp_path / "preference" / STATE, weights_only=False)
    assert state["step"] == 2
    assert all(bool(value.isfinite().all()) for value in state["trained"].values())


def test_a_loop_neither_saves_nor_resumes_weights_that_are_not_numbers(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    loop = Loop(tmp_path, model, {}, 0)
    assert kept_point(tmp_path) == "It had saved no point yet."
    loop.step = 1
    loop.save()
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    loop.step = 2
    with pytest.raises(SuffrageError, match=r"a weight at step 2 is not a number.*point is kept"):
        loop.save()
    assert Loop(tmp_path, torch.nn.Linear(2, 1), {}, 0).step == 1
    state = torch.load(tmp_path / STATE, weights_only=False)
    state["trained"]["weight"][0, 0] = float("inf")
    torch.save(state, tmp_path / STATE)
    assert Loop(tmp_path, torch.nn.Linear(2, 1), {}, 0).step == 0
