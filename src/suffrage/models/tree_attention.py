"""Attention over a tree of tokens in blocks: each sees its own tokens and those above it.

A mask over a whole row costs the square of its length, although a token of a tree sees few others.
Here the keys and values that a block of tokens may see are put next to each other, and the
attention of all blocks is one batch. Rows may then be long, and read a shared beginning once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def attention_in_blocks(columns: torch.Tensor) -> Iterator[None]:
    """Let models with PyTorch's attention (`sdpa`) attend in blocks while the context lasts.

    The model's mask must then be (blocks, 1, length, seen), as `Pack.attention_blocks` gives it.

    Parameters
    ----------
    columns : tensor, shape (blocks, seen)
        The places in the row that each block sees.
    """
    import torch
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    plain = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def in_blocks(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **given: Any,
    ) -> tuple[torch.Tensor, None]:
        if attention_mask is None or query.shape[2] != key.shape[2]:
            raise ValueError("this layer attends otherwise than under a mask over the row")
        blocks, _, length, _ = attention_mask.shape
        tokens = query.shape[2]
        query = torch.nn.functional.pad(query[0], (0, 0, 0, blocks * length - tokens))
        query = query.unflatten(1, (blocks, length)).transpose(0, 1)
        key, value = _of_blocks(key, columns), _of_blocks(value, columns)
        found, _ = plain(module, query, key, value, attention_mask, **given)
        return found.flatten(0, 1)[None, :tokens], None

    ALL_ATTENTION_FUNCTIONS["sdpa"] = in_blocks
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS["sdpa"] = plain


def _of_blocks(states: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """The keys or values that each block sees, (blocks, heads, seen, width)."""
    places = columns.to(states.device).flatten()
    return states[0].index_select(1, places).unflatten(1, columns.shape).transpose(0, 1)
