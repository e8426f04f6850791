"""The first tables, and what keeps the audit log from being rewritten."""

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


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "number", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "consultation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("title", sa.JSON(), nullable=False),
        sa.Column("question", sa.JSON(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_label", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=True),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "phase IN ('draft', 'open', 'closed', 'archived')", name=op.f("ck_consultation_phase")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consultation")),
        sa.UniqueConstraint("slug", name=op.f("uq_consultation_slug")),
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
    )
    op.create_table(
        "demographic",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("person_key", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_demographic_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "consultation_id", "person_key", "item", name=op.f("pk_demographic")
        ),
    )
    op.create_table(
        "invitation",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_invitation_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )
    op.create_table(
        "principle",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_principle_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_principle")),
    )
    op.create_table(
        "prompt",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_prompt_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_prompt")),
    )
    op.create_table(
        "release",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_release_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_release_created_by")),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_release")),
        sa.UniqueConstraint(
            "consultation_id", "version", name=op.f("uq_release_consultation_id_version")
        ),
    )
    op.create_table(
        "snapshot",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_snapshot_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "version", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "staff_role",
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "role IN ('viewer', 'analyst', 'moderator', 'owner')", name=op.f("ck_staff_role_role")
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_staff_role_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_role_staff_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", "consultation_id", name=op.f("pk_staff_role")),
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_staff_session")),
    )
    op.create_index("ix_staff_session_staff_id", "staff_session", ["staff_id"], unique=False)
    op.create_table(
        "answer",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("made_with", sa.JSON(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("licence", sa.Text(), server_default="", nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "prompt_id"],
            ["prompt.consultation_id", "prompt.id"],
            name=op.f("fk_answer_consultation_id_prompt_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_answer_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_answer")),
    )
    op.create_table(
        "participant",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("invitation_id", sa.Text(), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("return_hash", sa.Text(), nullable=True),
        sa.Column("takes_part", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("consent_votes", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("consent_texts", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("consent_training", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("acts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("excluded_at", sa.BigInteger(), nullable=True),
        sa.Column("exclusion_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consultation_id", "invitation_id"],
            ["invitation.consultation_id", "invitation.id"],
            name=op.f("fk_participant_consultation_id_invitation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_participant_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_participant")),
        sa.UniqueConstraint("return_hash", name=op.f("uq_participant_return_hash")),
    )
    op.create_table(
        "block",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("goal", sa.BigInteger(), nullable=False),
        sa.Column("extended", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_block_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_block_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_block")),
    )
    op.create_index(
        "ix_block_participant", "block", ["consultation_id", "participant_id"], unique=False
    )
    op.create_table(
        "comparison",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("left_id", sa.Text(), nullable=False),
        sa.Column("right_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("confidence", sa.SmallInteger(), nullable=True),
        sa.Column("reasons", sa.Text(), server_default="", nullable=False),
        sa.Column("core", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("exposure_id", sa.Text(), nullable=True),
        sa.Column("response_ms", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('left', 'right', 'tie', 'both_bad', 'skip')",
            name=op.f("ck_comparison_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "left_id"],
            ["answer.consultation_id", "answer.id"],
            name=op.f("fk_comparison_consultation_id_left_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_comparison_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "prompt_id"],
            ["prompt.consultation_id", "prompt.id"],
            name=op.f("fk_comparison_consultation_id_prompt_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "right_id"],
            ["answer.consultation_id", "answer.id"],
            name=op.f("fk_comparison_consultation_id_right_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_comparison_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_comparison")),
        sa.UniqueConstraint("consultation_id", "exposure_id", name="uq_comparison_exposure"),
    )
    op.create_index(
        "ix_comparison_participant",
        "comparison",
        ["consultation_id", "participant_id"],
        unique=False,
    )
    op.create_index(
        "ix_comparison_prompt", "comparison", ["consultation_id", "prompt_id"], unique=False
    )
    op.create_table(
        "consent",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("text_version", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_consent_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_consent_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index(
        "ix_consent_participant", "consent", ["consultation_id", "participant_id"], unique=False
    )
    op.create_table(
        "exposure",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("left_id", sa.Text(), nullable=True),
        sa.Column("right_id", sa.Text(), nullable=True),
        sa.Column("core", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('vote', 'comparison', 'reaction')", name=op.f("ck_exposure_kind")
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_exposure_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_exposure_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_exposure")),
    )
    op.create_index(
        "ix_exposure_participant",
        "exposure",
        ["consultation_id", "participant_id", "kind"],
        unique=False,
    )
    op.create_table(
        "participant_session",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_participant_session_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_participant_session_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_participant_session")),
    )
    op.create_index(
        "ix_participant_session_participant",
        "participant_session",
        ["consultation_id", "participant_id"],
        unique=False,
    )
    op.create_table(
        "reaction",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("answer_id", sa.Text(), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", sa.Text(), server_default="", nullable=False),
        sa.Column("exposure_id", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value IN (-1, 1)", name=op.f("ck_reaction_value")),
        sa.ForeignKeyConstraint(
            ["consultation_id", "answer_id"],
            ["answer.consultation_id", "answer.id"],
            name=op.f("fk_reaction_consultation_id_answer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_reaction_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "consultation_id", "participant_id", "answer_id", name=op.f("pk_reaction")
        ),
    )
    op.create_table(
        "statement",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_key", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=True),
        sa.Column("seed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("supersedes_id", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('accepted', 'pending', 'rejected', 'flagged')",
            name=op.f("ck_statement_state"),
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "author_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_statement_consultation_id_author_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_statement_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "id", name=op.f("pk_statement")),
    )
    op.create_index("ix_statement_state", "statement", ["consultation_id", "state"], unique=False)
    op.create_index(
        "ix_statement_text_key", "statement", ["consultation_id", "text_key"], unique=False
    )
    op.create_table(
        "moderation_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "statement_id"],
            ["statement.consultation_id", "statement.id"],
            name=op.f("fk_moderation_event_consultation_id_statement_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_moderation_event_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_moderation_event_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderation_event")),
    )
    op.create_index(
        "ix_moderation_event_statement",
        "moderation_event",
        ["consultation_id", "statement_id"],
        unique=False,
    )
    op.create_table(
        "principle_source",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("principle_id", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("merged_by", sa.Text(), server_default="", nullable=False),
        sa.Column("rationale", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "principle_id"],
            ["principle.consultation_id", "principle.id"],
            name=op.f("fk_principle_source_consultation_id_principle_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "statement_id"],
            ["statement.consultation_id", "statement.id"],
            name=op.f("fk_principle_source_consultation_id_statement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "consultation_id", "principle_id", "statement_id", name=op.f("pk_principle_source")
        ),
    )
    op.create_table(
        "statement_translation",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint(
            "source IN ('human', 'machine')", name=op.f("ck_statement_translation_source")
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "statement_id"],
            ["statement.consultation_id", "statement.id"],
            name=op.f("fk_statement_translation_consultation_id_statement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "consultation_id", "statement_id", "language", name=op.f("pk_statement_translation")
        ),
    )
    op.create_table(
        "vote",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.Column("important", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("exposure_id", sa.Text(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value IN (-1, 0, 1)", name=op.f("ck_vote_value")),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_vote_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "statement_id"],
            ["statement.consultation_id", "statement.id"],
            name=op.f("fk_vote_consultation_id_statement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "consultation_id", "participant_id", "statement_id", name=op.f("pk_vote")
        ),
    )
    op.create_index("ix_vote_statement", "vote", ["consultation_id", "statement_id"], unique=False)
    op.create_table(
        "vote_event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.Column("important", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id", "participant_id"],
            ["participant.consultation_id", "participant.id"],
            name=op.f("fk_vote_event_consultation_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id", "statement_id"],
            ["statement.consultation_id", "statement.id"],
            name=op.f("fk_vote_event_consultation_id_statement_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_vote_event_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vote_event")),
    )
    op.create_index(
        "ix_vote_event_consultation", "vote_event", ["consultation_id", "id"], unique=False
    )
    op.create_index(
        "ix_vote_event_participant",
        "vote_event",
        ["consultation_id", "participant_id"],
        unique=False,
    )
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in SQLITE_GUARDS if on_sqlite else POSTGRESQL_GUARDS:
        op.execute(guard)
