"""What participants say of themselves, under keys that only the secret can make from their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from suffrage.server.store.consultations import require_open
from suffrage.server.store.database import RefusedError, Store
from suffrage.server.store.database_schema import demographic
from suffrage.server.store.participants import find_active_participant

_PURPOSE = "person"


def set_demographics(
    store: Store, consultation_id: str, participant_id: str, answers: Mapping[str, str | None]
) -> None:
    """Set the items given, and take back those given as None or "".

    Raises RefusedError "not_offered" for an item or value the consultation does not ask.
    """
    with store.write() as c:
        settings = require_open(c, consultation_id).settings
        find_active_participant(c, consultation_id, participant_id)
        allowed = {
            item.item: {option.value for option in item.options} for item in settings.demographics
        }
        key = person_key(store, consultation_id, participant_id)
        for item, value in answers.items():
            if item not in allowed or (value and value not in allowed[item]):
                raise RefusedError("not_offered", f"{item[:40]!r} has no such answer here.")
            of = [*_of(store, consultation_id, participant_id), demographic.c.item == item]
            c.execute(delete(demographic).where(*of))
            if value:
                row = {"consultation_id": consultation_id, "person_key": key}
                c.execute(insert(demographic).values(**row, item=item, value=value))


def demographics_of(store: Store, consultation_id: str, participant_id: str) -> dict[str, str]:
    """Return a participant's own answers about themselves, by item."""
    query = select(demographic.c.item, demographic.c.value)
    with store.read() as c:
        rows = c.execute(query.where(*_of(store, consultation_id, participant_id)))
        return {row.item: row.value for row in rows}


def delete_demographics(
    c: Connection, store: Store, consultation_id: str, participant_id: str
) -> None:
    """Delete all a participant said of themselves."""
    c.execute(delete(demographic).where(*_of(store, consultation_id, participant_id)))


def person_keys(store: Store, consultation_id: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the participant of each key that demographics may be stored under."""
    return {
        key: id for id in ids for key in store.secrets.hashes(_PURPOSE, _named(consultation_id, id))
    }


def person_key(store: Store, consultation_id: str, participant_id: str) -> str:
    """Return the key that a participant's new demographics are stored under."""
    return store.secrets.hash(_PURPOSE, _named(consultation_id, participant_id))


def _named(consultation_id: str, participant_id: str) -> str:
    return f"{consultation_id}\0{participant_id}"


def _of(store: Store, consultation_id: str, participant_id: str) -> list[Any]:
    keys = store.secrets.hashes(_PURPOSE, _named(consultation_id, participant_id))
    return [
        demographic.c.consultation_id == consultation_id,
        demographic.c.person_key.in_(keys),
    ]
