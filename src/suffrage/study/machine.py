"""What a run ran on: the machine, and the packages that decide results."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suffrage.models.device import cpu_threads, gpu_name

PACKAGES = ("suffrage", "torch", "transformers", "trl", "peft", "numpy", "polars")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What this machine is; no name, user or path of it."""
    facts: dict[str, Any] = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": cpu_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    if find_spec("torch") is None:
        return facts  # a model behind an endpoint needs none
    import torch

    if name := gpu_name():
        facts["gpu"] = name
    if torch.cuda.is_available():
        facts["gpu_memory_bytes"] = torch.cuda.get_device_properties(0).total_memory
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
