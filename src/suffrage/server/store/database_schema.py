"""The store's tables, for SQLite and PostgreSQL alike.

Times are milliseconds since 1970 in UTC. Ids are random texts; those of logs are numbers in the
order of writing. Texts in several languages are JSON objects from language to text.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
)

PHASES = ("draft", "open", "closed", "archived")
ROLES = ("viewer", "analyst", "moderator", "owner")
KINDS = ("vote", "comparison", "reaction")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only where the key is called INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_TIME = BigInteger


def _consultation(key: bool = False) -> Column[str]:
    return Column(
        "consultation_id",
        Text,
        ForeignKey("consultation.id", ondelete="CASCADE"),
        primary_key=key,
        nullable=False,
    )


def _of(column: str, table: str) -> ForeignKeyConstraint:
    """A key that can only point into the same consultation."""
    return ForeignKeyConstraint(
        ["consultation_id", column],
        [f"{table}.consultation_id", f"{table}.id"],
        ondelete="CASCADE",
    )


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


consultation = Table(
    "consultation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("title", JSON, nullable=False),
    Column("question", JSON, nullable=False),
    Column("phase", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    # What was written when an imported consultation was made, as its files say it.
    Column("created_label", Text, nullable=False, server_default=""),
    # Of an imported Polis conversation: what its summary says, such as its address.
    Column("about", JSON(none_as_null=True)),
    Column("created", _TIME, nullable=False),
    Column("opened", _TIME),
    Column("closed", _TIME),
    _one_of("phase", PHASES),
)

staff = Table(
    "staff",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    # Whether somebody else knows the password, so that the next page is the one to change it.
    Column("must_change", Boolean, nullable=False, server_default=false()),
    Column("created", _TIME, nullable=False),
)

staff_role = Table(
    "staff_role",
    metadata,
    Column("staff_id", Text, ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True),
    _consultation(key=True),
    Column("role", Text, nullable=False),
    _one_of("role", ROLES),
)

staff_session = Table(
    "staff_session",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    Column("created", _TIME, nullable=False),
    Column("expires", _TIME, nullable=False),
    Index("ix_staff_session_staff_id", "staff_id"),
)

# With each, one member sets a password once.
staff_link = Table(
    "staff_link",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    Column("created", _TIME, nullable=False),
    Column("expires", _TIME, nullable=False),
    Index("ix_staff_link_staff_id", "staff_id"),
)

# Browsers in which a member has signed in: nobody else's wrong passwords keep them out.
staff_browser = Table(
    "staff_browser",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    Column("created", _TIME, nullable=False),
    Column("expires", _TIME, nullable=False),
    Index("ix_staff_browser_staff_id", "staff_id"),
)

# Sign-ins that were refused. The address is a keyed hash: people type passwords into its field.
staff_refusal = Table(
    "staff_refusal",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id", ondelete="CASCADE")),
    Column("network", Text, nullable=False),
    # The hash of a browser that this member is known by, "" for any other.
    Column("browser", Text, nullable=False, server_default=""),
    # False once the member has signed in from there: it lengthens no wait any more.
    Column("counts", Boolean, nullable=False),
    Column("at", _TIME, nullable=False),
    Index("ix_staff_refusal_account", "account", "at"),
    Index("ix_staff_refusal_at", "at"),
)

# One mark for each key that was the first one of the secret; see `secret_marks.py`.
secret_mark = Table(
    "secret_mark",
    metadata,
    Column("mark", Text, primary_key=True),
    Column("first_used", _TIME, nullable=False),
)

# What callers may still do, where several processes share it; see `buckets.py`.
rate_bucket = Table(
    "rate_bucket",
    metadata,
    Column("key", Text, primary_key=True),
    # Seconds since 1970.
    Column("full_at", Double, nullable=False),
    # How many tokens the last one who asked was given.
    Column("taken", Integer, nullable=False),
)

# Puzzles that somebody has joined with, so that each counts once; see `puzzles.py`.
used_puzzle = Table(
    "used_puzzle",
    metadata,
    Column("mark", Text, primary_key=True),
    Column("expires", _TIME, nullable=False),
    Index("ix_used_puzzle_expires", "expires"),
)

invitation = Table(
    "invitation",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("stratum", Text, nullable=False, server_default=""),
    Column("created", _TIME, nullable=False),
    Column("expires", _TIME),
    Column("used_at", _TIME),
    Column("revoked_at", _TIME),
)

# Where an invitation is sent. The row is deleted when somebody joins with the invitation, so that
# nothing says which address a participant has.
invitation_mail = Table(
    "invitation_mail",
    metadata,
    Column("consultation_id", Text, primary_key=True),
    Column("invitation_id", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("language", Text, nullable=False),
    # invitation or reminder: what is sent next, and when; no time where nothing is.
    Column("kind", Text, nullable=False),
    Column("due", _TIME),
    Column("sent", Integer, nullable=False, server_default="0"),
    Column("sent_at", _TIME),
    # How often sending has failed since it last worked, and why.
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("failed", Text, nullable=False, server_default=""),
    _of("invitation_id", "invitation"),
    Index("ix_invitation_mail_due", "due"),
)

# Every address that was invited, as a keyed hash and without its invitation, so that nobody is
# invited twice.
invited_address = Table(
    "invited_address",
    metadata,
    _consultation(key=True),
    Column("address_hash", Text, primary_key=True),
)

consultation_logo = Table(
    "consultation_logo",
    metadata,
    _consultation(key=True),
    Column("kind", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

participant = Table(
    "participant",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("invitation_id", Text),
    Column("verified", Boolean, nullable=False),
    Column("language", Text, nullable=False),
    Column("return_hash", Text, unique=True),
    Column("takes_part", Boolean, nullable=False, server_default=false()),
    Column("consent_votes", Boolean, nullable=False, server_default=false()),
    Column("consent_texts", Boolean, nullable=False, server_default=false()),
    Column("consent_training", Boolean, nullable=False, server_default=false()),
    Column("acts", Integer, nullable=False, server_default="0"),
    Column("weight", Float),
    Column("created", _TIME, nullable=False),
    Column("withdrawn_at", _TIME),
    Column("excluded_at", _TIME),
    Column("exclusion_reason", Text),
    _of("invitation_id", "invitation"),
)

participant_session = Table(
    "participant_session",
    metadata,
    Column("token_hash", Text, primary_key=True),
    _consultation(),
    Column("participant_id", Text, nullable=False),
    Column("created", _TIME, nullable=False),
    Column("expires", _TIME, nullable=False),
    _of("participant_id", "participant"),
    Index("ix_participant_session_participant", "consultation_id", "participant_id"),
)

# A log: what somebody agreed to stays on record when they agree to something else.
consent = Table(
    "consent",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    _consultation(),
    Column("participant_id", Text, nullable=False),
    Column("text_version", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("given_at", _TIME, nullable=False),
    _of("participant_id", "participant"),
    Index("ix_consent_participant", "consultation_id", "participant_id"),
)

# Kept under a key only the secret can make from a participant's id, so that a copy of the
# database alone does not say who gave these answers.
demographic = Table(
    "demographic",
    metadata,
    _consultation(key=True),
    Column("person_key", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

statement = Table(
    "statement",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("text_key", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("author_id", Text),
    Column("seed", Boolean, nullable=False, server_default=false()),
    Column("meta", Boolean, nullable=False, server_default=false()),
    Column("state", Text, nullable=False),
    Column("flags", JSON, nullable=False),
    Column("supersedes_id", Text),
    Column("position", Integer, nullable=False),
    Column("created", _TIME, nullable=False),
    _of("author_id", "participant"),
    Index("ix_statement_state", "consultation_id", "state"),
    Index("ix_statement_text_key", "consultation_id", "text_key"),
    _one_of("state", ("accepted", "pending", "rejected", "flagged")),
)

statement_translation = Table(
    "statement_translation",
    metadata,
    Column("consultation_id", Text, primary_key=True),
    Column("statement_id", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reviewed", Boolean, nullable=False, server_default=false()),
    _of("statement_id", "statement"),
    _one_of("source", ("human", "machine")),
)

moderation_event = Table(
    "moderation_event",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    _consultation(),
    Column("statement_id", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id")),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("at", _TIME, nullable=False),
    _of("statement_id", "statement"),
    Index("ix_moderation_event_statement", "consultation_id", "statement_id"),
)

prompt = Table(
    "prompt",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("topic", Text),
    Column("position", Integer, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("prompt_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("made_with", JSON, nullable=False),
    Column("tokens", Integer),
    Column("licence", Text, nullable=False, server_default=""),
    Column("shown", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    _of("prompt_id", "prompt"),
)

# What was shown to whom, with which probability: votes can be weighted, and replays recognised.
exposure = Table(
    "exposure",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("participant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # A statement, or an answer to react to, or a prompt whose answers are compared.
    Column("item_id", Text, nullable=False),
    Column("left_id", Text),
    Column("right_id", Text),
    Column("core", Boolean, nullable=False, server_default=false()),
    Column("attention", Text),
    Column("policy", Text, nullable=False),
    Column("probability", Float),
    Column("position", Integer, nullable=False),
    Column("shown_at", _TIME, nullable=False),
    Column("answered_at", _TIME),
    _of("participant_id", "participant"),
    _one_of("kind", KINDS),
    # With the position, by which the last one is found at every vote.
    Index("ix_exposure_participant", "consultation_id", "participant_id", "kind", "position"),
)

vote = Table(
    "vote",
    metadata,
    Column("consultation_id", Text, primary_key=True),
    Column("participant_id", Text, primary_key=True),
    Column("statement_id", Text, primary_key=True),
    Column("value", SmallInteger, nullable=False),
    Column("important", Boolean, nullable=False, server_default=false()),
    Column("exposure_id", Text),
    Column("probability", Float),
    Column("position", Integer, nullable=False),
    Column("event_id", _NUMBER),
    Column("updated", _TIME, nullable=False),
    _of("participant_id", "participant"),
    _of("statement_id", "statement"),
    CheckConstraint("value IN (-1, 0, 1)", name="value"),
    Index("ix_vote_statement", "consultation_id", "statement_id"),
)

vote_event = Table(
    "vote_event",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    _consultation(),
    Column("participant_id", Text, nullable=False),
    Column("statement_id", Text, nullable=False),
    Column("value", SmallInteger, nullable=False),
    Column("important", Boolean, nullable=False),
    Column("at", _TIME, nullable=False),
    _of("participant_id", "participant"),
    _of("statement_id", "statement"),
    Index("ix_vote_event_participant", "consultation_id", "participant_id"),
    Index("ix_vote_event_consultation", "consultation_id", "id"),
)

comparison = Table(
    "comparison",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("participant_id", Text, nullable=False),
    Column("prompt_id", Text, nullable=False),
    Column("left_id", Text, nullable=False),
    Column("right_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("confidence", SmallInteger),
    Column("reasons", Text, nullable=False, server_default=""),
    Column("core", Boolean, nullable=False, server_default=false()),
    Column("attention", Text),
    Column("probability", Float),
    # One answer to one showing, whatever is sent again.
    Column("exposure_id", Text),
    Column("response_ms", Integer),
    Column("position", Integer, nullable=False),
    Column("at", _TIME, nullable=False),
    _one_of("outcome", ("left", "right", "tie", "both_bad", "skip")),
    UniqueConstraint("consultation_id", "exposure_id", name="uq_comparison_exposure"),
    _of("participant_id", "participant"),
    _of("prompt_id", "prompt"),
    _of("left_id", "answer"),
    _of("right_id", "answer"),
    Index("ix_comparison_participant", "consultation_id", "participant_id"),
    Index("ix_comparison_prompt", "consultation_id", "prompt_id"),
)

reaction = Table(
    "reaction",
    metadata,
    Column("consultation_id", Text, primary_key=True),
    Column("participant_id", Text, primary_key=True),
    Column("answer_id", Text, primary_key=True),
    Column("value", SmallInteger, nullable=False),
    Column("reasons", Text, nullable=False, server_default=""),
    Column("exposure_id", Text),
    Column("position", Integer, nullable=False),
    Column("updated", _TIME, nullable=False),
    _of("participant_id", "participant"),
    _of("answer_id", "answer"),
    CheckConstraint("value IN (-1, 1)", name="value"),
)

# A quarter of an hour as a goal. Nothing is refused when it is over.
block = Table(
    "block",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("participant_id", Text, nullable=False),
    Column("started", _TIME, nullable=False),
    Column("goal", _TIME, nullable=False),
    Column("extended", Integer, nullable=False, server_default="0"),
    Column("finished", _TIME),
    _of("participant_id", "participant"),
    Index("ix_block_participant", "consultation_id", "participant_id"),
)

# A row for each computation of the groups. Those that participants see are several people's votes
# apart, for privacy: only these rows have `participants_results`.
results = Table(
    "results",
    metadata,
    _consultation(key=True),
    Column("version", Integer, primary_key=True),
    Column("event_id", _NUMBER, nullable=False),
    Column("acts", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("organisers_results", JSON(none_as_null=True)),
    Column("participants_results", JSON(none_as_null=True)),
    Column("created", _TIME, nullable=False),
)

# The groups as they were found last, and those that are gone: letters and colours are carried over
# from them. See `group_names.py`.
opinion_group = Table(
    "opinion_group",
    metadata,
    _consultation(key=True),
    Column("number", Integer, primary_key=True),
    # A list of participants' ids.
    Column("members", JSON, nullable=False),
    Column("current", Boolean, nullable=False),
)

principle = Table(
    "principle",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("position", Integer, nullable=False),
)

principle_source = Table(
    "principle_source",
    metadata,
    Column("consultation_id", Text, primary_key=True),
    Column("principle_id", Text, primary_key=True),
    Column("statement_id", Text, primary_key=True),
    Column("merged_by", Text, nullable=False, server_default=""),
    Column("rationale", Text, nullable=False, server_default=""),
    _of("principle_id", "principle"),
    _of("statement_id", "statement"),
)

release = Table(
    "release",
    metadata,
    _consultation(key=True),
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_by", Text, ForeignKey("staff.id")),
    Column("at", _TIME, nullable=False),
    UniqueConstraint("consultation_id", "version"),
)

# Votes that a model predicted, whose hash the audit log holds. See `stored_predictions.py`.
prediction = Table(
    "prediction",
    metadata,
    _consultation(key=True),
    Column("hash", Text, primary_key=True),
    Column("content", JSON, nullable=False),
    # When the audit log got the hash, and how many votes had been cast by then.
    Column("recorded", _TIME, nullable=False),
    Column("votes_before", Integer, nullable=False),
    # The version of the results whose votes they were compared with, and what came of it.
    Column("scored_step", Integer),
    Column("score", JSON(none_as_null=True)),
)

# Work that takes minutes, the last of each kind: pages start it and look for it. See
# `background_work.py`.
background_work = Table(
    "background_work",
    metadata,
    _consultation(key=True),
    Column("kind", Text, primary_key=True),
    Column("started", _TIME, nullable=False),
    # When the process that does it was last seen.
    Column("alive", _TIME, nullable=False),
    Column("ended", _TIME),
    Column("outcome", JSON(none_as_null=True)),
    # A user's mistake, as a text and what to fill in.
    Column("problem", JSON(none_as_null=True)),
)

# Each entry contains the hash of the one before it, so that a change or a deletion shows.
audit = Table(
    "audit",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("at", _TIME, nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("hash", Text, nullable=False),
)
