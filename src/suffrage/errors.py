"""Errors that a user can act on: each message says what is wrong, where, and how to fix it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

# What to do where nothing can be written, whatever was to be written there.
ANOTHER_PLACE = (
    "choose another place, such as output: in a study, --out or the folder of a command, or "
    "SUFFRAGE_CACHE for converted models"
)


class SuffrageError(Exception):
    """The work stopped for a reason that is not the user's mistake (exit code 1)."""

    exit_code = 1


class InputError(SuffrageError):
    """The user's input cannot be used as it is (exit code 2).

    Parameters
    ----------
    message : str
        One sentence. It may contain `%(name)s`, so that pages can translate it.
    **values
        What to fill in for each name.

    Examples
    --------
    >>> print(InputError("%(file)s: no such file.", file="town.csv"))
    town.csv: no such file.
    """

    exit_code = 2

    def __init__(self, message: str = "", **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message, self.values = message, values


class TrainingDivergedError(SuffrageError):
    """A training stopped because its loss, a gradient or a weight is not a number (exit code 1)."""


class MissingExtraError(InputError):
    """An optional part of Suffrage is needed and not installed (exit code 2)."""


@contextmanager
def naming_file(name: str, about: tuple[str, ...] = ("",)) -> Iterator[None]:
    """Within the block, begin errors of users with the name of the file that they are about.

    Parameters
    ----------
    name : str
        The file's name. An error that begins with it stays as it is.
    about : tuple of str
        How errors about this file begin; others name another file. Default: all are about it.

    Examples
    --------
    >>> with naming_file("study.yaml"):
    ...     raise InputError("model: nowhere does not exist.")
    Traceback (most recent call last):
    suffrage.errors.InputError: study.yaml: model: nowhere does not exist.
    """
    try:
        yield
    except InputError as error:
        said = str(error)
        if said.startswith(f"{name}:") or not said.startswith(about):
            raise
        raise type(error)(f"{name}: {said}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that names the nearest spelling.

    Parameters
    ----------
    word : str
        What the user wrote.
    known : iterable of str
        What may be written.

    Returns
    -------
    str
        A sentence with a space before it; empty where nothing is near.

    Examples
    --------
    >>> did_you_mean("Regoin", ["age", "region"])
    ' Did you mean "region"?'
    """
    from difflib import get_close_matches

    spelt = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), spelt, 1)
    return f' Did you mean "{spelt[near[0]]}"?' if near else ""


def unreadable_json(error: Exception) -> str:
    """Return where a text stops being JSON, for a message, and not in the words of the parser.

    Parameters
    ----------
    error : Exception
        What `json.loads`, or reading the file, raised.

    Examples
    --------
    >>> try:
    ...     json.loads('{"a": 1,')
    ... except ValueError as error:
    ...     print(unreadable_json(error))
    not readable as JSON from line 1, character 9 on
    """
    if isinstance(error, json.JSONDecodeError):
        return f"not readable as JSON from line {error.lineno}, character {error.colno} on"
    if isinstance(error, UnicodeDecodeError):
        return f"not text in UTF-8 from byte {error.start + 1} on"
    if isinstance(error, RecursionError):
        return "not readable as JSON, because its brackets are nested too deeply"
    return "not readable as JSON"


def near_files(path: Path) -> str:
    """Return the end of a message on a missing file that names the nearest one in its folder.

    Parameters
    ----------
    path : Path
        The file that is missing.

    Returns
    -------
    str
        A sentence with a space before it: the nearest name, or that the folder is missing too.
        Empty where no name is near, or the folder cannot be listed.

    Examples
    --------
    >>> near_files(Path("nowhere/town.csv"))
    ' There is no folder nowhere.'
    """
    from difflib import get_close_matches

    folder = path.parent
    if not folder.is_dir():
        return f" There is no folder {folder}."
    try:
        names = sorted(own.name for own in folder.iterdir())
    except OSError:
        return ""
    # Without the endings, which make all names of a kind look alike.
    stems = {Path(name).stem.casefold() for name in names}
    near = get_close_matches(path.stem.casefold(), stems, 3)
    return did_you_mean(path.name, [own for own in names if Path(own).stem.casefold() in near])


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module.

    Parameters
    ----------
    module : str
        The module's name.
    extra : str
        The extra of Suffrage that installs it.
    purpose : str
        What needs it, to begin the error's sentence.

    Raises
    ------
    MissingExtraError
        The module is not installed. The message has the pip command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f'{purpose} needs {module}, which is not installed: pip install "suffrage[{extra}]"'
        ) from error


def require_installed(module: str, extra: str, purpose: str) -> None:
    """Check that a module is installed as `require` does, without the time that importing takes."""
    if find_spec(module) is None:
        require(module, extra, purpose)
