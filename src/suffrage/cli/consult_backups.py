"""`suffrage consult backup` and `restore`: copies of a store, and stores made of copies."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from suffrage.cli.options import say


def backup_command(
    where: Annotated[str, typer.Argument(help="The store: a folder or a .db file.")],
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Copy a store's database, also while the server is running, without its secret.

    Example: `suffrage consult backup water water-2026-11-29.db`
    """
    from suffrage.errors import require_installed

    require_installed("sqlalchemy", "consult", "A consultation's store")
    from suffrage.server.store.backups import back_up

    made = back_up(where, out)
    counted = ", ".join(f"{count:,} {name}" for name, count in made.rows.items())
    say(f"Backup  {made.file}\nRows    {counted}")
    say(f"Secret  {made.secret} (not in the backup; keep a copy of it in another place)")


def restore_command(
    file: Annotated[Path, typer.Argument(help="What `consult backup` wrote.")],
    out: Annotated[Path, typer.Argument(help="The store to make, a new or an empty folder.")],
    secret: Annotated[
        Path | None,
        typer.Option(help="The copy of the store's secret; default: as the environment names it."),
    ] = None,
    new_secret: Annotated[
        bool,
        typer.Option(
            "--new-secret",
            help="The secret is lost: delete sessions, codes and what people said about "
            "themselves.",
        ),
    ] = False,
) -> None:
    """Make a store from a backup, with the secret of the store that was backed up.

    Example: `suffrage consult restore water-2026-11-29.db water --secret safe/secret.key`
    """
    from suffrage.errors import require_installed

    require_installed("sqlalchemy", "consult", "A consultation's store")
    from suffrage.server.store.backups import restore

    made = restore(file, out, secret, new_secret)
    counted = ", ".join(f"{count:,} {name}" for name, count in made.rows.items())
    say(f"Store   {out}\nRows    {counted}\nSecret  {made.secret}")
    say(f"Next    suffrage consult serve {shlex.quote(str(out))}")
