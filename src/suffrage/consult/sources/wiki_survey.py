"""A wiki survey (All Our Ideas): people choose between two ideas, which becomes a comparison.

The export has a file of votes (`..._votes.csv`) with the session, the winner and the loser of each
choice, and may have one of pairs without a choice (`..._nonvotes.csv` or `..._non_votes.csv`).

Source: Salganik and Levy (2015), Wiki surveys: open and quantifiable social data collection.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import polars as pl

from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.consult.csv_files import restored
from suffrage.consult.people import Consent
from suffrage.consult.polis.conversation import participants_with_consents
from suffrage.consult.sources.csv_tables import need_columns, read_table_rows
from suffrage.errors import InputError

PROMPT = "question"
# What each column is called here, and in the export.
COLUMNS: Mapping[str, str] = {
    "participant": "Session ID",
    "winner": "Winner ID",
    "winner_text": "Winner Text",
    "loser": "Loser ID",
    "loser_text": "Loser Text",
}
_SIDES = ("Left Choice ID", "Right Choice ID")
# Reasons for no choice that say something of both ideas; with any other the pair was skipped.
_REASONS = (
    (re.compile(r"like.both|both.*(same|good|like)|no.difference|equal", re.I), "tie"),
    (re.compile(r"don.?t.like.(either|both)|dislike|neither", re.I), "both_bad"),
)


def is_wiki_survey(path: Path) -> bool:
    """Whether a file is the table of votes of a wiki survey."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return all(name in header for name in COLUMNS.values())


def read_wiki_survey(
    path: Path,
    slug: str,
    question: str,
    language: str = "en",
    columns: Mapping[str, str] | None = None,
    consents: Collection[Consent] = (),
) -> Consultation:
    """Read the pairwise votes of a wiki survey as comparisons of answers to one prompt.

    Parameters
    ----------
    path : Path
        The file of votes. The file of pairs without a choice is read if it is next to it.
    slug : str
        The consultation's name in addresses.
    question : str
        What the survey asked; the export does not say it.
    language : str
        Of the ideas.
    columns : mapping, optional
        Other names of the columns "participant", "winner", "winner_text", "loser", "loser_text".
    consents : collection of {"votes", "texts", "training"}
        What every participant is known to have consented to.

    Raises
    ------
    InputError
        A column is missing, or a row has no session or no idea, or names one idea twice.
    """
    named = {**COLUMNS, **(columns or {})}
    names, rows = read_table_rows(path)
    need_columns(path, names, named)
    ideas: dict[str, str] = {}
    judged: list[dict[str, str]] = []
    for number, row in enumerate(rows, 2):
        if row.get("Valid", "").strip().lower() == "false":
            continue
        winner, loser = row[named["winner"]], row[named["loser"]]
        if not (row[named["participant"]] and winner and loser) or winner == loser:
            raise InputError(f"{path.name} row {number}: needs a session and two different ideas.")
        ideas[winner] = restored(row[named["winner_text"]])
        ideas[loser] = restored(row[named["loser_text"]])
        left = row.get(_SIDES[0], "")
        # Without the sides the idea with the lower id counts as left, so that no side wins always.
        left = left if left in (winner, loser) else min(winner, loser)
        judged.append(
            {
                "participant": row[named["participant"]],
                "left": left,
                "right": loser if left == winner else winner,
                "outcome": "left" if left == winner else "right",
            }
        )
    if not judged:
        raise InputError(f"{path.name}: no valid votes.")
    judged += _without_a_choice(path, ideas)
    return _as_consultation(judged, ideas, slug, question, language, consents)


def _without_a_choice(path: Path, ideas: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The pairs of known ideas between which somebody did not choose."""
    found = [path.with_name(path.name.replace("votes", word)) for word in ("nonvotes", "non_votes")]
    nearby = next((one for one in found if one != path and one.is_file()), None)
    if nearby is None:
        return
    for row in read_table_rows(nearby)[1]:
        left, right = (row.get(name, "") for name in _SIDES)
        person, reason = row.get(COLUMNS["participant"], ""), row.get("Reason", "")
        skipped = "skip" in row.get("Record Type", "skip").lower()
        if skipped and person and left != right and left in ideas and right in ideas:
            outcome = next((o for pattern, o in _REASONS if pattern.search(reason)), "skip")
            yield {"participant": person, "left": left, "right": right, "outcome": outcome}


def _as_consultation(
    judged: list[dict[str, str]],
    ideas: Mapping[str, str],
    slug: str,
    question: str,
    language: str,
    consents: Collection[Consent],
) -> Consultation:
    people = sorted({row["participant"] for row in judged})
    comparisons = pl.DataFrame(judged).with_columns(
        prompt=pl.lit(PROMPT),
        confidence=pl.lit(None, pl.Int8),
        reasons=pl.lit(""),
        core=pl.lit(False),
        check=pl.lit(None, pl.String),
        probability=pl.lit(None, pl.Float64),
        order=pl.int_range(pl.len(), dtype=pl.Int32).over("participant"),
    )
    prompt = {"prompt": PROMPT, "text": question, "language": language, "topic": None}
    answers = [
        {"answer": id, "prompt": PROMPT, "text": text, "model": "people", "language": language}
        for id, text in ideas.items()
    ]
    return Consultation(
        slug=slug,
        title=question,
        question=question,
        languages=(language,),
        created="",
        participants=participants_with_consents(people, language, consents),
        prompts=pl.DataFrame([prompt], schema=dict(SCHEMAS["prompts"])),
        answers=pl.DataFrame(answers, schema=dict(SCHEMAS["answers"])),
        comparisons=comparisons.select(list(SCHEMAS["comparisons"])),
    )
