"""What a study says of a model that runs on this machine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalModelSettings(BaseModel):
    """A model that runs here: `model: {name: ..., revision: ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A folder, a hub id (owner/name) or "bundled:NAME".
    name: str = Field(min_length=1)
    # For a hub id: a branch, a tag or a commit hash. None is "main", as it is in the local cache.
    revision: str | None = Field(default=None, min_length=1)
    # How attention is computed; Transformers chooses where none is given.
    attn_implementation: (
        Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None
    ) = None
    # Where Transformers puts the weights when the model is asked, such as "auto".
    device_map: str | dict[str, int | str] | None = None
    # Whether to run the Python code that comes with the model.
    trust_remote_code: bool = False
