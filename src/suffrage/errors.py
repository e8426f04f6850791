"""Errors a user can act on. Each message says what was wrong, where, and the mend."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


class SuffrageError(Exception):
    """Something stopped the work that is not the user's mistake (exit code 1)."""

    exit_code = 1


class InputError(SuffrageError):
    """The user's input cannot be used as it is (exit code 2).

    message: may hold %(names)s, filled from values; pages say it in another language with the same.
    """

    exit_code = 2

    def __init__(self, message: str = "", **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message, self.values = message, values


class MissingExtraError(InputError):
    """A command needs an optional part of Suffrage that is not installed."""


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Raises MissingExtraError when it is not installed.
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
    """As `require`, without the time it takes to import."""
    if find_spec(module) is None:
        require(module, extra, purpose)
