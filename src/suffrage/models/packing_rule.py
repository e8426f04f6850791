"""How a model may be read: many prompts in a row where that is exact, one in a row elsewhere.

A packed row replaces the model's own attention mask by a tree (see `packing`). Some models do not
honour such a mask: a state-space model has no attention, ALiBi counts distances along the row, and
some attention kernels take no mask. Others have a window that our mask would drop. `packing_rule`
decides once for each loaded model. Scoring and every training method follow its answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from suffrage.errors import InputError, SuffrageError
from suffrage.models.device import row_length
from suffrage.models.packing import Pack, ScoreRequest, packed
from suffrage.models.placement import index_device, input_device
from suffrage.models.tree_attention import attention_in_blocks

if TYPE_CHECKING:
    import torch

# Settings that name a number of tokens after which attention, or the coding of positions, differs.
# Inside all of them a token sees its whole prompt in every layer.
_REACHES = (
    "sliding_window",
    "sliding_window_size",
    "attention_chunk_size",
    "attention_window_size",
    "attention_window",
    "local_attention",
    "window_size",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "n_positions",
    "max_seq_len",
)
# Words in the names of settings that may be such a number too, in architectures that are not known
# here. A model with one is tried on longer rows, because such names count experts as well.
_REACH_WORDS = ("window", "chunk", "topk", "top_k", "span", "keep", "block_size", "stride", "local")
# The largest such number that is tried. Rows are kept within larger ones, which costs little.
_LONGEST_TRIED = 512
# The layers that compute nothing but attention under a mask.
_ATTENTION_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
# Tokens of a block of attention, and of a row that is read in blocks.
BLOCK = 128
BLOCKS_ROW_LENGTH = 2048
# Tokens of a block where a model is tried.
_TRIED_BLOCK = 4
# See `rounding_tolerance`.
_ROUNDING = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


@dataclass(frozen=True)
class PackingRule:
    """How a model may be read."""

    # Whether it honours a tree mask.
    packs: bool
    # The most tokens of a packed row; None where nothing limits it.
    reach: int | None = None
    # Whether its attention adds the mask to the scores, as eager attention does. Otherwise the mask
    # is boolean.
    adds_mask: bool = False
    # Tokens of a block where attention is computed in blocks; 0 for a mask over the whole row.
    block: int = 0
    # The most tokens of any row, because what the model says after longer ones depends on the rows
    # that it read before; None where nothing limits it.
    limit: int | None = None

    def rows(self, requests: Sequence[ScoreRequest], device: str) -> Iterator[Pack]:
        """The rows that answer these requests.

        Requests that do not fit inside the model's reach are read plainly.

        Parameters
        ----------
        requests : sequence of ScoreRequest
        device : str
            Where the model runs: "cuda", "mps" or "cpu".

        Yields
        ------
        Pack
            Its `owners` are places in `requests`.

        Raises
        ------
        InputError
            A request is longer than the model's limit.
        """
        self._check_limit(requests)
        longest = row_length(device)
        # The logits of texts, one for almost every token, take much memory.
        if self.block and all(len(c) == 1 for r in requests for c in r.continuations):
            longest = max(longest, BLOCKS_ROW_LENGTH)
        if self.reach is not None:
            longest = min(longest, self.reach)
        together = [k for k, request in enumerate(requests) if self._fits(request)]
        for pack in packed([requests[k] for k in together], longest):
            yield replace(pack, owners=[(together[k], which) for k, which in pack.owners])
        for k in sorted(set(range(len(requests))) - set(together)):
            yield from plain_rows(k, requests[k])

    def _fits(self, request: ScoreRequest) -> bool:
        if not self.packs:
            return False
        return self.reach is None or _row_tokens(request) <= self.reach

    def _check_limit(self, requests: Sequence[ScoreRequest]) -> None:
        longest = max(map(_row_tokens, requests), default=0)
        if self.limit is not None and longest > self.limit:
            raise InputError(
                f"model: it codes positions in another way in texts of more than {self.limit} "
                f"tokens (rope_type: dynamic), and a question here has {longest}, so its answer "
                "would depend on the questions before; shorten the question, or name another model."
            )

    def reads_in_blocks(self, pack: Pack) -> bool:
        """Whether a row's attention is computed in blocks: where that is less."""
        return 0 < 2 * self.block <= len(pack.tokens) and pack.branches


