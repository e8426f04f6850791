"""Between the store and `Consultation`, the plain tables that everything else reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl
from sqlalchemy import Connection, Table, insert, select

from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import SLUG, About, ConsultationSettings, about
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import (
    answer,
    comparison,
    consultation,
    demographic,
    participant,
    prompt,
    reaction,
    statement,
    vote,
)
from suffrage.server.store.participants import person_keys
from suffrage.server.store.secret_keys import new_id
from suffrage.server.texts import fold


def to_consultation(store: Store, slug: str) -> Consultation:
    """All that was collected, at one moment. People who withdrew or never consented are not in it.

    Needs the store's secret, without which demographics belong to nobody. Raises NotFoundError.
    """
    what = about(store, slug)
    with store.read() as c:
        people = _rows(c, participant, what.id, participant.c.takes_part)
        ids = [row["id"] for row in people]
        known = set(ids)
        keys = person_keys(store, what.id, ids)
        label = c.scalar(select(consultation.c.created_label).where(consultation.c.id == what.id))
        tables = {
            "statements": [
                {
                    "statement": row["id"],
                    "author": row["author_id"] if row["author_id"] in known else None,
                    "order": row["position"],
                    **_same(row, "text", "language", "seed", "state"),
                }
                for row in _rows(c, statement, what.id)
            ],
            "participants": [
                {
                    "participant": row["id"],
                    "excluded": row["excluded_at"] is not None,
                    **_same(row, "verified", "language", "exclusion_reason", "weight"),
                    **_same(row, "consent_votes", "consent_texts", "consent_training"),
                }
                for row in people
            ],
            "demographics": [
                {"participant": keys[row["person_key"]], **_same(row, "item", "value")}
                for row in _rows(c, demographic, what.id)
                if row["person_key"] in keys
            ],
            "votes": [
                {
                    "participant": row["participant_id"],
                    "statement": row["statement_id"],
                    "vote": row["value"],
                    "order": row["position"],
                    **_same(row, "important", "probability"),
                }
                for row in _rows(c, vote, what.id)
                if row["participant_id"] in known
            ],
            "prompts": [
                {"prompt": row["id"], **_same(row, "text", "language", "topic")}
                for row in _rows(c, prompt, what.id)
            ],
            "answers": [
                {
                    "answer": row["id"],
                    "prompt": row["prompt_id"],
                    **_same(row, "text", "model", "language"),
                }
                for row in _rows(c, answer, what.id)
            ],
            "comparisons": [
                {
                    "participant": row["participant_id"],
                    "prompt": row["prompt_id"],
                    "left": row["left_id"],
                    "right": row["right_id"],
                    "check": row["attention"],
                    "order": row["position"],
                    **_same(row, "outcome", "confidence", "reasons", "core", "probability"),
                }
                for row in _rows(c, comparison, what.id)
                if row["participant_id"] in known
            ],
            "reactions": [
                {
                    "participant": row["participant_id"],
                    "answer": row["answer_id"],
                    "order": row["position"],
                    **_same(row, "value", "reasons"),
                }
                for row in _rows(c, reaction, what.id)
                if row["participant_id"] in known
            ],
        }
    language = what.settings.languages[0]
    return Consultation(
        slug=what.slug,
        title=what.text(what.title, language)[0],
        question=what.text(what.question, language)[0],
        languages=what.settings.languages,
        created=label or _date(what.created),
        **{name: pl.DataFrame(rows, schema=dict(SCHEMAS[name])) for name, rows in tables.items()},
    )


def from_consultation(store: Store, content: Consultation, actor: str = "command line") -> About:
    """Put a consultation into the store as a new one, closed, with its ids as they are.

    Raises InputError where the slug is taken or is none.
    """
    if not SLUG.fullmatch(content.slug):
        raise InputError(
            f'slug "{content.slug}": use small letters, figures and hyphens, at most 64.'
        )
    languages = content.languages or ("en",)
    settings = ConsultationSettings(languages=languages)
    id, at = new_id(), now()
    with store.write() as c:
        if c.scalar(select(consultation.c.id).where(consultation.c.slug == content.slug)):
            raise InputError(f'slug "{content.slug}" is taken in this store; rename one of them.')
        c.execute(
            insert(consultation).values(
                id=id,
                slug=content.slug,
                title={languages[0]: content.title},
                question={languages[0]: content.question},
                phase="closed",
                settings=settings.model_dump(mode="json"),
                created_label=content.created,
                created=at,
            )
        )
        acts = _acts(content)
        _put(
            c,
            participant,
            id,
            (
                {
                    "id": row["participant"],
                    "takes_part": True,
                    "acts": acts.get(row["participant"], 0),
                    "created": at,
                    "excluded_at": at if row["excluded"] else None,
                    **_same(row, "verified", "language", "exclusion_reason", "weight"),
                    **_same(row, "consent_votes", "consent_texts", "consent_training"),
                }
                for row in content.participants.iter_rows(named=True)
            ),
        )
        _put(
            c,
            demographic,
            id,
            (
                {
                    "person_key": store.secrets.hash("person", f"{id}\0{row['participant']}"),
                    **_same(row, "item", "value"),
                }
                for row in content.demographics.iter_rows(named=True)
            ),
        )
        _put(
            c,
            statement,
            id,
            (
                {
                    "id": row["statement"],
                    "text_key": fold(row["text"]),
                    "author_id": row["author"],
                    "flags": [],
                    "position": row["order"],
                    "created": at,
                    **_same(row, "text", "language", "seed", "state"),
                }
                for row in content.statements.iter_rows(named=True)
            ),
        )
        _put(
            c,
            vote,
            id,
            (
                {
                    "participant_id": row["participant"],
                    "statement_id": row["statement"],
                    "value": row["vote"],
                    "position": row["order"],
                    "updated": at,
                    **_same(row, "important", "probability"),
                }
                for row in content.votes.iter_rows(named=True)
            ),
        )
        _put(
            c,
            prompt,
            id,
            (
                {"id": row["prompt"], "position": n, **_same(row, "text", "language", "topic")}
                for n, row in enumerate(content.prompts.iter_rows(named=True))
            ),
        )
        _put(
            c,
            answer,
            id,
            (
                {
                    "id": row["answer"],
                    "prompt_id": row["prompt"],
                    "made_with": {},
                    "shown": True,
                    "position": n,
                    **_same(row, "text", "model", "language"),
                }
                for n, row in enumerate(content.answers.iter_rows(named=True))
            ),
        )
        _put(
            c,
            comparison,
            id,
            (
                {
                    "id": new_id(),
                    "participant_id": row["participant"],
                    "prompt_id": row["prompt"],
                    "left_id": row["left"],
                    "right_id": row["right"],
                    "attention": row["check"],
                    "position": row["order"],
                    "at": at,
                    **_same(row, "outcome", "confidence", "reasons", "core", "probability"),
                }
                for row in content.comparisons.iter_rows(named=True)
            ),
        )
        _put(
            c,
            reaction,
            id,
            (
                {
                    "participant_id": row["participant"],
                    "answer_id": row["answer"],
                    "position": row["order"],
                    "updated": at,
                    **_same(row, "value", "reasons"),
                }
                for row in content.reactions.iter_rows(named=True)
            ),
        )
        audit.append(
            c, id, actor, "consultation.import", content.slug, {"hash": content.content_hash}
        )
    return about(store, content.slug)


def _rows(c: Connection, table: Table, consultation_id: str, *where: Any) -> list[dict[str, Any]]:
    query = select(table).where(table.c.consultation_id == consultation_id, *where)
    return [dict(row) for row in c.execute(query).mappings()]


def _same(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _put(c: Connection, table: Table, consultation_id: str, rows: Iterable[dict[str, Any]]) -> None:
    listed = [{"consultation_id": consultation_id, **row} for row in rows]
    if listed:
        c.execute(insert(table), listed)


def _acts(content: Consultation) -> dict[str, int]:
    """For each participant the place after their last act."""
    acts = pl.concat(
        table.select("participant", "order")
        for table in (content.votes, content.comparisons, content.reactions)
    )
    last = acts.group_by("participant").agg(pl.col("order").max() + 1)
    return dict(last.iter_rows())


def _date(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
