"""A step that is computed in parts has the loss and the gradient of the whole step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from suffrage.align import TrainingJob, packed, preference_model, sampled_groups, training
from suffrage.align.loop import trainable
from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.training_data import Records
from suffrage.training_data.general import GENERAL
from suffrage.training_data.records import RecordRow
from tests.align.test_training import job, method

pytestmark = pytest.mark.slow

FORMS = [
    ("sft", {}),
    pytest.param("distribution", {}, marks=pytest.mark.slow),
    ("distribution", {"loss": "ordinal"}),
    pytest.param("dpo", {}, marks=pytest.mark.slow),
    pytest.param("dpo", {"form": "proportional"}, marks=pytest.mark.slow),
    ("dpo", {"sft_weight": 0.1, "per_token": True}),
    ("dpo", {"form": "ipo"}),
    ("dpo", {"form": "simpo", "margin": 0.5, "per_token": True}),
    ("dpo", {"form": "robust"}),
    ("dpo", {"labels": "drawn"}),
    ("augmented-sft", {}),
    ("kto", {"labels": "majority"}),
    pytest.param("kto", {}, marks=pytest.mark.slow),
    pytest.param("kto", {"z0": "batch"}, marks=pytest.mark.slow),
    ("kto", {"z0": "batch", "reference": "none", "beta": 5.0}),
    pytest.param("rloo", {}, marks=pytest.mark.slow),
    pytest.param("grpo", {}, marks=pytest.mark.slow),
    pytest.param("grpo", {"scale_rewards": "batch"}, marks=pytest.mark.slow),
]
# Those whose records have weights, or that an instruction may be mixed into.
OWN_LOSSES: list[tuple[str, dict[str, object]]] = [
    ("sft", {}),
    ("distribution", {}),
    ("dpo", {}),
    ("dpo", {"form": "proportional"}),
    ("kto", {"labels": "shares"}),
]
# Those that would divide by the sum of a step's weights.
WEIGHED = ["sft", "augmented-sft", "distribution", "dpo", "kto", "rlhf"]


def weighted(records: Records) -> Records:
    """Records whose weights differ a hundredfold."""
    weights = np.tile([10.0, 0.1, 1.0, 3.0], len(records))[: len(records)]
    return replace(records, frame=records.frame.with_columns(weight=pl.Series(weights)))


def first_step(
    name: str, given: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> tuple[float, torch.Tensor]:
    """The loss and the gradient of a training's first step."""
    found: list[torch.Tensor] = []

    def recorder(work: Path) -> Any:
        def on_pre_optimizer_step(
            self: Any, args: Any, state: Any, control: Any, model: Any = None, **_: Any
        ) -> None:
            found.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))

        return on_pre_optimizer_step

    usual = training.trainer_settings
    monkeypatch.setattr(training, "_on_pre_optimizer_step", recorder)
    for module in (packed, sampled_groups):
        monkeypatch.setattr(
            module, "trainer_settings", lambda *given: {**usual(*given), "max_grad_norm": 1e9}
        )
    monkeypatch.setattr(sampled_groups, "score_by_shares", lambda options: score_by_token)
    train = method(name).train
    assert train is not None
    train(given)
    monkeypatch.undo()
    line = json.loads((given.output / training.LOG).read_text().splitlines()[0])
    (gradient,) = found
    assert gradient.abs().max() > 0
    return float(line["loss"]), gradient


def score_by_token(
    rows: Sequence[RecordRow], texts: Sequence[str], tokens: Sequence[Sequence[int]]
) -> FloatArray:
    """Rewards that differ. The tiny model names no option, so all of its answers score alike."""
    return np.array([answer[0] % 7 / 7 for answer in tokens])


def with_instructions(records: Records) -> Records:
    """Records of which each third is a general instruction, of its own length and no weight."""
    rows = [
        {
            **row,
            "format": GENERAL,
            "user": "Say it.",
            "completion": "very " * (place + 1),
            "weight": None,
        }
        if place % 3 == 0
        else row
        for place, row in enumerate(records.frame.to_dicts())
    ]
    return replace(records, frame=pl.DataFrame(rows))


