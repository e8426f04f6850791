"""Predicted votes that organisers add after they were put on record, with their scores.

`suffrage consult predict` writes a file and puts its hash into the audit log. Only a file whose
hash is there can be added, and none can be taken away again: what did badly stays too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, or_, select, update

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.database import Store
from suffrage.server.store.database_schema import prediction
from suffrage.server.store.result_steps import lock_results, somebody_withdrew

# The command that writes such a file.
COMMAND = "suffrage consult predict"
# The acts in the audit log: a hash is put on record, and a file with it is added.
PREDICT = "predict"
ADD = "predictions.add"


@dataclass(frozen=True)
class StoredPrediction:
    """One file of predictions, without its content."""

    hash: str
    # When the audit log got the hash (milliseconds since 1970), and the votes cast by then.
    recorded: int
    votes_before: int
    # The version of the results whose votes they were compared with; None before that.
    scored_step: int | None
    # How they did, or {"problem": why they could not be compared}; None before that.
    score: Mapping[str, Any] | None


def store_prediction(
    store: Store, consultation_id: str, hash: str, content: Mapping[str, Any], actor: str
) -> None:
    """Keep a file of predictions that is on record.

    Parameters
    ----------
    hash : str
        The content's own hash.
    content : mapping
        The file without the hash.
    actor : str
        Who adds it, as in the audit log.

    Raises
    ------
    InputError
        The audit log does not hold the hash, or the file was added before.
    """
    entry = next((e for e in _on_record(store, consultation_id) if e.detail["hash"] == hash), None)
    if entry is None:
        raise InputError(
            "The log of this consultation does not contain the hash of this file (%(hash)s), so "
            "nobody can tell when it was made; choose the file that %(command)s wrote for this "
            "consultation.",
            command=COMMAND,
            hash=hash,
        )
    row = {
        "content": dict(content),
        "recorded": entry.at,
        "votes_before": int(entry.detail["votes_before"]),
    }
    of = (prediction.c.consultation_id == consultation_id, prediction.c.hash == hash)
    with store.write() as c:
        if c.execute(select(prediction.c.hash).where(*of)).first() is not None:
            raise InputError("This file was added before.")
        c.execute(insert(prediction).values(consultation_id=consultation_id, hash=hash, **row))
        audit.append_entry(c, consultation_id, actor, ADD, "", {"hash": hash})


def list_predictions(store: Store, consultation_id: str) -> list[StoredPrediction]:
    """Return the predictions of a consultation in the order in which they were put on record."""
    columns = [prediction.c[name] for name in StoredPrediction.__dataclass_fields__]
    query = select(*columns).where(prediction.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(prediction.c.recorded, prediction.c.hash)).mappings()
        return [StoredPrediction(**row) for row in rows]


def predicted_content(store: Store, consultation_id: str, hash: str) -> Mapping[str, Any]:
    """Return what a file of predictions says, without its hash."""
    query = select(prediction.c.content).where(
        prediction.c.consultation_id == consultation_id, prediction.c.hash == hash
    )
    with store.read() as c:
        found: Mapping[str, Any] = c.execute(query).scalar_one()
        return found


def count_on_record(store: Store, consultation_id: str) -> int:
    """Return how many predictions the audit log has the hash of, added or not."""
    return len({entry.detail["hash"] for entry in _on_record(store, consultation_id)})


def not_scored_at(store: Store, consultation_id: str, step: int) -> list[str]:
    """Return the hashes of predictions that were not compared with the votes of a step yet."""
    query = select(prediction.c.hash).where(
        prediction.c.consultation_id == consultation_id,
        or_(prediction.c.scored_step.is_(None), prediction.c.scored_step != step),
    )
    with store.read() as c:
        return list(c.scalars(query))


def save_score(
    store: Store, consultation_id: str, hash: str, step: int, score: Mapping[str, Any], known: int
) -> None:
    """Keep how predictions compare with the votes of a step.

    Nothing is kept where somebody withdrew after entry `known` of the audit log, because the score
    may count them.
    """
    with store.write() as c:
        lock_results(c, consultation_id)
        if somebody_withdrew(c, consultation_id, known):
            return
        c.execute(
            update(prediction)
            .where(prediction.c.consultation_id == consultation_id, prediction.c.hash == hash)
            .values(scored_step=step, score=dict(score))
        )


def _on_record(store: Store, consultation_id: str) -> list[audit.AuditEntry]:
    return audit.list_entries(store, consultation_id, action=PREDICT)
