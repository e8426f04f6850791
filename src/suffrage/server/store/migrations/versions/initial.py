"""The first tables, and what keeps the audit log from being rewritten."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "initial"
down_revision = None
branch_labels = None
depends_on = None

# The same on both: an entry that is there can be read, and nothing else.
SQLITE_GUARDS = [
    f"CREATE TRIGGER audit_no_{act} BEFORE {act.upper()} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for act in ("update", "delete")
]
POSTGRESQL_GUARDS = [
    "CREATE FUNCTION audit_guard() RETURNS trigger AS $$ "
    "BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$ LANGUAGE plpgsql",
    "CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()",
]
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TYPES: dict[str, Any] = {
    "text": sa.Text(),
    "json": sa.JSON(),
    "integer": sa.Integer(),
    "small": sa.SmallInteger(),
    "float": sa.Float(),
    "boolean": sa.Boolean(),
    # Milliseconds since 1970, and the number of a log's row.
    "time": sa.BigInteger(),
    "number": NUMBER,
}
# How a default is written: Boolean ones each database in its own way.
DEFAULTS: dict[str, Any] = {"''": "", "0": "0", "false": sa.false()}
VALUES = {
    "phase": "'draft', 'open', 'closed', 'archived'",
    "role": "'viewer', 'analyst', 'moderator', 'owner'",
    "state": "'accepted', 'pending', 'rejected', 'flagged'",
    "source": "'human', 'machine'",
    "outcome": "'left', 'right', 'tie', 'both_bad', 'skip'",
    "kind": "'vote', 'comparison', 'reaction'",
}


def upgrade() -> None:
    """Make the tables; what others point to comes first."""
    _make_logs_and_staff()
    _make_people()
    _make_what_is_put_to_people()
    _make_what_people_say()
    _make_what_comes_of_it()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in SQLITE_GUARDS if on_sqlite else POSTGRESQL_GUARDS:
        op.execute(guard)


def _make_logs_and_staff() -> None:
    _table(
        "audit",
        "chain text, number integer, previous text, hash text, actor text, action text, "
        "object text, detail json, at time",
        key="chain number",
    )
    _table("audit_head", "chain text, number integer, hash text", key="chain")
    _table(
        "consultation",
        "id text, slug text unique, title json, question json, phase text listed, settings json, "
        "created_label text '', created time, opened time?, closed time?",
        key="id",
    )
    _table(
        "staff",
        "id text, email text unique, name text '', password_hash text, disabled boolean false, "
        "created time",
        key="id",
    )
    _table(
        "staff_role",
        "staff_id text, consultation_id text, role text listed",
        key="staff_id consultation_id",
        staff="staff_id",
    )
    _table(
        "staff_session",
        "token_hash text, staff_id text, created time, expires time",
        key="token_hash",
        staff="staff_id",
        indexes={"ix_staff_session_staff_id": "staff_id"},
    )


def _make_people() -> None:
    _table(
        "demographic",
        "consultation_id text, person_key text, item text, value text",
        key="consultation_id person_key item",
    )
    _table(
        "invitation",
        "consultation_id text, id text, token_hash text unique, stratum text '', created time, "
        "expires time?, used_at time?, revoked_at time?",
    )
    _table(
        "participant",
        "consultation_id text, id text, invitation_id text?, verified boolean, language text, "
        "return_hash text? unique, takes_part boolean false, consent_votes boolean false, "
        "consent_texts boolean false, consent_training boolean false, acts integer 0, "
        "weight float?, created time, withdrawn_at time?, excluded_at time?, "
        "exclusion_reason text?",
        to={"invitation_id": "invitation"},
    )
    whose = {"participant_id": "participant"}
    _table(
        "participant_session",
        "token_hash text, consultation_id text, participant_id text, created time, expires time",
        key="token_hash",
        to=whose,
        indexes={"ix_participant_session_participant": "consultation_id participant_id"},
    )
    _table(
        "consent",
        "id number, consultation_id text, participant_id text, text_version text, text_hash text, "
        "scopes json, given_at time",
        key="id",
        to=whose,
        indexes={"ix_consent_participant": "consultation_id participant_id"},
    )
    _table(
        "block",
        "consultation_id text, id text, participant_id text, started time, goal time, "
        "extended integer 0, finished time?",
        to=whose,
        indexes={"ix_block_participant": "consultation_id participant_id"},
    )


def _make_what_is_put_to_people() -> None:
    _table(
        "statement",
        "consultation_id text, id text, text text, text_key text, language text, author_id text?, "
        "seed boolean false, state text listed, flags json, supersedes_id text?, "
        "position integer, created time",
        to={"author_id": "participant"},
        indexes={
            "ix_statement_state": "consultation_id state",
            "ix_statement_text_key": "consultation_id text_key",
        },
    )
    _table(
        "statement_translation",
        "consultation_id text, statement_id text, language text, text text, source text listed, "
        "reviewed boolean false",
        key="consultation_id statement_id language",
        to={"statement_id": "statement"},
        of_consultation=False,
    )
    _table(
        "moderation_event",
        "id number, consultation_id text, statement_id text, staff_id text?, from_state text, "
        "to_state text, reason text, note text '', at time",
        key="id",
        to={"statement_id": "statement"},
        staff="staff_id",
        indexes={"ix_moderation_event_statement": "consultation_id statement_id"},
    )
    _table(
        "prompt",
        "consultation_id text, id text, text text, language text, topic text?, position integer",
    )
    _table(
        "answer",
        "consultation_id text, id text, prompt_id text, text text, model text, language text, "
        "made_with json, tokens integer?, licence text '', shown boolean, position integer",
        to={"prompt_id": "prompt"},
    )
    _table(
        "exposure",
        "consultation_id text, id text, participant_id text, kind text listed, item_id text, "
        "left_id text?, right_id text?, core boolean false, attention text?, policy text, "
        "probability float?, position integer, shown_at time, answered_at time?",
        to={"participant_id": "participant"},
        indexes={"ix_exposure_participant": "consultation_id participant_id kind"},
    )


def _make_what_people_say() -> None:
    on_statement = {"participant_id": "participant", "statement_id": "statement"}
    _table(
        "vote",
        "consultation_id text, participant_id text, statement_id text, value small, "
        "important boolean false, exposure_id text?, probability float?, position integer, "
        "event_id number?, updated time",
        key="consultation_id participant_id statement_id",
        to=on_statement,
        of_consultation=False,
        check="value IN (-1, 0, 1)",
        indexes={"ix_vote_statement": "consultation_id statement_id"},
    )
    _table(
        "vote_event",
        "id number, consultation_id text, participant_id text, statement_id text, value small, "
        "important boolean, at time",
        key="id",
        to=on_statement,
        indexes={
            "ix_vote_event_participant": "consultation_id participant_id",
            "ix_vote_event_consultation": "consultation_id id",
        },
    )
    _table(
        "comparison",
        "consultation_id text, id text, participant_id text, prompt_id text, left_id text, "
        "right_id text, outcome text listed, confidence small?, reasons text '', "
        "core boolean false, attention text?, probability float?, exposure_id text?, "
        "response_ms integer?, position integer, at time",
        to={
            "participant_id": "participant",
            "prompt_id": "prompt",
            "left_id": "answer",
            "right_id": "answer",
        },
        unique={"uq_comparison_exposure": "consultation_id exposure_id"},
        indexes={
            "ix_comparison_participant": "consultation_id participant_id",
            "ix_comparison_prompt": "consultation_id prompt_id",
        },
    )
    _table(
        "reaction",
        "consultation_id text, participant_id text, answer_id text, value small, "
        "reasons text '', exposure_id text?, position integer, updated time",
        key="consultation_id participant_id answer_id",
        to={"participant_id": "participant", "answer_id": "answer"},
        of_consultation=False,
        check="value IN (-1, 1)",
    )


def _make_what_comes_of_it() -> None:
    _table(
        "snapshot",
        "consultation_id text, version integer, event_id number, people integer, votes integer, "
        "settings json, code_version text, result json, created time",
        key="consultation_id version",
    )
    _table(
        "principle",
        "consultation_id text, id text, text text, version integer, position integer",
    )
    _table(
        "principle_source",
        "consultation_id text, principle_id text, statement_id text, merged_by text '', "
        "rationale text ''",
        key="consultation_id principle_id statement_id",
        to={"principle_id": "principle", "statement_id": "statement"},
        of_consultation=False,
    )
    _table(
        "release",
        "consultation_id text, id text, version text, manifest json, sha256 text, "
        "created_by text?, at time",
        staff="created_by",
        unique={"uq_release_consultation_id_version": "consultation_id version"},
    )


def _table(
    name: str,
    columns: str,
    key: str = "consultation_id id",
    to: Mapping[str, str] | None = None,
    staff: str = "",
    of_consultation: bool = True,
    check: str = "",
    unique: Mapping[str, str] | None = None,
    indexes: Mapping[str, str] | None = None,
) -> None:
    """Make a table.

    Parameters
    ----------
    columns : str
        "name type" with commas between. A type with a question mark may be empty; then may follow a
        default, "unique", and "listed" where the values are those of `VALUES`.
    to : mapping
        From columns to the tables they point to, always within the same consultation.
    staff : str
        The column that points to a member of staff.
    of_consultation : bool
        Whether `consultation_id`, where there is one, points to the consultation by itself.
    check : str
        What must hold for `value`.
    unique, indexes : mapping
        From names to columns.
    """
    parts: list[Any] = []
    for column, type, *more in (part.split() for part in columns.split(", ")):
        default = next((DEFAULTS[word] for word in more if word in DEFAULTS), None)
        empty = type.endswith("?")
        counted = key == column == "id" and type == "number"
        parts.append(
            sa.Column(
                column,
                TYPES[type.removesuffix("?")],
                server_default=default,
                nullable=empty,
                autoincrement=True if counted else "auto",
            )
        )
        if "unique" in more:
            parts.append(sa.UniqueConstraint(column, name=op.f(f"uq_{name}_{column}")))
        if "listed" in more:
            rule = f"{column} IN ({VALUES[column]})"
            parts.append(sa.CheckConstraint(rule, name=op.f(f"ck_{name}_{column}")))
    if check:
        parts.append(sa.CheckConstraint(check, name=op.f(f"ck_{name}_value")))
    for rule, names in (unique or {}).items():
        parts.append(sa.UniqueConstraint(*names.split(), name=op.f(rule)))
    parts.append(sa.PrimaryKeyConstraint(*key.split(), name=op.f(f"pk_{name}")))
    parts += _keys(name, to or {}, staff, of_consultation and "consultation_id" in columns)
    op.create_table(name, *parts)
    for index, names in (indexes or {}).items():
        op.create_index(index, name, names.split())


def _keys(
    name: str, to: Mapping[str, str], staff: str, of_consultation: bool
) -> list[sa.ForeignKeyConstraint]:
    """The keys of a table into others; see `_table`."""
    keys = [
        (["consultation_id", column], [f"{other}.consultation_id", f"{other}.id"], "CASCADE")
        for column, other in to.items()
    ]
    if of_consultation:
        keys.append((["consultation_id"], ["consultation.id"], "CASCADE"))
    if staff:
        # What a member of staff decided or made is not deleted with them; their roles are.
        own = name.startswith("staff_")
        keys.append(([staff], ["staff.id"], "CASCADE" if own else ""))
    return [
        sa.ForeignKeyConstraint(
            own, other, name=op.f(f"fk_{name}_{'_'.join(own)}"), ondelete=delete or None
        )
        for own, other, delete in keys
    ]
