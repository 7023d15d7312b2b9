"""Alembic's environment: the connection is handed in by newsletter.foundation.database."""

from alembic import context

from newsletter.migrations.tables import METADATA


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
