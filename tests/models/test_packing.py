"""Packed rows give each prompt the answer it would get alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.models import LanguageModel, identify
from suffrage.models.packing import Pack, ScoreRequest, packed
from suffrage.models.packing_rule import NEVER_PACKED

tokens = st.lists(st.integers(0, 4), min_size=1, max_size=6).map(tuple)
requests = st.lists(
    st.builds(ScoreRequest, tokens, st.lists(tokens, min_size=1, max_size=3).map(tuple)),
    min_size=1,
    max_size=8,
)


def path_to(pack: Pack, node: int) -> tuple[int, ...]:
    found: list[int] = []
    while node >= 0:
        found.append(pack.tokens[node])
        node = pack.parents[node]
    return tuple(reversed(found))


@pytest.mark.slow
@given(requests, st.integers(1, 40))
def test_every_query_sees_exactly_its_own_prompt(given: list[ScoreRequest], length: int) -> None:
    seen: dict[tuple[int, int], list[tuple[tuple[int, ...], int]]] = {}
    for pack in packed(given, length):
        for node, token, owner in zip(
            pack.query_nodes, pack.query_tokens, pack.owners, strict=True
        ):
            seen.setdefault(owner, []).append((path_to(pack, node), token))
    for i, request in enumerate(given):
        for c, continuation in enumerate(request.continuations):
            wanted = [
                (request.prompt + continuation[:place], token)
                for place, token in enumerate(continuation)
            ]
            assert seen[i, c] == wanted


@pytest.mark.slow
@given(requests)
def test_the_mask_shows_ancestors_and_nothing_else(given: list[ScoreRequest]) -> None:
    for pack in packed(given, 30):
        mask = pack.attention_mask()
        for node in range(len(pack.tokens)):
            assert mask[node].sum() == pack.positions[node] + 1 == len(path_to(pack, node))
            assert not mask[node, node + 1 :].any()


def test_shared_prefixes_are_stored_once() -> None:
    prompts = [ScoreRequest((*range(50), 60 + i), ((1,),)) for i in range(10)]
    (pack,) = packed(prompts, 1000)
    assert len(pack.tokens) == 50 + 10


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return LanguageModel.load(identify(str(tiny_model), Path()))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.text("abcd ", min_size=1, max_size=12), min_size=1, max_size=6))
def test_packed_scores_equal_plain_ones(model: LanguageModel, texts: list[str]) -> None:
    given = [
        ScoreRequest(
            tuple(model.tokenizer("Say " + text)["input_ids"]),
            tuple(tuple(model.tokenizer(word)["input_ids"]) for word in ("yes", "no", "perhaps")),
        )
        for text in texts
    ]
    assert model.rule.packs
    together = model.score(given)
    model._rule = NEVER_PACKED
    alone = model.score(given)
    model._rule = None
    for one, two in zip(together, alone, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_scores_equal_the_model_called_directly(model: LanguageModel) -> None:
    import torch

    prompt, answer = model.encode([{"role": "user", "content": "Hello"}]), (70, 71, 72)
    with torch.no_grad():
        logits = model.model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    wanted = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)]
    ((found,),) = model.score([ScoreRequest(prompt, (answer,))])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_empty_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold a token"):
        ScoreRequest((1,), ((),))
