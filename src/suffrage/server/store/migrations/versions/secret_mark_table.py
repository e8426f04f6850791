"""By which keys a store's tokens and demographics were made, so that another key is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "secret_mark"
down_revision = "polis_files"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; whoever opens the store writes the first mark."""
    op.create_table(
        "secret_mark",
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("first_used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_secret_mark")),
    )


def downgrade() -> None:
    """Take it out."""
    op.drop_table("secret_mark")
