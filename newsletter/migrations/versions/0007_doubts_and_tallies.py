"""Doubts that are decided, and what large ledgers add up to"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # One statement for both databases: a batch would make SQLite's table anew, row by row, and its ids count from 1.
    op.execute(
        "ALTER TABLE deliveries ADD COLUMN decision VARCHAR(24) "
        "CONSTRAINT ck_deliveries_doubt CHECK (decision IN ('resend', 'leave'))"
    )
    op.create_table(
        "delivery_tallies",
        sa.Column("edition_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_delivery_tallies")),
    )


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
