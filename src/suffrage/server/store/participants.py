"""Participants: invited, joined, what they consent to, who they are, and their way out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from suffrage.server.store import audit
from suffrage.server.store.consultations import (
    STORED,
    About,
    about_id,
    about_stored,
    need_open,
)
from suffrage.server.store.database import (
    NotFoundError,
    RefusedError,
    Store,
    found,
    now,
)
from suffrage.server.store.database_schema import (
    block,
    comparison,
    consent,
    consultation,
    demographic,
    exposure,
    invitation,
    participant,
    participant_session,
    reaction,
    statement,
    statement_translation,
    vote,
    vote_event,
)
from suffrage.server.store.driver import Driver, Prepared
from suffrage.server.store.participants_results_table import drop_label
from suffrage.server.store.secret_keys import Secrets, new_id, new_token, read_code
from suffrage.server.texts import fold

SESSION_DAYS = 60
DAY = 24 * 3600 * 1000
# What stands where a statement stood that others voted on and its author took back.
TAKEN_BACK = "[taken back by the person who wrote it]"
_INVITATION, _SESSION, _RETURN, _PERSON = "invitation", "participant session", "return", "person"


@dataclass(frozen=True)
class Participant:
    """One person in one consultation, as far as the store knows them."""

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
class Joined:
    """A new participant, and the secret of the session they act in."""

    participant: Participant
    session: str


@dataclass(frozen=True)
class Scopes:
    """What somebody consents to, each on its own."""

    take_part: bool
    votes: bool = False
    texts: bool = False
    training: bool = False


@dataclass(frozen=True)
class Invitation:
    """An invitation without its token. Times in milliseconds."""

    id: str
    stratum: str
    created: int
    expires: int | None
    used_at: int | None
    revoked_at: int | None


def invite(
    store: Store,
    consultation_id: str,
    count: int,
    actor: str,
    stratum: str = "",
    expires: int | None = None,
) -> list[str]:
    """Make single-use invitations and give their tokens, which are nowhere else.

    expires: milliseconds since 1970.
    """
    tokens = [new_token() for _ in range(count)]
    with store.write() as c:
        about_id(c, consultation_id)
        if tokens:
            c.execute(
                insert(invitation),
                [
                    {
                        "consultation_id": consultation_id,
                        "id": new_id(),
                        "token_hash": store.secrets.hash(_INVITATION, token),
                        "stratum": stratum,
                        "created": now(),
                        "expires": expires,
                    }
                    for token in tokens
                ],
            )
        detail = {"count": count, "stratum": stratum, "expires": expires}
        audit.append(c, consultation_id, actor, "invitation.create", stratum, detail)
    return tokens


def invitations(store: Store, consultation_id: str) -> list[Invitation]:
    """All invitations, the newest last."""
    columns = [invitation.c[name] for name in Invitation.__dataclass_fields__]
    query = select(*columns).where(invitation.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(invitation.c.created, invitation.c.id)).mappings()
        return [Invitation(**row) for row in rows]


def revoke_invitation(store: Store, consultation_id: str, invitation_id: str, actor: str) -> None:
    """Make an unused invitation void. Raises RefusedError where it was used."""
    with store.write() as c:
        done = c.execute(
            update(invitation)
            .where(
                invitation.c.consultation_id == consultation_id,
                invitation.c.id == invitation_id,
                invitation.c.used_at.is_(None),
            )
            .values(revoked_at=now())
        )
        if done.rowcount == 0:
            raise RefusedError("used", "there is no unused invitation of that id.")
        audit.append(c, consultation_id, actor, "invitation.revoke", invitation_id)


def invitation_is_good(store: Store, consultation_id: str, token: str) -> bool:
    """Whether a token would be let in. Uses nothing up: pages are fetched before people see them."""
    with store.read() as c:
        return bool(
            c.scalar(select(invitation.c.id).where(*_usable(store, consultation_id, token)))
        )


def join(store: Store, consultation_id: str, token: str | None, language: str) -> Joined:
    """Take part, with an invitation's token or, where the consultation is open to all, without.

    Raises RefusedError: "used" for a token that is unknown, used, revoked or out of date (which of
    them is not told), "closed", and "invited" where an invitation is needed.
    """
    session, at = new_token(), now()
    with store.write() as c:
        what = need_open(c, consultation_id)
        invitation_id = None
        if token is None:
            if not what.settings.open_to_all:
                raise RefusedError("invited", "this consultation is by invitation.")
        else:
            # One statement checks and uses up: of two at once only one finds the row.
            invitation_id = c.scalar(
                update(invitation)
                .where(*_usable(store, consultation_id, token))
                .values(used_at=at)
                .returning(invitation.c.id)
            )
            if invitation_id is None:
                raise RefusedError("used", "this invitation was used before, or is not valid.")
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
    return Joined(person, session)


def come_back(store: Store, consultation_id: str, code: str) -> Joined:
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
    return Joined(person, session)


def return_code(store: Store, consultation_id: str, participant_id: str) -> str:
    """The code with which this participant comes back on another device, or withdraws.

    Made anew from the secret each time, so that the database holds only its hash.
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


