"""Logits are read at the right places, also where a model ignores which ones are wanted."""

from typing import Any

import pytest
import torch

from suffrage.errors import SuffrageError
from suffrage.models.drawing import draw_tokens
from suffrage.models.packing import ScoreRequest
from suffrage.models.packing_rule import kept_logits, pack_log_probs, packing_rule, plain_rows
from tests.models.architectures import random_model


def swallowing(model: Any) -> Any:
    """The model, as one that takes `logits_to_keep` among its other arguments and ignores it."""
    usual = model.forward

    def forward(**given: Any) -> Any:
        given.pop("logits_to_keep", None)
        return usual(**given)

    model.forward = forward
    return model


def log_probs(model: Any) -> torch.Tensor:
    request = ScoreRequest((5, 6, 7, 8), ((9, 10), (11, 12)))
    rule = packing_rule(model)
    packs = [*rule.rows([request], "cpu"), *plain_rows(0, request)]
    with torch.inference_mode():
        return torch.cat([pack_log_probs(model, pack, rule) for pack in packs])


def test_a_model_that_gives_all_logits_is_read_at_the_same_places() -> None:
    wanted = log_probs(random_model("gpt-2", "eager"))
    found = log_probs(swallowing(random_model("gpt-2", "eager")))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("pads", [True, False])
def test_a_model_that_gives_all_logits_draws_the_same_tokens(pads: bool) -> None:
    drawn = []
    for change in (lambda model: model, swallowing):
        model = change(random_model("gpt-2", "eager"))
        generator = torch.Generator().manual_seed(1)
        prompts = [(5, 6, 7), (8, 9, 10, 11)]
        drawn.append(draw_tokens(model, prompts, 2, 5, [0], generator, pads))
    assert drawn[0] == drawn[1]


def test_logits_that_are_neither_all_nor_those_wanted_are_refused() -> None:
    every = torch.arange(12.0).reshape(1, 6, 2)
    places = torch.tensor([1, 4])
    assert kept_logits(every, 6, places).tolist() == every[:, [1, 4]].tolist()
    assert kept_logits(every[:, [1, 4]], 6, places).tolist() == every[:, [1, 4]].tolist()
    assert kept_logits(every, 6, 2).tolist() == every[:, -2:].tolist()
    with pytest.raises(SuffrageError, match="gives 3 predictions for 6 tokens"):
        kept_logits(every[:, :3], 6, places)


def test_a_model_that_reads_later_words_is_refused() -> None:
    import transformers

    config = transformers.XLNetConfig(vocab_size=60, d_model=16, n_layer=1, n_head=2, d_inner=32)
    torch.manual_seed(0)
    model = transformers.XLNetLMHeadModel(config)
    with pytest.raises(SuffrageError, match="not a causal language model"):
        packing_rule(model)
