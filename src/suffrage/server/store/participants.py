"""Participants: who has joined, whose session it is, what they consent to, who is left out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from suffrage.server.store import audit
from suffrage.server.store.consultations import (
    STORED,
    StoredConsultation,
    consultation_of_row,
    find_consultation_by_id,
    require_open,
)
from suffrage.server.store.database import DAY, NotFoundError, RefusedError, Store, found, now
from suffrage.server.store.database_schema import (
    consent,
    consultation,
    invitation,
    participant,
    participant_session,
)
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.invitations import use_invitation
from suffrage.server.store.puzzles import Proof, use_proof
from suffrage.server.store.result_steps import mark_withdrawal
from suffrage.server.store.secret_keys import ALPHABET, Secrets, new_id, new_token, read_code

SESSION_DAYS = 60
_SESSION, _RETURN = "participant session", "return"


@dataclass(frozen=True)
class Participant:
    """What the store knows of one person in one consultation."""

    id: str
    consultation_id: str
    verified: bool
    language: str
    takes_part: bool
    consent_votes: bool
    consent_texts: bool
    consent_training: bool
    acts: int
    created: int
    withdrawn_at: int | None
    excluded_at: int | None
    exclusion_reason: str | None


@dataclass(frozen=True)
class NewSession:
    """A participant, and the secret of the session they act in."""

    participant: Participant
    session: str


@dataclass(frozen=True)
class Scopes:
    """What somebody consents to; each is a choice of its own."""

    take_part: bool
    votes: bool = False
    texts: bool = False
    training: bool = False


def join_consultation(
    store: Store,
    consultation_id: str,
    token: str | None,
    language: str,
    proof: Proof | None = None,
) -> NewSession:
    """Take part, with an invitation's token or, where the consultation is open to all, without.

    Parameters
    ----------
    token : str, optional
        Of an invitation.
    proof : Proof, optional
        The solution of a puzzle, which whoever has no invitation needs where the settings say so.

    Raises
    ------
    RefusedError
        "used" for a token that is unknown, used, revoked or out of date (which of them is not
        told), "closed", "invited" where an invitation is needed, and "puzzle" where a solution is.
    """
    session, at = new_token(), now()
    with store.write() as c:
        what = require_open(c, consultation_id)
        invitation_id = None
        if token is not None:
            invitation_id = use_invitation(c, store, consultation_id, token, at)
        elif not what.settings.open_to_all:
            raise RefusedError("invited", "this consultation is by invitation.")
        elif what.settings.proof_of_work:
            use_proof(c, store, consultation_id, proof)
        id = new_id()
        c.execute(
            insert(participant).values(
                consultation_id=consultation_id,
                id=id,
                invitation_id=invitation_id,
                verified=invitation_id is not None,
                language=_language(what, language),
                return_hash=store.secrets.hash(
                    _RETURN, _code(store.secrets.keys[0], consultation_id, id)
                ),
                created=at,
            )
        )
        _open_session(c, store, consultation_id, id, session)
        person = _participant(c, consultation_id, id)
    return NewSession(person, session)


def come_back(store: Store, consultation_id: str, code: str) -> NewSession:
    """A new session for whoever has the return code. Raises RefusedError "used"."""
    session = new_token()
    with store.write() as c:
        id = c.scalar(
            select(participant.c.id).where(
                participant.c.consultation_id == consultation_id,
                participant.c.return_hash.in_(store.secrets.hashes(_RETURN, read_code(code))),
                participant.c.withdrawn_at.is_(None),
            )
        )
        if id is None:
            raise RefusedError("used", "this code is not known here.")
        _open_session(c, store, consultation_id, id, session)
        person = _participant(c, consultation_id, id)
    return NewSession(person, session)


def return_code(store: Store, consultation_id: str, participant_id: str) -> str:
    """The code with which this participant comes back on another device, or withdraws.

    It is made from the secret each time, so that the database needs only its hash.
    """
    with store.read() as c:
        kept = c.scalar(
            select(participant.c.return_hash).where(
                participant.c.consultation_id == consultation_id,
                participant.c.id == participant_id,
            )
        )
    for key in store.secrets.keys:
        code = _code(key, consultation_id, participant_id)
        if kept and kept in store.secrets.hashes(_RETURN, code):
            return code
    return ""


def participant_of_session(store: Store, consultation_id: str, session: str) -> Participant | None:
    """Whose session this is, in this consultation and no other."""
    given = {
        "of": consultation_id,
        "hashes": store.secrets.hashes(_SESSION, session),
        "moment": now(),
    }
    with store.read() as c:
        row = c.execute(_OF_SESSION, given).one_or_none()
    return None if row is None else Participant(**row._mapping)


@dataclass(frozen=True)
class Entered:
    """Somebody at the door of a consultation."""

    consultation: StoredConsultation
    # None without a session in it.
    participant: Participant | None


def enter(d: Driver, secrets: Secrets, slug: str, session: str) -> Entered:
    """A consultation by its slug, and whose session this is in it, in one look.

    session: "" for none. Raises NotFoundError where there is no such consultation.
    """
    given = {"slug_wanted": slug, "moment": now()}
    # Without a session nobody's hash is looked for.
    hashes = secrets.hashes(_SESSION, session) if session else [""] * len(secrets.keys)
    given |= {f"hash{at}": hash for at, hash in enumerate(hashes)}
    row = d.one(_entering(len(hashes)), given)
    if row is None:
        raise NotFoundError("there is no such consultation.")
    what, rest = consultation_of_row(row[: len(STORED)]), row[len(STORED) :]
    if rest[0] is None:
        return Entered(what, None)
    person = _person(rest)
    d.claim(person.id)
    return Entered(what, person)


@cache
def _entering(keys: int) -> Prepared:
    p, session = participant.c, participant_session.c
    return Prepared(
        select(*STORED, *_COLUMNS)
        .select_from(consultation)
        .outerjoin(
            participant_session,
            (session.consultation_id == consultation.c.id)
            & session.token_hash.in_([bindparam(f"hash{at}") for at in range(keys)])
            & (session.expires > bindparam("moment")),
        )
        .outerjoin(
            participant,
            (p.consultation_id == session.consultation_id) & (p.id == session.participant_id),
        )
        .where(consultation.c.slug == bindparam("slug_wanted"))
    )


def _person(row: Sequence[Any]) -> Participant:
    """From a driver's row in the order of `Participant`'s fields."""
    values = dict(zip(Participant.__dataclass_fields__, row, strict=True))
    return Participant(**{**values, **{name: bool(values[name]) for name in _TRUTHS}})


_TRUTHS = ("verified", "takes_part", "consent_votes", "consent_texts", "consent_training")


def end_session(store: Store, consultation_id: str, session: str) -> None:
    """End a session."""
    with store.write() as c:
        c.execute(
            delete(participant_session).where(
                participant_session.c.consultation_id == consultation_id,
                participant_session.c.token_hash.in_(store.secrets.hashes(_SESSION, session)),
            )
        )


def give_consent(
    store: Store, consultation_id: str, participant_id: str, scopes: Scopes, text: str
) -> None:
    """Record what somebody agreed to, and the exact text they agreed to by its hash.

    Consent may be narrowed after the consultation has closed, and given only while it is open.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    with store.write() as c:
        person = find_active_participant(c, consultation_id, participant_id)
        what = find_consultation_by_id(c, consultation_id)
        wider = (
            (scopes.take_part and not person.takes_part)
            or (scopes.votes and not person.consent_votes)
            or (scopes.texts and not person.consent_texts)
            or (scopes.training and not person.consent_training)
        )
        if wider:
            require_open(c, consultation_id)
        revoked = person.takes_part and not scopes.take_part
        if revoked:
            mark_withdrawal(c, consultation_id, participant_id, ())
        c.execute(
            update(participant)
            .where(*_is(consultation_id, participant_id))
            .values(
                takes_part=scopes.take_part,
                consent_votes=scopes.votes,
                consent_texts=scopes.texts,
                consent_training=scopes.training,
            )
        )
        c.execute(
            insert(consent).values(
                consultation_id=consultation_id,
                participant_id=participant_id,
                text_version=what.settings.consent_version,
                text_hash=digest,
                scopes=vars(scopes),
                given_at=now(),
            )
        )
        if revoked:
            audit.append_entry(
                c, consultation_id, "participant", "participant.revoke", participant_id
            )


