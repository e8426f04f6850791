"""What is wrong with tables about to be published, found from the tables alone."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from suffrage.consult.consultation import PARTICIPANT, TABLES, Consultation
from suffrage.consult.people import people_for
from suffrage.consult.release.disclosure import ROUNDING_BASE, SMALLEST_CELL, breaks_of, personal_in
from suffrage.consult.release.release_settings import JoinedRowsSettings, ReleaseSettings

# Columns that must be in no published table.
FORBIDDEN = (PARTICIPANT, "author", "order", "at", "timestamp", "weight")
# Texts are what people wrote themselves: they may contain a word that is somebody's id.
WRITTEN = ("text", "reasons")
# Columns of published tables that hold the same as another column of the consultation.
SAME_AS = {"with_item": "item", "with_value": "value", "stratum": "value"}


def faults_of(
    consultation: Consultation, frames: Mapping[str, pl.DataFrame], wanted: ReleaseSettings
) -> list[str]:
    """Return what is wrong with tables about to be published; empty when nothing is.

    No cell may contain the id of a participant, no table may have an author, an order, a time or
    a row of somebody who did not consent, votes must be on published statements, small cells must
    be hidden, and joined rows must keep their rule.

    Files from elsewhere number participants and statements alike, from 0. A cell that equals
    somebody's id is a fault only where the consultation itself has no such value in that column.

    Parameters
    ----------
    consultation : Consultation
        What the tables were made from.
    frames : mapping
        The tables by name.
    wanted : ReleaseSettings
        What the release was asked to contain.
    """
    found = []
    ids = set(consultation.participants[PARTICIPANT])
    own = _own_values(consultation)
    for name, frame in frames.items():
        found += _identifying_columns(name, frame, ids, own)
        if "text" in frame.columns and name != "joined":
            texts = [text for text in frame["text"] if text and personal_in(text)]
            if texts:
                found.append(f"{name} holds a text with a personal detail")
    consenting = len(people_for(consultation, "votes"))
    for name in ("votes", "comparisons", "reactions"):
        if name in frames and frames[name]["person"].n_unique() > consenting:
            found.append(f"{name} holds more people than consented")
    unknown = set(frames["votes"]["statement"]) - set(frames["statements"]["statement"])
    if unknown:
        found.append(f"votes has votes on {min(unknown)}, which is not a published statement")
    counts = frames["demographics"]["count"].drop_nulls()
    if ((counts % ROUNDING_BASE) != 0).any() or (counts < SMALLEST_CELL).any():
        found.append("demographics has a count that is small or not rounded")
    if wanted.joined is not None and "joined" in frames:
        found += _joined_faults(frames["joined"], frames["votes"], wanted.joined)
    return found


def _own_values(consultation: Consultation) -> dict[str, set[str]]:
    """What a consultation has, other than people, in the columns of each name."""
    found: dict[str, set[str]] = {}
    for table in TABLES:
        frame: pl.DataFrame = getattr(consultation, table)
        for column in frame.columns:
            if column not in FORBIDDEN and column not in WRITTEN:
                values = frame[column].drop_nulls().unique().cast(pl.String)
                found.setdefault(column, set()).update(values)
    return found


def _identifying_columns(
    name: str, frame: pl.DataFrame, ids: set[str], own: Mapping[str, set[str]]
) -> list[str]:
    found = []
    for column in frame.columns:
        if column in FORBIDDEN:
            found.append(f"{name} has a column {column}")
        kind = frame.schema[column]
        if column in WRITTEN or column == "count" or kind.is_float() or kind == pl.Boolean:
            continue  # No id is a truth value or a fraction, and any number may be a count.
        # The columns of joined rows are named after an item or a statement.
        same_as = "value" if name == "joined" else SAME_AS.get(column, column)
        cells = set(frame[column].drop_nulls().unique().cast(pl.String))
        if (cells & ids) - own.get(same_as, set()):
            found.append(f"{name}.{column} holds the id of a participant")
    return found


def _joined_faults(
    rows: pl.DataFrame, votes: pl.DataFrame, wanted: JoinedRowsSettings
) -> list[str]:
    sensitive = [name for name in wanted.sensitive if name in rows.columns]
    attributes = [name for name in rows.columns if name not in sensitive]
    found = breaks_of(
        {name: rows[name].to_list() for name in attributes},
        {name: rows[name].to_list() for name in sensitive},
        wanted.rule,
    )
    also = set(wanted.statements) & set(votes["statement"])
    if also:
        found.append(f"votes on {min(also)} are in two files, which joins them")
    return found
