"""What terminals show of how many people a consultation needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from suffrage.plain_table import PlainTable
from suffrage.report.numbers import number, percent

if TYPE_CHECKING:
    from suffrage.consult.groups.enough_people import Expectation, Turnout

# What is wanted of a consultation that speaks for its subgroups: the error of a share in the worst
# twentieth of cells, and how many of the statements that all agree on it surely finds.
ERROR_WANTED, FOUND_WANTED = 0.15, 0.5


def people_text(
    rows: list[tuple[Turnout, Expectation]], whose: str, subgroups: int, comparisons: int
) -> RenderableType:
    """A table with a row for each number of people, and what it says in words.

    whose: of whose votes it was simulated with. comparisons: people needed for a pair of answers.
    """
    turnout = rows[0][0]
    table = PlainTable(
        *("People", "Votes", "Error", "Worst\n5%", "Least\ngroup"),
        *("Agreed\nfound", "and\nwrong", "Group\nfound", "Fit"),
    )
    for own, found in rows:
        table.add_row(
            str(own.people),
            number(found.voters, 0),
            number(found.share_error, 3),
            number(found.share_error_95, 3),
            number(found.consensus_error, 3),
            percent(found.consensus_found),
            percent(found.consensus_false),
            percent(found.planted_found),
            number(found.record_fit, 3),
        )
    lines = [
        f"{subgroups} subgroups, {turnout.minutes:g} minutes each, {turnout.statements} "
        f"statements: everybody votes on {turnout.votes_each}. Simulated with {whose}.",
        _unusual(turnout),
    ]
    said = [
        _enough(rows),
        "People: from each subgroup. Votes: of a subgroup on one statement. Error: of a "
        "subgroup's share that agrees, on average and in the worst 5% of cells; then of the "
        "least agreeing subgroup. Agreed found: of the statements that a majority of every "
        "subgroup agrees with, those that are surely found; and how many of these are wrong. "
        "Group found: how often a group is found that differs from another on a quarter of "
        "the statements.",
        f"Two answers of a model: {comparisons} people of a subgroup must compare them for a "
        "preference of 60 to 40 to be on its right side in 95% of cases.",
        "Fit: of the shares that a training would learn from. No training can come nearer to "
        "the people.",
    ]
    return Group(*(Text(line) for line in lines if line), table, *(Text(line) for line in said))


def _unusual(turnout: Turnout) -> str:
    found = []
    if turnout.bias != 1:
        found.append(
            f"people at one end of the main line of disagreement are {turnout.bias:g} times as "
            "likely to take part as those at the other"
        )
    if turnout.strategic:
        found.append(f"{percent(turnout.strategic)} vote against whatever all agree on")
    if turnout.bots:
        found.append(f"{percent(turnout.bots)} are programs that vote by chance")
    return f"In this simulation {'; '.join(found)}." if found else ""


def _enough(rows: list[tuple[Turnout, Expectation]]) -> str:
    """The least number of people that gives what is wanted."""
    wanted = (
        f"Shares within {ERROR_WANTED:g} in 95% of cells, and {percent(FOUND_WANTED)} or more of "
        "what all subgroups agree on"
    )
    for own, found in rows:
        if found.share_error_95 <= ERROR_WANTED and found.consensus_found >= FOUND_WANTED:
            return f"{wanted}: {own.people} people from each subgroup are enough."
    return f"{wanted}: none of these numbers is enough."
