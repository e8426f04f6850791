"""`suffrage init` and `suffrage examples`: begin a study."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from suffrage.cli.options import AsJson, print_json, say
from suffrage.errors import InputError


def init_command(
    data: Annotated[
        Path | None,
        typer.Argument(help="A CSV, Parquet, SPSS, Stata or SAS file.", metavar="DATA"),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            help="Begin with an example instead; see `suffrage examples`.", metavar="NAME"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The new study's folder. Default: named after the data.", metavar="FOLDER"
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="The column whose values are the groups.", metavar="COLUMN"),
    ] = None,
    demographics: Annotated[
        list[str] | None,
        typer.Option(
            "--demographic",
            help="A column that describes people; repeat for several. Default: by their names.",
            metavar="COLUMN",
        ),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="The column of weights.", metavar="COLUMN")
    ] = None,
    respondent: Annotated[
        str | None, typer.Option(help="The column of respondents' ids.", metavar="COLUMN")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A bundled model, a folder or a hub id.", metavar="MODEL")
    ] = "bundled:smollm2-135m",
    as_json: AsJson = False,
) -> None:
    """Begin a study: write a draft codebook and a study for your data, or copy an example.

    Prints what was found, and what is left for you to do.

    Example: `suffrage init town.csv --by district`

    Example: `suffrage init --example quickstart`
    """
    from suffrage.study.commands.examples import copy_example
    from suffrage.study.commands.starting import StartSettings, start_study

    if (data is None) == (example is None):
        raise InputError("name either a data file or an example with --example.")
    if example is not None:
        folder = out or Path(example)
        started = copy_example(example, folder)
    else:
        assert data is not None
        folder = out or Path(f"{data.stem}-study")
        told = StartSettings(tuple(demographics or ()), by, weight, respondent, model)
        started = start_study(data, folder, told)
    _write_schema(folder)
    if as_json:
        print_json(started.as_json())
        return
    for line in started.found:
        say(line)
    if started.to_do:
        say("\nTo do")
        for line in started.to_do:
            say(f"- {line}")
    say("\nThen")
    for command in ("survey inspect", "plan", "run"):
        say(f"  suffrage {command} {shlex.quote(str(folder / 'study.yaml'))}")


def _write_schema(folder: Path) -> None:
    """Put the schema of study files next to the study, for editors."""
    import json

    from suffrage import storage
    from suffrage.study.json_schema import study_json_schema

    text = json.dumps(study_json_schema(), indent=1)
    storage.write_text(folder / "study-schema.json", text + "\n")


def schema_command(
    page: Annotated[
        bool, typer.Option("--page", help="Print the page that lists every key, in Markdown.")
    ] = False,
) -> None:
    """Print the JSON Schema of a study's file, for editors and other programs.

    Example: `suffrage schema > study-schema.json`
    """
    from suffrage.study.json_schema import study_json_schema
    from suffrage.study.keys_page import study_keys_page

    schema = study_json_schema()
    if page:
        say(study_keys_page(schema), nl=False)
        return
    print_json(schema)


def examples_command(
    page: Annotated[
        bool, typer.Option("--page", help="Print the table of examples/README.md, in Markdown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the example studies that ship: what each shows, and the data, time and memory it takes.

    Example: `suffrage examples`
    """
    from suffrage.study.commands.examples import example_studies, examples_page

    found = example_studies()
    if page:
        say(examples_page(found), nl=False)
        return
    if as_json:
        facts = ("name", "about", "needs", "data", "time", "memory")
        print_json([{fact: getattr(one, fact) for fact in facts} for one in found])
        return
    for one in found:
        say(f"{one.name}\n    {one.about}")
        say(f"    Data: {one.data}. Time: {one.time}. Memory: {one.memory}.")
        if one.needs:
            say(f"    Say where your data is: export {'=... '.join(one.needs)}=...")
    say("\nBegin with one of them: suffrage init --example NAME")