def exclude_participant(
    store: Store, consultation_id: str, participant_id: str, reason: str, actor: str
) -> None:
    """Leave a participant out of every count; nothing of theirs is deleted, and they can go on."""
    _set_excluded(store, consultation_id, participant_id, reason, actor)


def include_participant(
    store: Store, consultation_id: str, participant_id: str, actor: str
) -> None:
    """Take an exclusion back."""
    _set_excluded(store, consultation_id, participant_id, None, actor)


def list_participants(store: Store, consultation_id: str) -> list[Participant]:
    """Everybody who ever joined, in the order of joining."""
    query = select(*_COLUMNS).where(participant.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(participant.c.created, participant.c.id)).mappings()
        return [Participant(**row) for row in rows]


def find_participant(store: Store, consultation_id: str, participant_id: str) -> Participant:
    """One participant. Raises NotFoundError."""
    with store.read() as c:
        return _participant(c, consultation_id, participant_id)


def find_active_participant(c: Connection, consultation_id: str, id: str) -> Participant:
    """Return a participant who has not withdrawn. Raises RefusedError "withdrawn"."""
    person = _participant(c, consultation_id, id)
    if person.withdrawn_at is not None:
        raise RefusedError("withdrawn", "this participant has withdrawn.")
    return person


def stratum_of(store: Store, consultation_id: str, participant_id: str) -> str:
    """What the participant's invitation was for, "" without one."""
    query = (
        select(invitation.c.stratum)
        .join(
            participant,
            (participant.c.consultation_id == invitation.c.consultation_id)
            & (participant.c.invitation_id == invitation.c.id),
        )
        .where(*_is(consultation_id, participant_id))
    )
    with store.read() as c:
        return str(c.scalar(query) or "")