def of_session(store: Store, consultation_id: str, session: str) -> Participant | None:
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
    """Somebody at the door of a consultation. participant: None without a session in it."""

    about: About
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
    what = about_stored(*row[: len(STORED)])
    rest = row[len(STORED) :]
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


def leave(store: Store, consultation_id: str, session: str) -> None:
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
        person = _active(c, consultation_id, participant_id)
        what = about_id(c, consultation_id)
        wider = (
            (scopes.take_part and not person.takes_part)
            or (scopes.votes and not person.consent_votes)
            or (scopes.texts and not person.consent_texts)
            or (scopes.training and not person.consent_training)
        )
        if wider:
            need_open(c, consultation_id)
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


def set_language(store: Store, consultation_id: str, participant_id: str, language: str) -> None:
    """The language somebody reads the pages in."""
    with store.write() as c:
        what = about_id(c, consultation_id)
        c.execute(
            update(participant)
            .where(*_is(consultation_id, participant_id))
            .values(language=_language(what, language))
        )


def set_demographics(
    store: Store, consultation_id: str, participant_id: str, answers: Mapping[str, str | None]
) -> None:
    """Set the items given, and take back those given as None or "".

    Raises RefusedError "not_offered" for an item or value the consultation does not ask.
    """
    with store.write() as c:
        what = need_open(c, consultation_id)
        _active(c, consultation_id, participant_id)
        allowed = {
            item.item: {option.value for option in item.options}
            for item in what.settings.demographics
        }
        keys = _person_keys(store, consultation_id, participant_id)
        for item, value in answers.items():
            if item not in allowed or (value and value not in allowed[item]):
                raise RefusedError("not_offered", f"{item[:40]!r} has no such answer here.")
            c.execute(
                delete(demographic).where(
                    demographic.c.consultation_id == consultation_id,
                    demographic.c.person_key.in_(keys),
                    demographic.c.item == item,
                )
            )
            if value:
                c.execute(
                    insert(demographic).values(
                        consultation_id=consultation_id,
                        person_key=keys[0],
                        item=item,
                        value=value,
                    )
                )


def demographics(store: Store, consultation_id: str, participant_id: str) -> dict[str, str]:
    """A participant's own answers about themselves."""
    query = select(demographic.c.item, demographic.c.value).where(
        demographic.c.consultation_id == consultation_id,
        demographic.c.person_key.in_(_person_keys(store, consultation_id, participant_id)),
    )
    with store.read() as c:
        return {row.item: row.value for row in c.execute(query)}


def withdraw(
    store: Store, consultation_id: str, participant_id: str, keep_statements: bool = False
) -> str:
    """Delete all a participant gave, and give a receipt: the audit entry's hash.

    Left is a row that says somebody withdrew. Statements of theirs that others voted on stay: as
    they are and without an author where they wish so, or with their text taken out. Always
    possible, also when the consultation is closed.
    """
    with store.write() as c:
        _active(c, consultation_id, participant_id)
        written = c.scalars(
            select(statement.c.id).where(
                statement.c.consultation_id == consultation_id,
                statement.c.author_id == participant_id,
            )
        ).all()
        for table in (vote, vote_event, comparison, reaction, exposure, block, consent):
            c.execute(delete(table).where(*_by(table, consultation_id, participant_id)))
        c.execute(
            delete(participant_session).where(
                *_by(participant_session, consultation_id, participant_id)
            )
        )
        c.execute(
            delete(demographic).where(
                demographic.c.consultation_id == consultation_id,
                demographic.c.person_key.in_(_person_keys(store, consultation_id, participant_id)),
            )
        )
        drop_label(c, consultation_id, participant_id)
        for id in written:
            _take_back(c, consultation_id, id, keep_statements)
        c.execute(
            update(participant)
            .where(*_is(consultation_id, participant_id))
            .values(
                withdrawn_at=now(),
                return_hash=None,
                invitation_id=None,
                takes_part=False,
                consent_votes=False,
                consent_texts=False,
                consent_training=False,
                acts=0,
                weight=None,
                exclusion_reason=None,
            )
        )
        detail = {"statements": len(written), "kept": keep_statements}
        return audit.append(
            c, consultation_id, "participant", "participant.withdraw", participant_id, detail
        )


