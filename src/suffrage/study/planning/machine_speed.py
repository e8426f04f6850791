"""How fast this machine multiplies matrices, measured for a moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from math import inf
from typing import Any

import numpy as np

from suffrage.models.device import cpu_threads, device_name
from suffrage.plurals import plural

# Rows, inner length and columns: the shape of a layer of a small model. A product takes a few
# milliseconds, so that one of many is not interrupted on a busy machine.
SHAPE = (128, 1024, 1024)
SECONDS = 0.25
# Programs that want a core, for each core, above which other work slows what is measured.
BUSY = 0.75


def matrix_speed(dtype: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure a matrix product of a small model's shape.

    Parameters
    ----------
    dtype : str
        The number format, such as "float32". Without PyTorch the speed in float32 is measured with
        NumPy, whatever the format.
    clock : callable
        Gives the time in seconds.

    Returns
    -------
    float
        Floating-point operations a second.
    """
    multiply = _numpy_product() if find_spec("torch") is None else _torch_product(dtype)
    for _ in range(3):
        multiply()
    # The fastest product of many: other work on the machine slows the rest.
    fastest, start = inf, clock()
    while clock() - start < SECONDS:
        before = clock()
        multiply()
        fastest = min(fastest, clock() - before)
    rows, inner, columns = SHAPE
    return 2 * rows * inner * columns / fastest


def busy_sentence() -> str:
    """That other work slows this machine, where it does; empty otherwise, or where nobody knows."""
    try:
        waiting = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return ""
    cores = cpu_threads()
    if waiting <= BUSY * cores:
        return ""
    return (
        f"This machine is busy: {waiting:.1f} programs want its {plural(cores, 'core')}. The times "
        "above may be several times too short or too long; plan again when it is quiet."
    )


def _numpy_product() -> Callable[[], Any]:
    rows, inner, columns = SHAPE
    generator = np.random.default_rng(0)
    left = generator.standard_normal((rows, inner), dtype=np.float32)
    right = generator.standard_normal((inner, columns), dtype=np.float32)
    return lambda: left @ right


def _torch_product(dtype: str) -> Callable[[], Any]:
    import torch

    rows, inner, columns = SHAPE
    device = device_name()
    left = torch.randn(rows, inner, device=device, dtype=getattr(torch, dtype))
    right = torch.randn(inner, columns, device=device, dtype=getattr(torch, dtype))

    def multiply() -> None:
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        elif device == "mps":
            torch.mps.synchronize()

    return multiply
