"""What owners set: slots that are closed, sources that are silenced, who wrote a sign-up text, a closed archive"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ADDED = {
    "slots": ("closed_at",),
    "newsletter_sources": ("silenced", "silenced_until"),
    "sign_up_texts": ("by",),
    "newsletters": ("has_archive", "welcome_text"),
}


def upgrade() -> None:
    with op.batch_alter_table("slots") as slots:
        slots.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    add_columns("newsletter_sources", ("silenced", sa.Boolean(), sa.false()))
    with op.batch_alter_table("newsletter_sources") as uses:
        uses.add_column(sa.Column("silenced_until", sa.Date(), nullable=True))
    add_columns("sign_up_texts", ("by", sa.String(length=340), ""))
    add_columns(
        "newsletters", ("has_archive", sa.Boolean(), sa.true()), ("welcome_text", sa.String(length=600), "")
    )


def downgrade() -> None:
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as changed:
            for column in columns:
                changed.drop_column(column)
