"""Finished stages, found again by what made them; and one run at a time in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suffrage import storage
from suffrage.errors import InputError, did_you_mean

StageKind = Literal[
    "survey", "value_sets", "split", "records", "align", "answers", "probes", "results"
]
ORDER: tuple[StageKind, ...] = (
    "survey",
    "value_sets",
    "split",
    "records",
    "align",
    "answers",
    "probes",
    "results",
)
# What people look for, by the name they would look under.
FOLDERS: dict[StageKind, str] = {
    "survey": "survey",
    "value_sets": "value_sets",
    "split": "splits",
    "records": "records",
    "align": "checkpoints",
    "answers": "answers",
    "probes": "probes",
    "results": "results",
}
# Raised when a change of code makes the stages of an earlier version wrong.
VERSION = 19
# Kinds of stages that have changed since, each with its own version. Results are worked out again
# in minutes. A change of statistics must not throw away hours of training.
LATER: dict[StageKind, int] = {"results": 23}


@dataclass(frozen=True)
class Stage:
    """One piece of a run.

    Its folder's name carries the key. A changed study therefore adds a folder and loses none, and a
    finished folder is never computed again.
    """

    kind: StageKind
    # What people know it by, such as a method's name and a seed.
    label: str
    # A hash of everything that decides the outcome.
    key: str
    # The study's folder for all that it computes.
    output: Path

    @property
    def folder(self) -> Path:
        """The folder of the finished stage."""
        return self.output / FOLDERS[self.kind] / f"{self.label}-{self.key[:8]}"

    @property
    def work(self) -> Path:
        """Where a long stage keeps what an interruption must not lose."""
        return self.output / ".work" / f"{self.label}-{self.key}"

    @property
    def finished(self) -> bool:
        """Whether the stage's folder is there; it is put in place whole, or not at all."""
        return self.folder.is_dir()

    def discard(self) -> None:
        """Forget the finished stage, so that it is computed again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)

    def show_as_latest(self) -> None:
        """Point `label` at this folder, for people; nothing reads it back."""
        link = self.folder.parent / self.label
        with contextlib.suppress(OSError):  # file systems without links do without
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.folder.name, target_is_directory=True)


def stage_key(kind: StageKind, *content: Any) -> str:
    """The key of a stage from everything that decides it."""
    return storage.content_hash([LATER.get(kind, VERSION), kind, *content])


def stage_kind(name: str | None, flag: str) -> StageKind | None:
    """A kind of stage by the name a user gave, None where none was given.

    flag: what the command or the verb calls it, for the message. Raises InputError that lists the
    stages.

    Examples
    --------
    >>> stage_kind("align", "--only")
    'align'
    """
    if name is None:
        return None
    for kind in ORDER:
        if kind == name:
            return kind
    hint = did_you_mean(name, ORDER)
    raise InputError(f'{flag} "{name}": the stages are {", ".join(ORDER)}.{hint}')


@contextlib.contextmanager
def only_run_in(output: Path) -> Iterator[None]:
    """Keep other runs out of a folder while this one works in it.

    Raises InputError when another run works there; the lock of a killed run is free again.
    """
    from filelock import FileLock, Timeout

    with storage.disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            holder = _holder(output)
            raise InputError(
                f"{output}: another run is at work in this folder{holder}; wait for it, or give "
                "this study another `output:`."
            ) from error
    try:
        (output / ".holder").write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        (output / ".holder").unlink(missing_ok=True)
        lock.release()


def _holder(output: Path) -> str:
    try:
        return f" (process {(output / '.holder').read_text(encoding='utf-8')})"
    except OSError:
        return ""


def compute_once(stage: Stage, make: Callable[[], Any], write: Callable[[Any, Path], None]) -> None:
    """Make and write a stage's output unless it is there already."""
    if not stage.finished:
        write(make(), stage.folder)
    stage.show_as_latest()
