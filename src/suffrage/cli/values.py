"""`suffrage values`: value taxonomies, and how populations score on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import suffrage
from suffrage.cli.options import AsJson, StudyPath, print_json, print_rich, say


def list_taxonomies_command(as_json: AsJson = False) -> None:
    """List the value taxonomies.

    Example: `suffrage values list`
    """
    from suffrage.values.taxonomies import taxonomy, taxonomy_names

    found = [taxonomy(name) for name in taxonomy_names()]
    if as_json:
        print_json({one.name: one.title for one in found})
        return
    for one in found:
        say(f"{one.name:<12} {len(one.values):>3} values  {one.title}. {one.source}.")


def show_taxonomy_command(
    name: Annotated[str, typer.Argument(help="A name from `suffrage values list`.")],
    as_json: AsJson = False,
) -> None:
    """Show a taxonomy: its values, what they mean and which higher value they belong to.

    Example: `suffrage values show schwartz10`
    """
    from suffrage.report.terminal_pages.values import taxonomy_json, taxonomy_table
    from suffrage.values.taxonomies import taxonomy

    found = taxonomy(name)
    if as_json:
        print_json(taxonomy_json(found))
        return
    print_rich(taxonomy_table(found))


def score_values_command(
    study: StudyPath,
    key: Annotated[
        str,
        typer.Option(
            help="The instrument whose items the survey has: PVQ-21, PVQ-40, PVQ-RR or WVS-7; or "
            "the YAML file of a key of your own."
        ),
    ] = "PVQ-21",
    out: Annotated[
        Path | None, typer.Option(help="Write the scores as an HTML page here.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a study's populations on an instrument's values, with reliability.

    Example: `suffrage values score ess-study.yaml --out values.html`
    Example: `suffrage values score town-study.yaml --key our-values.yaml`
    """
    from suffrage.report.terminal_pages.values import scores_table, write_scores_page
    from suffrage.study.commands.scoring_values import score_study

    loaded = suffrage.read_study(study)
    found = score_study(loaded, key)
    if out is not None:
        write_scores_page(found, f"Values: {loaded.title or loaded.study}", out)
    if as_json:
        print_json(found)
        return
    print_rich(scores_table(found))
    if out is not None:
        say(f"Plot    {out}")
