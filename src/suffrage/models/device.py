"""What this machine computes with: its device, its number format, its memory."""

from __future__ import annotations

import os
from typing import Any

from suffrage.errors import SuffrageError

# On a CPU, attention costs the square of the row and the rest is linear: the fastest length for
# SmolLM2-135M is near 512. A GPU wants more work at a time.
CPU_ROW_LENGTH = 512
GPU_ROW_LENGTH = 4096


def device_name() -> str:
    """The device models run on: "cuda", or Apple's "mps", where such a GPU is there, else "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def gpu_name() -> str | None:
    """The name of this machine's GPU; None where models run on the CPU."""
    import torch

    device = device_name()
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return "Apple GPU" if device == "mps" else None


def row_length(device: str) -> int:
    """How many tokens a packed row should hold on a device."""
    return GPU_ROW_LENGTH if device == "cuda" else CPU_ROW_LENGTH


def fast_dtype() -> str:
    """bfloat16 where the machine computes it in hardware, else float32.

    On Apple's GPUs it is float32: not all of them compute bfloat16.
    """
    import torch

    device = device_name()
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    fast = device == "cpu" and probe is not None and probe()
    return "bfloat16" if fast else "float32"


def process_count() -> int:
    """How many processes `accelerate launch` started on the job; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """Which of these processes this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def process_gpu() -> int:
    """Which of its machine's GPUs this process uses: as many as there are processes before it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def cpu_threads() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class out_of_memory:  # noqa: N801 - reads as a statement: with out_of_memory(...)
    """Turn an out-of-memory failure into a message that names settings that need less.

    Parameters
    ----------
    task : str
        What the block does, such as "scoring".
    remedy : str
        The settings that need less memory, as a study file has them.

    Raises
    ------
    SuffrageError
        The block ran out of memory, on the CPU or on the GPU.
    """

    def __init__(self, task: str, remedy: str) -> None:
        self.task, self.remedy = task, remedy

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        text = str(error).lower()
        if kind is MemoryError or (
            kind is not None
            and issubclass(kind, RuntimeError)
            and ("out of memory" in text or "can't allocate memory" in text)
        ):
            raise SuffrageError(
                f"out of memory while {self.task}; finished stages are kept. Settings that need "
                f"less: {self.remedy}; or a smaller model."
            ) from error
