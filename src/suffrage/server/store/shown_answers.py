"""Prompts and the models' answers that participants compare and react to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update

from suffrage.errors import InputError
from suffrage.server.store import audit
from suffrage.server.store.consultations import find_consultation_by_id
from suffrage.server.store.database import NotFoundError, Store, next_position, upsert
from suffrage.server.store.database_schema import answer, comparison, prompt
from suffrage.server.texts import without_hidden

# What the ids of prompts and answers begin with that come from a chat: a participant wrote them.
CHAT = "chat-"


@dataclass(frozen=True)
class ShownPrompt:
    """What was put to the models."""

    id: str
    text: str
    language: str
    topic: str | None = None


@dataclass(frozen=True)
class ShownAnswer:
    """One model's answer."""

    id: str
    prompt_id: str
    text: str
    # Never shown to participants.
    model: str
    language: str
    made_with: Mapping[str, Any] = field(default_factory=dict)
    tokens: int | None = None
    licence: str = ""
    # False takes it out of the draw.
    shown: bool = True


def put_prompts(
    store: Store,
    consultation_id: str,
    prompts: Sequence[ShownPrompt],
    answers: Sequence[ShownAnswer],
    actor: str,
) -> None:
    """Put prompts and answers in, all or none; those whose ids are there must be the same.

    What was compared never changes. Raises InputError naming an answer without its prompt, or an id
    whose text would change.
    """
    with store.write() as c:
        find_consultation_by_id(c, consultation_id)
        both: tuple[tuple[Table, Sequence[ShownPrompt | ShownAnswer]], ...] = (
            (prompt, prompts),
            (answer, answers),
        )
        for table, things in both:
            position = next_position(c, table.c.position, consultation_id)
            of = table.c.consultation_id == consultation_id
            query = select(table.c.id, table.c.text).where(of)
            known = {row.id: row.text for row in c.execute(query)}
            for at, given in enumerate(things):
                thing = replace(given, text=without_hidden(given.text))
                if thing.id in known:
                    if known[thing.id] != thing.text:
                        raise InputError(
                            "%(id)s is there with another text; give it a new id.",
                            id=f"{table.name} {thing.id}",
                        )
                    continue
                if isinstance(thing, ShownAnswer) and not c.scalar(
                    select(prompt.c.id).where(
                        prompt.c.consultation_id == consultation_id,
                        prompt.c.id == thing.prompt_id,
                    )
                ):
                    raise InputError(
                        "answer %(id)s: its prompt %(prompt)s is not here; add it first.",
                        id=thing.id,
                        prompt=thing.prompt_id,
                    )
                values = {"position": position + at, **vars(thing)}
                if isinstance(thing, ShownAnswer):
                    values["made_with"] = dict(thing.made_with)
                c.execute(
                    upsert(c, table)
                    .values(consultation_id=consultation_id, **values)
                    .on_conflict_do_nothing()
                )
                known[thing.id] = thing.text
        detail = {"prompts": len(prompts), "answers": len(answers)}
        audit.append_entry(c, consultation_id, actor, "answers.import", "", detail)


def set_shown(store: Store, consultation_id: str, answer_id: str, shown: bool, actor: str) -> None:
    """Take an answer out of what is shown, or put it back. Raises NotFoundError."""
    with store.write() as c:
        done = c.execute(
            update(answer)
            .where(answer.c.consultation_id == consultation_id, answer.c.id == answer_id)
            .values(shown=shown)
        )
        if done.rowcount == 0:
            raise NotFoundError("there is no such answer.")
        audit.append_entry(c, consultation_id, actor, "answer.show", answer_id, {"shown": shown})


def list_prompts(store: Store, consultation_id: str) -> list[ShownPrompt]:
    """Return all prompts, in the order they came."""
    columns = [prompt.c[name] for name in ShownPrompt.__dataclass_fields__]
    query = select(*columns).where(prompt.c.consultation_id == consultation_id)
    with store.read() as c:
        rows = c.execute(query.order_by(prompt.c.position)).mappings()
        return [ShownPrompt(**row) for row in rows]


def list_answers(store: Store, consultation_id: str, shown_only: bool = True) -> list[ShownAnswer]:
    """Return answers in the order they came; with `shown_only`, those in the draw alone."""
    columns = [answer.c[name] for name in ShownAnswer.__dataclass_fields__]
    query = select(*columns).where(answer.c.consultation_id == consultation_id)
    if shown_only:
        query = query.where(answer.c.shown)
    with store.read() as c:
        rows = c.execute(query.order_by(answer.c.position)).mappings()
        return [ShownAnswer(**row) for row in rows]


def delete_chat_prompts(c: Connection, consultation_id: str, participant_id: str) -> None:
    """Delete what a participant asked in chats, and the answers, unless somebody else asked it too.

    It must come before their comparisons are deleted, which say what they asked.
    """
    own = select(comparison.c.prompt_id).where(
        comparison.c.consultation_id == consultation_id,
        comparison.c.participant_id == participant_id,
        comparison.c.prompt_id.startswith(CHAT),
    )
    others = select(comparison.c.prompt_id).where(
        comparison.c.consultation_id == consultation_id,
        comparison.c.participant_id != participant_id,
    )
    asked = set(c.scalars(own)) - set(c.scalars(others))
    c.execute(
        delete(comparison).where(
            comparison.c.consultation_id == consultation_id,
            comparison.c.participant_id == participant_id,
            comparison.c.prompt_id.in_(asked),
        )
    )
    for table, column in ((answer, answer.c.prompt_id), (prompt, prompt.c.id)):
        c.execute(
            delete(table).where(table.c.consultation_id == consultation_id, column.in_(asked))
        )
