"""What several migrations do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op


def add_columns(table: str, *columns: tuple[str, Any, Any]) -> None:
    """Add columns that are never empty, each a name, a type, and what the rows that are there hold."""
    with op.batch_alter_table(table) as added:
        for name, kind, held in columns:
            added.add_column(sa.Column(name, kind, nullable=False, server_default=held))
    with op.batch_alter_table(table) as filled:
        for name, kind, _ in columns:
            filled.alter_column(name, existing_type=kind, existing_nullable=False, server_default=None)


def allow_words(table: str, column: str, kind: str, words: Sequence[str]) -> None:
    """Let a column of words hold these, and no others."""
    name = op.f(f"ck_{table}_{kind}")
    listed = ", ".join(f"'{word}'" for word in words)
    with op.batch_alter_table(table) as changed:
        changed.drop_constraint(name, type_="check")
        changed.create_check_constraint(name, f"{column} IN ({listed})")


def refuse_changes(table: str) -> None:
    """Rows of an append-only table are deleted when their time is over, and never edited.

    SQLite loses the trigger when a batch makes the table anew, so it is asked for again after each.
    """
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER IF NOT EXISTS {table}_append_only BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    else:
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_changes() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
        op.execute(
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_changes()"
        )


def refuse_deletions(table: str) -> None:
    """Rows of a table that is kept for ever are not deleted either; what SQLite loses, as above."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER IF NOT EXISTS {table}_kept BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    else:
        op.execute(
            f"CREATE OR REPLACE TRIGGER {table}_kept BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_changes()"
        )


def never_use_ids_again(*tables: str) -> None:
    """Signed links hold a row's id and live longer than the row, so a new row must never get the id of an erased one.

    PostgreSQL counts on; SQLite does so only when asked, and forgets it when a batch makes the table anew.
    """
    if op.get_bind().dialect.name != "sqlite":
        return
    for table in tables:
        with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass
