"""What a piece of work cost: time, peak memory, and energy where the machine measures it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")
_INTERVAL = 0.25  # seconds between samples of memory and power


@dataclass
class ResourceUse:
    """What a block took, filled when it ends."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0
    # Of the CPU packages and the GPU, other work on the machine included; None when neither can be
    # read.
    energy_kwh: float | None = None


def release_freed() -> None:
    """Return memory that earlier work has freed to the system.

    Allocators keep freed memory, so the peak of one phase would count toward the next one.
    """
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # GNU's C library only
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def measuring_resources() -> Iterator[ResourceUse]:
    """Measure the time, memory and energy of a block: `with measuring_resources() as usage:`.

    Memory is the process's resident memory on a CPU, and the allocator's peak on a GPU.
    """
    import psutil
    import torch

    release_freed()
    usage = ResourceUse()
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    process = psutil.Process()
    stop = threading.Event()
    gpu_joules = 0.0

    def sample() -> None:
        nonlocal gpu_joules
        before = time.monotonic()
        while True:
            usage.peak_memory_bytes = max(usage.peak_memory_bytes, process.memory_info().rss)
            if on_gpu:
                now = time.monotonic()
                with contextlib.suppress(Exception):  # not every driver reports its power
                    gpu_joules += torch.cuda.power_draw() / 1000 * (now - before)
                before = now
            if stop.wait(_INTERVAL):
                return

    sampler = threading.Thread(target=sample, daemon=True)
    start, cpu_before = time.monotonic(), _cpu_joules()
    sampler.start()
    try:
        yield usage
    finally:
        stop.set()
        sampler.join()
        usage.seconds = time.monotonic() - start
        if on_gpu:
            usage.peak_memory_bytes = int(torch.cuda.max_memory_allocated())
        cpu_after = _cpu_joules()
        cpu = None if cpu_before is None or cpu_after is None else cpu_after - cpu_before
        if gpu_joules or (cpu is not None and cpu >= 0):  # the counter wraps round: then unknown
            usage.energy_kwh = (gpu_joules + max(cpu or 0.0, 0.0)) / 3.6e6


def _cpu_joules() -> float | None:
    """The CPU packages' energy counters (Linux powercap), None when they cannot be read."""
    total, found = 0.0, False
    for counter in _POWERCAP.glob("intel-rapl:?/energy_uj"):
        try:
            total += int(counter.read_text()) / 1e6
            found = True
        except OSError:
            return None
    return total if found else None