NEVER_PACKED = PackingRule(packs=False)


def _row_tokens(request: ScoreRequest) -> int:
    """The tokens of the longest row that a request needs."""
    return len(request.prompt) + max(map(len, request.continuations)) - 1


def plain_rows(index: int, request: ScoreRequest) -> list[Pack]:
    """The plain way to read a request: ordinary sequences, under the model's own mask.

    Continuations that are read after the same tokens share a row: single tokens after a prompt all
    do.

    Parameters
    ----------
    index : int
        What the rows' owners call the request.
    request : ScoreRequest

    Returns
    -------
    list of Pack
    """
    rows = []
    for tail in dict.fromkeys(continuation[:-1] for continuation in request.continuations):
        places = [k for k, c in enumerate(request.continuations) if c[:-1] == tail]
        alone = ScoreRequest(request.prompt, tuple(request.continuations[k] for k in places))
        (row,) = packed([alone], len(request.prompt) + len(tail))
        rows.append(replace(row, owners=[(index, places[which]) for _, which in row.owners]))
    return rows


def pack_log_probs(model: Any, pack: Pack, rule: PackingRule) -> torch.Tensor:
    """The log-probability of every query of a row.

    The logits are computed only where a query needs them, and their log-softmax in float32.

    Returns
    -------
    tensor, shape (queries,)
        Differentiable.
    """
    import torch

    nodes, inverse = torch.unique(torch.tensor(pack.query_nodes), return_inverse=True)
    logits = _logits_at(model, pack, rule, nodes)
    inverse, tokens = inverse.to(logits.device), torch.tensor(pack.query_tokens).to(logits.device)
    return logits[inverse, tokens] - logits.logsumexp(-1)[inverse]


def pack_states(model: Any, pack: Pack, rule: PackingRule) -> torch.Tensor:
    """The last layer's state of every token of a row.

    Returns
    -------
    tensor, shape (tokens, width)
        Differentiable.
    """
    import torch

    found = _forward(model, pack, rule, output_hidden_states=True, logits_to_keep=1)
    return torch.as_tensor(found.hidden_states[-1][0])


def packing_rule(model: Any, learning: bool = True) -> PackingRule:
    """Decide how a model may be read.

    The model's configuration rules out what cannot be packed. Any other model is tried once on a
    few short rows, packed and plain. A setting that may be a window of a kind unknown here is
    crossed by longer ones.

    Parameters
    ----------
    model : PreTrainedModel
        With or without an adapter.
    learning : bool
        Whether gradients are wanted. Attention in blocks is for reading only: the gradient of
        copied keys and values is slow.

    Raises
    ------
    SuffrageError
        Words that come later change what the model says of earlier ones.
    """
    import torch

    _require_causal(model)
    if not _has_only_masked_attention(model):
        return NEVER_PACKED
    kind = getattr(model.config, "_attn_implementation", None)
    masked = PackingRule(
        packs=True,
        reach=_reach(model.config),
        adds_mask=kind != "sdpa",
        limit=_limit(model.config),
    )
    never = replace(NEVER_PACKED, limit=masked.limit)
    vocabulary = model.get_input_embeddings().num_embeddings
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            masked = _within_unknown_reach(model, masked, vocabulary)
            rules = (
                [masked] if learning or kind != "sdpa" else [replace(masked, block=BLOCK), masked]
            )
            requests = _probes(vocabulary)
            return next((rule for rule in rules if _honours(model, rule, requests)), never)
    finally:
        model.train(training)


def _require_causal(model: Any) -> None:
    """Refuse a model whose answer after a text depends on what follows the text.

    Encoders can be loaded as language models too (XLNet). Two rows that end differently are read.
    """
    import torch

    vocabulary = model.get_input_embeddings().num_embeddings
    drawn = torch.randint(vocabulary, (16,), generator=torch.Generator().manual_seed(0))
    device = input_device(model)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            first, second = (
                model(input_ids=torch.cat([drawn[:8], end])[None].to(device), use_cache=False)
                .logits[0, :8]
                .float()
                .log_softmax(-1)
                for end in (drawn[8:12], drawn[12:])
            )
    finally:
        model.train(training)
    if not (first - second).abs().mean() <= rounding_tolerance(model) * first.std():
        raise SuffrageError(
            f"the model ({model.config.model_type}) reads later words before it says what follows "
            "earlier ones, so it is not a causal language model; name one that is, such as "
            "HuggingFaceTB/SmolLM2-360M-Instruct."
        )


