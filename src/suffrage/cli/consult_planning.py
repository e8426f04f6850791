"""`suffrage consult plan`: how many people, before anybody is invited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suffrage.cli.options import AsJson, comma_separated, print_json, print_rich
from suffrage.errors import InputError

PEOPLE = "10,25,50,100,200,400"


def consultation_plan_command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A consultation or Polis export whose people stand for yours; default: the "
            "respondents of the bundled survey."
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="The prefix of the file names, for a folder with several exports."),
    ] = None,
    subgroups: Annotated[int, typer.Option(help="How many subgroups must be heard.")] = 3,
    people: Annotated[
        str, typer.Option(help="How many people from each subgroup; several with commas.")
    ] = PEOPLE,
    minutes: Annotated[float, typer.Option(help="How long each person votes.")] = 15.0,
    statements: Annotated[int, typer.Option(help="How many statements are put to the vote.")] = 60,
    votes_a_minute: Annotated[
        float, typer.Option(help="How many statements a person votes on in a minute.")
    ] = 4.0,
    bias: Annotated[
        float,
        typer.Option(
            help="How many times as likely people at one end of the main disagreement take part."
        ),
    ] = 1.0,
    strategic: Annotated[
        float, typer.Option(help="The share who vote against what all agree on, 0 to 1.")
    ] = 0.0,
    bots: Annotated[float, typer.Option(help="The share of programs, 0 to 1.")] = 0.0,
    rounds: Annotated[int, typer.Option(help="How many rounds are simulated.")] = 40,
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what to expect of a consultation: errors, consensus, hidden groups, comparisons.

    Example: `suffrage consult plan --subgroups 4 --minutes 15 --statements 60`
    """
    from suffrage.consult.enough_people import Turnout
    from suffrage.report.terminal_pages.enough_people import people_text
    from suffrage.study.commands.consultation_plan import plan_consultation

    try:
        numbers = [int(word) for word in comma_separated(people)]
    except ValueError:
        raise InputError(f'--people is "{people}"; it must be numbers, such as {PEOPLE}.') from None
    turnout = Turnout(
        minutes=minutes,
        statements=statements,
        votes_a_minute=votes_a_minute,
        bias=bias,
        strategic=strategic,
        bots=bots,
    )
    found = plan_consultation(folder, prefix, subgroups, numbers, turnout, rounds, seed)
    if as_json:
        print_json(found.as_json())
        return
    whose = f"{found.public} people of {found.respondents}"
    print_rich(people_text(list(found.rows), whose, found.subgroups, found.comparisons_for_a_pair))
