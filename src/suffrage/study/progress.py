"""Progress with the time left: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from suffrage.report.numbers import duration
from suffrage.terminal_text import visible

# Called with the share of the current stage that is done, 0 to 1.
Update = Callable[[float], None]
# Seconds between two lines where there is no terminal.
HEARTBEAT = 60.0
# Said where nothing tells how long it still takes.
LONGER = "longer than planned"
# From this share of a stage on, its own pace alone says how long the rest takes.
KNOWN_PACE = 0.1


def seconds_left(
    planned: float, share: float, elapsed: float, first: tuple[float, float] = (0.0, 0.0)
) -> float | None:
    """How many seconds a stage still takes; None where nothing can say it.

    A stage that is past its planned end and has nothing done yet has neither a plan nor a pace.

    The plan says it at the beginning, and the stage's own pace later, so that the first figure is
    neither missing nor wild. What was done before the first report sets no pace: it was done by an
    earlier run, where a training goes on, or loaded a model.

    Parameters
    ----------
    planned : float
        Seconds the whole stage takes by the plan.
    share : float
        What is done of it, 0 to 1.
    elapsed : float
        Seconds since it began.
    first : tuple of two floats
        The share that was done at the first report, and the seconds that had passed.

    Examples
    --------
    >>> seconds_left(100.0, 0.0, 5.0), seconds_left(100.0, 0.5, 80.0)
    (95.0, 80.0)
    >>> seconds_left(100.0, 0.5, 60.0, first=(0.4, 20.0))  # a tenth in 40 s
    200.0
    >>> seconds_left(100.0, 0.0, 120.0) is None
    True
    """
    if share <= 0 and elapsed >= planned:
        return None
    begun, waited = first
    since, done = elapsed - waited, share - begun
    by_plan = max(planned * (1 - begun) - since, planned * (1 - share) if share else 0.0)
    if done <= 0:
        return by_plan
    by_pace = since * (1 - share) / done
    trust = min(1.0, done / KNOWN_PACE)
    return trust * by_pace + (1 - trust) * by_plan


class _Pace:
    """How long stages took, compared with their plan, by their kind."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = defaultdict(float)
        self._planned: dict[str, float] = defaultdict(float)

    def add(self, stage: _Stage) -> None:
        """Count what a stage has done in this run."""
        taken, planned = stage.paced
        self._taken[stage.kind] += taken
        self._planned[stage.kind] += planned

    def factor(self, kind: str, now: _Stage | None = None) -> float:
        """How many times its planned seconds a stage of this kind takes.

        Where no stage of the kind has been seen, all others tell; where none has, the plan does.
        """
        for kinds in ({kind}, {*self._planned, *([now.kind] if now else ())}):
            taken = sum(self._taken.get(one, 0.0) for one in kinds)
            planned = sum(self._planned.get(one, 0.0) for one in kinds)
            if now is not None and now.kind in kinds and now.has_pace:
                taken, planned = taken + now.paced[0], planned + now.paced[1]
            if taken > 0 and planned > 0:
                return taken / planned
        return 1.0


