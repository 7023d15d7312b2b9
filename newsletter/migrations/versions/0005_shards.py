"""The ledger in shards"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns, never_use_ids_again

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
UNFINISHED = "state IN ('pending', 'sending', 'deferred')"


def upgrade() -> None:
    op.create_table(
        "shards",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("lease", sa.String(length=32), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["edition_id"], ["editions.id"], name=op.f("fk_shards_edition_id")),
        sa.PrimaryKeyConstraint("edition_id", "number", name=op.f("pk_shards")),
    )
    op.create_index("ix_shards_due_at", "shards", ["due_at"])
    op.create_index("ix_shards_lease", "shards", ["lease"])
    op.drop_index("ix_deliveries_due", "deliveries")
    op.drop_index("ix_deliveries_welcome_due", "deliveries")
    add_columns("deliveries", ("shard", sa.Integer(), "0"))
    op.execute("UPDATE deliveries SET shard = 1 WHERE kind <> 'welcome'")
    # Whoever held a lease was stopped for this. What he had begun is believed to the end of his lease, as ever.
    op.execute(
        "INSERT INTO shards (edition_id, number, due_at, lease, lease_until) "
        "SELECT edition_id, shard, min(next_attempt_at), max(CASE WHEN state = 'sending' THEN 'before shards' END), "
        f"max(CASE WHEN state = 'sending' THEN lease_until END) FROM deliveries WHERE {UNFINISHED} "
        "GROUP BY edition_id, shard"
    )
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_column("lease")
        deliveries.drop_column("lease_until")
        deliveries.create_index("ix_deliveries_edition_id_shard", ["edition_id", "shard"])
    if op.get_bind().dialect.name == "postgresql":
        # Room on each page for a row's next versions (heap-only tuples).
        op.execute("ALTER TABLE deliveries SET (fillfactor = 60)")
    never_use_ids_again("deliveries", "outbox_mails")


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
