"""Models of many architectures are read, and trained, as plain Transformers reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suffrage.align.packed import Prompts, answer_log_probs, pack_answers
from suffrage.align.ppo import read_rollout, rollout
from suffrage.align.preference_model import PreferenceModel
from suffrage.align.sampled_groups import read_padding_exactly
from suffrage.align.training import switch_off_noise
from suffrage.errors import InputError
from suffrage.models import LanguageModel, ModelIdentity, identify
from suffrage.models.drawing import draw_tokens
from suffrage.models.loading import load_weights
from suffrage.models.packing import ScoreRequest
from suffrage.models.packing_rule import packing_rule
from tests.models.architectures import (
    ARCHITECTURES,
    READ_PLAINLY,
    WINDOW,
    attentions,
    random_model,
)
from tests.synthetic import make_byte_tokenizer

FAST = [("llama", "eager"), ("gemma 3", "sdpa"), ("mamba", "eager")]
CASES = [
    pytest.param(
        name,
        attention,
        marks=() if (name, attention) in FAST else pytest.mark.slow,
        id=f"{name}, {attention}",
    )
    for name in ARCHITECTURES
    for attention in attentions(name)
]
# Plain Transformers runs the recurrences of mamba backwards for two seconds.
TRAINED_CASES = [
    pytest.param(
        name,
        attention,
        marks=() if (name, attention) in FAST and name != "mamba" else pytest.mark.slow,
        id=f"{name}, {attention}",
    )
    for name in ARCHITECTURES
    for attention in attentions(name)
]
# Some fit into the tiny models' windows and some do not; several begin alike.
QUESTIONS = [
    "Is it?",
    "Is it so?",
    "Is it right?",
    "Is it right to say of the people in the north that they are patient?",
    "Is it right to say of the people in the north that they are proud of it?",
    "What do the people in the south of the country think of what is said there?",
]
# Two of each, of which the long ones begin alike: enough where each row is read alone as well.
FOUR = QUESTIONS[1:5]
# Short enough that rows inside the tiny models' windows have several.
SMALL_BLOCK = 8
ANSWERS = ("A", "B", "no", "It is.")


def plain_log_prob(model: Any, prompt: tuple[int, ...], answer: tuple[int, ...]) -> Any:
    """The log-probability of each of an answer's tokens, by Transformers alone."""
    read = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False)
    logits = read.logits[0].float()
    places = torch.arange(len(prompt) - 1, len(prompt) + len(answer) - 1)
    return logits.log_softmax(-1)[places, torch.tensor(answer)]


def as_language_model(model: Any) -> LanguageModel:
    identity = ModelIdentity("tiny", "tiny", "tiny")
    return LanguageModel(identity, model, make_byte_tokenizer(), "float32", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "attention"), CASES)
def test_an_architecture_is_read_as_plain_transformers_reads_it(name: str, attention: str) -> None:
    model = random_model(name, attention)
    found = as_language_model(model)
    assert found.rule.packs == (name not in READ_PLAINLY)
    own = attention == "eager" or name == "falcon"  # attention that Transformers does not share
    assert bool(found.rule.block) == (found.rule.packs and not own)
    found._rule = replace(found.rule, block=min(found.rule.block, SMALL_BLOCK))
    chats = [[{"role": "user", "content": question}] for question in FOUR]
    requests = [
        ScoreRequest(found.encode(chat), tuple(map(found.answer_tokens, ANSWERS))) for chat in chats
    ]
    assert min(len(r.prompt) for r in requests) < WINDOW < max(len(r.prompt) for r in requests) - 9
    counted: list[int] = []
    with torch.no_grad():
        for request, logs in zip(requests, found.score(requests, counted.append), strict=True):
            for answer, log in zip(request.continuations, logs, strict=True):
                plain = plain_log_prob(model, request.prompt, answer)
                np.testing.assert_allclose(log, plain.numpy(), atol=1e-5)
    assert sum(counted) == len(requests)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_doge_is_packed_within_its_window_only(attention: str) -> None:
    model = random_model("doge", attention)
    found = as_language_model(model)
    assert found.rule.packs and found.rule.reach == packing_rule(model).reach == WINDOW
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
    requests = [
        ScoreRequest(found.encode(chat), tuple(map(found.answer_tokens, ANSWERS))) for chat in chats
    ]
    assert min(len(r.prompt) for r in requests) < WINDOW < max(len(r.prompt) for r in requests)
    with torch.no_grad():
        for request, logs in zip(requests, found.score(requests), strict=True):
            for answer, log in zip(request.continuations, logs, strict=True):
                # Without the last token, whose answer nobody reads: it would change what is chosen.
                row = torch.tensor([[*request.prompt, *answer[:-1]]])
                plain = model(input_ids=row, use_cache=False).logits[0].log_softmax(-1)
                plain = plain[-len(answer) :].gather(-1, torch.tensor(answer)[:, None])[:, 0]
                np.testing.assert_allclose(log, plain.numpy(), atol=1e-5)


