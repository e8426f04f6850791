"""`suffrage merge`: an adapter and its base model as one ordinary model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from suffrage import storage
from suffrage.align.checkpoint import (
    ADAPTER_SETTINGS,
    AVERAGE_ANSWERS,
    IN_CONTEXT,
    MANIFEST,
    TRAINED_QUESTIONS,
    Checkpoint,
    base_today,
    load_checkpoint,
)
from suffrage.errors import InputError
from suffrage.publish.model_card import CARD, model_card
from suffrage.publish.receipt import RECEIPT

# What a merged model keeps of the checkpoint, so that it is asked as the checkpoint was.
KEPT = (MANIFEST, TRAINED_QUESTIONS, AVERAGE_ANSWERS, IN_CONTEXT)


def merge_checkpoint(
    checkpoint: Path,
    folder: Path,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    trust_remote_code: bool = False,
) -> None:
    """Write base model and adapter as one model that plain Transformers loads.

    Parameters
    ----------
    checkpoint : Path
        A checkpoint that is an adapter.
    folder : Path
        A new or an empty folder.
    dtype : {"float32", "bfloat16", "float16"}
        The number format of the weights that are written.
    trust_remote_code : bool
        Whether Python code that comes with the base model may run.

    Raises
    ------
    InputError
        The checkpoint is no adapter, its base model is not there or has changed, or the folder has
        something in it.
    """
    storage.check_free_for_writing(folder)
    found = Checkpoint.read(checkpoint)
    if not found.is_adapter:
        raise InputError(f"{checkpoint}: has no adapter ({ADAPTER_SETTINGS}); nothing to merge.")
    base = base_today(found, trust_remote_code, "pass --trust-remote-code")
    loaded = load_checkpoint(base, checkpoint, dtype)

    def fill(draft: Path) -> None:
        loaded.model.save_pretrained(draft)
        loaded.tokenizer.save_pretrained(draft)
        for name in KEPT:
            if (checkpoint / name).is_file():
                shutil.copy2(checkpoint / name, draft / name)
        storage.write_text(draft / CARD, _merged_card(_card(found), dtype))

    storage.write_folder(folder, fill)


def _card(checkpoint: Checkpoint) -> str:
    """The checkpoint's card, as far as it can be written before its run is finished."""
    if (checkpoint.folder / RECEIPT).is_file():
        return (checkpoint.folder / CARD).read_text(encoding="utf-8")
    return model_card(checkpoint, None)


def _merged_card(card: str, dtype: str) -> str:
    """The checkpoint's card, as one of an ordinary model."""
    card = card.replace('base_model_relation: "adapter"', 'base_model_relation: "merge"')
    card = card.replace('library_name: "peft"', 'library_name: "transformers"')
    begin, title, rest = card.partition("\n# ")
    heading, _, body = rest.partition("\n")
    said = (
        f"This is the adapter merged into its base model, in {dtype}: "
        "`AutoModelForCausalLM.from_pretrained` loads it by itself. What follows is the "
        "adapter's card."
    )
    return f"{begin}{title}{heading}\n\n{said}\n{body}"
