"""The report of a consultation: one HTML file, two pages that a board can read, then the detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import __version__, storage
from suffrage.consult.consultation import PARTICIPANT, STATES, Consultation, accepted_statements
from suffrage.consult.groups.analysis import analyse
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.groups.shown_results import shown_results
from suffrage.consult.groups.shown_shares import LEAST_OF_GROUP, LEAST_VOTERS
from suffrage.consult.participation import LEAST_SHOWN, participation
from suffrage.consult.polis.conversation import conversation_of
from suffrage.plurals import plural
from suffrage.report.plain_words import day_in_words, name_in_words
from suffrage.report.rendering import render_page

# Each list on the first pages has so many statements.
FIRST_PAGES = 3
# Both lists of the first page together, and of the second: more do not fit on a printed page.
FIRST_PAGE = 4
SECOND_PAGE = 3


def consultation_report(
    consultation: Consultation, settings: GroupSettings | None = None, resamples: int = 50
) -> str:
    """Return the report as HTML that loads nothing from elsewhere.

    Parameters
    ----------
    consultation : Consultation
        As `suffrage consult export` writes it. Groups keep the letters that its pages show.
    settings : GroupSettings, optional
        How the groups are found.
    resamples : int
        How many resamples of participants show how stable the groups are.

    Raises
    ------
    InputError
        Too few people voted for groups to be found.
    """
    analysis = analyse(conversation_of(consultation), settings, strict=True, resamples=resamples)
    found = shown_results(consultation, analysis)
    rows = {row["id"]: row for row in found["all"]}
    states = consultation.statements["state"]
    left_out = found["statements"] - len(found["all"])
    today = datetime.now(UTC)
    return render_page(
        "consultation.html.j2",
        title=consultation.title,
        question=consultation.question,
        language=(consultation.languages or ("en",))[0],
        found=found,
        rows=rows,
        first=_first_pages(found, rows),
        order=[row["id"] for row in found["all"]],
        left_out=plural(left_out, "statement", ",") if left_out else "",
        left_out_is_one=left_out == 1,
        written=consultation.statements.filter(~consultation.statements["seed"]).height,
        states={state: int((states == state).sum()) for state in STATES},
        accepted=accepted_statements(consultation).height,
        people=_people(consultation),
        groups_tried=[(row.groups, row.agreement, row.verdict) for row in analysis.tried],
        resamples=resamples,
        least_voters=LEAST_VOTERS,
        least_of_group=LEAST_OF_GROUP,
        hash=consultation.content_hash,
        version=__version__,
        today=day_in_words(today),
    )


def write_consultation_report(consultation: Consultation, out: Path, resamples: int = 50) -> None:
    """Write the report into an HTML file."""
    storage.write_page(out, consultation_report(consultation, resamples=resamples))


@dataclass(frozen=True)
class _ShortList:
    """One list of the first two pages."""

    heading: str
    # What to say where there is nothing.
    empty: str
    rows: list[Any]
    # How many statements of an earlier list are in this one too.
    above: int = 0


def _first_pages(found: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, _ShortList]:
    """The lists of the first two pages, by their name in the results."""
    lists = {
        "most_agree": ("What most people agree on", "No statement has clearly more than half."),
        "most_disagree": ("What most people reject", "No statement is clearly rejected by most."),
        "agree": (
            "What every group agrees on",
            "No statement has clearly more than half of every group.",
        ),
        "divided": ("Where the groups differ most", "The groups differ clearly on no statement."),
    }
    known = {key: [id for id in found[key] if id in rows] for key in lists}
    shown = known["most_agree"][:FIRST_PAGES]
    repeated = [id for id in known["agree"] if id in shown]
    left = FIRST_PAGE - len(shown)
    known["agree"] = [id for id in known["agree"] if id not in shown][:left]
    known["most_disagree"] = known["most_disagree"][:1]
    known["divided"] = known["divided"][: SECOND_PAGE - len(known["most_disagree"])]
    return {
        key: _ShortList(
            heading,
            empty,
            [rows[id] for id in known[key][:FIRST_PAGES]],
            len(repeated) if key == "agree" else 0,
        )
        for key, (heading, empty) in lists.items()
    }


def _people(consultation: Consultation) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """How many people of each demographic value took part, by item; few are not counted."""
    kept = consultation.participants.filter(~pl.col("excluded"))[PARTICIPANT]
    counts = participation(
        consultation.demographics.filter(pl.col(PARTICIPANT).is_in(kept.implode()))
    )
    return [
        (
            name_in_words(item),
            [
                (
                    name_in_words(row.value),
                    f"fewer than {LEAST_SHOWN}" if row.count is None else f"{row.count:,}",
                )
                for row in counts
                if row.item == item
            ],
        )
        for item in dict.fromkeys(row.item for row in counts)
    ]
