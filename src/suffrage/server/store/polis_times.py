"""Times of a Polis conversation in the store; the tables of a consultation leave them out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
from sqlalchemy import select

from suffrage.consult.consultation import Consultation
from suffrage.consult.polis.conversation import Conversation, conversation_of, sorted_log
from suffrage.consult.votes import from_events
from suffrage.server.store import database_schema as schema
from suffrage.server.store.consultations import find_consultation
from suffrage.server.store.database import Store


def times_of_last_votes(events: pl.DataFrame | None) -> dict[tuple[str, str], int]:
    """Return when each participant last voted on each statement, in milliseconds."""
    if events is None:
        return {}
    last = events.group_by("participant", "statement").agg(pl.col("at").max())
    return {(participant, statement): at for participant, statement, at in last.iter_rows()}


def logged_votes(events: pl.DataFrame, consultation_id: str) -> list[dict[str, Any]]:
    """Return the rows of the store's log of votes for the log that a Polis export has."""
    return [
        {
            "consultation_id": consultation_id,
            "participant_id": row["participant"],
            "statement_id": row["statement"],
            "value": row["vote"],
            "important": False,
            "at": row["at"],
        }
        for row in events.sort("at", maintain_order=True).iter_rows(named=True)
    ]


def to_polis(store: Store, slug: str, content: Consultation, url: str = "") -> Conversation:
    """Return a stored consultation as a Polis conversation, with its times and its log of votes.

    Opinion groups are not found here. The log is left out where it does not hold every vote, as
    after an import of tables, because readers of Polis files take a log for complete.

    Parameters
    ----------
    store : Store
    slug : str
    content : Consultation
        What `to_consultation` returned for this slug.
    url : str
        Where people find the consultation. What an imported summary says counts before it.
    """
    what = find_consultation(store, slug)
    found = conversation_of(content)
    table, log = schema.statement.c, schema.vote_event.c
    with store.read() as c:
        stored = schema.consultation.c
        about = c.scalar(select(stored.about).where(stored.id == what.id)) or {}
        written = select(table.id, table.created).where(table.consultation_id == what.id)
        created = {row.id: row.created for row in c.execute(written)}
        votes = select(log.statement_id, log.participant_id, log.value, log.at).where(
            log.consultation_id == what.id
        )
        rows = [tuple(row) for row in c.execute(votes.order_by(log.id))]
    # An import of tables gives every statement the time of the import, which says nothing.
    times = {s: at for s, at in created.items() if at != what.created}
    return replace(
        found,
        about={**({"url": url} if url else {}), **about, **found.about},
        statements=tuple(replace(s, created=times.get(s.id)) for s in found.statements),
        events=_complete_log(rows, found),
    )


def _complete_log(rows: list[tuple[Any, ...]], found: Conversation) -> pl.DataFrame | None:
    """The log of the votes of these participants; None where the last ones are not theirs."""
    kinds = {"statement": pl.String, "participant": pl.String, "vote": pl.Int8, "at": pl.Int64}
    log = pl.DataFrame(rows, schema=kinds, orient="row")
    log = sorted_log(log.filter(pl.col("participant").is_in(list(found.votes.participants))))
    last = from_events(
        log["participant"].to_list(),
        log["statement"].to_list(),
        log["vote"].to_list(),
        log["at"].to_list(),
        everyone=found.votes.participants,
        everything=found.votes.statements,
    )
    return log if last == found.votes and log.height else None
