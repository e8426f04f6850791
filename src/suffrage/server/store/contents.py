"""Between the store and `Consultation`, the plain tables that everything else reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, Select, Table, insert, null, select

from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.consult.groups.group_names import groups_of_people
from suffrage.consult.people import Consent
from suffrage.consult.polis.conversation import Conversation
from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store import database_schema as schema
from suffrage.server.store.consultations import (
    SLUG,
    ConsultationSettings,
    StoredConsultation,
    find_consultation,
)
from suffrage.server.store.database import Store, now
from suffrage.server.store.demographics import person_key, person_keys
from suffrage.server.store.known_groups import current_numbers, store_groups
from suffrage.server.store.polis_times import logged_votes, times_of_last_votes
from suffrage.server.store.secret_keys import new_id
from suffrage.server.texts import fold, without_hidden

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Pair:
    """A table of `Consultation` and the table of the store that holds it."""

    stored: Table
    # From a column of the consultation's table to the one of the store's.
    columns: Mapping[str, str]
    # Columns that are worked out from the store's.
    made: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)

    def query(self, names: Iterable[str], consultation_id: str) -> Select[Any]:
        """Read the columns of these names."""
        found = {name: self.stored.c[of] for name, of in self.columns.items()}
        columns = ({**found, **self.made}[name].label(name) for name in names)
        return select(*columns).where(self.stored.c.consultation_id == consultation_id)

    def written(self, row: Row) -> dict[str, Any]:
        """What the store keeps of a row of the consultation's table."""
        return {of: row[name] for name, of in self.columns.items()}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# In the order in which they are written: what others point to comes first.
_PAIRS = {
    "participants": _Pair(
        schema.participant,
        {"participant": "id"}
        | _same("verified", "language", "exclusion_reason", "weight")
        | _same("consent_votes", "consent_texts", "consent_training"),
        {"excluded": schema.participant.c.excluded_at.is_not(None), "group": null()},
    ),
    "demographics": _Pair(
        schema.demographic,
        _same("item", "value"),
        {"participant": schema.demographic.c.person_key},
    ),
    "statements": _Pair(
        schema.statement,
        {"statement": "id", "author": "author_id", "order": "position"}
        | _same("text", "language", "seed", "state", "meta"),
    ),
    "votes": _Pair(
        schema.vote,
        {"participant": "participant_id", "statement": "statement_id"}
        | {"vote": "value", "order": "position"}
        | _same("important", "probability"),
    ),
    "prompts": _Pair(schema.prompt, {"prompt": "id"} | _same("text", "language", "topic")),
    "answers": _Pair(
        schema.answer,
        {"answer": "id", "prompt": "prompt_id"} | _same("text", "model", "language"),
    ),
    "comparisons": _Pair(
        schema.comparison,
        {"participant": "participant_id", "prompt": "prompt_id"}
        | {"left": "left_id", "right": "right_id", "check": "attention", "order": "position"}
        | _same("outcome", "confidence", "reasons", "core", "probability"),
    ),
    "reactions": _Pair(
        schema.reaction,
        {"participant": "participant_id", "answer": "answer_id", "order": "position"}
        | _same("value", "reasons"),
    ),
}


def to_consultation(store: Store, slug: str) -> Consultation:
    """Return all that was collected, at one moment.

    People who withdrew or never consented are not in it. It needs the store's secret, without which
    nobody can tell whose the demographics are. Raises NotFoundError.
    """
    what = find_consultation(store, slug)
    stored = schema.consultation.c
    with store.read() as c:
        tables = {name: _read(c, name, what.id) for name in _PAIRS}
        groups = current_numbers(c, what.id)
        label = c.scalar(select(stored.created_label).where(stored.id == what.id))
    people = tables["participants"]["participant"]
    tables["participants"] = tables["participants"].with_columns(
        pl.Series("group", [groups.get(person) for person in people], pl.Int32)
    )
    keys = person_keys(store, what.id, people.to_list())
    tables["demographics"] = tables["demographics"].with_columns(
        pl.col("participant").replace_strict(keys, default=None, return_dtype=pl.String)
    )
    known = pl.col("participant").is_in(people.implode())
    tables = {
        name: table.filter(known) if "participant" in table.columns else table
        for name, table in tables.items()
    }
    author = pl.col("author")
    tables["statements"] = tables["statements"].with_columns(
        pl.when(author.is_in(people.implode())).then(author)
    )
    language = what.settings.languages[0]
    return Consultation(
        slug=what.slug,
        title=what.text(what.title, language)[0],
        question=what.text(what.question, language)[0],
        languages=what.settings.languages,
        created=label or datetime.fromtimestamp(what.created / 1000, UTC).date().isoformat(),
        **tables,
    )


def _read(c: Connection, name: str, consultation_id: str) -> pl.DataFrame:
    """One of the consultation's tables; of participants those who take part."""
    columns = dict(SCHEMAS[name])
    query = _PAIRS[name].query(columns, consultation_id)
    if name == "participants":
        query = query.where(schema.participant.c.takes_part)
    return pl.DataFrame([tuple(row) for row in c.execute(query)], schema=columns, orient="row")


