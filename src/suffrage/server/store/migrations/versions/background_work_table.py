"""Work that takes minutes, which organisers' pages start and look for."""

import sqlalchemy as sa
from alembic import op

revision = "background_work"
down_revision = "prediction"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "background_work",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("alive", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("outcome", sa.JSON(none_as_null=True)),
        sa.Column("problem", sa.JSON(none_as_null=True)),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_background_work_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "kind", name=op.f("pk_background_work")),
    )


def downgrade() -> None:
    """Take it out."""
    op.drop_table("background_work")
