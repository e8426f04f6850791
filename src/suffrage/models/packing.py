"""Many prompts in one forward pass, every shared prefix computed once.

Prompts that begin alike (one persona, many items; one item, many option orders) form a tree of
tokens. A tree is written as one row of tokens in which each token sees only its own ancestors and
has the position of its own depth. The model's answer for a token is then the one it would give in
the prompt alone. There is no padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from suffrage.arrays import BoolArray

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class ScoreRequest:
    """A prompt and the continuations whose log-probability is wanted, as token ids.

    Raises
    ------
    ValueError
        The prompt or a continuation is empty.
    """

    prompt: Tokens
    continuations: tuple[Tokens, ...]

    def __post_init__(self) -> None:
        if not self.prompt or not self.continuations or not all(self.continuations):
            raise ValueError("a prompt and each of its continuations must hold a token")


@dataclass
class Pack:
    """One row of tokens with the trees of several requests.

    Examples
    --------
    Two prompts that share their first two tokens:

    >>> pack = Pack()
    >>> pack.add(0, ScoreRequest((5, 6, 7), ((1,),)))
    >>> pack.add(1, ScoreRequest((5, 6, 8), ((1,),)))
    >>> pack.tokens, pack.positions, pack.parents
    ([5, 6, 7, 8], [0, 1, 2, 2], [-1, 0, 1, 1])
    """

    # (T,), the tokens of the row.
    tokens: list[int] = field(default_factory=list)
    # (T,), the depth of each token in its tree.
    positions: list[int] = field(default_factory=list)
    # (T,), where in the row the token before it is; -1 at a root.
    parents: list[int] = field(default_factory=list)
    # One a token of a continuation: where in the row the token before it is, ...
    query_nodes: list[int] = field(default_factory=list)
    # ... its own id, ...
    query_tokens: list[int] = field(default_factory=list)
    # ... and the (request, continuation) that it belongs to.
    owners: list[tuple[int, int]] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def add(self, index: int, request: ScoreRequest) -> None:
        """Put a request into this row, sharing the prefix that the row has already."""
        end_of_prompt = self._walk(-1, request.prompt)
        for which, continuation in enumerate(request.continuations):
            node = end_of_prompt
            for place, token in enumerate(continuation):
                self.query_nodes.append(node)
                self.query_tokens.append(token)
                self.owners.append((index, which))
                if place + 1 < len(continuation):
                    node = self._walk(node, (token,))

    def new_tokens(self, request: ScoreRequest) -> int:
        """How many tokens `add` would append at most."""
        node, shared = -1, 0
        for token in request.prompt:
            child = self._children.get((node, token))
            if child is None:
                break
            node, shared = child, shared + 1
        tails = sum(len(continuation) - 1 for continuation in request.continuations)
        return len(request.prompt) - shared + tails

    def attention_mask(self) -> BoolArray:
        """(T, T), true where the row's token may see the column's: itself and its ancestors."""
        size = len(self.tokens)
        mask = np.zeros((size, size), dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] = mask[parent]
            mask[node, node] = True
        return mask

    def _walk(self, node: int, tokens: Sequence[int]) -> int:
        for token in tokens:
            child = self._children.get((node, token))
            if child is None:
                child = len(self.tokens)
                self._children[(node, token)] = child
                self.tokens.append(token)
                self.positions.append(0 if node < 0 else self.positions[node] + 1)
                self.parents.append(node)
            node = child
        return node


def packed(requests: Sequence[ScoreRequest], row_length: int) -> Iterable[Pack]:
    """Pack requests into rows of about `row_length` tokens, like prompts together.

    A request longer than a row gets a row of its own.

    Parameters
    ----------
    requests : sequence of ScoreRequest
    row_length : int
        Tokens a row.

    Yields
    ------
    Pack
        Its `owners` are places in `requests`.
    """
    order = sorted(range(len(requests)), key=lambda index: requests[index].prompt)
    pack = Pack()
    for index in order:
        if pack.tokens and len(pack.tokens) + pack.new_tokens(requests[index]) > row_length:
            yield pack
            pack = Pack()
        pack.add(index, requests[index])
    if pack.tokens:
        yield pack
