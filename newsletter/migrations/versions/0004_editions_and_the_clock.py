"""Editions and the clock"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns, allow_words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


FULL: dict[str, tuple[tuple[str, Any, Any], ...]] = {
    "newsletters": (
        ("skip_dates", sa.JSON(), "[]"),
        ("thin_day", _words("thinday", "hold", "skip", "widen"), "hold"),
        ("cooling_minutes", sa.Integer(), "2"),
        ("subject_pattern", sa.String(length=200), ""),
        ("link_tags", sa.String(length=300), ""),
        ("typeface", _words("typeface", "serif", "sans"), "serif"),
        ("logo_url", sa.String(length=1000), ""),
        ("block_label", sa.String(length=60), ""),
        ("block_text", sa.String(length=600), ""),
        ("block_link", sa.String(length=100), ""),
        ("block_url", sa.String(length=1000), ""),
        ("block_after", sa.Integer(), "3"),
    ),
    "editions": (
        ("kind", _words("editionkind", "daily", "special", "correction"), "daily"),
        ("note", sa.String(length=300), ""),
    ),
    "revisions": (("block", sa.JSON(), "{}"), ("by_hand", sa.JSON(), "[]")),
    "items": (("by_hand", sa.JSON(), "[]"),),
    "staff": (("wants_drafts", sa.Boolean(), sa.text("false")), ("wants_alerts", sa.Boolean(), sa.text("true"))),
    "installation": (("generation", sa.Integer(), "0"),),
}
"""Columns by table, each with what it holds in the rows that are there."""

EMPTY: dict[str, tuple[tuple[str, Any], ...]] = {
    "editions": (("corrects_id", sa.Integer()), ("send_at", MOMENT)),
    "alerts": (("told_at", MOMENT),),
    "installation": (("halted_at", MOMENT), ("halted_reason", sa.String(length=300))),
}
"""Columns that may be empty, and are in the rows that are there."""


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Column("renewed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    for table, columns in FULL.items():
        add_columns(table, *columns)
    for table, empty in EMPTY.items():
        with op.batch_alter_table(table) as added:
            for name, kind in empty:
                added.add_column(sa.Column(name, kind, nullable=True))
    op.execute("UPDATE alerts SET told_at = raised_at")
    allow_words("deliveries", "kind", "deliverykind", ("daily", "welcome", "special", "correction"))


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
