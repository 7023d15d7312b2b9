"""Indexes of readers: of parts of addresses for parts alone, and of languages for those that somebody chose"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


CHOSEN = sa.text("language <> ''")


def upgrade() -> None:
    op.drop_index("ix_subscribers_language", "subscribers")
    op.create_index(
        op.f("ix_subscribers_language"),
        "subscribers",
        ["language"],
        sqlite_where=CHOSEN,
        postgresql_where=CHOSEN,
    )
    if op.get_bind().dialect.name == "postgresql":
        _parts_of_addresses()


def _parts_of_addresses() -> None:
    """A trigram index also finds what equals, thousands of times slower than the unique one, and PostgreSQL takes it to
    be cheaper (seen with version 15). One of an expression is used by those alone who name that."""
    made = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("subscribers")}
    if "ix_subscribers_parts" in made:
        op.execute("DROP INDEX ix_subscribers_parts")
        op.execute("CREATE INDEX ix_subscribers_parts ON subscribers USING gin (lower(normalised) gin_trgm_ops)")


def downgrade() -> None:
    raise NotImplementedError("the indexes do as they are; restore the backup")
