"""The commands, thin: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from suffrage import __version__

app = typer.Typer(
    name="suffrage",
    help="Align a language model to the values a population holds, and show the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
survey_app = typer.Typer(no_args_is_help=True, help="Look at a survey before using it.")
app.add_typer(survey_app, name="survey")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"suffrage {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


StudyPath = Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@survey_app.command("inspect")
def inspect_survey(study: StudyPath, as_json: AsJson = False) -> None:
    """Show what a study's survey reader read, what it set aside, and why.

    Example: `suffrage survey inspect examples/quickstart.yaml`
    """
    raise NotImplementedError


@app.command()
def profile(study: StudyPath, as_json: AsJson = False) -> None:
    """Print and plot a value set, or where two differ most.

    Example: `suffrage profile examples/wvs.yaml deu --against irq --plot deu.html`
    """
    raise NotImplementedError


def main() -> None:
    """Run the command line; users' mistakes end in one sentence and exit code 2."""
    from suffrage.errors import SuffrageError

    try:
        app()
    except SuffrageError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