def test_positions_that_depend_on_earlier_rows_are_refused_beyond_their_length() -> None:
    import transformers

    usual = random_model("llama", "sdpa")
    settings = usual.config.to_dict() | {
        "max_position_embeddings": 40,
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
    }
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).eval()
    model.load_state_dict(usual.state_dict())
    found = as_language_model(model)
    assert found.rule.limit == packing_rule(model).limit == 40
    inside = [ScoreRequest(tuple(range(5, 5 + length)), ((70,), (71, 72))) for length in (9, 38)]
    with torch.no_grad():
        for request, logs in zip(inside, found.score(inside), strict=True):
            for answer, log in zip(request.continuations, logs, strict=True):
                plain = plain_log_prob(model, request.prompt, answer)
                np.testing.assert_allclose(log, plain.numpy(), atol=1e-5)
        # Plain Transformers says something else once it has read a longer text.
        row = torch.tensor([[*range(5, 65)]])
        first = model(input_ids=row, use_cache=False).logits
        model(input_ids=torch.tensor([[*range(5, 125)]]), use_cache=False)
        assert (model(input_ids=row, use_cache=False).logits - first).abs().max() > 1e-4
    with pytest.raises(InputError, match=r"more than 40 tokens .* has 41") as said:
        found.score([*inside, ScoreRequest(tuple(range(5, 45)), ((71, 72),))])
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("setting", ["memory_span", "keep_tokens_topk", "some_window"])
def test_a_window_under_an_unknown_name_is_found(setting: str) -> None:
    from transformers import LlamaForCausalLM

    span = 48
    probed: list[int] = []

    class Windowed(LlamaForCausalLM):  # type: ignore[misc]
        def forward(
            self, input_ids: Any, attention_mask: Any = None, position_ids: Any = None, **more: Any
        ) -> Any:
            places = torch.arange(input_ids.shape[1])
            probed.append(len(places))
            if attention_mask is None:
                back = places[:, None] - places
                attention_mask = ((back >= 0) & (back < span))[None, None]
            return super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                **more,
            )

    usual = random_model("llama", "sdpa")
    model = Windowed(usual.config)
    model.load_state_dict(usual.state_dict())
    model.eval()
    # Nothing names the window: the rows that are tried are shorter than it.
    assert packing_rule(model) == packing_rule(usual) and max(probed) < span
    try:
        setattr(model.config, setting, span)
        model.config.topk_group = 300  # of experts: a number that decides nothing
        assert packing_rule(model).reach == span
        found = as_language_model(model)
        requests = [
            ScoreRequest(tuple(range(5, 5 + length)), ((70,), (71, 72))) for length in (9, 20, 90)
        ]
        with torch.no_grad():
            for request, logs in zip(requests, found.score(requests), strict=True):
                for answer, log in zip(request.continuations, logs, strict=True):
                    plain = plain_log_prob(model, request.prompt, answer)
                    np.testing.assert_allclose(log, plain.numpy(), atol=1e-5)
        # The same names cost nothing where no window is behind them.
        setattr(usual.config, setting, span)
        usual.config.topk_group = 300
        assert packing_rule(usual).reach == 512
    finally:
        for name in (setting, "topk_group"):
            delattr(usual.config, name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "attention"), TRAINED_CASES)
