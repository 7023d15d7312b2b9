"""Lanes"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shards", sa.Column("lane", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("shards", "lane")
