"""Imports: files on their way to becoming readers, and consent that was given elsewhere"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from newsletter.migrations.steps import allow_words, never_use_ids_again, refuse_changes

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
CONSENT = ("requested", "confirmed", "unsubscribed", "returned", "changed", "erased", "imported")
STATES = ("uploading", "uploaded", "checking", "checked", "running", "done", "cancelled")
OUTCOMES = (
    *("taken", "already", "doubled", "left", "bounced", "complained", "erased", "by_hand", "moved", "blocked"),
    *("disposable", "unclear", "invalid", "unreadable"),
)


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def upgrade() -> None:
    allow_words("consent_events", "kind", "consentkind", CONSENT)
    refuse_changes("consent_events")
    allow_words("sign_up_requests", "origin", "requestorigin", ("form", "staff", "command", "import"))
    never_use_ids_again("sign_up_requests")
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("state", _words("importstate", *STATES), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("charset", sa.String(length=20), nullable=False),
        sa.Column("separator", sa.String(length=1), nullable=False),
        sa.Column("has_names", sa.Boolean(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("mode", _words("importmode", "ask", "confirmed"), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=True),
        sa.Column("an_hour", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("proof", sa.String(length=200), nullable=False),
        sa.Column("swept", sa.Boolean(), nullable=False),
        sa.Column("octet", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("leased_until", MOMENT, nullable=True),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("file_gone_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["newsletter_id"], ["newsletters.id"], name=op.f("fk_imports_newsletter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_imports_state"), "imports", ["state"])
    _of_an_import("import_parts", sa.Column("number", sa.Integer()), sa.Column("octets", sa.LargeBinary()))
    _of_an_import(
        "import_refusals",
        sa.Column("line", sa.Integer()),
        sa.Column("octet", sa.BigInteger()),
        sa.Column("outcome", _words("outcome", *OUTCOMES)),
    )
    _of_an_import("import_seen", sa.Column("digest", sa.String(length=24)))


def _of_an_import(table: str, key: sa.Column[Any], *columns: sa.Column[Any]) -> None:
    """Rows that go with it."""
    for column in (key, *columns):
        column.nullable = False
    key.autoincrement = False
    op.create_table(
        table,
        sa.Column("import_id", sa.Integer(), nullable=False),
        key,
        *columns,
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f(f"fk_{table}_import_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("import_id", key.name, name=op.f(f"pk_{table}")),
    )


def downgrade() -> None:
    for table in ("import_seen", "import_refusals", "import_parts", "imports"):
        op.drop_table(table)
    allow_words("consent_events", "kind", "consentkind", CONSENT[:-1])
    refuse_changes("consent_events")
