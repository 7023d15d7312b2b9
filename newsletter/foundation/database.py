"""The database: one session, one kind of time, and transactions that say that they write.

SQLite and PostgreSQL are both first class. SQLite is set up for durability and one writer at a time (DESIGN.md §4);
a verb that writes opens `transaction()`, which takes SQLite's write lock at its start instead of failing half-way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import DeclarativeBase, Session

from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import CannotStart, NewsletterError

MIGRATIONS = Path(__file__).parent.parent / "migrations"
WRITES = "newsletter_writes"
AFTERWARDS = "newsletter_afterwards"

log = logging.getLogger(__name__)

Row = TypeVar("Row", bound="Base")


class DatabaseNotMigrated(CannotStart):
    """The database is not at the version of this program ({found} instead of {wanted}). Run: newsletter db
    upgrade"""


class DatabaseTooNew(CannotStart):
    """The database was made by a newer program (version {found}; this one knows {wanted}). Install that one."""


class DatabaseUnreachable(CannotStart):
    """The database does not answer: {cause}"""


class TookTooLong(NewsletterError):
    """The database was given {seconds} seconds for this and needs more. Nothing was changed; ask for less at once."""


class NaiveTime(TypeError):
    """A time without a zone reached the database."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment, stored in UTC. Refuses naive values and gives back aware ones, on every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveTime(f"{value!r} has no zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What every table shares: names for its constraints, UTC moments, and words instead of numbers for states."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        datetime: UtcDateTime(),
        dict[str, Any]: sa.JSON(),
        list[Any]: sa.JSON(),
    }


def words(kind: type[StrEnum]) -> sa.Enum:
    """A column of one of the words of `kind`, stored as text with a check constraint."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=24,
        name=kind.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True)
migrate = Migrate(directory=str(MIGRATIONS), render_as_batch=True)


def install(app: Flask, url: str) -> None:
    """Connect `app` to the database at `url`. Nothing is opened before the first question."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _set_up_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)


def _engine_options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 30}}
    # Its default is that of a disk with a moving arm, by which PostgreSQL reads whole tables rather than a few rows.
    # To compile a question about a large table takes most of a second, each time, and saves less.
    return {"pool_pre_ping": True, "connect_args": {"options": "-c random_page_cost=1.1 -c jit=off"}}


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own accord
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction() -> Iterator[Session]:
    """A unit of writing: commits at its end, rolls back on an error.

    The outermost one commits, once; one inside another joins it. What was read before it is read again, so that a
    verb decides on what is true now.
    """
    session: Session = db.session()
    if session.info.get(WRITES):
        yield session
        return
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changes were made outside a transaction()")
    session.rollback()
    session.info[WRITES] = True
    try:
        session.connection(execution_options={WRITES: True})
        yield session
        session.commit()
    except BaseException:
        session.info.pop(AFTERWARDS, None)
        session.rollback()
        raise
    finally:
        session.info[WRITES] = False
    for call in session.info.pop(AFTERWARDS, ()):
        call()


@contextmanager
def one_moment() -> Iterator[Connection]:
    """A connection whose questions are all answered as of its first one, so that the answers fit each other."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def afterwards(call: Callable[[], None]) -> None:
    """Have something done when the transaction is durable; never, when it is rolled back. It must not raise."""
    db.session().info.setdefault(AFTERWARDS, []).append(call)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """What is asked in it, and not written, is answered within so many seconds or not at all: for questions that people
    put together as they like. Each is planned for what it says, since PostgreSQL would soon plan for any. Raises
    TookTooLong."""
    postgresql = db.engine.dialect.name == "postgresql"
    with (_limited if postgresql else _interrupted)(seconds):
        try:
            yield
        except sa.exc.OperationalError as error:
            if "interrupted" not in str(error.orig) and "statement timeout" not in str(error.orig):
                raise
            db.session.rollback()
            raise TookTooLong(seconds=seconds) from error


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    db.session.execute(_LIMIT, {"limit": f"{seconds}s", "plan": "force_custom_plan"})
    yield
    db.session.execute(_LIMIT, {"limit": "0", "plan": "auto"})


_LIMIT = sa.text("SELECT set_config('statement_timeout', :limit, true), set_config('plan_cache_mode', :plan, true)")


@contextmanager
def _interrupted(seconds: int) -> Iterator[None]:
    driver: Any = db.session.connection().connection.driver_connection
    ends = the_clock().steady() + seconds
    clock = the_clock()
    driver.set_progress_handler(lambda: clock.steady() > ends, 100_000)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def look_at(table: type[Base]) -> None:
    """Let PostgreSQL count anew, after the transaction, what is in a table that has grown by many rows: it decides by
    that how to look for a few. SQLite goes by its indexes alone."""
    if db.engine.dialect.name == "postgresql":
        afterwards(lambda: _analyse(table.__tablename__))


def _analyse(table: str) -> None:
    try:
        with transaction() as session:
            session.execute(sa.text(f"ANALYZE {table}"))
    except sa.exc.DBAPIError:
        log.warning("PostgreSQL did not look at the table %s; it does so by itself later.", table, exc_info=True)


def locked(table: type[Row], id: int) -> Row | None:
    """The row, read afresh and nobody else's to change until the transaction ends; None when there is none."""
    query = sa.select(table).where(sa.inspect(table).primary_key[0] == id).with_for_update(of=table)
    return db.session.scalar(query.execution_options(populate_existing=True))


def one_at_a_time(what: str) -> None:
    """Wait until nobody else's transaction is at `what`, and keep it until this one ends.

    For rules that count rows before adding one. SQLite has one writer at a time anyway.
    """
    if db.engine.dialect.name == "postgresql":
        db.session.connection().execute(_ALONE, {"what": what})


