"""Many prompts in one forward pass, every shared prefix computed once.

Prompts that begin alike (one question, many populations; one item, many option orders) form a tree
of tokens. A tree is written depth first, as one row of tokens, in which each token sees only its
own ancestors and has the position of its own depth. The model's answer for a token is then the one
it would give in the prompt alone. There is no padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from suffrage.arrays import BoolArray, IntArray

Tokens = tuple[int, ...]

# What one more row costs, in tokens.
ROW_COST = 16


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
            raise ValueError("a prompt and each of its continuations must contain a token")


@dataclass(frozen=True, eq=False)
class Pack:
    """One row of tokens with the trees of several requests, depth first.

    Examples
    --------
    Two prompts that share their first two tokens:

    >>> (pack,) = packed([ScoreRequest((5, 6, 7), ((1,),)), ScoreRequest((5, 6, 8), ((1,),))], 512)
    >>> pack.tokens.tolist(), pack.positions.tolist(), pack.ends.tolist()
    ([5, 6, 7, 8], [0, 1, 2, 2], [4, 4, 3, 4])
    """

    # (T,), the tokens of the row.
    tokens: IntArray
    # (T,), the depth of each token in its tree.
    positions: IntArray
    # (T,), where in the row the descendants of each token end.
    ends: IntArray
    # One a token of a continuation: where in the row the token before it is, ...
    query_nodes: list[int]
    # ... its own id, ...
    query_tokens: list[int]
    # ... and the (request, continuation) that it belongs to.
    owners: list[tuple[int, int]]

    @property
    def branches(self) -> bool:
        """Whether the row is more than one ordinary sequence."""
        return bool((self.positions != np.arange(len(self.positions))).any())

    def attention_mask(self) -> BoolArray:
        """(T, T), true where the row's token may see the column's: itself and its ancestors."""
        places = np.arange(len(self.tokens))
        return self._sees(places[:, None], places)

    def attention_blocks(self, length: int) -> AttentionBlocks:
        """What the tokens may see, for blocks of `length` of them.

        Whatever a block's tokens see outside of it are the ancestors of its first token.
        """
        size = len(self.tokens)
        starts = np.arange(0, size, length)
        above = [np.flatnonzero(self.ends[:start] > start) for start in starts]
        most = max(map(len, above))
        own = np.minimum(starts[:, None] + np.arange(length), size - 1)
        columns = np.zeros((len(starts), most + length), dtype=np.int64)
        present = np.zeros(columns.shape, dtype=np.bool_)
        columns[:, most:] = own
        present[:, most:] = starts[:, None] + np.arange(length) < size
        for block, ancestors in enumerate(above):
            columns[block, : len(ancestors)] = ancestors
            present[block, : len(ancestors)] = True
        mask = self._sees(own[:, :, None], columns[:, None, :]) & present[:, None, :]
        return AttentionBlocks(columns, mask)

    def _sees(self, node: IntArray, other: IntArray) -> BoolArray:
        """Whether `other` is the node itself or one of its ancestors."""
        return np.asarray((other <= node) & (node < self.ends[other]))


@dataclass(frozen=True, eq=False)
class AttentionBlocks:
    """A row's attention in blocks, each with the few places of the row that its tokens may see."""

    # (blocks, seen), places in the row; 0 where a block sees fewer than others.
    columns: IntArray
    # (blocks, length, seen), whether a token sees a column. What is behind the row's last token
    # repeats it.
    mask: BoolArray


@dataclass(frozen=True, eq=False)
class _Path:
    """Tokens read one after another, and the continuations that are known once they are read."""

    tokens: IntArray
    # The (request, continuation) of each, the place of the token before it, and its tokens.
    asked: list[tuple[tuple[int, int], int, Tokens]]


def packed(requests: Sequence[ScoreRequest], row_length: int) -> Iterator[Pack]:
    """Pack requests into rows of at most `row_length` tokens, with the fewest tokens to read.

    A row begins with what its first prompt has in common with the row before: rows are cut where
    that is little. A prompt that is longer than a row gets a row of its own.

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
    paths, shared = _sorted_paths(requests)
    if not paths:
        return
    lengths = np.array([len(path.tokens) for path in paths])
    starts = _row_starts(lengths, np.array(shared), row_length)
    for start, end in zip(starts, [*starts[1:], len(paths)], strict=True):
        yield _row(paths[start:end], [0, *shared[start + 1 : end]])


def _sorted_paths(requests: Sequence[ScoreRequest]) -> tuple[list[_Path], list[int]]:
    """Every path in the order of its tokens, and how many tokens it shares with the one before."""
    found: dict[bytes, _Path] = {}
    for index, request in enumerate(requests):
        tails = {continuation[:-1] for continuation in request.continuations}
        keys: dict[Tokens, bytes] = {}
        for tail in tails:
            tokens = np.array(request.prompt + tail, dtype=np.int64)
            keys[tail] = tokens.astype(">u4").tobytes()  # these bytes have the tokens' order
            found.setdefault(keys[tail], _Path(tokens, []))
        for which, continuation in enumerate(request.continuations):
            asked = ((index, which), len(request.prompt) - 1, continuation)
            found[keys[continuation[:-1]]].asked.append(asked)
    paths = [found[key] for key in sorted(found)]
    shared = [0] * min(len(paths), 1)
    for before, path in pairwise(paths):
        most = min(len(before.tokens), len(path.tokens))
        differ = np.flatnonzero(before.tokens[:most] != path.tokens[:most])
        shared.append(int(differ[0]) if len(differ) else most)
    return paths, shared


def _row_starts(lengths: IntArray, shared: IntArray, row_length: int) -> list[int]:
    """The first path of each row, so that as few tokens as possible are read.

    Paths i to j in one row have `lengths[i]` tokens and what each of the others adds.
    """
    count = len(lengths)
    added = np.cumsum(lengths - shared)
    opening = lengths - added  # a row that opens with path i has so many tokens more than `added`
    best = np.zeros(count + 1)
    start_of = np.zeros(count + 1, dtype=np.int64)
    first = 0
    for end in range(1, count + 1):
        while first < end - 1 and opening[first] + added[end - 1] > row_length:
            first += 1
        totals = best[first:end] + opening[first:end]
        place = int(totals.argmin())
        best[end] = totals[place] + added[end - 1] + ROW_COST
        start_of[end] = first + place
    starts: list[int] = []
    end = count
    while end:
        end = int(start_of[end])
        starts.append(end)
    return starts[::-1]


def _row(paths: Sequence[_Path], shared: Sequence[int]) -> Pack:
    """One row with these paths. shared: tokens that each shares with the one before it."""
    size = sum(len(path.tokens) - common for path, common in zip(paths, shared, strict=True))
    tokens, positions, ends = (np.empty(size, dtype=np.int64) for _ in range(3))
    node_at = np.empty(max(len(path.tokens) for path in paths), dtype=np.int64)
    nodes: list[int] = []
    asked: list[int] = []
    owners: list[tuple[int, int]] = []
    filled = depth = 0
    for path, common in zip(paths, shared, strict=True):
        ends[node_at[common:depth]] = filled
        depth = len(path.tokens)
        new = slice(filled, filled + depth - common)
        tokens[new] = path.tokens[common:]
        positions[new] = np.arange(common, depth)
        filled = new.stop
        node_at[common:depth] = np.arange(new.start, new.stop)
        for owner, start, continuation in path.asked:
            nodes += node_at[start : start + len(continuation)].tolist()
            asked += continuation
            owners += [owner] * len(continuation)
    ends[node_at[:depth]] = filled
    return Pack(tokens, positions, ends, nodes, asked, owners)