class Progress:
    """The stage at work and the whole run, by estimated seconds.

    On a terminal these are two bars. Elsewhere each stage has a line when it begins and when it
    ends, and one a minute in between. A plan is often wrong by the same factor for all trainings,
    for example because the machine has other work. The rest is therefore estimated at the pace of
    what is finished.

    Parameters
    ----------
    seconds : float or mapping of str to float
        Planned seconds of all stages, also by the stages' kinds.
    quiet : bool
        Whether to show nothing.
    """

    def __init__(self, seconds: float | Mapping[str, float], quiet: bool = False) -> None:
        self._rest = dict(seconds) if isinstance(seconds, Mapping) else {"": seconds}
        self.total = max(sum(self._rest.values()), 1.0)
        self.done = 0.0
        self._pace = _Pace()
        self._bars: Any = None
        self._lines = not quiet and not sys.stderr.isatty()
        if sys.stderr.isatty() and not quiet:
            self._bars = _bars()

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
            self._whole = self._bars.add_task("the whole run", total=self.total, left="")
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
    def stage(self, label: str, seconds: float, kind: str = "") -> Iterator[Update]:
        """One stage, planned to take `seconds`; gives the function that moves its bar."""
        stage = _Stage(label, seconds, kind, self._pace.factor(kind))
        self._rest[kind] = max(0.0, self._rest.get(kind, 0.0) - seconds)
        try:
            if self._bars is not None:
                update = self._on_bars(stage)
                yield update
                update(1.0)
            elif self._lines:
                with self._in_lines(stage):
                    yield stage.update
            else:
                yield lambda share: None
            stage.end()
            self._pace.add(stage)
        finally:
            self.done += seconds

    def _left(self, stage: _Stage) -> str:
        """How long the whole run still takes, in words."""
        rest = sum(own * self._pace.factor(kind, stage) for kind, own in self._rest.items())
        left = stage.left
        if left is not None:
            return f"about {duration(left + rest)}"
        return f"more than {duration(rest)}" if rest >= 1.0 else LONGER

    def _left_in_words(self, stage: _Stage) -> str:
        """The same for the bar of the whole run."""
        left = self._left(stage)
        return left if left == LONGER else f"{left} left"

    def _on_bars(self, stage: _Stage) -> Update:
        task = self._bars.add_task(visible(stage.label), total=1.0, left=stage.left_in_words)

        def update(share: float) -> None:
            stage.update(share)
            self._bars.update(task, completed=stage.share, left=stage.left_in_words)
            done = self.done + stage.share * stage.in_plan
            self._bars.update(self._whole, completed=done, left=self._left_in_words(stage))

        update(0.0)
        return update

    @contextlib.contextmanager
    def _in_lines(self, stage: _Stage) -> Iterator[None]:
        """A line at the beginning and at the end, and a thread that says one a minute."""
        _say(f"{stage.label}: about {duration(stage.planned)}")
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT):
                _say(
                    f"{stage.label}: {stage.share:.0%} done, {stage.left_in_words}; "
                    f"the whole run {self._left(stage)}"
                )

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        _say(f"{stage.label}: finished in {duration(stage.elapsed)}")


class _Stage:
    """What is done of one stage."""

    def __init__(self, label: str, in_plan: float, kind: str, factor: float) -> None:
        self.label, self.kind = label, kind
        # By the plan alone, and at the pace of the stages before it.
        self.in_plan, self.planned = in_plan, in_plan * factor
        self.share = 0.0
        self._began = time.monotonic()
        self._took: float | None = None
        # The share and the seconds at the first report of something done.
        self._first: tuple[float, float] | None = None

    def update(self, share: float) -> None:
        """Note the share that is done."""
        self.share = min(share, 1.0)
        if self._first is None and share > 0:
            self._first = self.share, self.elapsed

    def end(self) -> None:
        """Note that all of it is done."""
        self.share, self._took = 1.0, time.monotonic() - self._began

    @property
    def elapsed(self) -> float:
        """Seconds since it began, to its end."""
        return time.monotonic() - self._began if self._took is None else self._took

    @property
    def paced(self) -> tuple[float, float]:
        """Seconds that this run spent on it, and those planned for the same part.

        Up to the first report a model is loaded, or what an earlier run did is counted.
        """
        if self._first is None:
            return self.elapsed, self.in_plan
        begun, waited = self._first
        return self.elapsed - waited, self.in_plan * (self.share - begun)

    @property
    def has_pace(self) -> bool:
        """Whether enough of it is done to say how long others of its kind take."""
        return self._first is not None and self.share - self._first[0] >= KNOWN_PACE

    @property
    def left(self) -> float | None:
        """Seconds it still takes; None where nothing can say it."""
        return seconds_left(self.planned, self.share, self.elapsed, self._first or (0.0, 0.0))

    @property
    def left_in_words(self) -> str:
        """How long it still takes."""
        left = self.left
        return LONGER if left is None else f"about {duration(left)} left"


def note(line: str, quiet: bool = False) -> None:
    """Say what begins, where nothing tells how much of it is done."""
    if not quiet:
        _say(line)


def _say(line: str) -> None:
    """Write one line of progress, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {visible(line)}", file=sys.stderr, flush=True)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    return Bars(
        # The names of value sets and methods come from the study: no markup.
        TextColumn("{task.description:<38}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]:>22}"),
        console=Console(stderr=True),
    )
