"""The ground that every verb stands on: moments in UTC, whole transactions, and rules that the database keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, StatementError

from newsletter.foundation import database
from newsletter.foundation.alerts import Alert
from newsletter.foundation.audit import COMMAND, AuditRecord, record
from newsletter.foundation.database import DatabaseNotMigrated, DatabaseUnreachable, db, locked, transaction, violated
from newsletter.migrations.tables import METADATA, is_compared
from newsletter.newsletters import settings
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.staff import rights
from newsletter.staff.models import Staff, StaffSession
from newsletter.staff.rights import Right
from newsletter.subscribers import signing_up
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import ConsentEvent
from newsletter.subscribers.signing_up import Wishes
from tests.conftest import House

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
EXACTLY = {"compare_type": True, "compare_server_default": True, "include_object": is_compared}


def alert(key: str, at: datetime = NOON) -> Alert:
    return Alert(key=key, message="m", remedy="r", raised_at=at)


def keys() -> list[str]:
    return list(db.session.scalars(sa.select(Alert.key).order_by(Alert.id)))


def write(*rows: object) -> None:
    with transaction() as session:
        session.add_all(rows)


# Moments


def test_a_time_without_a_zone_never_reaches_the_database(either_house: House) -> None:
    naive = NOON.replace(tzinfo=None)
    with either_house.app.app_context():
        with pytest.raises(StatementError, match="has no zone"):
            write(alert("naive", naive))
        with pytest.raises(StatementError, match="has no zone"):
            db.session.scalars(sa.select(Alert).where(Alert.raised_at < naive)).all()
        assert keys() == []


def test_a_moment_comes_back_in_utc_whatever_zone_it_was_written_in(either_house: House) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    exact = NOON.replace(microsecond=123456)
    with either_house.app.app_context():
        write(alert("there", exact.astimezone(kathmandu)))
        db.session.expire_all()
        (found,) = db.session.scalars(sa.select(Alert.raised_at)).all()
        assert (found, found.tzinfo) == (exact, UTC)
        query = sa.select(Alert.key).where(Alert.raised_at == exact.astimezone(kathmandu))
        assert db.session.scalar(query) == "there"


def test_moments_of_different_zones_are_compared_as_moments(either_house: House) -> None:
    """SQLite compares the texts that are stored."""
    late, early = timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))
    with either_house.app.app_context():
        write(alert("first", NOON.astimezone(early)), alert("second", (NOON + timedelta(seconds=1)).astimezone(late)))
        assert list(db.session.scalars(sa.select(Alert.key).order_by(Alert.raised_at))) == ["first", "second"]


# SQLite


def test_sqlite_is_set_up_for_durability_and_one_writer(house: House) -> None:
    with house.app.app_context():
        pragmas = {
            name: db.session.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "foreign_keys": 1}


def impatient() -> sa.Connection:
    """Another connection, that waits for no lock."""
    other = db.engine.connect()
    driver = other.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA busy_timeout = 0")
    return other


def test_sqlite_takes_the_write_lock_when_a_transaction_begins_and_not_half_way(house: House) -> None:
    with house.app.app_context(), transaction(), impatient() as other:
        writing = other.execution_options(**{database.WRITES: True})
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            writing.exec_driver_sql("SELECT 1")


def test_who_only_reads_waits_for_nobody(house: House) -> None:
    with house.app.app_context(), transaction() as session:
        session.add(alert("unseen"))
        session.flush()
        with impatient() as other:
            assert other.scalar(sa.select(sa.func.count()).select_from(Alert)) == 0


# Transactions


def commits(happens: Callable[[], None]) -> int:
    """How often the database was told to commit meanwhile."""
    seen: list[object] = []
    listener = seen.append
    sa.event.listen(db.engine, "commit", listener)
    try:
        happens()
    finally:
        sa.event.remove(db.engine, "commit", listener)
    return len(seen)


def test_the_outermost_transaction_commits_and_it_does_so_once(either_house: House) -> None:
    def nested() -> None:
        with transaction() as outer:
            outer.add(alert("outer"))
            with transaction() as inner:
                assert inner is outer
                inner.add(alert("inner"))
            with transaction():
                pass

    with either_house.app.app_context():
        assert commits(nested) == 1
        assert keys() == ["outer", "inner"]


def test_an_error_anywhere_rolls_back_the_whole(either_house: House) -> None:
    def fails_after_an_inner_one() -> None:
        with transaction() as session:
            session.add(alert("outer"))
            with transaction():
                session.add(alert("inner"))
            raise ZeroDivisionError

    def fails_within_an_inner_one() -> None:
        with transaction() as session:
            session.add(alert("outer"))
            with transaction():
                session.add(alert("inner"))
                session.flush()
                raise KeyboardInterrupt

    with either_house.app.app_context():
        for fails, error in (
            (fails_after_an_inner_one, ZeroDivisionError),
            (fails_within_an_inner_one, KeyboardInterrupt),
        ):
            with pytest.raises(error):
                fails()
            assert keys() == []
        write(alert("and the next one works"))
        assert keys() == ["and the next one works"]


def test_a_change_outside_a_transaction_is_a_mistake_that_is_told(house: House) -> None:
    with house.app.app_context():
        db.session.add(alert("stray"))
        with pytest.raises(RuntimeError, match="outside"), transaction():
            pass
        db.session.rollback()
        assert keys() == []


def test_a_transaction_sees_what_is_true_now_and_not_what_was_read_before(either_house: House) -> None:
    with either_house.app.app_context():
        write(alert("one"))
        read_before = db.session.scalars(sa.select(Alert)).one()
        assert read_before.message == "m"
        with db.engine.begin() as other:
            other.exec_driver_sql("UPDATE alerts SET message = 'changed'")
        with transaction():
            assert read_before.message == "changed"
            row = locked(Alert, read_before.id)
            assert row is read_before
            assert locked(Alert, 10**6) is None


# Rules that the database keeps


def test_a_broken_unique_rule_is_recognised_on_both_databases(either_house: House) -> None:
    with either_house.app.app_context():
        new = NewNewsletter("post", "Post", "post@example.org")
        settings.add(new, NOON, COMMAND)
        row = {c.name: getattr(db.session.scalars(sa.select(Newsletter)).one(), c.name) for c in Newsletter.__table__.c}
        row.pop("id")
        with pytest.raises(IntegrityError) as caught, transaction() as session:
            session.execute(sa.insert(Newsletter).values(**row))

        assert violated(caught.value, "uq_newsletters_slug", "newsletters.slug")
        assert not violated(caught.value, "uq_newsletters_name", "newsletters.name")
        assert not violated(caught.value, "uq_slots_newsletter_id_zone_local_time", "slots.newsletter_id", "slots.zone")
        with pytest.raises(settings.NewsletterExists):
            settings.add(new, NOON, COMMAND)


def test_a_broken_rule_of_another_kind_is_no_unique_rule(either_house: House) -> None:
    with either_house.app.app_context():
        settings.add(NewNewsletter("post", "Post", "post@example.org"), NOON, COMMAND)
        with pytest.raises(IntegrityError) as caught:
            write_wrong_cutoff()
    assert not violated(caught.value, "uq_newsletters_slug", "newsletters.slug")


def write_wrong_cutoff() -> None:
    with transaction() as session:
        session.execute(sa.update(Newsletter).values(cutoff_minutes=-1))


def test_what_was_done_and_what_was_agreed_to_cannot_be_edited(either_house: House) -> None:
    house = either_house
    with house.app.app_context():
        settings.add(NewNewsletter("post", "Post", "post@example.org"), NOON, COMMAND)
        signing_up.request(Wishes(["post"]), "ann@example.org", Origin("203.0.113.9"), NOON, house.keys)
        for table, changed in ((AuditRecord, {"actor_name": "somebody else"}), (ConsentEvent, {"ip": "203.0.113.10"})):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"):
                edit_first(table, changed)
            assert db.session.scalars(sa.select(table)).first() is not None
            for name, value in changed.items():
                assert value not in db.session.scalars(sa.select(getattr(table, name))).all()


def test_what_was_done_cannot_be_edited_by_a_statement_either(house: House) -> None:
    with house.app.app_context():
        settings.add(NewNewsletter("post", "Post", "post@example.org"), NOON, COMMAND)
        with pytest.raises(sa.exc.DBAPIError), transaction() as session:
            session.execute(sa.update(AuditRecord).values(actor_name="somebody else"))


def edit_first(table: type[AuditRecord] | type[ConsentEvent], changed: dict[str, str]) -> None:
    with transaction() as session:
        row = session.scalars(sa.select(table)).first()
        for name, value in changed.items():
            setattr(row, name, value)


def test_an_audit_record_stands_or_falls_with_what_it_tells_of(either_house: House) -> None:
    def fails() -> None:
        with transaction():
            record(COMMAND, "test", "nothing:1", NOON)
            raise ZeroDivisionError

    with either_house.app.app_context():
        with pytest.raises(ZeroDivisionError):
            fails()
        assert db.session.scalars(sa.select(AuditRecord)).all() == []


# Migrations


def test_the_migrations_make_exactly_the_tables_of_the_models(either_database: str) -> None:
    engine = sa.create_engine(either_database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=EXACTLY)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_migrated_database_is_at_this_program_s_version_and_upgrading_again_changes_nothing(
    either_database: str,
) -> None:
    engine = sa.create_engine(either_database)
    version = database.check(engine)
    database.upgrade(engine)
    assert database.check(engine) == version
    engine.dispose()


def test_what_sending_needed_anew_can_be_taken_back(either_database: str, tmp_path: Path) -> None:
    """Down to the tables of before and up again, on both; in a place of their own, for later ones are not."""
    with older_tables(either_database, tmp_path) as engine:
        database.upgrade(engine, "0010")
        with engine.begin() as connection:
            downgrade(connection, "0007")
            assert "lane" not in {column["name"] for column in sa.inspect(connection).get_columns("shards")}
            assert one_daily(connection) == ["subscriber_id", "newsletter_id", "local_date"]
        database.upgrade(engine)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection, opts=EXACTLY), METADATA) == []
            assert one_daily(connection) == ["local_date", "newsletter_id", "subscriber_id"]


@contextmanager
def older_tables(url: str, folder: Path) -> Iterator[sa.Engine]:
    """No tables yet: in a file, or in a schema of the PostgreSQL database."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(f"sqlite:///{folder / 'old.db'}")
        yield engine
        engine.dispose()
        return
    around = sa.create_engine(url)
    engine = sa.create_engine(url, connect_args={"options": "-c search_path=older"})
    with around.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA older")
    try:
        yield engine
    finally:
        engine.dispose()
        with around.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA older CASCADE")
        around.dispose()


