"""The groups as they were found last, so that each keeps its letter when they are found again."""

import sqlalchemy as sa
from alembic import op

revision = "opinion_group"
down_revision = "invitation_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table from the newest results, and have results computed again in their new form."""
    made = op.create_table(
        "opinion_group",
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f("fk_opinion_group_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "number", name=op.f("pk_opinion_group")),
    )
    results = _results()
    seen = results.c.participants_results
    query = sa.select(results.c.consultation_id, seen).where(seen.is_not(None))
    members: dict[tuple[str, int], list[str]] = {}
    for id, result in op.get_bind().execute(query.order_by(results.c.version)):
        for of in [key for key in members if key[0] == id]:
            del members[of]
        for person, label in result.get("labels", {}).items():
            members.setdefault((id, int(label)), []).append(person)
    if members:
        op.bulk_insert(
            made,
            [
                {"consultation_id": id, "number": number, "members": own, "current": True}
                for (id, number), own in members.items()
            ],
        )
    op.execute(sa.delete(results))
    _keep_audience()


def _keep_audience() -> None:
    """Show results after closing to whom they are shown now: nobody decided otherwise."""
    consultation = sa.table(
        "consultation", sa.column("id", sa.Text()), sa.column("settings", sa.JSON())
    )
    for id, settings in op.get_bind().execute(sa.select(consultation)).all():
        kept = {**settings, "results_when_closed": settings.get("results", "participants")}
        op.execute(sa.update(consultation).where(consultation.c.id == id).values(settings=kept))


def downgrade() -> None:
    """Drop the table; results are computed again in their old form."""
    op.drop_table("opinion_group")
    op.execute(sa.delete(_results()))


def _results() -> sa.TableClause:
    return sa.table(
        "results",
        sa.column("consultation_id", sa.Text()),
        sa.column("version", sa.Integer()),
        sa.column("participants_results", sa.JSON(none_as_null=True)),
    )
