"""Puzzles that somebody has joined with, so that each counts once."""

import sqlalchemy as sa
from alembic import op

revision = "used_puzzle"
down_revision = "staff_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "used_puzzle",
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_used_puzzle")),
    )
    op.create_index("ix_used_puzzle_expires", "used_puzzle", ["expires"])


def downgrade() -> None:
    """Take it out."""
    op.drop_table("used_puzzle")
