"""A step that is computed in parts has the loss and the gradient of the whole step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from suffrage.align import packed, preference_model, training
from suffrage.align.loop import trainable
from suffrage.training_data import Records
from tests.align.test_training import job, method

FORMS: list[tuple[str, dict[str, object]]] = [
    ("sft", {}),
    ("distribution", {}),
    ("distribution", {"loss": "ordinal"}),
    ("dpo", {}),
    ("dpo", {"form": "proportional"}),
    ("dpo", {"sft_weight": 0.1, "per_token": True}),
    ("kto", {}),
    ("kto", {"z0": "batch"}),
    ("kto", {"z0": "batch", "reference": "none"}),
]


def weighted(records: Records) -> Records:
    """Records whose weights differ a hundredfold."""
    weights = np.tile([10.0, 0.1, 1.0, 3.0], len(records))[: len(records)]
    return replace(records, frame=records.frame.with_columns(weight=pl.Series(weights)))


def one_step(
    tiny: Path, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: object
) -> tuple[float, torch.Tensor]:
    """The loss and the gradient of a training's first step."""
    given = job(tiny, name, folder, 1, batch=8, adapter="none", **more)
    given = replace(given, records=weighted(given.records))
    found: list[torch.Tensor] = []

    def recorder(work: Path) -> Any:
        def on_pre_optimizer_step(
            self: Any, args: Any, state: Any, control: Any, model: Any = None, **_: Any
        ) -> None:
            found.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))

        return on_pre_optimizer_step

    usual = training.trainer_settings
    monkeypatch.setattr(training, "_on_pre_optimizer_step", recorder)
    monkeypatch.setattr(
        packed, "trainer_settings", lambda job: {**usual(job), "max_grad_norm": 1e9}
    )
    train = method(name).train
    assert train is not None
    train(given)
    monkeypatch.undo()
    line = json.loads((given.output / training.LOG).read_text().splitlines()[0])
    (gradient,) = found
    return float(line["loss"]), gradient


@pytest.mark.parametrize(("name", "form"), FORMS, ids=lambda given: str(given))
def test_parts_of_a_step_add_up_to_it(
    name: str,
    form: dict[str, object],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loss, gradient = one_step(tiny_model, name, tmp_path / "whole", monkeypatch, **form)
    for size in (1, 2, 4):
        folder = tmp_path / str(size)
        part, other = one_step(tiny_model, name, folder, monkeypatch, micro_batch=size, **form)
        assert part == pytest.approx(loss, rel=1e-4)
        np.testing.assert_allclose(other, gradient, atol=1e-4 * float(gradient.abs().max()))


def test_parts_of_a_preference_models_step_add_up_to_it(tiny_model: Path, tmp_path: Path) -> None:
    given = job(tiny_model, "rlhf", tmp_path, 1, batch=8, adapter="none")
    rows = weighted(given.records).frame.to_dicts()[:8]
    found = preference_model._untrained(given)
    torch.nn.init.normal_(found.head.weight)
    seen = []
    for size in (8, 1, 2, 3):
        found.model.zero_grad()
        loss = preference_model._backward(found, rows, size)
        grads = [p.grad.flatten() for p in trainable(found.model).values() if p.grad is not None]
        seen.append((loss, torch.cat(grads).clone()))
    for loss, gradient in seen[1:]:
        assert loss == pytest.approx(seen[0][0], rel=1e-4)
        np.testing.assert_allclose(gradient, seen[0][1], atol=1e-4 * float(seen[0][1].abs().max()))
