"""The command line. Nothing heavy is imported until `main` can answer for what happens."""

from __future__ import annotations

import sys
from typing import Any

from suffrage.cli.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 2."""
    try:
        _run()
    except KeyboardInterrupt:
        # While the commands were being loaded: nothing had begun.
        print("\nStopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _run() -> None:
    import typer

    from suffrage.cli.commands import app
    from suffrage.errors import ANOTHER_PLACE, SuffrageError
    from suffrage.terminal_text import visible

    try:
        app()
    except SuffrageError as error:
        typer.secho(f"Error: {visible(str(error))}", fg="red", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has had enough.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{visible(str(error.filename))}: " if error.filename else "writing the output: "
        fixed = f"; {ANOTHER_PLACE}" if isinstance(error, PermissionError) else ""
        typer.secho(f"Error: {where}{error.strerror or error}{fixed}.", fg="red", err=True)
        sys.exit(2 if fixed else 1)


def __getattr__(name: str) -> Any:
    if name == "app":
        from suffrage.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
