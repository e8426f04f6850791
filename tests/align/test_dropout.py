"""Dropout is off in training, so that a model begins at no divergence from its reference."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from suffrage.align import loop as own_loop
from suffrage.align.preference_model import _untrained
from suffrage.align.training import LOG, prepare
from tests.align.test_training import job, run
from tests.models.architectures import random_model
from tests.synthetic import make_byte_tokenizer


@pytest.fixture(scope="module", params=["gpt-2", "opt"])
def noisy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model on disk with dropout of one half."""
    folder = tmp_path_factory.mktemp("noisy")
    random_model(request.param, "sdpa", dropout=0.5).save_pretrained(folder)
    make_byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_the_first_loss_of_dpo_is_log_2(noisy: Path, adapter: str, tmp_path: Path) -> None:
    given = job(noisy, "dpo", tmp_path, 1, adapter=adapter)
    run("dpo", given)
    first = json.loads((given.output / LOG).read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_ppo_and_its_preference_model_read_alike_twice(noisy: Path, tmp_path: Path) -> None:
    given = job(noisy, "rlhf", tmp_path, 1)
    preference = _untrained(given)
    torch.nn.init.normal_(preference.head.weight)
    rows = given.records.frame.to_dicts()[:2]
    preference.model.train()
    one, other = (preference.scores(rows, [["A"]] * 2) for _ in range(2))
    assert torch.equal(one, other)
    model, _ = prepare(given)
    model.train()
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)
    assert own_loop.trainable(model)


def test_a_training_keeps_the_dropout_that_a_models_configuration_names(
    noisy: Path, tmp_path: Path
) -> None:
    given = job(noisy, "sft", tmp_path, 1, adapter="none")
    run("sft", given)
    before = json.loads((noisy / "config.json").read_text())
    after = json.loads((given.output / "config.json").read_text())
    assert {k: v for k, v in before.items() if "drop" in k} == {
        k: v for k, v in after.items() if "drop" in k
    }