def test_an_architecture_is_trained_on_plain_transformers_log_probabilities(
    name: str, attention: str
) -> None:
    model = random_model(name, attention)
    prompts, rule = Prompts.of(make_byte_tokenizer()), packing_rule(model)
    rows = [{"user": question, "format": "written"} for question in FOUR]
    # Of one token, and of several.
    answers = ANSWERS[1:]
    given = pack_answers(prompts, rule, rows, [answers] * len(rows))
    found = answer_log_probs(model, given)
    plain = torch.stack(
        [
            torch.stack(
                [
                    plain_log_prob(
                        model, prompts.prompt(row["user"]), prompts.spellings(answer, "written")[0]
                    ).sum()
                    for answer in answers
                ]
            )
            for row in rows
        ]
    )
    lengths = torch.tensor(given.lengths).view(found.shape)
    np.testing.assert_allclose(
        (found / lengths).detach().numpy(), (plain / lengths).detach().numpy(), atol=1e-5
    )
    # The gradients are those of plain Transformers as well.
    weights = [p for p in model.parameters() if p.dim() >= 2]
    ours = torch.autograd.grad(found.mean(), weights, allow_unused=True)
    theirs = torch.autograd.grad(plain.mean(), weights, allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        if other is not None:
            assert one is not None
            scale = float(other.abs().max()) + 1e-6
            np.testing.assert_allclose(one / scale, other / scale, atol=1e-3)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_a_preference_model_of_any_architecture_reads_the_last_state_of_an_answer(
    name: str, attention: str
) -> None:
    model = random_model(name, attention)
    head = torch.nn.Linear(32, 1)
    prompts = Prompts.of(make_byte_tokenizer())
    preference = PreferenceModel(model, prompts, head, packing_rule(model))
    with torch.no_grad():
        for question in FOUR:
            (found,) = preference.score([question], ["It is."], ["written"])
            ids = [*prompts.prompt(question), *prompts.spellings("It is.", "written")[0]]
            states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            plain = float(head(states[-1][0, -1].float()))
            assert found == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_an_architecture_writes_as_plain_transformers_reads_it(name: str, attention: str) -> None:
    """Draws are read back: prompts of different lengths are drawn together, at temperature 1."""
    model = random_model(name, attention)
    found = as_language_model(model)
    prompts = [tuple(range(5, 5 + length)) for length in (40, 12, 3)]
    for count, longest in ((1, 1), (2, 3)):
        drawn = draw_tokens(
            model,
            prompts,
            count,
            longest,
            frozenset(),
            torch.Generator().manual_seed(1),
            found.pads,
        )
        assert [len(answer) for answer in drawn] == [longest] * (3 * count)
        # The same numbers drawn again from the probabilities that plain Transformers gives.
        again = torch.Generator().manual_seed(1)
        rows = [list(prompt) for prompt in prompts for _ in range(count)]
        for place in range(longest):
            with torch.no_grad():
                logits = torch.stack(
                    [model(input_ids=torch.tensor([row])).logits[0, -1].float() for row in rows]
                )
            expected = torch.multinomial(logits.softmax(-1), 1, generator=again)[:, 0]
            for row, token, answer in zip(rows, expected.tolist(), drawn, strict=True):
                assert answer[place] == token
                row.append(token)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_ppo_reads_an_architecture_as_plain_transformers_does(name: str, attention: str) -> None:
    model = random_model(name, attention)
    head = torch.nn.Linear(32, 1)
    prompts = [tuple(range(5, 5 + length)) for length in (40, 12, 3)]
    answers = [(70, 71), (72, 73, 74), (75,)]
    pads = as_language_model(model).pads
    with torch.no_grad():
        logs, worth, _ = read_rollout(model, head, rollout(prompts, answers, 3), pads)
        for line, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            plain = plain_log_prob(model, prompt, answer)
            np.testing.assert_allclose(logs[line, : len(answer)], plain, atol=1e-5)
            ids = torch.tensor([[*prompt, *answer]])
            states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
            values = head(states[-1][0, len(prompt) - 1 : -1].float())[:, 0]
            np.testing.assert_allclose(worth[line, : len(answer)], values, atol=1e-4)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_an_architecture_reads_padding_for_sampled_groups_exactly_or_is_refused(
    name: str, attention: str
) -> None:
    model = random_model(name, attention)
    try:
        read_padding_exactly(model, name)
    except InputError as error:
        assert "reads the padding" in str(error)
        assert name in READ_PLAINLY
        return
    prompts = [tuple(range(5, 5 + length)) for length in (40, 12)]
    ids = torch.zeros((2, 40), dtype=torch.long)
    mask = torch.zeros((2, 40), dtype=torch.long)
    for line, prompt in enumerate(prompts):
        ids[line, 40 - len(prompt) :] = torch.tensor(prompt)
        mask[line, 40 - len(prompt) :] = 1
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
        for line, prompt in enumerate(prompts):
            plain = model(input_ids=torch.tensor([prompt]), use_cache=False).logits
            np.testing.assert_allclose(found[line, -1], plain.log_softmax(-1)[0, -1], atol=1e-5)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_dropout_of_any_architecture_is_switched_off(name: str, attention: str) -> None:
    model = random_model(name, attention, dropout=0.5)
    ids = torch.tensor([list(range(5, 45))])
    with torch.no_grad():
        plain = model(input_ids=ids, use_cache=False).logits
        switch_off_noise(model)
        found = model.train()(input_ids=ids, use_cache=False).logits
    np.testing.assert_allclose(found, plain, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "settings", "kind"),
    [
        ("BertConfig", {"num_attention_heads": 4, "intermediate_size": 64}, "an encoder, which"),
        ("T5Config", {"d_ff": 64, "num_heads": 4, "d_kv": 8}, "an encoder-decoder"),
    ],
)
def test_a_model_that_does_not_write_forward_is_refused_for_what_it_is(
    config: str, settings: dict[str, int], kind: str, tmp_path: Path
) -> None:
    import transformers

    getattr(transformers, config)(vocab_size=260, **settings).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"is {kind}") as told:
        load_weights(identify(str(tmp_path), Path()), "float32")
    assert "\n" not in str(told.value)
