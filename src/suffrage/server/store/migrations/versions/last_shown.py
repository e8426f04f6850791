"""What was shown somebody last is found without reading all that was shown them."""

from alembic import op

revision = "last_shown"
down_revision = "analysis"
branch_labels = None
depends_on = None

INDEX, TABLE = "ix_exposure_participant", "exposure"
BEFORE = ["consultation_id", "participant_id", "kind"]


def upgrade() -> None:
    """Put the position into the index."""
    op.drop_index(INDEX, TABLE)
    op.create_index(INDEX, TABLE, [*BEFORE, "position"])


def downgrade() -> None:
    """Take it out."""
    op.drop_index(INDEX, TABLE)
    op.create_index(INDEX, TABLE, BEFORE)
