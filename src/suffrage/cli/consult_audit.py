"""`suffrage consult audit`: heads of a consultation's log, and checking a log against them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suffrage.cli.consult_staff import named_consultation, opened_store
from suffrage.cli.options import say
from suffrage.errors import InputError, SuffrageError
from suffrage.plurals import plural

if TYPE_CHECKING:
    from suffrage.server.store.database import Store

_Where = Annotated[
    str, typer.Argument(help="The store: a folder (SQLite) or a postgresql:// address.")
]
_Slug = Annotated[
    str, typer.Argument(help='The consultation, or "site" for acts that belong to none of them.')
]


def log_head_command(where: _Where, slug: _Slug) -> None:
    """Print the current head of an audit log. Keep it where nobody can change it.

    Example: `suffrage consult audit head water water-2026 >> elsewhere/heads.txt`
    """
    from suffrage.server.store import audit

    with opened_store(where) as store:
        head = audit.head_of(store, _chain(store, slug))
    say("The log is empty." if head is None else str(head))


def download_log_command(
    where: _Where,
    slug: _Slug,
    out: Annotated[
        Path, typer.Option(help="The JSON lines file to write; it must not exist.", metavar="FILE")
    ],
) -> None:
    """Write a complete audit log, as its page in the browser does.

    Example: `suffrage consult audit download water water-2026 --out log.jsonl`
    """
    from suffrage import storage
    from suffrage.server.store import audit

    if out.exists():
        raise InputError(f"{out}: is there already; name a new file.")
    with opened_store(where) as store:
        entries = audit.list_entries(store, _chain(store, slug))
    storage.write_text(out, audit.as_json_lines(entries), private=True)
    say(f"{out}  {plural(len(entries), 'entry')}")


def check_log_command(
    file: Annotated[Path, typer.Argument(help="A downloaded log, in JSON lines.")],
    head: Annotated[
        list[str] | None,
        typer.Option(
            help="A head that was noted earlier: number:hash, as the results page, a release's "
            "card and a withdrawal's receipt give it. Can be given several times."
        ),
    ] = None,
    heads: Annotated[Path | None, typer.Option(help="A file of noted heads, one a line.")] = None,
) -> None:
    """Check a downloaded audit log against heads that were noted earlier.

    Without a head, the check only shows that nothing is missing in the middle: somebody who holds
    the database can write a new log.

    Example: `suffrage consult audit check log.jsonl --head 412:9f86d081884c7d65`
    """
    from suffrage.server.store import audit

    entries = audit.read_json_lines(_text(file), str(file))
    broken = audit.first_broken(entries)
    if broken is not None:
        raise SuffrageError(
            f"{file}: the chain is broken at entry {broken}: it was changed, or one before it was "
            "taken out."
        )
    noted = [*(head or ()), *(_lines(heads) if heads else ())]
    for written in noted:
        missing = audit.contradiction(entries, audit.read_head(written))
        if missing is not None:
            raise SuffrageError(f"{file}: {missing}")
    say(f"Chain  {plural(len(entries), 'entry')}, whole")
    say(f"Heads  {plural(len(noted), 'head')} noted earlier, all in it")
    if not noted:
        say("       Without any, this log may have been made afterwards as a whole.")
    if entries:
        say(f"Last   {audit.AuditHead(entries[-1].number, entries[-1].hash)}")


def _chain(store: Store, slug: str) -> str:
    from suffrage.server.store import audit

    if slug == audit.SITE:
        return audit.SITE
    return named_consultation(store, slug).id


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not readable as text in UTF-8 ({error}).") from error


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in _text(file).splitlines() if line.strip()]
