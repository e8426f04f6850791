"""Drawing a model's own words, token by token, from its whole distribution.

Prompts of different lengths are read together, padded on the left, and go on from what the model
keeps of them. Where padding would change the answers, or nothing is kept that could be gone on from
(RWKV and Mamba have a state of their own kinds), the words so far are read again for each token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from suffrage.models.packing import Tokens
from suffrage.models.packing_rule import (
    forward_accepts,
    is_recurrent,
    kept_logits,
    rounding_tolerance,
)
from suffrage.models.placement import index_device, input_device

if TYPE_CHECKING:
    import torch


def draw_tokens(
    model: Any,
    prompts: Sequence[Tokens],
    count: int,
    longest: int,
    ends: Collection[int],
    generator: torch.Generator,
    pads: bool,
) -> list[Tokens]:
    """Answers to prompts, drawn at temperature 1.

    Parameters
    ----------
    model : PreTrainedModel
    prompts : sequence of tokens
    count : int
        How many answers to each.
    longest : int
        The most tokens of an answer.
    ends : collection of int
        The tokens that end an answer.
    generator : torch.Generator
        On the model's device.
    pads : bool
        Whether the model reads prompts padded on the left exactly; see `reads_padded`.

    Returns
    -------
    list of tokens
        `count` answers a prompt, one prompt after another. An answer has its end token where it
        ended.
    """
    import torch

    if pads:
        drawn = _draw_padded(model, prompts, count, longest, ends, generator)
    else:
        with torch.inference_mode():
            drawn = _draw_plainly(model, prompts, count, longest, ends, generator)
    answers = []
    for tokens in drawn.cpu().tolist():
        stops = [place for place, token in enumerate(tokens) if token in ends]
        answers.append(tuple(tokens[: stops[0] + 1] if stops else tokens))
    return answers


def reads_padded(model: Any) -> bool:
    """Whether a model gives its plain answers after prompts padded on the left.

    It is tried once on two short prompts, and on a token after each.

    Parameters
    ----------
    model : PreTrainedModel
    """
    import torch

    if is_recurrent(model):
        return False
    vocabulary = model.get_input_embeddings().num_embeddings
    drawn = torch.randint(vocabulary, (12,), generator=torch.Generator().manual_seed(0)).tolist()
    prompts, following = [tuple(drawn[:10]), tuple(drawn[3:8])], drawn[11]
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            read = _Padded(model, prompts, 2)
            first = read.logits[::2]
            second = read.step(torch.full((4,), following, device=first.device))[::2]
            for line, prompt in enumerate(prompts):
                ids = torch.tensor([[*prompt, following]], device=first.device)
                plain = model(input_ids=ids, use_cache=False).logits[0, -2:].float()
                found = torch.stack([first[line], second[line]]).float()
                gap = (found.log_softmax(-1) - plain.log_softmax(-1)).abs().mean()
                if not gap <= rounding_tolerance(model) * plain.std():
                    return False
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return False  # the architecture takes no such mask, or keeps nothing to go on from
    finally:
        model.train(training)
    return True


class _Padded:
    """Prompts padded on the left, read once for `count` answers each, and gone on from."""

    def __init__(self, model: Any, prompts: Sequence[Tokens], count: int) -> None:
        import torch

        device = input_device(model)
        width = max(len(prompt) for prompt in prompts)
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for line, prompt in enumerate(prompts):
            ids[line, width - len(prompt) :] = torch.tensor(prompt)
            mask[line, width - len(prompt) :] = 1
        mask = mask.to(device)
        self.model = model
        self.positioned = forward_accepts(model, "position_ids")
        places = (mask.cumsum(-1) - 1).clamp_min(0)
        more = {"position_ids": places} if self.positioned else {}
        read = model(
            input_ids=ids.to(device), attention_mask=mask, use_cache=True, logits_to_keep=1, **more
        )
        self.cache = read.past_key_values
        self.cache.batch_repeat_interleave(count)
        self.mask = mask.repeat_interleave(count, 0)
        self.place = places[:, -1:].repeat_interleave(count, 0)
        # (prompts x count, vocabulary), of the next token.
        self.logits = kept_logits(read.logits, width, 1)[:, -1].repeat_interleave(count, 0)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one more token of each answer, (answers,); the logits of the next one."""
        import torch

        self.mask = torch.cat([self.mask, self.mask.new_ones((len(self.mask), 1))], dim=1)
        self.place = self.place + 1
        more = {"position_ids": self.place} if self.positioned else {}
        read = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            past_key_values=self.cache,
            use_cache=True,
            **more,
        )
        self.logits = read.logits[:, -1]
        return self.logits


def _draw_padded(
    model: Any,
    prompts: Sequence[Tokens],
    count: int,
    longest: int,
    ends: Collection[int],
    generator: torch.Generator,
) -> torch.Tensor:
    """Drawn tokens, (prompts x count, at most `longest`)."""
    import torch

    read = _Padded(model, prompts, count)
    logits = read.logits
    stops = torch.tensor(sorted(ends), dtype=torch.long, device=logits.device)
    drawn: list[torch.Tensor] = []
    over = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    while True:
        token = torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0]
        if len(stops):
            token = torch.where(over, stops[0], token)
        drawn.append(token)
        over |= torch.isin(token, stops)
        if len(drawn) == longest or bool(over.all()):
            return torch.stack(drawn, dim=1)
        logits = read.step(token)


def _draw_plainly(
    model: Any,
    prompts: Sequence[Tokens],
    count: int,
    longest: int,
    ends: Collection[int],
    generator: torch.Generator,
) -> torch.Tensor:
    """The same without padding before a prompt, and with nothing kept between two tokens.

    Rows are filled on the right, where what is behind a token cannot change what it says.
    """
    import torch

    device = input_device(model)
    rows = [prompt for prompt in prompts for _ in range(count)]
    lengths = torch.tensor([len(prompt) for prompt in rows], device=device)
    ids = torch.zeros((len(rows), int(lengths.max()) + longest), dtype=torch.long, device=device)
    for line, prompt in enumerate(rows):
        ids[line, : len(prompt)] = torch.tensor(prompt, device=device)
    stops = torch.tensor(sorted(ends), dtype=torch.long, device=device)
    over = torch.zeros(len(rows), dtype=torch.bool, device=device)
    lines = torch.arange(len(rows), device=device)
    drawn: list[torch.Tensor] = []
    while True:
        last = lengths + len(drawn) - 1
        nodes, which = torch.unique(last, return_inverse=True)
        length = int(last.max()) + 1
        read = model(
            input_ids=ids[:, :length],
            use_cache=False,
            logits_to_keep=nodes.to(index_device(model)),
        )
        logits = kept_logits(read.logits, length, nodes)[lines, which]
        token = torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0]
        if len(stops):
            token = torch.where(over, stops[0], token)
        ids[lines, last + 1] = token
        drawn.append(token)
        over |= torch.isin(token, stops)
        if len(drawn) == longest or bool(over.all()):
            return torch.stack(drawn, dim=1)