def whole_step(tiny: Path, name: str, folder: Path, **form: object) -> TrainingJob:
    """A job of one step of eight weighted records."""
    given = job(tiny, name, folder, 1, batch=8, adapter="none", **form)
    return replace(given, records=weighted(given.records))


def in_parts(given: TrainingJob, folder: Path, size: int) -> TrainingJob:
    """The same job, its records computed so many at a time."""
    options = given.options.model_copy(update={"micro_batch": size})
    (folder / "out").mkdir(parents=True)
    return replace(given, options=options, work=folder / "work", output=folder / "out")


def same(one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
    assert other[0] == pytest.approx(one[0], rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(other[1], one[1], atol=1e-4 * float(one[1].abs().max()))


@pytest.mark.parametrize(("name", "form"), FORMS, ids=lambda given: str(given))
def test_parts_of_a_step_add_up_to_it(
    name: str,
    form: dict[str, object],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = whole_step(tiny_model, name, tmp_path / "whole", **form)
    wanted = first_step(name, given, monkeypatch)
    for size in (1, 2, 4):
        part = in_parts(given, tmp_path / str(size), size)
        same(wanted, first_step(name, part, monkeypatch))


@pytest.mark.parametrize(("name", "form"), OWN_LOSSES, ids=lambda given: str(given))
def test_parts_with_instructions_among_them_add_up_to_the_step(
    name: str,
    form: dict[str, object],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = whole_step(tiny_model, name, tmp_path / "whole", **form)
    given = replace(given, records=with_instructions(given.records))
    wanted = first_step(name, given, monkeypatch)
    for size in (1, 2):
        part = in_parts(given, tmp_path / str(size), size)
        same(wanted, first_step(name, part, monkeypatch))


@pytest.mark.parametrize(("name", "form"), OWN_LOSSES, ids=lambda given: str(given))
def test_a_weight_of_three_counts_as_three_records(
    name: str,
    form: dict[str, object],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for lines, weights in (([0, 0, 0, 1], [1.0] * 4), ([0, 1], [3.0, 1.0])):
        given = job(tiny_model, name, tmp_path / str(len(lines)), 1, adapter="none", **form)
        frame = given.records.frame[lines].with_columns(weight=pl.Series(weights))
        options = given.options.model_copy(update={"batch": len(lines)})
        given = replace(given, records=replace(given.records, frame=frame), options=options)
        found.append(first_step(name, given, monkeypatch))
    same(*found)


@pytest.mark.parametrize("name", WEIGHED)
@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weights_that_no_mean_can_be_taken_with_are_refused_with_their_step(
    name: str, weight: float, tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, name, tmp_path, 2, batch=4)
    # The first step can be learnt from, and the second one cannot.
    weights = [1.0] * 4 + [weight] * (len(given.records) - 4)
    frame = given.records.frame.with_columns(weight=pl.Series(weights))
    given = replace(given, records=replace(given.records, frame=frame))
    train = method(name).train
    assert train is not None
    wanted = "are 0" if weight == 0 else f"weight is {weight:g}"
    with pytest.raises(InputError, match=rf"(step \d+|the records) of the .*{wanted}"):
        train(given)


def test_a_step_with_one_record_to_compare_with_others_is_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    given = job(tiny_model, "kto", tmp_path, 1, batch=4, z0="batch")
    rows = with_instructions(given.records).frame.to_dicts()[:4]
    rows = [{**row, "desirable": 0.5} for row in rows]
    # Two of four are instructions; with a third, one record of the method's own is left.
    rows[2] |= {key: rows[0][key] for key in ("format", "user", "completion")}
    given = replace(given, records=replace(given.records, frame=pl.DataFrame(rows)))
    train = method("kto").train
    assert train is not None
    with pytest.raises(InputError, match="step 1 of the training has 1 record of"):
        train(given)


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