def one_daily(connection: sa.Connection) -> list[str | None]:
    """The columns of the index for rule 5; Alembic's comparison does not look at their order."""
    indexes = sa.inspect(connection).get_indexes("deliveries")
    return next(index["column_names"] for index in indexes if index["name"] == "uq_deliveries_one_daily")


def downgrade(connection: sa.Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, version)


def test_a_migration_that_makes_a_table_anew_loses_no_row_that_refers_to_it(tmp_path: Path) -> None:
    """SQLite drops the old table, and a drop cascades while foreign keys are watched."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    at = "'2026-03-03 12:00:00'"
    database.upgrade(engine, "0001")
    with engine.begin() as connection:
        for row in (
            "newsletters VALUES (1, 'n', 'N', '', '', '', 'N', 'n@example.org', NULL, '', '#9b1c1c', 'en', '1234567',"
            f" 45, 'auto', 'own', 10, 3, 3, 30, 0.175, {at})",
            "sources VALUES (1, 'https://a.example/feed', 'A', 'new', NULL, NULL, 0, NULL, NULL, NULL, NULL,"
            f" {at}, 900, 0, {at})",
            "stories VALUES (1, 1, 'i', 'p', 'https://a.example/1', 'T', '', '', '', '[]', NULL, '', '', 1,"
            f" {at}, NULL, {at}, {at}, NULL)",
            f"story_marks VALUES (1, 1, 1, 'pinned', NULL, 'command', {at})",
        ):
            connection.exec_driver_sql(f"INSERT INTO {row}")
    database.upgrade(engine)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT story_id, mark FROM story_marks").all() == [(1, "pinned")]
        assert connection.exec_driver_sql("SELECT sections, topic FROM newsletters").all() == [("[]", "")]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_who_was_on_the_staff_may_do_as_much_as_before(tmp_path: Path) -> None:
    """And whoever was signed in still is."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    at = "'2026-03-03 12:00:00.000000'"
    database.upgrade(engine, "0010")
    with engine.begin() as connection:
        for id, role in enumerate(("owner", "editor", "support"), 1):
            connection.exec_driver_sql(
                "INSERT INTO staff (id, address, role, wants_drafts, wants_alerts, created_at)"
                f" VALUES ({id}, '{role}@example.org', '{role}', 0, 1, {at})"
            )
        connection.exec_driver_sql(
            "INSERT INTO staff_sessions (id, staff_id, token_hash, created_at, expires_at, user_agent)"
            f" VALUES (1, 2, 'x', {at}, {at}, '')"
        )
        connection.exec_driver_sql(
            "INSERT INTO audit_records (id, at, actor_kind, actor_name, action, subject, details)"
            f" VALUES (1, {at}, 'command', 'command line', 'staff.add', 'staff:1', '{{}}')"
        )
    database.upgrade(engine)
    with sa.orm.Session(engine) as session:
        people = session.scalars(sa.select(Staff).order_by(Staff.id)).all()
        sends = [rights.may(person, Right.SEND) for person in people]
        assert sends == [True, True, False]
        assert [person.newsletter_ids for person in people] == [None] * 3
        signed_in = session.scalars(sa.select(StaffSession)).one()
        assert signed_in.last_seen_at == signed_in.proved_at == signed_in.created_at
        assert not signed_in.awaits_code
        for statement in ("DELETE FROM audit_records", "UPDATE audit_records SET action = 'x'"):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"):
                session.execute(sa.text(statement))
    engine.dispose()