def exclude(
    store: Store, consultation_id: str, participant_id: str, reason: str, actor: str
) -> None:
    """Leave a participant out of every count; nothing of theirs is deleted, and they can go on."""
    _set_excluded(store, consultation_id, participant_id, reason, actor)


def include(store: Store, consultation_id: str, participant_id: str, actor: str) -> None:
    """Take an exclusion back."""
    _set_excluded(store, consultation_id, participant_id, None, actor)


def set_weights(
    store: Store, consultation_id: str, weights: Mapping[str, float | None], actor: str
) -> None:
    """Weights to the population, by participant."""
    with store.write() as c:
        for id, weight in weights.items():
            c.execute(update(participant).where(*_is(consultation_id, id)).values(weight=weight))
        audit.append(c, consultation_id, actor, "participant.weights", "", {"count": len(weights)})


def participants(store: Store, consultation_id: str) -> list[Participant]:
    """Everybody who ever joined, in the order of joining."""
    query = select(*_COLUMNS).where(participant.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(participant.c.created, participant.c.id)).mappings()
        return [Participant(**row) for row in rows]


def get(store: Store, consultation_id: str, participant_id: str) -> Participant:
    """One participant. Raises NotFoundError."""
    with store.read() as c:
        return _participant(c, consultation_id, participant_id)


def stratum(store: Store, consultation_id: str, participant_id: str) -> str:
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


_NEXT_ACT = (
    update(participant)
    .where(
        participant.c.consultation_id == bindparam("of"),
        participant.c.id == bindparam("who"),
        participant.c.takes_part,
        participant.c.withdrawn_at.is_(None),
    )
    .values(acts=participant.c.acts + bindparam("many"))
    .returning(participant.c.acts)
)
_NEXT_ACTS = Prepared(_NEXT_ACT)


def begin_act(c: Connection, consultation_id: str, participant_id: str) -> int:
    """The place of the act that is being stored among this participant's; holds their row till commit.

    Raises RefusedError "withdrawn" or "consent", and NotFoundError.
    """
    number = c.scalar(_NEXT_ACT, {"of": consultation_id, "who": participant_id, "many": 1})
    if number is None:
        raise _may_not_act(c, consultation_id, participant_id)
    return int(number) - 1


def begin_acts(d: Driver, consultation_id: str, participant_id: str, many: int) -> int:
    """As `begin_act` for several acts that follow each other; gives the place of the first."""
    given = {"of": consultation_id, "who": participant_id, "many": many}
    row = d.one(_NEXT_ACTS, given)
    if row is None:
        raise _may_not_act(d.connection, consultation_id, participant_id)
    return int(row[0]) - many


def _may_not_act(c: Connection, consultation_id: str, participant_id: str) -> RefusedError:
    _active(c, consultation_id, participant_id)
    return RefusedError("consent", "nothing is stored before consent to take part is given.")


def person_keys(store: Store, consultation_id: str, ids: Sequence[str]) -> dict[str, str]:
    """From each key the demographics may stand under to the participant; needs the secret."""
    return {key: id for id in ids for key in _person_keys(store, consultation_id, id)}


def counts(store: Store, consultation_id: str) -> dict[str, int]:
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


def _by(table: Any, consultation_id: str, participant_id: str) -> list[Any]:
    return [
        table.c.consultation_id == consultation_id,
        table.c.participant_id == participant_id,
    ]


def _participant(c: Connection, consultation_id: str, id: str) -> Participant:
    row = found(c, select(*_COLUMNS).where(*_is(consultation_id, id)), "participant")
    return Participant(**row._mapping)


def _active(c: Connection, consultation_id: str, id: str) -> Participant:
    person = _participant(c, consultation_id, id)
    if person.withdrawn_at is not None:
        raise RefusedError("withdrawn", "this participant has withdrawn.")
    return person


def _usable(store: Store, consultation_id: str, token: str) -> list[Any]:
    i = invitation.c
    return [
        i.consultation_id == consultation_id,
        i.token_hash.in_(store.secrets.hashes(_INVITATION, token)),
        i.used_at.is_(None),
        i.revoked_at.is_(None),
        or_(i.expires.is_(None), i.expires > now()),
    ]


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
        letters += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[at]
    return read_code(letters)


def _person_keys(store: Store, consultation_id: str, participant_id: str) -> list[str]:
    return store.secrets.hashes(_PERSON, f"{consultation_id}\0{participant_id}")


def _language(what: About, wanted: str) -> str:
    return wanted if wanted in what.settings.languages else what.settings.languages[0]


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
        audit.append(c, consultation_id, actor, action, participant_id, detail)
