"""Alembic's environment: the connection is handed in by newsletter.foundation.database."""

from alembic import context

from newsletter.migrations.tables import METADATA, is_compared


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        compare_type=True,
        include_object=is_compared,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
