"""Access: what each person may do and where, invitations, second factors, passkeys, and a trail that nobody shortens"""

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import add_columns, refuse_deletions

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
MEANS = ("password", "link", "passkey", "invitation")


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    _people()
    _sessions()
    _keys()
    op.create_table(
        "staff_policy",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("second_factor_required", sa.Boolean(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_staff_policy_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_policy")),
    )
    with op.batch_alter_table("audit_records") as trail:
        trail.create_index(trail.f("ix_audit_records_actor_name_id"), ["actor_name", "id"])
        trail.create_index(trail.f("ix_audit_records_action_id"), ["action", "id"])
    refuse_deletions("audit_records")


def _people() -> None:
    add_columns("staff", ("may_send", sa.Boolean(), sa.false()), ("limited", sa.Boolean(), sa.false()))
    op.execute("UPDATE staff SET may_send = TRUE WHERE role = 'editor'")
    with op.batch_alter_table("staff") as staff:
        staff.add_column(sa.Column("totp_salt", sa.String(length=32), nullable=True))
        staff.add_column(sa.Column("totp_since", MOMENT, nullable=True))
        staff.add_column(sa.Column("totp_step", sa.Integer(), nullable=True))
    op.create_table(
        "staff_newsletters",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_newsletters_staff_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletters.id"], name=op.f("fk_staff_newsletters_newsletter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("staff_id", "newsletter_id", name=op.f("pk_staff_newsletters")),
    )
    op.create_table(
        "staff_invitations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("role", _words("role", "owner", "editor", "support"), nullable=False),
        sa.Column("may_send", sa.Boolean(), nullable=False),
        sa.Column("newsletter_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.String(length=320), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("accepted_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_staff_invitations_token_hash")),
    )
    with op.batch_alter_table("staff_invitations") as made:
        made.create_index(made.f("ix_staff_invitations_address"), ["address"])


def _sessions() -> None:
    """A session that is open now began as one that was seen and proved when it began."""
    with op.batch_alter_table("staff_sessions") as sessions:
        sessions.add_column(sa.Column("last_seen_at", MOMENT, nullable=True))
        sessions.add_column(sa.Column("proved_at", MOMENT, nullable=True))
    op.execute("UPDATE staff_sessions SET last_seen_at = created_at, proved_at = created_at")
    with op.batch_alter_table("staff_sessions") as sessions:
        sessions.alter_column("last_seen_at", existing_type=MOMENT, nullable=False)
        sessions.alter_column("proved_at", existing_type=MOMENT, nullable=False)
    add_columns(
        "staff_sessions",
        ("means", _words("means", *MEANS), "password"),
        ("awaits_code", sa.Boolean(), sa.false()),
    )
    add_columns("sign_in_failures", ("kind", _words("try", "password", "code", "link"), "password"))


def _keys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_passkeys_staff_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_recovery_codes_staff_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    for table in ("passkeys", "recovery_codes"):
        with op.batch_alter_table(table) as made:
            made.create_index(made.f(f"ix_{table}_staff_id"), ["staff_id"])
    op.create_table(
        "spent_prompts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_prompts")),
    )


def downgrade() -> None:
    raise NotImplementedError("what these tables hold cannot be put back into the older ones; restore the backup")
