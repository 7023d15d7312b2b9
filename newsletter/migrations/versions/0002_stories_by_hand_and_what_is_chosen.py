"""Stories by hand and what is chosen"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


ADDED: dict[str, tuple[tuple[str, Any, Any], ...]] = {
    "items": (("outlets", sa.Integer(), "1"), ("is_update", sa.Boolean(), sa.text("false")), ("told", sa.Text(), "")),
    "newsletters": (("own_at_least", sa.Integer(), "0"), ("sections", sa.JSON(), "[]"), ("topic", sa.Text(), "")),
    "revisions": (("passed_over", sa.JSON(), "[]"), ("newest_story_id", sa.Integer(), "0")),
    "stories": (("outlet_by_hand", sa.String(length=200), ""),),
}
"""Columns by table, each with what it holds in the rows that are there."""


def upgrade() -> None:
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as added:
            for name, kind, held in columns:
                added.add_column(sa.Column(name, kind, nullable=False, server_default=held))
        with op.batch_alter_table(table) as filled:
            for name, kind, _ in columns:
                filled.alter_column(name, existing_type=kind, existing_nullable=False, server_default=None)
    with op.batch_alter_table("stories") as stories:
        stories.add_column(sa.Column("newsletter_id", sa.Integer(), nullable=True))
        stories.alter_column("source_id", existing_type=sa.INTEGER(), nullable=True)
        stories.create_check_constraint(op.f("ck_stories_origin"), "(source_id IS NULL) <> (newsletter_id IS NULL)")
        stories.create_index(op.f("ix_stories_withdrawn_at"), ["withdrawn_at"])
        stories.create_index(op.f("ix_stories_page"), ["page"])
        stories.create_index(op.f("ix_stories_source_id_published_at"), ["source_id", "published_at"])
        stories.create_unique_constraint(op.f("uq_stories_newsletter_id_identity"), ["newsletter_id", "identity"])
        stories.create_foreign_key(
            op.f("fk_stories_newsletter_id"), "newsletters", ["newsletter_id"], ["id"], ondelete="CASCADE"
        )


def downgrade() -> None:
    by_hand = "(SELECT id FROM stories WHERE source_id IS NULL)"
    op.execute(f"DELETE FROM story_marks WHERE story_id IN {by_hand} OR other_story_id IN {by_hand}")
    op.execute("DELETE FROM stories WHERE source_id IS NULL")
    with op.batch_alter_table("stories") as stories:
        stories.drop_constraint(op.f("fk_stories_newsletter_id"), type_="foreignkey")
        stories.drop_constraint(op.f("uq_stories_newsletter_id_identity"), type_="unique")
        stories.drop_constraint(op.f("ck_stories_origin"), type_="check")
        stories.drop_index(op.f("ix_stories_source_id_published_at"))
        stories.drop_index(op.f("ix_stories_page"))
        stories.drop_index(op.f("ix_stories_withdrawn_at"))
        stories.alter_column("source_id", existing_type=sa.INTEGER(), nullable=False)
        stories.drop_column("newsletter_id")
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as changed:
            for name, _, _ in columns:
                changed.drop_column(name)