def from_consultation(
    store: Store,
    content: Consultation,
    actor: str = "command line",
    stated: Collection[Consent] = (),
    read_from: Conversation | None = None,
) -> StoredConsultation:
    """Put a consultation into the store as a new one, closed, with its ids as they are.

    Parameters
    ----------
    store : Store
    content : Consultation
    actor : str
        Who does it, for the audit log.
    stated : collection of str
        Consents that the importer stated for everybody, for the audit log.
    read_from : Conversation, optional
        The Polis conversation that the content comes from. Its times, its log of votes and what
        its summary says are stored too, so that they can be written again.

    Raises
    ------
    InputError
        The slug is taken or is none, or something but a text has a NUL character.
    """
    content = _without_hidden(content)
    if not SLUG.fullmatch(content.slug):
        raise InputError(
            f'slug "{content.slug}": use lowercase letters, digits and hyphens, at most 64.'
        )
    languages = content.languages or ("en",)
    # Whoever imports a consultation decides first whether others may see its results.
    settings = ConsultationSettings(languages=languages, results_when_closed="organisers")
    id, at = new_id(), now()
    taken = select(schema.consultation.c.id).where(schema.consultation.c.slug == content.slug)
    with store.write() as c:
        if c.scalar(taken):
            raise InputError(f'slug "{content.slug}" is taken in this store; rename one of them.')
        c.execute(
            insert(schema.consultation).values(
                id=id,
                slug=content.slug,
                title={languages[0]: content.title},
                question={languages[0]: content.question},
                phase="closed",
                settings=settings.model_dump(mode="json"),
                about=dict(read_from.about) if read_from else None,
                created_label=content.created,
                created=at,
            )
        )
        more = _what_only_the_store_has(store, content, id, at, read_from)
        for name, pair in _PAIRS.items():
            rows = [
                {"consultation_id": id, **pair.written(row), **more[name](row, place)}
                for place, row in enumerate(getattr(content, name).iter_rows(named=True))
            ]
            if rows:
                c.execute(insert(pair.stored), rows)
        store_groups(c, id, groups_of_people(content))
        if read_from is not None and read_from.events is not None:
            c.execute(insert(schema.vote_event), logged_votes(read_from.events, id))
        detail: dict[str, Any] = {"hash": content.content_hash}
        if stated:
            detail["consents_stated"] = sorted(stated)
        audit.append_entry(c, id, actor, "consultation.import", content.slug, detail)
    return find_consultation(store, content.slug)


def _without_hidden(content: Consultation) -> Consultation:
    """Return a consultation whose texts hide nothing, like those that people type."""
    text = pl.col("text").map_elements(without_hidden, pl.String)
    changed: dict[str, Any] = {
        name: getattr(content, name).with_columns(text)
        for name in ("statements", "prompts", "answers")
    }
    for name in _PAIRS:
        table = changed.get(name, getattr(content, name))
        for column in table.select(pl.col(pl.String)).columns:
            # PostgreSQL stores none.
            if table[column].str.contains("\0", literal=True).any():
                raise InputError(f"{name}: the column {column} has a NUL character; take it out.")
    title, question = without_hidden(content.title), without_hidden(content.question)
    return replace(content, title=title, question=question, **changed)


def _what_only_the_store_has(
    store: Store, content: Consultation, id: str, at: int, read_from: Conversation | None
) -> dict[str, Callable[[Row, int], dict[str, Any]]]:
    """For each table what a row has in the store alone, from the row and its place.

    id: of the consultation. at: the time of the import.
    """
    acts = _acts(content)
    written = {s.id: s.created for s in read_from.statements} if read_from else {}
    voted = times_of_last_votes(read_from.events if read_from else None)
    return {
        "participants": lambda row, _: {
            "takes_part": True,
            "acts": acts.get(row["participant"], 0),
            "created": at,
            "excluded_at": at if row["excluded"] else None,
        },
        "demographics": lambda row, _: {"person_key": person_key(store, id, row["participant"])},
        "statements": lambda row, _: {
            "text_key": fold(row["text"]),
            "flags": [],
            "created": at if written.get(row["statement"]) is None else written[row["statement"]],
        },
        "votes": lambda row, _: {"updated": voted.get((row["participant"], row["statement"]), at)},
        "prompts": lambda _, place: {"position": place},
        "answers": lambda _, place: {"made_with": {}, "shown": True, "position": place},
        "comparisons": lambda *_: {"id": new_id(), "at": at},
        "reactions": lambda *_: {"updated": at},
    }


def _acts(content: Consultation) -> dict[str, int]:
    """For each participant the place after their last act."""
    acts = pl.concat(
        table.select("participant", "order")
        for table in (content.votes, content.comparisons, content.reactions)
    )
    last = acts.group_by("participant").agg(pl.col("order").max() + 1)
    return dict(last.iter_rows())
