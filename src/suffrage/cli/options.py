"""What the commands share: common arguments, and output for people and for scripts."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from suffrage.terminal_text import VisiblePage, shown_on_terminal, visible

StudyPath = Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns of a table of votes: participant=NAME,statement=NAME,vote=NAME and "
        "perhaps text=NAME.",
    ),
]
VoteValues = Annotated[
    str | None,
    typer.Option(
        "--values",
        help="What a table of votes says: agree=WORD,disagree=WORD,pass=WORD; several words with "
        "| between them.",
    ),
]

VerifiedOnly = Annotated[
    bool,
    typer.Option("--verified-only", help="Count only people who came with an invitation."),
]


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the words of a list written with commas, without the spaces around them."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def print_json(content: Any) -> None:
    """Print for scripts; a figure that does not exist is null, because JSON has no NaN."""
    import json

    say(json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False))


def _without_nan(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return content


def print_rich(renderable: Any) -> None:
    """Print a table or a page of Rich for people; square brackets and emoji codes are text."""
    from rich.console import Console

    Console(markup=False, emoji=False).print(VisiblePage(renderable))


def say(line: Any = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line; on a terminal, control characters in it are shown and do nothing.

    err: to standard error, where they are always shown. nl: end the line.
    """
    text = visible(str(line)) if err else shown_on_terminal(line, sys.stdout)
    typer.echo(text, err=err, nl=nl)
