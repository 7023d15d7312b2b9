"""Readers choose"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns, allow_words, never_use_ids_again, refuse_changes

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KINDS = sa.Enum("sign-up", "link", "change", name="requestkind", native_enum=False, create_constraint=True, length=24)
ANSWERS = ("confirm", "already", "link", "taken", "unknown", "capped", "suppressed", "blocked")
CONSENT = ("requested", "confirmed", "unsubscribed", "returned", "changed", "erased")


def upgrade() -> None:
    _make_tables()
    _give_requests_wishes()
    add_columns("newsletters", ("sites", sa.JSON(), "[]"), ("noindex", sa.Boolean(), sa.text("false")))
    add_columns(
        "subscribers",
        ("language", sa.String(length=12), ""),
        ("text_only", sa.Boolean(), sa.text("false")),
        ("former_hashes", sa.JSON(), "[]"),
    )
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.add_column(sa.Column("finish_by", MOMENT, nullable=True))
    welcome = sa.text("kind = 'welcome'")
    op.create_index(
        "ix_deliveries_welcome_due",
        "deliveries",
        ["state", "next_attempt_at"],
        sqlite_where=welcome,
        postgresql_where=welcome,
    )
    op.create_index(op.f("ix_subscribers_language"), "subscribers", ["language"])
    _welcome_nobody_twice()
    never_use_ids_again("subscribers", "subscriptions", "sign_up_requests")
    add_columns("consent_events", ("note", sa.String(length=300), ""))
    allow_words("consent_events", "kind", "consentkind", CONSENT)
    refuse_changes("consent_events")


def _make_tables() -> None:
    op.create_table(
        "blocked_addresses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pattern", sa.String(length=254), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocked_addresses")),
        sa.UniqueConstraint("pattern", name=op.f("uq_blocked_addresses_pattern")),
    )
    op.create_table(
        "spent_challenges",
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("signature", name=op.f("pk_spent_challenges")),
    )
    op.create_index(op.f("ix_spent_challenges_expires_at"), "spent_challenges", ["expires_at"])
    op.create_table(
        "leaving_reasons",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("remark", sa.String(length=500), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaving_reasons")),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletters.id"], name=op.f("fk_leaving_reasons_newsletter_id"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "sign_up_wishes",
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("sign_up_text_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "newsletter_id", name=op.f("pk_sign_up_wishes")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["sign_up_requests.id"], name=op.f("fk_sign_up_wishes_request_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["newsletter_id"], ["newsletters.id"], name=op.f("fk_sign_up_wishes_newsletter_id")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_sign_up_wishes_slot_id")),
        sa.ForeignKeyConstraint(
            ["sign_up_text_id"], ["sign_up_texts.id"], name=op.f("fk_sign_up_wishes_sign_up_text_id")
        ),
    )


def _give_requests_wishes() -> None:
    """A request was for one newsletter; now it has a wish for each."""
    op.execute(
        "INSERT INTO sign_up_wishes (request_id, newsletter_id, slot_id, sign_up_text_id) "
        "SELECT id, newsletter_id, slot_id, sign_up_text_id FROM sign_up_requests"
    )
    with op.batch_alter_table("sign_up_requests") as requests:
        requests.drop_constraint(op.f("fk_sign_up_requests_sign_up_text_id"), type_="foreignkey")
        requests.drop_constraint(op.f("fk_sign_up_requests_slot_id"), type_="foreignkey")
        requests.drop_column("sign_up_text_id")
        requests.drop_column("slot_id")
        requests.add_column(sa.Column("subscriber_id", sa.Integer(), nullable=True))
        requests.add_column(sa.Column("reminded_at", MOMENT, nullable=True))
        requests.create_foreign_key(
            op.f("fk_sign_up_requests_subscriber_id"), "subscribers", ["subscriber_id"], ["id"], ondelete="CASCADE"
        )
    add_columns("sign_up_requests", ("kind", KINDS, "sign-up"), ("language", sa.String(length=12), ""))
    allow_words("sign_up_requests", "answer", "requestanswer", ANSWERS)


def _welcome_nobody_twice() -> None:
    """Those who read already have had their first edition."""
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("welcomed_at", MOMENT, nullable=True))
    op.execute("UPDATE subscriptions SET welcomed_at = confirmed_at")
    unwelcomed = sa.text("welcomed_at IS NULL")
    op.create_index(
        "ix_subscriptions_unwelcomed", "subscriptions", ["id"], sqlite_where=unwelcomed, postgresql_where=unwelcomed
    )


def downgrade() -> None:
    raise NotImplementedError("what readers chose cannot be put back into the older tables; restore the backup")
