"""What tests stand on: real databases, a real SMTP server, a clock that stands still until it is moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache

from newsletter.app import create_app, worker
from newsletter.delivery.engine import Worker
from newsletter.foundation import database, installation, secrets
from newsletter.foundation.clock import FixedClock
from newsletter.foundation.config import Config, DatabaseConfig, FetchingConfig, MailConfig
from newsletter.foundation.links import Links, the_links
from newsletter.foundation.secrets import Keys, the_keys
from newsletter.stories.fetching import Fetcher, the_fetcher
from tests.support import postgres
from tests.support.inbox import Inbox, running_inbox

MORNING = datetime(2026, 3, 3, 5, 20, tzinfo=UTC)
"""A Tuesday without a clock change near it, just after the cut-off of a 06:00 UTC slot."""


class Compiled(BytecodeCache):
    """Templates compiled once for all the apps of a run; compiling them was a third of the tests' time."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()

FORCED = os.environ.get("NEWSLETTER_TESTS_FORCE", "").split(",")
"""What must not skip: CI says postgresql,browser."""


def missing(what: str, why: str) -> None:
    """Skip with a reason, unless this run must not."""
    if what in FORCED:
        pytest.fail(f"{why}, and this run must not skip it")
    pytest.skip(why)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a running server with a migrated template database."""
    folder = postgres.binaries()
    if folder is None:
        missing("postgresql", "PostgreSQL's server binaries are not installed")
        raise AssertionError
    with postgres.server(folder) as address:
        with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE migrated")
        migrate(f"postgresql+psycopg://{address}/migrated")
        yield address


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate(f"sqlite:///{file}")
    return file


def migrate(url: str) -> None:
    engine = sa.create_engine(url)
    database.upgrade(engine)
    engine.dispose()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "newsletter.db")
    return f"sqlite:///{tmp_path / 'newsletter.db'}"


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**9}"
    with psycopg.connect(f"postgresql://{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")  # type: ignore[call-overload]
        yield f"postgresql+psycopg://{postgres_server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either_database(request: pytest.FixtureRequest) -> str:
    """The test runs on both."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MORNING)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with running_inbox() as inbox:
        yield inbox


@dataclass
class House:
    """A running service, as a test sees it: the app, its clock, its relay, and a visitor's browser."""

    app: Flask
    clock: FixedClock
    inbox: Inbox

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def browser(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def keys(self) -> Keys:
        with self.app.app_context():
            return the_keys()

    @property
    def links(self) -> Links:
        with self.app.app_context():
            return the_links()

    @property
    def fetcher(self) -> Fetcher:
        with self.app.app_context():
            return the_fetcher()

    def worker(self) -> Worker:
        return worker(self.app)

    def work(self) -> None:
        """Answer sign-ups, empty the outbox, send editions, until nothing is due."""
        self.worker().until_idle()

    def later(self, **span: float) -> None:
        self.clock.at += timedelta(**span)


BuildHouse = Callable[..., House]


@pytest.fixture
def build_house(tmp_path: Path, clock: FixedClock, inbox: Inbox) -> Iterator[BuildHouse]:
    """Makes a house on the database at a URL; further arguments are Config's own."""
    built: list[Flask] = []

    def build(url: str, **settings: object) -> House:
        for name in ("secret.key", "suppression.key"):
            secrets.create(tmp_path / name)
        values = {
            "site_url": "https://news.example.org",
            "database": DatabaseConfig(url=url),
            "mail": MailConfig(host=inbox.host, port=inbox.port, bounce_address="bounces@example.org"),
            "fetching": FetchingConfig(allow_networks=("127.0.0.1/32",), timeout_seconds=5),
            "directory": tmp_path,
        }
        app = create_app(Config(**(values | settings)), clock=clock)
        app.config["TESTING"] = True
        app.jinja_env.bytecode_cache = COMPILED
        built.append(app)
        with app.app_context():
            installation.set_up(the_keys(), clock.now())
        return House(app, clock, inbox)

    yield build
    for app in built:
        with app.app_context():
            database.db.session.remove()
            database.db.engine.dispose()


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    """On SQLite, for tests that do not look at what the database does."""
    return build_house(sqlite_url)


@pytest.fixture
def either_house(build_house: BuildHouse, either_database: str) -> House:
    return build_house(either_database)