def test_the_check_constraints_of_the_models_are_in_the_migrated_database(either_database: str) -> None:
    """Alembic's comparison does not look at them."""
    engine = sa.create_engine(either_database)
    inspector = sa.inspect(engine)
    for table in METADATA.tables.values():
        wanted = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        assert {c["name"] for c in inspector.get_check_constraints(table.name)} == wanted, table.name
    engine.dispose()


def test_every_word_of_a_state_is_let_in_by_its_check_constraint(either_database: str) -> None:
    engine = sa.create_engine(either_database)
    inspector = sa.inspect(engine)
    for table in METADATA.tables.values():
        found = " ".join(c["sqltext"] for c in inspector.get_check_constraints(table.name))
        words = set(re.findall(r"'([^']*)'", found))
        for column in table.c:
            if isinstance(column.type, sa.Enum):
                assert set(column.type.enums) <= words, f"{table.name}.{column.name}"
                assert all(len(word) <= (column.type.length or 0) for word in column.type.enums)
    engine.dispose()


def test_an_empty_database_is_told_from_a_migrated_one(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(DatabaseNotMigrated, match="newsletter db upgrade"):
        database.check(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql+psycopg://nobody@127.0.0.1:1/none"])
def test_a_database_that_does_not_answer_is_told_in_one_line(url: str) -> None:
    engine = sa.create_engine(url)
    with pytest.raises(DatabaseUnreachable) as caught:
        database.check(engine)
    assert "\n" not in str(caught.value)
    engine.dispose()


@pytest.mark.postgresql
def test_where_the_role_may_not_install_pg_trgm_everything_but_the_index_is_made(
    postgres_database: psycopg.Connection,
) -> None:
    there = postgres_database.info
    postgres_database.execute("CREATE ROLE plain LOGIN")
    postgres_database.execute("CREATE DATABASE without")
    address = f"{there.host}:{there.port}/without"
    try:
        with psycopg.connect(f"postgresql://postgres@{address}", autocommit=True) as admin:
            admin.execute("GRANT ALL ON SCHEMA public TO plain")
        engine = sa.create_engine(f"postgresql+psycopg://plain@{address}")
        database.upgrade(engine)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection, opts=EXACTLY), METADATA) == []
            made = {index["name"] for index in sa.inspect(connection).get_indexes("subscribers")}
        engine.dispose()
    finally:
        postgres_database.execute("DROP DATABASE without")
        postgres_database.execute("DROP ROLE plain")
    assert "ix_subscribers_bounced" in made
    assert "ix_subscribers_parts" not in made
    engine = sa.create_engine(f"postgresql+psycopg://postgres@{there.host}:{there.port}/newsletter")
    assert "ix_subscribers_parts" in {index["name"] for index in sa.inspect(engine).get_indexes("subscribers")}
    engine.dispose()


