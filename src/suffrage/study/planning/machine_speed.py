"""How fast this machine multiplies matrices, measured for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from math import inf
from typing import Any

import numpy as np

from suffrage.models.device import device_name

# Rows, inner length and columns: the shape of a layer of a small model.
SHAPE = (512, 1024, 1024)
SECONDS = 0.15


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
