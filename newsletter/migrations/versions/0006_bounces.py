"""Bounces"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import allow_words

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
OPEN = sa.text("needs_staff AND settled_at IS NULL")
KINDS = ("hard", "soft", "policy", "complaint", "automatic", "challenge", "unsubscribe", "reply", "unknown")
DEEDS = ("suppressed", "counted", "waiting", "late", "unsubscribed", "passed-on", "staff", "nothing")


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    op.create_table(
        "bounces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", _words("kind", *KINDS), nullable=False),
        sa.Column("deed", _words("deed", *DEEDS), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("diagnostic", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("outbox_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("edition_id", sa.Integer(), nullable=True),
        sa.Column("needs_staff", sa.Boolean(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("settled_by", sa.String(length=340), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounces")),
        sa.UniqueConstraint("digest", name=op.f("uq_bounces_digest")),
    )
    with op.batch_alter_table("bounces") as made:
        made.create_index(made.f("ix_bounces_received_at"), ["received_at"])
        made.create_index(made.f("ix_bounces_subscriber_id_kind"), ["subscriber_id", "kind"])
        made.create_index(made.f("ix_bounces_edition_id_deed"), ["edition_id", "deed"])
        made.create_index(made.f("ix_bounces_delivery_id"), ["delivery_id"])
        made.create_index("ix_bounces_open", ["id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "bounce_tallies",
        sa.Column("edition_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("stopped_at", MOMENT, nullable=True),
        sa.Column("decision", _words("decision", "release", "leave"), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("settled_by", sa.String(length=340), nullable=True),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_bounce_tallies")),
    )
    allow_words(
        "suppressions", "reason", "suppressionreason", ("hard_bounce", "complaint", "erasure", "by_hand", "left")
    )


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
