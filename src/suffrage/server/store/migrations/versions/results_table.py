"""One table for the results of a computation, in place of one for each audience."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "results"
down_revision = "last_shown"
branch_labels = None
depends_on = None

# What each audience saw was in a table of its own, and is in a column now.
ORGANISERS, PARTICIPANTS = "analysis", "snapshot"
COLUMNS = {PARTICIPANTS: "participants_results", ORGANISERS: "organisers_results"}


def upgrade() -> None:
    """Keep the newest results of each audience: nothing reads older ones."""
    newest = {name: _newest(_described(name)) for name in COLUMNS}
    last: dict[str, int] = {}
    for found in newest.values():
        for id, row in found.items():
            last[id] = max(last.get(id, 0), row["version"])
    rows = [
        {
            **dict.fromkeys(COLUMNS.values()),
            "acts": 0,
            **row,
            COLUMNS[name]: row["result"],
            # A version that was never given out.
            "version": last[id] + step,
        }
        for step, name in enumerate(COLUMNS, 1)
        for id, row in newest[name].items()
    ]
    new = _create("results")
    if rows:
        op.bulk_insert(new, [{c.name: row[c.name] for c in new.columns} for row in rows])
    for name in COLUMNS:
        op.drop_table(name)


def downgrade() -> None:
    """Give each audience a table again."""
    results = _described("results")
    for name, column in COLUMNS.items():
        old = _create(name)
        rows = [{**row, "result": row[column]} for row in _newest(results, column).values()]
        if rows:
            op.bulk_insert(old, [{c.name: row[c.name] for c in old.columns} for row in rows])
    op.drop_table("results")


def _newest(table: sa.TableClause, column: str = "result") -> dict[str, dict[str, Any]]:
    """Each consultation's newest row in which a column is filled."""
    query = sa.select(table).where(table.c[column].is_not(None)).order_by(table.c.version)
    rows = op.get_bind().execute(query).mappings()
    return {row["consultation_id"]: dict(row) for row in rows}


def _described(name: str) -> sa.TableClause:
    return sa.table(name, *_columns(name))


def _create(name: str) -> sa.Table:
    return op.create_table(
        name,
        *_columns(name),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultation.id"],
            name=op.f(f"fk_{name}_consultation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("consultation_id", "version", name=op.f(f"pk_{name}")),
    )


def _columns(name: str) -> list[sa.Column[Any]]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    seen = ["organisers_results", "participants_results"] if name == "results" else ["result"]
    return [
        sa.Column("consultation_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event_id", number, nullable=False),
        *([] if name == PARTICIPANTS else [sa.Column("acts", sa.Integer(), nullable=False)]),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        *(
            sa.Column(column, sa.JSON(none_as_null=True), nullable=column != "result")
            for column in seen
        ),
        sa.Column("created", sa.BigInteger(), nullable=False),
    ]
