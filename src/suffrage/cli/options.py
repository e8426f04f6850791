"""What the commands share: common arguments, and output for people and for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

StudyPath = Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the words of a list written with commas, without the spaces around them."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def print_json(content: Any) -> None:
    """Print for scripts."""
    import json

    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_rich(renderable: Any) -> None:
    """Print a table or a page of Rich for people; square brackets and emoji codes are text."""
    from rich.console import Console

    Console(markup=False, emoji=False).print(renderable)
