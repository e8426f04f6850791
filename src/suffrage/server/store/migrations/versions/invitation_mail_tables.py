"""Invitations are sent by e-mail, and a consultation has a logo."""

import sqlalchemy as sa
from alembic import op

revision = "invitation_mail"
down_revision = "rate_bucket"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "invitation_mail",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("invitation_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due", sa.BigInteger()),
        sa.Column("sent", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failed", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("consultation_id", "invitation_id", name="pk_invitation_mail"),
        sa.ForeignKeyConstraint(
            ["consultation_id", "invitation_id"],
            ["invitation.consultation_id", "invitation.id"],
            name="fk_invitation_mail_consultation_id_invitation",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_invitation_mail_due", "invitation_mail", ["due"])
    op.create_table(
        "invited_address",
        _consultation("invited_address"),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("consultation_id", "address_hash", name="pk_invited_address"),
    )
    op.create_table(
        "consultation_logo",
        _consultation("consultation_logo"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("consultation_id", name="pk_consultation_logo"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("consultation_logo")
    op.drop_table("invited_address")
    op.drop_table("invitation_mail")


def _consultation(table: str) -> sa.Column[str]:
    key = sa.ForeignKey(
        "consultation.id", name=f"fk_{table}_consultation_id_consultation", ondelete="CASCADE"
    )
    return sa.Column("consultation_id", sa.Text(), key, nullable=False)
