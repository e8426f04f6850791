"""`suffrage clean`: what runs and caches hold, and what of it can go."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suffrage.errors import InputError
from suffrage.models.bundled import cache_folder
from suffrage.publish.receipt import RECEIPT, RepresentationReceipt
from suffrage.storage import bytes_held
from suffrage.study.stages import FOLDERS, only_run_in

HeldKind = Literal["kept", "old", "work", "cache"]
WORDS: dict[HeldKind, str] = {
    "kept": "the run: checkpoints, answers and results, as far as it got",
    "old": "stages of earlier versions of the study (--old)",
    "work": "answers kept so that none is asked twice, and points to resume from (--work)",
    "cache": "models turned into ordinary folders, which takes seconds to do again (--cache)",
}
# A stage's folder ends with the beginning of its key.
_STAGE = re.compile(r".+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Held:
    """What one place holds, and whether it was freed."""

    place: Path
    kind: HeldKind
    bytes: int
    freed: bool = False

    @property
    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "place": str(self.place),
            "kind": self.kind,
            "bytes": self.bytes,
            "freed": self.freed,
        }


def clean_runs(runs: Sequence[Path], free: Sequence[HeldKind] = ()) -> list[Held]:
    """Say what runs and the cache hold, and free what is asked for.

    Parameters
    ----------
    runs : sequence of Path
        Folders of runs.
    free : sequence of str
        What to remove: "old", "work" or "cache". A finished run's own stages are never removed.

    Raises
    ------
    InputError
        A folder is no run, or a run is at work in it.
    """
    found = []
    for run in runs:
        if not any((run / name).is_dir() for name in FOLDERS.values()):
            raise InputError(f"{run}: is not a run; give the `output:` folder of a study.")
        with only_run_in(run):
            found += [_freed(held, free) for held in _held_by(run)]
    cache = cache_folder()
    if cache.is_dir():
        found.append(_freed(Held(cache, "cache", bytes_held(cache)), free))
    return found


def _held_by(run: Path) -> Iterator[Held]:
    """The parts of a run; without a receipt all its stages count as its own."""
    stages = [
        path
        for name in FOLDERS.values()
        if (run / name).is_dir()
        for path in sorted((run / name).iterdir())
        if path.is_dir() and not path.is_symlink() and _STAGE.fullmatch(path.name)
    ]
    own = {path.relative_to(run).as_posix() for path in stages}
    if (run / RECEIPT).is_file():
        own = {part.place for part in RepresentationReceipt.read(run).parts}
    kept = [path for path in stages if path.relative_to(run).as_posix() in own]
    loose = [path for path in run.iterdir() if path.is_file()]
    yield Held(run, "kept", sum(map(bytes_held, (*kept, *loose))))
    for path in stages:
        if path not in kept:
            yield Held(path, "old", bytes_held(path))
    if (run / ".work").is_dir():
        yield Held(run / ".work", "work", bytes_held(run / ".work"))


def _freed(held: Held, free: Sequence[HeldKind]) -> Held:
    if held.kind == "kept" or held.kind not in free:
        return held
    shutil.rmtree(held.place)
    for link in held.place.parent.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()
    return Held(held.place, held.kind, held.bytes, True)
