"""What callers may still do, for all processes that serve one store on PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "rate_bucket"
down_revision = "secret_mark"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. On PostgreSQL it is not logged: it need not outlive a crash."""
    op.create_table(
        "rate_bucket",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("full_at", sa.Double(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_bucket")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rate_bucket SET UNLOGGED")


def downgrade() -> None:
    """Take it out."""
    op.drop_table("rate_bucket")