def kept_logits(logits: torch.Tensor, tokens: int, kept: torch.Tensor | int) -> torch.Tensor:
    """The logits at the wanted places, whether the model kept those only or gave all of them.

    Some models take `logits_to_keep` among their other arguments and ignore it. Their logits are
    as many as the tokens.

    Parameters
    ----------
    logits : tensor, shape (rows, places, vocabulary)
    tokens : int
        The tokens of each row that was read.
    kept : tensor or int
        What was passed as `logits_to_keep`: places in a row, or how many from the end.

    Returns
    -------
    tensor, shape (rows, wanted, vocabulary)

    Raises
    ------
    SuffrageError
        The logits are neither those wanted nor all.
    """
    wanted = kept if isinstance(kept, int) else len(kept)
    found = logits.shape[1]
    if found == tokens:
        return logits[:, -wanted:] if isinstance(kept, int) else logits[:, kept.to(logits.device)]
    if found != wanted:
        raise SuffrageError(
            f"the model gives {found} predictions for {tokens} tokens, where {wanted} or all were "
            "asked for, so its probabilities cannot be read; use another model."
        )
    return logits


def forward_accepts(model: Any, name: str) -> bool:
    """Whether a model's forward pass names this argument."""
    whole = getattr(model, "get_base_model", lambda: model)()
    return name in inspect.signature(type(whole).forward).parameters


def is_recurrent(model: Any) -> bool:
    """Whether some layers of a model carry a state along the row, so that padding leaks into it."""
    config = model.config.get_text_config(decoder=True)
    whole = getattr(model, "get_base_model", lambda: model)()
    layers = set(getattr(config, "layer_types", None) or ())
    return bool(getattr(whole, "_is_stateful", False)) or not layers <= _ATTENTION_LAYERS


def rounding_tolerance(model: Any) -> float:
    """The most that two exact ways to read may differ in a model's number format.

    The mean over log-probabilities of their differences, as a share of their standard deviation.
    """
    return _ROUNDING[str(_weights_dtype(model)).removeprefix("torch.")]


def _logits_at(model: Any, pack: Pack, rule: PackingRule, nodes: torch.Tensor) -> torch.Tensor:
    """The logits of the whole vocabulary after each node, (nodes, vocabulary) in float32."""
    import torch

    found = _forward(model, pack, rule, logits_to_keep=nodes.to(index_device(model)))
    return torch.as_tensor(kept_logits(found.logits, len(pack.tokens), nodes)[0].float())


def _forward(model: Any, pack: Pack, rule: PackingRule, **wanted: Any) -> Any:
    """One pass over a row; without branches it is an ordinary sequence."""
    import torch

    device = input_device(model)
    inputs = {"input_ids": torch.from_numpy(pack.tokens)[None].to(device), "use_cache": False}
    if not pack.branches:
        return model(**inputs, **wanted)
    inputs["position_ids"] = torch.from_numpy(pack.positions)[None].to(device)
    if not rule.reads_in_blocks(pack):
        mask = torch.from_numpy(pack.attention_mask())[None, None].to(device)
        inputs["attention_mask"] = _added(mask, model) if rule.adds_mask else mask
        return model(**inputs, **wanted)
    blocks = pack.attention_blocks(rule.block)
    mask = torch.from_numpy(blocks.mask)[:, None].to(device)
    # PyTorch would convert a boolean mask in each layer.
    inputs["attention_mask"] = _added(mask, model)
    with attention_in_blocks(torch.from_numpy(blocks.columns).to(device)):
        return model(**inputs, **wanted)


def _added(mask: torch.Tensor, model: Any) -> torch.Tensor:
    """A boolean mask as numbers that attention adds to its scores."""
    import torch

    dtype = _weights_dtype(model)
    hidden = torch.full(mask.shape, torch.finfo(dtype).min, dtype=dtype, device=mask.device)
    return hidden.masked_fill(mask, 0.0)


def _weights_dtype(model: Any) -> torch.dtype:
    """The number format of the weights that are not packed into integers."""
    found: torch.dtype = next(p.dtype for p in model.parameters() if p.dtype.is_floating_point)
    return found


