"""What the commands share: common arguments, and output for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

StudyPath = Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def words(text: str) -> tuple[str, ...]:
    """A list written with commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def print_json(content: Any) -> None:
    """For scripts."""
    import json

    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
