"""Logits are read at the right places, also where a model ignores which ones are wanted."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from suffrage.align.ppo import read_rollout, rollout
from suffrage.align.sampled_groups import answers_only
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


@pytest.mark.parametrize("pads", [True, False])
def test_ppo_reads_an_answer_at_the_same_places(pads: bool) -> None:
    prompts: list[tuple[int, ...]] = [(5, 6, 7, 8), (9, 10)]
    answers: list[tuple[int, ...]] = [(11,), (12, 13, 4)]
    given = rollout(prompts, answers, 3)
    found = []
    for change in (lambda model: model, swallowing):
        model = change(random_model("gpt-2", "eager"))
        torch.manual_seed(1)
        head = torch.nn.Linear(model.config.hidden_size, 1)
        with torch.inference_mode():
            found.append(read_rollout(model, head, given, pads))
    torch.testing.assert_close(found[1], found[0])
    # The second prompt alone, by the usual way.
    model = random_model("gpt-2", "eager")
    with torch.inference_mode():
        alone = model(torch.tensor([[9, 10, 12, 13, 4]])).logits[0].log_softmax(-1)
    wanted = torch.stack([alone[1, 12], alone[2, 13], alone[3, 4]])
    torch.testing.assert_close(found[1][0][1], wanted)


def test_sampled_groups_read_an_answer_at_the_same_places() -> None:
    class Trainer(answers_only(object)):  # type: ignore[misc]
        accelerator = SimpleNamespace(autocast=nullcontext)
        temperature = 0.7

    ids = torch.tensor([[5, 6, 7, 11, 12], [8, 9, 10, 13, 4]])
    seen = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    found = []
    for change in (lambda model: model, swallowing):
        model = change(random_model("gpt-2", "eager"))
        with torch.inference_mode():
            found.append(
                Trainer()._get_per_token_logps_and_entropies(
                    model, ids, seen, 2, compute_entropy=True
                )[:2]
            )
    torch.testing.assert_close(found[1], found[0])
    with torch.inference_mode():
        every = random_model("gpt-2", "eager")(ids).logits / 0.7
    log = every.log_softmax(-1)
    wanted = torch.tensor([[log[0, 2, 11], log[0, 3, 12]], [log[1, 2, 13], 0.0]])
    torch.testing.assert_close(found[1][0], wanted)


def test_a_model_that_reads_later_words_is_refused() -> None:
    import transformers

    config = transformers.XLNetConfig(vocab_size=60, d_model=16, n_layer=1, n_head=2, d_inner=32)
    torch.manual_seed(0)
    model = transformers.XLNetLMHeadModel(config)
    with pytest.raises(SuffrageError, match="not a causal language model"):
        packing_rule(model)