def _has_only_masked_attention(model: Any) -> bool:
    """Whether a model is made of attention that a mask and positions of our own can steer."""
    config = model.config.get_text_config(decoder=True)
    return (
        not is_recurrent(model)
        and not getattr(config, "alibi", False)
        and forward_accepts(model, "position_ids")
    )


def _reach(config: Any) -> int | None:
    """The shortest window of a known kind, in tokens; None where a model has none."""
    settings = config.get_text_config(decoder=True).to_dict()
    coding = settings.get("rope_parameters") or {}
    found = [place.get(name) for place in (settings, coding) for name in _REACHES]
    return min((number for value in found for number in _numbers(value)), default=None)


def _limit(config: Any) -> int | None:
    """The length beyond which a model codes positions by the longest row so far."""
    settings = config.get_text_config(decoder=True).to_dict()
    coding = settings.get("rope_parameters") or {}
    kinds = [coding, *(one for one in coding.values() if isinstance(one, dict))]
    if all(one.get("rope_type") != "dynamic" for one in kinds):
        return None
    lengths = [
        place.get(name)
        for place in (settings, *kinds)
        for name in ("max_position_embeddings", "original_max_position_embeddings")
    ]
    return min((number for value in lengths for number in _numbers(value)), default=None)


def _within_unknown_reach(model: Any, rule: PackingRule, vocabulary: int) -> PackingRule:
    """The rule, within every setting that may be a window of a kind unknown here.

    Of the small ones, those that a longer row crosses without any difference do not count.
    """
    settings = model.config.get_text_config(decoder=True).to_dict()
    found = {
        number
        for name, value in settings.items()
        if name not in _REACHES and any(word in name for word in _REACH_WORDS)
        for number in _numbers(value)
    }
    within = [number for number in found if rule.reach is None or number < rule.reach]
    small = [number for number in within if number <= _LONGEST_TRIED]
    if small and _honours(model, rule, _probes(vocabulary, max(small))):
        within = [number for number in within if number > _LONGEST_TRIED]
    return replace(rule, reach=min(within, default=rule.reach))


def _numbers(value: Any) -> list[int]:
    """The positive whole numbers of a setting, which may have one a layer."""
    some = value if isinstance(value, list | tuple) else [value]
    return [v for v in some if isinstance(v, int) and not isinstance(v, bool) and v > 0]


def _probes(vocabulary: int, crossed: int = 0) -> list[ScoreRequest]:
    """Three prompts that begin alike, of different lengths, with continuations of two tokens.

    crossed: so many tokens more are before the place where they part.
    """
    import numpy as np

    generator = np.random.default_rng(0)
    drawn = [int(token) for token in generator.integers(0, vocabulary, 24)]
    before = [int(token) for token in generator.integers(0, vocabulary, crossed)]
    branches = (drawn[5:11], drawn[11:14], drawn[14:19])
    after = (drawn[20], drawn[21])
    return [ScoreRequest((*before, *drawn[:5], *branch), (after,)) for branch in branches]


def _honours(model: Any, rule: PackingRule, requests: Sequence[ScoreRequest]) -> bool:
    """Whether a row of several requests says after each what it says when it is read plainly."""
    try:
        return _honours_mask(model, rule, requests)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False  # the architecture takes no mask of this shape


def _honours_mask(model: Any, rule: PackingRule, requests: Sequence[ScoreRequest]) -> bool:
    import torch

    (together,) = packed(requests, 10_000)
    if rule.reach is not None and len(together.tokens) > rule.reach:
        return False
    tried = replace(rule, block=min(rule.block, _TRIED_BLOCK))
    nodes = torch.tensor(together.query_nodes)
    fast = _logits_at(model, together, tried, nodes).log_softmax(-1)
    for index, request in enumerate(requests):
        (alone,) = plain_rows(0, request)
        nodes = torch.tensor(alone.query_nodes)
        plain = _logits_at(model, alone, rule, nodes).log_softmax(-1)
        mine = [place for place, owner in enumerate(together.owners) if owner[0] == index]
        gap, spread = (fast[mine] - plain).abs().mean(), plain.std()
        if not gap <= rounding_tolerance(model) * spread:
            return False
    return True
