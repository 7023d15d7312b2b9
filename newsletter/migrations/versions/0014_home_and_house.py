"""Home and house: readers day by day, what mailbox providers see of us, and which processes live"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "subscriber_days",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("counted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletters.id"], name=op.f("fk_subscriber_days_newsletter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", "day", name=op.f("pk_subscriber_days")),
    )
    with op.batch_alter_table("consent_events") as events:
        events.create_index(events.f("ix_consent_events_at"), ["at"])
    op.create_table(
        "reputes",
        sa.Column("newsletter_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("complaints", sa.Integer(), nullable=False),
        sa.Column("complaints_ever", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletters.id"], name=op.f("fk_reputes_newsletter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_reputes")),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )
    op.create_table(
        "last_runs",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_last_runs")),
    )


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
