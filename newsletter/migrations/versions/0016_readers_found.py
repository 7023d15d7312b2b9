"""Readers found by any part of their address and by conditions, and what staff keep about them and do to many"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns, never_use_ids_again

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ORIGINS = ("form", "embed", "staff", "command", "import", "preferences", "unknown")
BOUNCED = sa.text("bounced_at IS NOT NULL")
AT_WORK = sa.text("state IN ('running', 'undoing')")


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    _readers()
    _notes_and_segments()
    _bulk()
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX ix_outbox_mails_recipient ON outbox_mails (lower(recipient))")
        _parts_of_addresses()


def _readers() -> None:
    with op.batch_alter_table("subscribers") as readers:
        readers.add_column(sa.Column("bounced_at", MOMENT, nullable=True))
    op.execute(
        "UPDATE subscribers SET bounced_at = (SELECT max(received_at) FROM bounces"
        " WHERE subscriber_id = subscribers.id AND kind IN ('hard', 'soft') AND deed <> 'late')"
        " WHERE id IN (SELECT subscriber_id FROM bounces WHERE kind IN ('hard', 'soft') AND deed <> 'late')"
    )
    with op.batch_alter_table("subscribers") as readers:
        readers.create_index("ix_subscribers_bounced", ["id"], sqlite_where=BOUNCED, postgresql_where=BOUNCED)
    add_columns("subscriptions", ("origin", _words("subscriptionorigin", *ORIGINS), "unknown"))
    op.execute(
        "UPDATE subscriptions SET origin = coalesce((SELECT CASE"
        " WHEN kind = 'confirmed' THEN 'preferences'"
        """ WHEN "by" = 'the reader' THEN 'form' WHEN "by" = 'command line' THEN 'command' ELSE 'staff' END"""
        " FROM consent_events JOIN subscribers ON subscribers.address_hash = consent_events.address_hash"
        " WHERE subscribers.id = subscriptions.subscriber_id"
        " AND consent_events.newsletter_id = subscriptions.newsletter_id"
        " AND consent_events.at <= subscriptions.confirmed_at"
        " AND (kind = 'requested' OR (kind = 'confirmed' AND note = 'by their preferences'))"
        " ORDER BY consent_events.at DESC, consent_events.id DESC LIMIT 1), 'unknown')"
    )
    with op.batch_alter_table("subscriptions") as found:
        for columns in (["newsletter_id", "state", "subscriber_id"], ["origin", "subscriber_id"], ["confirmed_at"]):
            found.create_index(found.f(f"ix_subscriptions_{'_'.join(columns)}"), columns)
        for name, column in (("left", "unsubscribed_at"), ("paused", "paused_until")):
            some = sa.text(f"{column} IS NOT NULL")
            found.create_index(f"ix_subscriptions_{name}", [column], sqlite_where=some, postgresql_where=some)
    never_use_ids_again("subscribers", "subscriptions")


def _notes_and_segments() -> None:
    op.create_table(
        "subscriber_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        *_of("subscriber_notes", subscriber_id="subscribers", newsletter_id="newsletters"),
    )
    with op.batch_alter_table("subscriber_notes") as made:
        made.create_index(made.f("ix_subscriber_notes_subscriber_id"), ["subscriber_id"])
    op.create_table(
        "segments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("newsletter_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        *_of("segments"),
        sa.UniqueConstraint("name", name=op.f("uq_segments_name")),
    )


def _bulk() -> None:
    numbers = ("upper_id", "position", "total", "done", "skipped", "undone", "kept")
    op.create_table(
        "bulk_acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", _words("bulkkind", "unsubscribe", "pause", "move", "suppress"), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=True),
        sa.Column("slot_id", sa.Integer(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("newsletter_ids", sa.JSON(none_as_null=True), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        sa.Column(
            "state", _words("bulkstate", "running", "done", "stopped", "undoing", "undone"), nullable=False
        ),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("undo_until", MOMENT, nullable=True),
        sa.Column("undo_by", sa.String(length=340), nullable=True),
        *_of("bulk_acts", newsletter_id="newsletters", slot_id="slots"),
    )
    with op.batch_alter_table("bulk_acts") as made:
        made.create_index("ix_bulk_acts_at_work", ["id"], sqlite_where=AT_WORK, postgresql_where=AT_WORK)
    op.create_table(
        "bulk_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("act_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("paused_until", sa.Date(), nullable=True),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        *_of("bulk_changes", act_id="bulk_acts", subscription_id="subscriptions"),
        sa.UniqueConstraint("act_id", "subscription_id", name=op.f("uq_bulk_changes_act_id_subscription_id")),
    )
    with op.batch_alter_table("bulk_changes") as made:
        made.create_index(made.f("ix_bulk_changes_subscription_id"), ["subscription_id"])
        made.create_index(made.f("ix_bulk_changes_at"), ["at"])


def _of(table: str, **others: str) -> list[sa.Constraint]:
    """What every table has: its key, and what goes when another one's row goes."""
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        *(
            sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")
            for column, other in others.items()
        ),
    ]


def _parts_of_addresses() -> None:
    """Any three letters of an address, where this role has pg_trgm or may install it; without it, each search reads all
    addresses, which is slower and no different. The doctor tells."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError:
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(
                "CREATE INDEX ix_subscribers_parts ON subscribers USING gin (normalised gin_trgm_ops)"
            )
            connection.exec_driver_sql(
                "CREATE INDEX ix_subscribers_written ON subscribers USING gin (lower(address) gin_trgm_ops)"
                " WHERE lower(address) <> normalised"
            )
    except sa.exc.ProgrammingError:
        return  # it is installed where this schema does not see it


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
