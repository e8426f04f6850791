"""What people said, row by row: those who consented, under new ids, in random order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl

from suffrage.consult.consultation import (
    PARTICIPANT,
    STATES,
    Consultation,
    accepted_statements,
)
from suffrage.consult.people import people_for, unverified_share
from suffrage.consult.release.disclosure import personal_in
from suffrage.consult.release.private_record import PrivateRecord
from suffrage.consult.release.release_settings import ReleaseSettings

# With fewer people who consented, each would stand out: no rows are published.
FEWEST_PEOPLE = 10
# Draw probabilities have two decimals, because all their digits would show the moment of a vote.
DECIMALS = 2


def published_rows(
    consultation: Consultation, wanted: ReleaseSettings, record: PrivateRecord
) -> dict[str, pl.DataFrame]:
    """Return the tables of statements, prompts, answers, votes, comparisons and reactions.

    A text is left empty where its author did not consent to publication, or where it seems to
    contain a personal detail; its row says why.
    """
    consenting = people_for(consultation, "votes")
    people = consenting if len(consenting) >= FEWEST_PEOPLE else ()
    texts = set(people_for(consultation, "texts"))
    training = set(people_for(consultation, "training"))
    statements = _statements(accepted_statements(consultation), texts)
    said = {
        "votes": _votes(consultation, statements, wanted, record),
        "comparisons": consultation.comparisons.drop("order"),
        "reactions": consultation.reactions.drop("order"),
    }
    frames = {
        "statements": statements,
        "prompts": _without_personal_texts(consultation.prompts),
        "answers": _without_personal_texts(consultation.answers),
    }
    for name, frame in said.items():
        rows = frame.filter(pl.col(PARTICIPANT).is_in(list(people)))
        rows = rows.with_columns(
            training=pl.col(PARTICIPANT).is_in(list(training)),
            person=pl.col(PARTICIPANT).replace_strict(
                list(people), [record.minted(name, p) for p in people], return_dtype=pl.String
            ),
        )
        if "probability" in rows.columns:
            rows = rows.with_columns(pl.col("probability").round(DECIMALS))
        if "reasons" in rows.columns:
            rows = rows.with_columns(reasons=_publishable_reasons(texts))
        frames[name] = _shuffled(rows, name, record)
    return frames


def row_counts(consultation: Consultation, statements: pl.DataFrame) -> dict[str, Any]:
    """Return how many people and statements there are, and why texts were withheld.

    statements: the published table.
    """
    withheld = statements.filter(pl.col("withheld") != "")["withheld"]
    states = consultation.statements["state"]
    consenting = len(people_for(consultation, "votes"))
    return {
        "withheld_texts": dict(withheld.value_counts().sort("withheld").iter_rows()),
        "states": {state: int((states == state).sum()) for state in STATES},
        "participants": len(people_for(consultation, "taking part")),
        "excluded": int(consultation.participants["excluded"].sum()),
        "unverified": unverified_share(consultation),
        "in_rows": consenting if consenting >= FEWEST_PEOPLE else 0,
    }


def _votes(
    consultation: Consultation,
    statements: pl.DataFrame,
    wanted: ReleaseSettings,
    record: PrivateRecord,
) -> pl.DataFrame:
    """Votes on published statements, except those that joined rows contain or once contained."""
    elsewhere = {s for each in record.releases for s in each["joined_statements"]}
    elsewhere |= set(wanted.joined.statements) if wanted.joined else set()
    authors = consultation.statements.select("statement", "author")
    # Authors agree with their own statement, so that their vote would show who wrote it.
    return (
        consultation.votes.join(authors, on="statement", how="left")
        .filter(
            pl.col("statement").is_in(statements["statement"].to_list())
            & ~pl.col("statement").is_in(list(elsewhere))
            & pl.col("author").ne_missing(pl.col(PARTICIPANT))
        )
        .select(PARTICIPANT, "statement", "vote", "important", "probability")
    )


def _publishable_reasons(texts: Collection[str]) -> pl.Expr:
    """Reasons of people who consented to publication, without those with a personal detail."""
    kept = pl.col(PARTICIPANT).is_in(list(texts)) & pl.col("reasons").map_elements(
        lambda text: personal_in(text) is None, return_dtype=pl.Boolean
    )
    return pl.when(kept).then("reasons").otherwise(pl.lit(""))


def _statements(statements: pl.DataFrame, consenting: Collection[str]) -> pl.DataFrame:
    """Statements without their authors; a text is left out without its author's consent."""
    rows = []
    for row in statements.sort("statement").iter_rows(named=True):
        why = _personal_detail(row["text"])
        if not why and not row["seed"] and row["author"] not in consenting:
            why = "no consent of the author"
        rows.append(
            {
                "statement": row["statement"],
                "text": "" if why else row["text"],
                "language": row["language"],
                "seed": row["seed"],
                "meta": row["meta"],
                "withheld": why,
            }
        )
    schema = {
        "statement": pl.String,
        "text": pl.String,
        "language": pl.String,
        "seed": pl.Boolean,
        "meta": pl.Boolean,
        "withheld": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _without_personal_texts(frame: pl.DataFrame) -> pl.DataFrame:
    why = [_personal_detail(text) for text in frame["text"]]
    texts = ["" if reason else text for reason, text in zip(why, frame["text"], strict=True)]
    return frame.with_columns(
        text=pl.Series(texts, dtype=pl.String), withheld=pl.Series(why, dtype=pl.String)
    ).sort(frame.columns[0])


def _personal_detail(text: str) -> str:
    """Why a text is withheld, empty where it seems to contain no personal detail."""
    kind = personal_in(text)
    return f"personal detail ({kind})" if kind else ""


def _shuffled(rows: pl.DataFrame, name: str, record: PrivateRecord) -> pl.DataFrame:
    columns = ["person", *(c for c in rows.columns if c not in (PARTICIPANT, "person"))]
    kept = rows.select(columns).sort(pl.all())
    return kept[record.generator(f"shuffle {name}").permutation(kept.height)]