_ALONE = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("what", type_=sa.Text), 0)))
"""Asked with each sign-up, so it is made once."""


class Prepared:
    """A statement that is executed many times a second: made and compiled once for each database, and not each time.

    `make` gives it for a dialect's name, with `bindparam`s for all that differs; a call gives their values and executes
    it on a connection. It says “or” instead of “in”, which is written out anew each time.
    """

    def __init__(self, make: Callable[[str], sa.Executable]) -> None:
        self._make = make
        self._compiled: WeakKeyDictionary[sa.Dialect, sa.Compiled] = WeakKeyDictionary()

    def __call__(self, on: Connection, **values: object) -> sa.CursorResult[Any]:
        dialect = on.dialect
        if dialect not in self._compiled:
            made: Any = self._make(dialect.name)
            self._compiled[dialect] = made.compile(dialect=dialect)
        execute: Any = on.execute
        found: sa.CursorResult[Any] = execute(self._compiled[dialect], values)
        return found


class Book:
    """A connection of one's own for many short transactions, one after the other: without a session, and without asking
    each time whether the database is still there. After an error it is another connection.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._at_once: Connection | None = None
        self.is_far = db.engine.dialect.name == "postgresql"
        """Whether each statement costs a way there and back."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commits at its end, rolls back on an error."""
        if self._connection is None:
            self._connection = db.engine.connect().execution_options(**{WRITES: True})
        with self._kept(self._connection) as connection:
            yield connection

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """For one statement, which is a transaction by itself: its result is durable."""
        if self._at_once is None:
            self._at_once = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with self._kept(self._at_once) as connection:
            yield connection

    @contextmanager
    def _kept(self, connection: Connection) -> Iterator[Connection]:
        try:
            with connection.begin():
                yield connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for connection in (self._connection, self._at_once):
            if connection is not None:
                connection.close()
        self._connection = self._at_once = None


def recordset(dialect: str, name: str, **columns: sa.types.TypeEngine[Any]) -> sa.Subquery:
    """Rows as a table of its own, given as one parameter of its name: a JSON list of objects with these columns.

    So one statement changes many rows, each to its own, and is the same statement however many they are.
    """
    given = sa.bindparam(name, type_=sa.Text)
    if dialect == "postgresql":
        named = (sa.column(name, kind) for name, kind in columns.items())
        table = sa.func.json_to_recordset(sa.cast(given, sa.JSON)).table_valued(*named)
        return sa.select(table.render_derived(name=f"{name}_row", with_types=True)).subquery(name)
    each = sa.func.json_each(given).table_valued("value")
    fields = (
        sa.type_coerce(sa.func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
        for name, kind in columns.items()
    )
    return sa.select(*fields).subquery(name)


def texts(dialect: str, name: str) -> sa.Subquery:
    """The same for rows of one text each, `text`, given as a JSON list of strings: to read those is a third of the work
    for PostgreSQL."""
    given = sa.bindparam(name, type_=sa.Text)
    if dialect == "postgresql":
        each = sa.func.json_array_elements_text(sa.cast(given, sa.JSON)).table_valued(sa.column("value", sa.String()))
    else:
        each = sa.func.json_each(given).table_valued(sa.column("value", sa.String()))
    return sa.select(each.c.value.label("text")).subquery(name)


def plan_once() -> None:
    """For statements of this transaction that come again and again with rows as JSON: PostgreSQL plans them once, for
    to plan one is to read the JSON too, and goes by indexes from the beginning, when the tables may still be small."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(_PLAN_ONCE)


_PLAN_ONCE = sa.text(
    "SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)"
)


def insert_into(table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that may say ON CONFLICT, which each database has for itself."""
    return postgresql.insert(table) if db.engine.dialect.name == "postgresql" else sqlite.insert(table)


def violated(error: sa.exc.IntegrityError, constraint: str, *columns: str) -> bool:
    """Whether `error` says that this unique constraint was broken.

    PostgreSQL names the constraint, SQLite its columns as `table.column`; so both are given.
    """
    text = str(error.orig)
    return constraint in text or (bool(columns) and all(column in text for column in columns))


def upgrade(engine: Engine, version: str = "head") -> None:
    """Bring the tables to this program's version, or to an earlier one. Raises DatabaseUnreachable."""
    from alembic import command

    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    with _answering(engine) as connection:
        _known(connection)
        connection.rollback()
        config.attributes["connection"] = connection
        with _without_cascades(connection):
            command.upgrade(config, version)
            connection.commit()


@contextmanager
def _without_cascades(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew and dropping the old one, and that would delete what refers to its rows.
    The switch only works outside of a transaction. See https://www.sqlite.org/lang_altertable.html#otheralter"""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON")


def check(engine: Engine) -> str:
    """The version of the tables. Raises DatabaseNotMigrated, DatabaseTooNew or DatabaseUnreachable."""
    with _answering(engine) as connection:
        found, wanted = _known(connection)
    if found != wanted:
        raise DatabaseNotMigrated(found=found or "empty", wanted=wanted)
    return found or ""


def _known(connection: Connection) -> tuple[str | None, str | None]:
    """The version of the tables, and the one that this program wants. Raises DatabaseTooNew."""
    wanted, known = _versions()
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise DatabaseTooNew(found=found, wanted=wanted)
    return found, wanted


@cache
def _versions() -> tuple[str | None, frozenset[str]]:
    """The version that this program wants, and all that it knows; read once, for /readyz is asked all day."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


@contextmanager
def _answering(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except sa.exc.DBAPIError as error:
        raise DatabaseUnreachable(cause=" ".join(str(error.orig).split())) from error
    with connection:
        yield connection
