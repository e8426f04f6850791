"""`suffrage audit`: whose answers a model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import suffrage
from suffrage.cli.options import AsJson, print_json, print_rich, say

_Models = Annotated[
    list[str],
    typer.Argument(
        help="A model's folder, a checkpoint, a hub id, or a YAML file with the settings of "
        "a study's model. Name several to compare them.",
        metavar="MODEL...",
    ),
]


def audit_command(
    models: _Models,
    survey: Annotated[
        str,
        typer.Option(
            help="A study's YAML file (its value sets are the groups), a survey's data file, or "
            "a reader such as gss_spending.",
            metavar="SURVEY",
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="A demographic whose values are the groups; repeat for several.",
            metavar="DEMOGRAPHIC",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="The address of an OpenAI-compatible server up to /v1; the models are its names.",
            metavar="ADDRESS",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="The environment variable that holds the endpoint's key.", metavar="VARIABLE"
        ),
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="The codebook of a data file.", metavar="FILE")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            help="An option of the reader, such as wave=10; repeat for several.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The folder for the report and the answers.", metavar="FOLDER")
    ] = Path("audit"),
    as_json: AsJson = False,
) -> None:
    """Show whose answers a model gives: which groups it is nearest to and farthest from.

    The model is asked every question of the survey as itself. Nothing is trained. The report is one
    HTML file with a ranked plot and a map. A stopped audit continues where it was.

    Example: `suffrage audit bundled:smollm2-135m --survey gss_spending --by ideology3`

    Example: `suffrage audit gpt-4o-mini --endpoint https://api.openai.com/v1 --key OPENAI_API_KEY
    --survey town.csv --codebook town.yaml --by area --out town-audit`
    """
    from suffrage.report.audit_page import audit_text
    from suffrage.settings import key_values

    found = suffrage.audit_models(
        models,
        survey,
        by or (),
        out=out,
        endpoint=endpoint,
        key=key,
        codebook=codebook,
        options=key_values(options or [], "--option"),
        quiet=as_json,
    )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_rich(audit_text(found))
    say(f"\nReport  {out / 'audit.html'}")
