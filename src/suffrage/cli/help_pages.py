"""How the help of commands reads: flags without a type, what is to be filled in in capitals.

And how mistakes about a command's output read: they name its option, `--out`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from suffrage.errors import InputError

# What would be shown as `<str>` and `<list[str]>`.
TEXTS = (str, list[str], list[Path])


class PlainHelp(TyperGroup):
    """A group whose help shows no types of Python, such as `<bool>` and `<list[str]>`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for command in self.commands.values():
            if command.callback is not None and any("--out" in one.opts for one in command.params):
                command.callback = _naming_out(command.callback)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; say how an output that is missing is named."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # Its message is empty where nothing was given, not even a wrong value.
            if error.param is not None and "--out" in error.param.opts and not error.message:
                error.message = f"Name the output with --out {error.param.metavar or 'PATH'}."
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own options, with what its help shows."""
        return [_plain(parameter) for parameter in super().get_params(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, with what its help shows."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            return None
        for parameter in (*command.params, command.get_help_option(ctx)):
            if parameter is not None:
                _plain(parameter)
        return command


def _plain(parameter: Any) -> Any:
    """The parameter, with capitals for what is to be filled in, where it says nothing itself."""
    if parameter.metavar is not None:
        return parameter
    if isinstance(parameter, TyperArgument):
        parameter.metavar = str(parameter.name).upper()
    elif getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    elif getattr(getattr(parameter, "type_descriptor", None), "annotation", None) in TEXTS:
        parameter.metavar = max(parameter.opts, key=len).lstrip("-").replace("-", "_").upper()
    return parameter


def _naming_out(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with `--out` before what is said of the path that it named."""

    @wraps(callback)
    def called(**given: Any) -> Any:
        try:
            return callback(**given)
        except InputError as error:
            said = str(error)
            if given["out"] is None or not said.startswith(f"{Path(given['out'])}: "):
                raise
            raise type(error)(f"--out {said}") from error

    return called
