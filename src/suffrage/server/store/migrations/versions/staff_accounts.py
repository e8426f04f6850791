"""One-time links to set a password, browsers staff are known by, and the log of refusals."""

import sqlalchemy as sa
from alembic import op

revision = "staff_accounts"
down_revision = "opinion_group"
branch_labels = None
depends_on = None

BY_TOKEN = ("staff_link", "staff_browser")


def upgrade() -> None:
    """Add the column and the tables; who has a password now need not change it."""
    op.add_column(
        "staff",
        sa.Column("must_change", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for name in BY_TOKEN:
        op.create_table(
            name,
            sa.Column("token_hash", sa.Text(), nullable=False),
            sa.Column("staff_id", sa.Text(), nullable=False),
            sa.Column("created", sa.BigInteger(), nullable=False),
            sa.Column("expires", sa.BigInteger(), nullable=False),
            _of_staff(name),
            sa.PrimaryKeyConstraint("token_hash", name=op.f(f"pk_{name}")),
        )
        op.create_index(f"ix_{name}_staff_id", name, ["staff_id"])
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "staff_refusal",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text()),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False, server_default=""),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _of_staff("staff_refusal"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_refusal")),
    )
    op.create_index("ix_staff_refusal_account", "staff_refusal", ["account", "at"])
    op.create_index("ix_staff_refusal_at", "staff_refusal", ["at"])


def downgrade() -> None:
    """Take them out."""
    for name in ("staff_refusal", *reversed(BY_TOKEN)):
        op.drop_table(name)
    op.drop_column("staff", "must_change")


def _of_staff(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["staff_id"], ["staff.id"], name=op.f(f"fk_{table}_staff_id"), ondelete="CASCADE"
    )
