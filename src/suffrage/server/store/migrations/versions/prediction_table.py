"""Votes that were predicted and put on record before a round, with how they did."""

import sqlalchemy as sa
from alembic import op

revision = "prediction"
down_revision = "used_puzzle"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "prediction",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("votes_before", sa.Integer(), nullable=False),
        sa.Column("scored_step", sa.Integer(), nullable=True),
        sa.Column("score", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_prediction_consultation_id_consultation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "hash", name=op.f("pk_prediction")),
    )


def downgrade() -> None:
    """Take it out."""
    op.drop_table("prediction")
