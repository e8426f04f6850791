"""How the help of commands reads: flags without a type, arguments in capitals."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperGroup


class PlainHelp(TyperGroup):
    """A group whose commands show no `<bool>` next to a flag, and name arguments in capitals."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, with what its help shows."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            return None
        for parameter in (*command.params, command.get_help_option(ctx)):
            if parameter is None or parameter.metavar is not None:
                continue
            if isinstance(parameter, TyperArgument):
                parameter.metavar = str(parameter.name).upper()
            elif getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return command
