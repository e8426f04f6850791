"""How the help of commands reads: flags without a type, what is to be filled in in capitals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperGroup

# What would be shown as `<str>` and `<list[str]>`.
TEXTS = (str, list[str], list[Path])


class PlainHelp(TyperGroup):
    """A group whose help shows no types of Python, such as `<bool>` and `<list[str]>`."""

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
