"""The way out: everything a participant gave is deleted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from suffrage.server.store import audit
from suffrage.server.store.audit import AuditHead
from suffrage.server.store.database import Store, now
from suffrage.server.store.database_schema import (
    block,
    comparison,
    consent,
    exposure,
    participant,
    participant_session,
    reaction,
    statement,
    statement_translation,
    vote,
    vote_event,
)
from suffrage.server.store.demographics import delete_demographics
from suffrage.server.store.known_groups import forget_member
from suffrage.server.store.participants import find_active_participant
from suffrage.server.store.result_steps import mark_withdrawal
from suffrage.server.store.shown_answers import delete_chat_prompts
from suffrage.server.texts import fold

# The text of a statement that others voted on and its author took back.
TAKEN_BACK = "[taken back by the person who wrote it]"


def withdraw_participant(
    store: Store, consultation_id: str, participant_id: str, keep_statements: bool = False
) -> AuditHead:
    """Delete all a participant gave, and return a receipt: the audit entry of it.

    A row that says somebody withdrew is left. Statements of theirs that others voted on stay: with
    their text taken out or, if `keep_statements`, as they are and without an author. Withdrawing is
    always possible, also when the consultation is closed.
    """
    with store.write() as c:
        find_active_participant(c, consultation_id, participant_id)
        written = c.scalars(
            select(statement.c.id).where(
                statement.c.consultation_id == consultation_id,
                statement.c.author_id == participant_id,
            )
        ).all()
        mark_withdrawal(c, consultation_id, participant_id, () if keep_statements else written)
        delete_chat_prompts(c, consultation_id, participant_id)
        for table in (
            vote,
            vote_event,
            comparison,
            reaction,
            exposure,
            block,
            consent,
            participant_session,
        ):
            c.execute(
                delete(table).where(
                    table.c.consultation_id == consultation_id,
                    table.c.participant_id == participant_id,
                )
            )
        delete_demographics(c, store, consultation_id, participant_id)
        forget_member(c, consultation_id, participant_id)
        for id in written:
            _take_back(c, consultation_id, id, keep_statements)
        c.execute(
            update(participant)
            .where(
                participant.c.consultation_id == consultation_id,
                participant.c.id == participant_id,
            )
            .values(withdrawn_at=now(), **_EMPTIED)
        )
        detail = {"statements": len(written), "kept": keep_statements}
        receipt = audit.append_entry(
            c, consultation_id, "participant", "participant.withdraw", participant_id, detail
        )
    store.forget_deleted()
    return receipt


_EMPTIED: dict[str, Any] = {
    **dict.fromkeys(("return_hash", "invitation_id", "weight", "excluded_at", "exclusion_reason")),
    **dict.fromkeys(("takes_part", "consent_votes", "consent_texts", "consent_training"), False),
    "acts": 0,
}


def _take_back(c: Connection, consultation_id: str, id: str, keep: bool) -> None:
    of = [statement.c.consultation_id == consultation_id, statement.c.id == id]
    voted = c.scalar(
        select(func.count()).where(
            vote.c.consultation_id == consultation_id, vote.c.statement_id == id
        )
    )
    if keep:
        c.execute(update(statement).where(*of).values(author_id=None))
    elif voted:
        c.execute(
            delete(statement_translation).where(
                statement_translation.c.consultation_id == consultation_id,
                statement_translation.c.statement_id == id,
            )
        )
        c.execute(
            update(statement)
            .where(*of)
            .values(author_id=None, text=TAKEN_BACK, text_key=fold(TAKEN_BACK), state="rejected")
        )
    else:
        c.execute(delete(statement).where(*of))
