"""How fast relays and domains may be given mails"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rates")),
    )
    op.create_table(
        "rate_minutes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("minute", MOMENT, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_minutes")),
        sa.UniqueConstraint("name", "minute", name=op.f("uq_rate_minutes_name_minute")),
    )
    with op.batch_alter_table("rate_minutes") as made:
        made.create_index(made.f("ix_rate_minutes_minute"), ["minute"])


def downgrade() -> None:
    op.drop_table("rate_minutes")
    op.drop_table("rates")
