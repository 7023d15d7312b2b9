"""Sittings"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sittings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("wrote_at", MOMENT, nullable=True),
        sa.Column("unsaid", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["editions.id"], name="fk_sittings_edition_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sittings"),
        sa.UniqueConstraint("edition_id", "staff_id", name="uq_sittings_edition_id_staff_id"),
    )


def downgrade() -> None:
    op.drop_table("sittings")
