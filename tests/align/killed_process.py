"""Run a function in a process that is killed, without importing all that it needs each time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from typing import Any


def run_until_killed(target: Callable[..., object], *args: Any) -> None:
    """Run a function in a process of its own, and check that it was killed.

    Processes are forked from one that has imported what a training needs, and computed nothing.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.align.imported_once"])
    process = context.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
