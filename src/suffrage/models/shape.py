"""How large a model is, read without loading it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelShape:
    """The numbers that decide what a transformer needs to compute and to remember."""

    # All weights.
    parameters: int
    # Width of the hidden state.
    width: int
    layers: int
    heads: int
    # Tokens that it knows.
    vocabulary: int
    # Width of the feed-forward part.
    inner: int
    # Width of the keys, and of the values, over all their heads.
    shared: int


def folder_shape(folder: Path) -> ModelShape | None:
    """The shape of a model in a folder, or None where its files do not give it.

    The weights are counted in the headers of the safetensors files; the rest is in config.json.
    """
    config_file = folder / "config.json"
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not config_file.is_file():
        return None
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        config = {**config, **config.get("text_config", {})}  # where it reads pictures as well
        heads = config["num_attention_heads"]
        head = config.get("head_dim") or config["hidden_size"] // heads
        return ModelShape(
            parameters=sum(_count(file) for file in weights),
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            vocabulary=config["vocab_size"],
            inner=config["intermediate_size"],
            shared=head * (config.get("num_key_value_heads") or heads),
        )
    except (KeyError, ValueError):
        return None


def _count(file: Path) -> int:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    header.pop("__metadata__", None)
    return sum(math.prod(tensor["shape"]) for tensor in header.values())
