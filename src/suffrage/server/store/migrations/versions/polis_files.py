"""What Polis files say of a conversation and of statements about the consultation itself."""

import sqlalchemy as sa
from alembic import op

revision = "polis_files"
down_revision = "results"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no statement that is there already is about the consultation itself."""
    op.add_column("consultation", sa.Column("about", sa.JSON(none_as_null=True)))
    op.add_column(
        "statement",
        sa.Column("meta", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("statement", "meta")
    op.drop_column("consultation", "about")
