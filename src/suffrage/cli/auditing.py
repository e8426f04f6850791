"""`suffrage audit`: whose answers a model gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import suffrage
from suffrage.cli.options import AsJson, print_json, print_rich
from suffrage.errors import InputError

if TYPE_CHECKING:
    from suffrage.study.commands.auditing import AuditedSurvey


def audit_command(
    models: Annotated[
        list[str],
        typer.Argument(
            help="A model's folder, a checkpoint, a hub id, or a YAML file with the settings of "
            "a study's model. Name several to compare them.",
            metavar="MODEL...",
        ),
    ],
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
    from suffrage.report.audit_page import audit_text, write_audit_page
    from suffrage.study.commands.auditing import asked_model, audit_models

    asked = dict(asked_model(name, endpoint, key) for name in models)
    if len(asked) < len(models):
        raise InputError("two of the models have one name; move one to a folder of another name.")
    scoring, surveyed = _surveyed(survey, by or [], codebook, options or [])
    found = audit_models(asked, surveyed, out, scoring, quiet=as_json)
    write_audit_page(found, out / "audit.html")
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_rich(audit_text(found))
    typer.echo(f"\nReport  {out / 'audit.html'}")


def _surveyed(
    survey: str, by: list[str], codebook: Path | None, options: list[str]
) -> tuple[Any, AuditedSurvey]:
    """The groups, and how a study says that answers are read; None without a study."""
    from suffrage.settings import key_values
    from suffrage.study.commands.auditing import is_reader, surveyed_by, surveyed_by_study

    if Path(survey).suffix.lower() in (".yaml", ".yml"):
        if by or codebook or options:
            raise InputError(
                "--by, --codebook and --option go with a data file or a reader; the study says "
                "its own groups."
            )
        study = suffrage.read_study(survey)
        return study.scoring, surveyed_by_study(study)
    more = key_values(options, "--option")
    if is_reader(survey):
        return None, surveyed_by({"reader": survey, **more}, by)
    if not Path(survey).is_file():
        raise InputError(
            f"--survey {survey}: no such file, and no such reader; name a study, a data file or "
            "one of the readers in docs/surveys.md."
        )
    section = {"reader": "labelled_file", "path": survey, **more}
    if codebook is not None:
        section["codebook"] = str(codebook)
    return None, surveyed_by(section, by)