@pytest.mark.postgresql
def test_only_parts_of_addresses_are_looked_up_in_the_index_of_parts(postgres_url: str) -> None:
    """The index of parts would find a whole address too, thousands of times slower, and PostgreSQL would take it."""
    whole, part = "normalised = 'ann@example.org'", "lower(normalised) LIKE '%ann@%'"
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("SET enable_seqscan = off")
        for condition, by in ((whole, "uq_subscribers_normalised"), (part, "ix_subscribers_parts")):
            plan = connection.execute(f"EXPLAIN SELECT id FROM subscribers WHERE {condition}").fetchall()
            assert by in str(plan)


def test_readers_of_before_keep_by_which_way_they_came_as_far_as_it_is_known(
    either_database: str, tmp_path: Path
) -> None:
    told = {
        "form": [("requested", "the reader", "")],
        "staff": [("requested", "the reader", ""), ("requested", "sue@example.org", "")],
        "command": [("requested", "command line", "")],
        "preferences": [("requested", "the reader", ""), ("confirmed", "the reader", "by their preferences")],
        "unknown": [],
    }
    at = "'2026-03-03 12:00:00+00:00'"
    with older_tables(either_database, tmp_path) as engine:
        database.upgrade(engine, "0011")
        older = sa.MetaData()
        older.reflect(engine, only=["newsletters", "slots"])
        with engine.begin() as connection:
            _with_a_newsletter(connection, older)
            for id, (way, events) in enumerate(told.items(), 1):
                connection.exec_driver_sql(
                    "INSERT INTO subscribers (id, address, normalised, address_hash, created_at, language, text_only,"
                    f" former_hashes) VALUES ({id}, '{way}', '{way}', '{way}', {at}, '', false, '[]')"
                )
                connection.exec_driver_sql(
                    "INSERT INTO subscriptions (subscriber_id, newsletter_id, slot_id, state, confirmed_at)"
                    f" VALUES ({id}, 1, 1, 'active', {at})"
                )
                for kind, by, note in events:
                    connection.exec_driver_sql(
                        'INSERT INTO consent_events (address_hash, newsletter_id, kind, at, "by", user_agent, page_url,'
                        f" note) VALUES ('{way}', 1, '{kind}', {at}, '{by}', '', '', '{note}')"
                    )
        database.upgrade(engine)
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT normalised, origin FROM subscriptions JOIN subscribers ON subscribers.id = subscriber_id"
            ).all()
    assert sorted(found) == sorted((way, way) for way in told)


def _with_a_newsletter(connection: sa.Connection, older: sa.MetaData) -> None:
    """Whatever its columns were."""
    for table, said in (("newsletters", {}), ("slots", {"newsletter_id": 1, "zone": "UTC", "local_time": time(6)})):
        columns = older.tables[table].columns
        usual = {column.name: _usual(column) for column in columns if not column.nullable}
        connection.execute(sa.insert(older.tables[table]).values(usual | {"id": 1} | said))


def _usual(column: sa.Column[object]) -> object:
    allowed = {"cutoff_minutes": 45, "items_at_most": 10, "approval": "auto", "pictures": "own", "thin_day": "hold"}
    if column.name in allowed or column.name == "typeface":
        return allowed.get(column.name, "serif")
    kinds: dict[type, object] = {str: "x", int: 1, float: 1.0, bool: False, datetime: NOON, time: time(6)}
    return [] if isinstance(column.type, sa.JSON) else kinds[column.type.python_type]
