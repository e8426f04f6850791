"""The extension points: this module finds what a study names with one word.

Another package adds a survey reader, a method, an evaluation or a record builder by declaring an
entry point in one of the groups below. Suffrage declares its own in the same way.
"""

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from suffrage.errors import InputError, did_you_mean

Group = Literal["readers", "methods", "evaluations", "record_builders"]


def names(group: Group) -> list[str]:
    """Return the names that are registered in a group, sorted."""
    return sorted(_registered(group))


def load(group: Group, name: str) -> Any:
    """Return the object that is registered under a name.

    Raises InputError when no installed package registers that name.
    """
    point = _registered(group).get(name)
    if point is None:
        what = group.rstrip("s").replace("_", " ")
        known = names(group)
        raise InputError(
            f'there is no {what} "{name}"; there are {", ".join(known)}.{did_you_mean(name, known)}'
        )
    return point.load()


def _registered(group: Group) -> dict[str, EntryPoint]:
    return _read_entry_points(group, tuple((path, _last_change(path)) for path in sys.path))


@lru_cache(maxsize=16)
def _read_entry_points(
    group: Group, _import_path: tuple[tuple[str, int], ...]
) -> dict[str, EntryPoint]:
    """Read a group from the metadata of every installed package.

    A study asks some twenty times, and reading takes milliseconds. Installing or removing a package
    changes the import path or one of its folders, so what was read before is not given again.
    """
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"suffrage.{group}"):
        points.setdefault(point.name, point)  # the first on the import path, as in an import
    return points


def _last_change(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
