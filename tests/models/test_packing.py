"""Packed rows give each prompt the answer it would get alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.models import LanguageModel, identify
from suffrage.models.packing import ROW_COST, Pack, ScoreRequest, packed
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
        found.append(int(pack.tokens[node]))
        node = parent(pack, node)
    return tuple(reversed(found))


def parent(pack: Pack, node: int) -> int:
    """The nearest place before a token that is one less deep; -1 at a root."""
    depth = pack.positions[node]
    above = [k for k in range(node) if pack.positions[k] == depth - 1]
    return max(above, default=-1)


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
            above = []
            place = node
            while place >= 0:
                above.append(place)
                place = parent(pack, place)
            assert np.flatnonzero(mask[node]).tolist() == above[::-1]


@pytest.mark.slow
@given(requests, st.integers(1, 9))
def test_blocks_show_what_the_mask_over_the_row_shows(
    given: list[ScoreRequest], length: int
) -> None:
    for pack in packed(given, 30):
        blocks, mask = pack.attention_blocks(length), pack.attention_mask()
        for node, row in enumerate(mask):
            seen = blocks.columns[node // length][blocks.mask[node // length, node % length]]
            assert seen.tolist() == np.flatnonzero(row).tolist()


@pytest.mark.slow
@given(requests)
def test_one_long_row_reads_each_distinct_beginning_once(given: list[ScoreRequest]) -> None:
    beginnings = {
        (*request.prompt, *continuation)[:end]
        for request in given
        for continuation in request.continuations
        for end in range(1, len(request.prompt) + len(continuation))
    }
    (pack,) = packed(given, 10_000)
    assert len(pack.tokens) == len(beginnings)


@pytest.mark.slow
@given(requests, st.integers(1, 40))
def test_no_other_cut_into_rows_reads_fewer_tokens(given: list[ScoreRequest], length: int) -> None:
    found = [len(pack.tokens) for pack in packed(given, length)]
    paths = sorted({(*r.prompt, *c[:-1]) for r in given for c in r.continuations})

    def cost(start: int, end: int) -> float:
        row = {path[:k] for path in paths[start:end] for k in range(1, len(path) + 1)}
        fits = len(row) <= length or end == start + 1
        return len(row) + ROW_COST if fits else np.inf

    best = [0.0]
    for end in range(1, len(paths) + 1):
        best.append(min(best[start] + cost(start, end) for start in range(end)))
    assert sum(found) + ROW_COST * len(found) == best[-1]


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


@pytest.mark.slow
def test_long_rows_are_read_in_blocks_as_plainly(model: LanguageModel) -> None:
    prompts = [
        (*range(2, 60), *range(100 + 20 * question, 112 + 20 * question), 7 + group, 9)
        for question in range(6)
        for group in range(12)
    ]
    given = [ScoreRequest(prompt, ((70,), (71,))) for prompt in prompts]
    small = replace(model.rule, block=16)
    (row,) = small.rows(given, "cpu")
    assert model.rule.block and small.reads_in_blocks(row)
    found = []
    for rule in (small, NEVER_PACKED):
        model._rule = rule
        found.append(np.array(model.score(given))[..., 0])
    model._rule = None
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.ptp(found[1], axis=0).min() > 1e-3  # the prompts differ


def test_scores_equal_the_model_called_directly(model: LanguageModel) -> None:
    import torch

    prompt, answer = model.encode([{"role": "user", "content": "Hello"}]), (70, 71, 72)
    with torch.no_grad():
        logits = model.model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    wanted = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)]
    ((found,),) = model.score([ScoreRequest(prompt, (answer,))])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_empty_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="must contain a token"):
        ScoreRequest((1,), ((),))
