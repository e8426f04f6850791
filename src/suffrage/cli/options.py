"""What the commands share: common arguments, and output for people and for scripts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

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

    typer.echo(json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False))


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

    Console(markup=False, emoji=False).print(renderable)