_NEXT_ACT = Prepared(
    update(participant)
    .where(
        participant.c.consultation_id == bindparam("of"),
        participant.c.id == bindparam("who"),
        participant.c.takes_part,
        participant.c.withdrawn_at.is_(None),
    )
    .values(acts=participant.c.acts + 1)
    .returning(participant.c.acts)
)


def begin_act(d: Driver, consultation_id: str, participant_id: str) -> int:
    """Return the place of the act that is being stored among this participant's, from 0.

    It holds the participant's row until the commit. Raises RefusedError "withdrawn" or "consent",
    and NotFoundError.
    """
    row = d.one(_NEXT_ACT, {"of": consultation_id, "who": participant_id})
    if row is None:
        find_active_participant(d.connection, consultation_id, participant_id)
        raise RefusedError("consent", "nothing is stored before consent to take part is given.")
    return int(row[0]) - 1


def count_participants(store: Store, consultation_id: str) -> dict[str, int]:
    """How many joined, take part, are verified, excluded and withdrew."""
    p = participant.c
    query = select(
        func.count(),
        func.count().filter(p.takes_part),
        func.count().filter(p.verified & p.withdrawn_at.is_(None)),
        func.count().filter(p.excluded_at.is_not(None) & p.withdrawn_at.is_(None)),
        func.count().filter(p.withdrawn_at.is_not(None)),
    ).where(p.consultation_id == consultation_id)
    with store.read() as c:
        row = c.execute(query).one()
    names = ("joined", "take_part", "verified", "excluded", "withdrawn")
    return dict(zip(names, (int(n) for n in row), strict=True))


_COLUMNS = [participant.c[name] for name in Participant.__dataclass_fields__]


_OF_SESSION = (
    select(*_COLUMNS)
    .join(
        participant_session,
        (participant_session.c.consultation_id == participant.c.consultation_id)
        & (participant_session.c.participant_id == participant.c.id),
    )
    .where(
        participant_session.c.consultation_id == bindparam("of"),
        participant_session.c.token_hash.in_(bindparam("hashes", expanding=True)),
        participant_session.c.expires > bindparam("moment"),
    )
)


def _is(consultation_id: str, id: str) -> list[Any]:
    return [participant.c.consultation_id == consultation_id, participant.c.id == id]


def _participant(c: Connection, consultation_id: str, id: str) -> Participant:
    row = found(c, select(*_COLUMNS).where(*_is(consultation_id, id)), "participant")
    return Participant(**row._mapping)


def _open_session(
    c: Connection, store: Store, consultation_id: str, participant_id: str, session: str
) -> None:
    at = now()
    c.execute(delete(participant_session).where(participant_session.c.expires < at))
    c.execute(
        insert(participant_session).values(
            token_hash=store.secrets.hash(_SESSION, session),
            consultation_id=consultation_id,
            participant_id=participant_id,
            created=at,
            expires=at + SESSION_DAYS * DAY,
        )
    )


def _code(key: bytes, consultation_id: str, participant_id: str) -> str:
    made = hmac.new(key, f"code\0{consultation_id}\0{participant_id}".encode(), hashlib.sha256)
    letters = ""
    number = int.from_bytes(made.digest()[:10], "big")
    for _ in range(16):
        number, at = divmod(number, 32)
        letters += ALPHABET[at]
    return read_code(letters)


def _language(what: StoredConsultation, wanted: str) -> str:
    return wanted if wanted in what.settings.languages else what.settings.languages[0]


def _set_excluded(
    store: Store, consultation_id: str, participant_id: str, reason: str | None, actor: str
) -> None:
    with store.write() as c:
        done = c.execute(
            update(participant)
            .where(*_is(consultation_id, participant_id))
            .values(
                excluded_at=None if reason is None else now(),
                exclusion_reason=reason,
            )
        )
        if done.rowcount == 0:
            raise NotFoundError("there is no such participant.")
        action = "participant.include" if reason is None else "participant.exclude"
        detail = {} if reason is None else {"reason": reason}
        audit.append_entry(c, consultation_id, actor, action, participant_id, detail)
