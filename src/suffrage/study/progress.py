"""Progress with the time left, on a terminal; silence elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

# Called with the share of the current stage that is done, 0 to 1.
Update = Callable[[float], None]


class Progress:
    """Two bars: the stage at work, and the whole run by estimated seconds."""

    def __init__(self, total_seconds: float, quiet: bool = False) -> None:
        self.total = max(total_seconds, 1.0)
        self.done = 0.0
        self._bars: Any = None
        if sys.stderr.isatty() and not quiet:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bars

            self._bars = Bars(
                # The names of value sets and methods come from the study: no markup.
                TextColumn("{task.description:<38}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
                console=Console(stderr=True),
            )

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
            self._whole = self._bars.add_task("the whole run", total=self.total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextlib.contextmanager
    def stage(self, label: str, seconds: float) -> Iterator[Update]:
        """One stage, estimated to take `seconds`; gives the function that moves its bar."""
        if self._bars is None:
            yield lambda share: None
            return
        task = self._bars.add_task(label, total=1.0)

        def update(share: float) -> None:
            share = min(share, 1.0)
            self._bars.update(task, completed=share)
            self._bars.update(self._whole, completed=self.done + share * seconds)

        yield update
        self.done += seconds
        self._bars.update(task, completed=1.0)
        self._bars.update(self._whole, completed=self.done)
