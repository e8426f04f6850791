"""What a model's inner layers make of questions and their options, without asking anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suffrage import storage
from suffrage.models.answerer import Advance
from suffrage.models.device import out_of_memory
from suffrage.models.language_model import LanguageModel
from suffrage.survey import Item

# Half precision is enough for states that a regression smooths, and halves the files.
StateArray = npt.NDArray[np.float16]
# The layers whose states are kept, as shares of the model's depth.
DEPTHS = (0.4, 0.6, 0.8)
# Tokens that are read at a time, padding included.
TOKENS_AT_ONCE = 2048
# Items that are read before their states are written.
ITEMS_AT_ONCE = 64
# What decides states besides the model and the item; the number is raised with another way to read.
_DECIDES = ("states", 1, DEPTHS)


@dataclass(frozen=True, eq=False)
class ItemStates:
    """The states of one item at each kept layer: the mean over its tokens, and its last token's.

    The text is the question and below it the options, each after a dash, without naming a group.
    """

    # Shape (layers, 2, width).
    question: StateArray
    # Shape (layers, 2, options, width). An option's tokens have seen the question and the options
    # above.
    options: StateArray


def kept_layers(model: LanguageModel) -> list[int]:
    """The numbers of the layers at `DEPTHS`; 0 would be the embeddings."""
    depth = int(model.model.config.get_text_config().num_hidden_layers)
    return [max(1, round(share * depth)) for share in DEPTHS]


def read_states(
    model: LanguageModel, items: Sequence[Item], advance: Advance | None = None
) -> list[ItemStates]:
    """Read each item once and return the states of its question and options.

    Parameters
    ----------
    model : LanguageModel
    items : sequence of Item
    advance : callable, optional
        Called with the number of items that are done.

    Returns
    -------
    list of ItemStates
        One an item, in their order.
    """
    import torch

    parts = [_token_parts(model.tokenizer, item) for item in items]
    lengths = [sum(len(part) for part in own) for own in parts]
    layers = kept_layers(model)
    found: dict[int, ItemStates] = {}
    with torch.inference_mode(), out_of_memory("reading states", "scoring.dtype: bfloat16"):
        for batch in _batches(lengths):
            longest = max(lengths[place] for place in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            seen = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, place in enumerate(batch):
                tokens = [token for part in parts[place] for token in part]
                ids[row, : len(tokens)] = torch.tensor(tokens)
                seen[row, : len(tokens)] = 1
            # The inner model: nothing is predicted, so the head over the vocabulary is left out.
            states = model.model.base_model(
                input_ids=ids.to(model.device),
                attention_mask=seen.to(model.device),
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states
            kept = torch.stack([states[layer] for layer in layers]).float().cpu().numpy()
            for row, place in enumerate(batch):
                found[place] = _pooled(kept[:, row], parts[place])
            if advance:
                advance(len(batch))
    return [found[place] for place in range(len(items))]


def _token_parts(tokenizer: Any, item: Item) -> list[list[int]]:
    """The tokens of the question, then of each option."""
    return [
        list(tokenizer(item.question)["input_ids"]),
        *(
            list(tokenizer(f"\n- {text}", add_special_tokens=False)["input_ids"])
            for text in item.texts
        ),
    ]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Places with texts of about one length together, up to `TOKENS_AT_ONCE` with their padding."""
    found: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda at: lengths[at]):
        last = found[-1] if found else []
        if last and (len(last) + 1) * lengths[place] <= TOKENS_AT_ONCE:
            last.append(place)
        else:
            found.append([place])
    return found


def _pooled(states: npt.NDArray[np.float32], parts: Sequence[Sequence[int]]) -> ItemStates:
    """Mean and last state of each part. states: (layers, tokens, width)."""
    edges = np.cumsum([0, *(len(part) for part in parts)])
    both = np.stack(
        [
            np.stack([states[:, start:end].mean(axis=1), states[:, end - 1]], axis=1)
            for start, end in pairwise(edges)
        ],
        axis=2,
    )
    # The few huge values that some layers have do not fit into half precision.
    both = np.clip(both, -6e4, 6e4).astype(np.float16)
    return ItemStates(both[:, :, 0], both[:, :, 1:])


def cached_states(
    folder: Path,
    content: str,
    model: Callable[[], LanguageModel],
    items: Sequence[Item],
    advance: Advance | None = None,
) -> list[ItemStates]:
    """The same as `read_states`, from the files in a folder where they are there already.

    Parameters
    ----------
    folder : Path
        One file for each item; made if it is missing.
    content : str
        What decides the states: the model's content and its number format.
    model : callable
        Loads the model; called only where states are missing.
    items : sequence of Item
    advance : callable, optional
        Called with the number of items that are read.
    """
    paths = [
        folder / f"{storage.content_hash([*_DECIDES, content, item.question, item.texts])}.npy"
        for item in items
    ]
    missing = [place for place, path in enumerate(paths) if not path.is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        loaded = model()
        for start in range(0, len(missing), ITEMS_AT_ONCE):
            chunk = missing[start : start + ITEMS_AT_ONCE]
            for place, states in zip(
                chunk, read_states(loaded, [items[at] for at in chunk], advance), strict=True
            ):
                _write_whole(paths[place], states)
    found = []
    for path in paths:
        kept = np.load(path)
        found.append(ItemStates(kept[:, :, 0], kept[:, :, 1:]))
    return found


def _write_whole(path: Path, states: ItemStates) -> None:
    draft = path.with_name(f"{path.stem}.draft.npy")
    np.save(draft, np.concatenate([states.question[:, :, None], states.options], axis=2))
    draft.replace(path)
