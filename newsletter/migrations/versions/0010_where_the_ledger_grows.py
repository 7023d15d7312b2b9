"""Where the ledger grows"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME = "uq_deliveries_one_daily"
DAILY = sa.text("kind = 'daily'")


def _be_made_of(*columns: str) -> None:
    op.drop_index(NAME, "deliveries")
    op.create_index(NAME, "deliveries", columns, unique=True, sqlite_where=DAILY, postgresql_where=DAILY)


def upgrade() -> None:
    _be_made_of("local_date", "newsletter_id", "subscriber_id")


def downgrade() -> None:
    _be_made_of("subscriber_id", "newsletter_id", "local_date")
