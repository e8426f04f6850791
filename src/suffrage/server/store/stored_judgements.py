"""Judgements of models' answers in the store: comparisons of two, and likes or dislikes of one."""

from __future__ import annotations

from typing import Any

import polars as pl
from sqlalchemy import insert, select

from suffrage.consult.consultation import OUTCOMES
from suffrage.errors import InputError
from suffrage.server.store.consultations import require_open
from suffrage.server.store.database import NotFoundError, RefusedError, Store, now, upsert
from suffrage.server.store.database_schema import (
    answer,
    comparison,
    invitation,
    participant,
    reaction,
)
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import find_exposure, mark_answered
from suffrage.server.store.participants import begin_act
from suffrage.server.store.secret_keys import new_id
from suffrage.server.store.stored_votes import Receipt
from suffrage.server.texts import clean

MOST_REASONS = 500


def record_comparison(
    store: Store,
    consultation_id: str,
    participant_id: str,
    exposure_id: str,
    outcome: str,
    confidence: int | None = None,
    reasons: str = "",
    response_ms: int | None = None,
) -> Receipt:
    """Store which of the two answers shown is better: left, right, tie, both_bad or skip.

    There is one answer to one showing: the same outcome again returns the first receipt, another
    one is refused as "replay". Otherwise it raises what `record_vote` raises.
    """
    if outcome not in OUTCOMES:
        raise InputError(f'outcome is "{outcome[:20]}"; it must be one of {", ".join(OUTCOMES)}.')
    if confidence not in (None, 1, 2, 3):
        raise InputError(f"confidence is {confidence}; it must be 1, 2 or 3.")
    with store.write() as c:
        require_open(c, consultation_id)
        d = Driver(c)
        position = begin_act(d, consultation_id, participant_id)
        shown = find_exposure(d, consultation_id, participant_id, exposure_id)
        if shown.kind != "comparison":
            raise NotFoundError("there is no such pair.")
        before = c.execute(
            select(comparison).where(
                comparison.c.consultation_id == consultation_id,
                comparison.c.exposure_id == exposure_id,
            )
        ).one_or_none()
        if before is not None:
            if before.outcome == outcome:
                return Receipt(before.id, before.at, new=False)
            raise RefusedError("replay", "this pair was answered before.")
        id, at = new_id(), now()
        c.execute(
            insert(comparison).values(
                consultation_id=consultation_id,
                id=id,
                participant_id=participant_id,
                prompt_id=shown.item_id,
                left_id=shown.left_id,
                right_id=shown.right_id,
                outcome=outcome,
                confidence=confidence,
                reasons=clean(reasons)[:MOST_REASONS],
                core=shown.core,
                attention=shown.attention,
                probability=shown.probability,
                exposure_id=exposure_id,
                response_ms=response_ms,
                position=position,
                at=at,
            )
        )
        mark_answered(d, consultation_id, exposure_id, at)
    return Receipt(id, at, new=True)


def record_reaction(
    store: Store,
    consultation_id: str,
    participant_id: str,
    answer_id: str,
    value: int,
    reasons: str = "",
    exposure_id: str | None = None,
) -> Receipt:
    """Store a like (1) or dislike (-1) of one answer; a later one replaces it.

    Raises what `record_vote` raises.
    """
    if value not in (-1, 1):
        raise InputError(f"reaction is {value}; it must be 1 (like) or -1 (dislike).")
    with store.write() as c:
        require_open(c, consultation_id)
        d = Driver(c)
        position = begin_act(d, consultation_id, participant_id)
        shown = c.scalar(
            select(answer.c.shown).where(
                answer.c.consultation_id == consultation_id, answer.c.id == answer_id
            )
        )
        if not shown:
            raise NotFoundError("there is no such answer.")
        at = now()
        if exposure_id is not None:
            seen = find_exposure(d, consultation_id, participant_id, exposure_id)
            if (seen.kind, seen.item_id) != ("reaction", answer_id):
                raise NotFoundError("there is no such question.")
            if seen.answered_at is None:
                mark_answered(d, consultation_id, exposure_id, at)
        changes = {"value": value, "reasons": clean(reasons)[:MOST_REASONS], "updated": at}
        c.execute(
            upsert(c, reaction)
            .values(
                consultation_id=consultation_id,
                participant_id=participant_id,
                answer_id=answer_id,
                exposure_id=exposure_id,
                position=position,
                **changes,
            )
            .on_conflict_do_update(
                index_elements=["consultation_id", "participant_id", "answer_id"], set_=changes
            )
        )
    return Receipt(answer_id, at, new=True)


def comparisons_by(store: Store, consultation_id: str, participant_id: str) -> list[dict[str, Any]]:
    """Return a participant's own comparisons, in order."""
    k = comparison.c
    columns = (k.id, k.prompt_id, k.left_id, k.right_id, k.outcome, k.confidence, k.reasons, k.at)
    query = select(*columns).where(
        k.consultation_id == consultation_id, k.participant_id == participant_id
    )
    with store.read() as c:
        return [dict(row) for row in c.execute(query.order_by(k.position)).mappings()]


def reactions_by(store: Store, consultation_id: str, participant_id: str) -> list[dict[str, Any]]:
    """Return a participant's own likes and dislikes, in order."""
    r = reaction.c
    query = select(r.answer_id, r.value, r.reasons, r.updated).where(
        r.consultation_id == consultation_id, r.participant_id == participant_id
    )
    with store.read() as c:
        return [dict(row) for row in c.execute(query.order_by(r.position)).mappings()]


def comparisons_that_count(store: Store, consultation_id: str) -> pl.DataFrame:
    """Return all comparisons of participants who count.

    Returns
    -------
    polars.DataFrame
        A row for each comparison: participant, left, right, outcome, check (the test of attention
        that the pair is, or null) and stratum (of the participant's invitation, "" without one).
    """
    k, p = comparison.c, participant.c
    columns = {
        "participant": k.participant_id,
        "left": k.left_id,
        "right": k.right_id,
        "outcome": k.outcome,
        "check": k.attention,
        "stratum": invitation.c.stratum,
    }
    query = (
        select(*(column.label(name) for name, column in columns.items()))
        .join(participant, (p.consultation_id == k.consultation_id) & (p.id == k.participant_id))
        .outerjoin(
            invitation,
            (invitation.c.consultation_id == p.consultation_id)
            & (invitation.c.id == p.invitation_id),
        )
        .where(k.consultation_id == consultation_id, p.excluded_at.is_(None), p.takes_part)
    )
    with store.read() as c:
        rows = [dict(row) for row in c.execute(query).mappings()]
    found = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
    return found.with_columns(pl.col("stratum").fill_null(""))
