"""The extension points: this module finds what a study names with one word.

Another package adds a survey reader, a method, an evaluation or a record builder by declaring an
entry point in one of the groups below. Suffrage declares its own in the same way.
"""

from importlib.metadata import entry_points
from typing import Any, Literal

from suffrage.errors import InputError

Group = Literal["readers", "methods", "evaluations", "record_builders"]


def names(group: Group) -> list[str]:
    """Return the names that are registered in a group, sorted."""
    return sorted({point.name for point in entry_points(group=f"suffrage.{group}")})


def load(group: Group, name: str) -> Any:
    """Return the object that is registered under a name.

    Raises InputError when no installed package registers that name.
    """
    points = entry_points(group=f"suffrage.{group}", name=name)
    if not points:
        what = group.rstrip("s").replace("_", " ")
        raise InputError(f'there is no {what} "{name}"; there are {", ".join(names(group))}.')
    return next(iter(points)).load()
