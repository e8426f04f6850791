"""What the library's verbs accept, so that a wrong type is a sentence and no traceback."""

from __future__ import annotations

import errno
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from numbers import Integral
from os import PathLike
from typing import ParamSpec, TypeVar

from suffrage.errors import InputError

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


@dataclass(frozen=True)
class ArgumentKind:
    """What an argument may be."""

    # For the message: "give ...".
    words: str
    accepts: Callable[[object], bool]
    # What each element of a list may be; None where that is not checked.
    each: ArgumentKind | None = None

    def __or__(self, other: ArgumentKind) -> ArgumentKind:
        """Either of two."""
        return ArgumentKind(
            f"{self.words} or {other.words}",
            lambda given: self.accepts(given) or other.accepts(given),
            self.each or other.each,
        )

    def but_say(self, words: str) -> ArgumentKind:
        """The same, called otherwise."""
        return replace(self, words=words)


def instance_of(*types: type, words: str) -> ArgumentKind:
    """An object of one of these types.

    Examples
    --------
    >>> instance_of(int, float, words="a number").accepts("3")
    False
    """
    return ArgumentKind(words, lambda given: isinstance(given, types))


def several(words: str, each: ArgumentKind) -> ArgumentKind:
    """A list or another iterable of elements, which a single text or a mapping is not."""
    return ArgumentKind(
        words,
        lambda given: isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping),
        each,
    )


NOTHING = instance_of(type(None), words="None")
TEXT = instance_of(str, words="a text")
NAME = ArgumentKind(
    "a name with a letter or digit in it",
    lambda given: isinstance(given, str) and any(letter.isalnum() for letter in given),
)
NOT_EMPTY = ArgumentKind(
    "a text that is not empty", lambda given: isinstance(given, str) and bool(given.strip())
)
PATH = ArgumentKind(
    "a path",
    # Path("") is the folder at hand, which nobody means by an empty text.
    lambda given: (
        isinstance(given, PathLike)
        or (isinstance(given, str) and bool(given.strip()) and "\0" not in given)
    ),
)
NUMBER = instance_of(Integral, words="a whole number")
# NumPy draws from no negative seed.
SEED = ArgumentKind(
    "a whole number from 0 on", lambda given: isinstance(given, Integral) and int(given) >= 0
)
# NumPy's own truth values, of either name, count as well, and NumPy is not imported for them.
FLAG = ArgumentKind(
    "True or False",
    lambda given: isinstance(given, int) or type(given).__name__ in ("bool", "bool_"),
)
MAPPING = instance_of(Mapping, words="a mapping")


# What is wrong with a path itself; a full disk, for example, is no wrong argument.
_PATH_ERRORS = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)


def takes(
    **kinds: ArgumentKind,
) -> Callable[[Callable[_Given, _Returned]], Callable[_Given, _Returned]]:
    """Let a verb refuse arguments of a wrong type, and paths that no file can have.

    Parameters
    ----------
    **kinds
        What each argument may be, by its name. Others are not checked.

    Examples
    --------
    >>> @takes(folder=PATH)
    ... def read_things(folder: str) -> None: ...
    >>> read_things(3)
    Traceback (most recent call last):
    suffrage.errors.InputError: read_things: folder is 3; give a path.
    """

    def checked(verb: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
        known = signature(verb)

        @wraps(verb)
        def call(*args: _Given.args, **given: _Given.kwargs) -> _Returned:
            try:
                found = known.bind(*args, **given).arguments
            except TypeError:
                return verb(*args, **given)  # Python itself says which argument is missing
            for name, kind in kinds.items():
                if name in found:
                    check_argument(f"{verb.__qualname__}: {name}", found[name], kind)
            try:
                return verb(*args, **given)
            except OSError as error:
                if error.errno not in _PATH_ERRORS or not error.filename:
                    raise
                where = _shortened(str(error.filename))
                raise InputError(f"{verb.__qualname__}: {where}: {error.strerror}.") from error

        return call

    return checked


def check_argument(name: str, given: object, kind: ArgumentKind) -> None:
    """Refuse an argument that is not of its kind, or an element of a list that is not.

    Raises InputError that names the argument, what was given and what may be.
    """
    if not kind.accepts(given):
        raise InputError(f"{name} {_shown(given)}; give {kind.words}.")
    if kind.each is not None and isinstance(given, Sequence) and not isinstance(given, str):
        for place, one in enumerate(given):
            check_argument(f"{name}[{place}]", one, kind.each)


def _shortened(path: str) -> str:
    """A path, which can be a whole file that was given by mistake."""
    return path if len(path) <= 200 else f"{path[:100]}..."


def _shown(given: object) -> str:
    """What was given, in a few words."""
    if given is None or isinstance(given, str | int | float | PathLike):
        return f"is {reprlib.repr(given)}"
    return f"is of type {type(given).__name__}"


# Whether the arguments of a verb come from options of a command.
_FROM_OPTIONS: ContextVar[bool] = ContextVar("from_options", default=False)


@contextmanager
def written_as_options() -> Iterator[None]:
    """Within the block, messages name arguments as the command line has them."""
    before = _FROM_OPTIONS.set(True)
    try:
        yield
    finally:
        _FROM_OPTIONS.reset(before)


def written(argument: str, option: str = "") -> str:
    """Return how the user wrote an argument, for a message.

    Parameters
    ----------
    argument : str
        Its name in Python.
    option : str
        The command's option, where it is not called alike.

    Examples
    --------
    >>> written("across_models")
    'across_models'
    >>> with written_as_options():
    ...     written("across_models")
    '--across-models'
    """
    if not _FROM_OPTIONS.get():
        return argument
    return option or f"--{argument.replace('_', '-')}"
