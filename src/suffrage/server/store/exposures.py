"""What is put before participants, with the probability that each showing was drawn with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import bindparam, insert, select, update

from suffrage.server.store.consultations import require_open
from suffrage.server.store.database import NotFoundError, Store, now
from suffrage.server.store.database_schema import exposure
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.participants import begin_act
from suffrage.server.store.secret_keys import new_id

ExposureKind = Literal["vote", "comparison", "reaction"]


@dataclass(frozen=True)
class Exposure:
    """One question that was put before a participant."""

    id: str
    participant_id: str
    kind: ExposureKind
    # The statement to vote on, the answer to react to, or the prompt of the two answers.
    item_id: str
    # The two answers of a comparison, as they stood on the page.
    left_id: str | None
    right_id: str | None
    # Whether the pair is one of those that many people see.
    core: bool
    # Which test of attention the pair is, if it is one.
    attention: str | None
    # Name and version of the rule that drew it, and the probability it was drawn with.
    policy: str
    probability: float | None
    # The place of this act among all acts of the participant.
    position: int
    # Milliseconds since 1970.
    shown_at: int
    answered_at: int | None


def record_exposure(
    d: Driver,
    consultation_id: str,
    participant_id: str,
    kind: ExposureKind,
    item_id: str,
    policy: str,
    probability: float | None,
    left_id: str | None = None,
    right_id: str | None = None,
    core: bool = False,
    attention: str | None = None,
) -> Exposure:
    """Record what is put before a participant; the parameters are the fields of `Exposure`.

    Raises RefusedError "withdrawn" or "consent", and NotFoundError.
    """
    shown = Exposure(
        id=new_id(),
        participant_id=participant_id,
        kind=kind,
        item_id=item_id,
        left_id=left_id,
        right_id=right_id,
        core=core,
        attention=attention,
        policy=policy,
        probability=probability,
        position=begin_act(d, consultation_id, participant_id),
        shown_at=now(),
        answered_at=None,
    )
    d.run(_INSERT, {"consultation_id": consultation_id, **vars(shown)})
    return shown


def open_exposure(
    d: Driver, consultation_id: str, participant_id: str, kind: ExposureKind
) -> Exposure | None:
    """Return what was shown last of this kind, if it is not answered.

    A page that is loaded again shows the same question.
    """
    row = d.one(_LAST, {"of": consultation_id, "who": participant_id, "kind_wanted": kind})
    last = None if row is None else _exposure(row)
    return None if last is None or last.answered_at is not None else last


def find_exposure(
    d: Driver, consultation_id: str, participant_id: str, exposure_id: str
) -> Exposure:
    """Return one showing to this participant. Raises NotFoundError."""
    row = d.one(_ONE, {"of": consultation_id, "what": exposure_id, "who": participant_id})
    if row is None:
        raise NotFoundError("there is no such question.")
    return _exposure(row)


def list_exposures(
    store: Store,
    consultation_id: str,
    participant_id: str | None = None,
    kind: ExposureKind | None = None,
) -> list[Exposure]:
    """Return what was shown, to everybody or to one participant, in order."""
    query = select(*_COLUMNS).where(exposure.c.consultation_id == consultation_id)
    if participant_id is not None:
        query = query.where(exposure.c.participant_id == participant_id)
    if kind is not None:
        query = query.where(exposure.c.kind == kind)
    with store.read() as c:
        rows = c.execute(query.order_by(exposure.c.shown_at, exposure.c.id)).mappings()
        return [Exposure(**row) for row in rows]


def mark_answered(d: Driver, consultation_id: str, exposure_id: str, at: int) -> None:
    """Note when a question was answered."""
    d.run(_MARK, {"of": consultation_id, "what": exposure_id, "when": at})


def pass_over(store: Store, consultation_id: str, participant_id: str, exposure_id: str) -> None:
    """Mark a question as seen and not answered, so that another one comes."""
    with store.write() as c:
        require_open(c, consultation_id)
        d = Driver(c)
        begin_act(d, consultation_id, participant_id)
        find_exposure(d, consultation_id, participant_id, exposure_id)
        mark_answered(d, consultation_id, exposure_id, now())


_COLUMNS = [exposure.c[name] for name in Exposure.__dataclass_fields__]
_INSERT = Prepared(insert(exposure))
_ONE = Prepared(
    select(*_COLUMNS).where(
        exposure.c.consultation_id == bindparam("of"),
        exposure.c.id == bindparam("what"),
        exposure.c.participant_id == bindparam("who"),
    )
)
_LAST = Prepared(
    select(*_COLUMNS)
    .where(
        exposure.c.consultation_id == bindparam("of"),
        exposure.c.participant_id == bindparam("who"),
        exposure.c.kind == bindparam("kind_wanted"),
    )
    .order_by(exposure.c.position.desc())
    .limit(1)
)
_MARK = Prepared(
    update(exposure)
    .where(exposure.c.consultation_id == bindparam("of"), exposure.c.id == bindparam("what"))
    .values(answered_at=bindparam("when"))
)


def _exposure(row: tuple[Any, ...]) -> Exposure:
    """From a driver's row of `_COLUMNS`; SQLite's driver gives 0 or 1 for a truth value."""
    values = dict(zip(Exposure.__dataclass_fields__, row, strict=True))
    return Exposure(**{**values, "core": bool(values["core"])})
