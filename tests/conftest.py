"""What tests stand on: real databases, a real SMTP server, a clock that stands still until it is moved."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel

from newsletter.app import create_app, worker
from newsletter.delivery.engine import Worker
from newsletter.foundation import database, installation, secrets
from newsletter.foundation.clock import FixedClock
from newsletter.foundation.config import Config, DatabaseConfig, DoctorConfig, FetchingConfig, MailConfig
from newsletter.foundation.links import Links, the_links
from newsletter.foundation.secrets import Keys, the_keys
from newsletter.stories.fetching import Fetcher, the_fetcher
from tests.support import postgres
from tests.support.chromium import chromium
from tests.support.inbox import Inbox, PostOffice, running_post_office
from tests.support.remembered import remember

MORNING = datetime(2026, 3, 3, 5, 20, tzinfo=UTC)
"""A Tuesday without a clock change near it, just after the cut-off of a 06:00 UTC slot."""


remember()

EXAMPLES = int(os.environ.get("NEWSLETTER_TESTS_EXAMPLES", "30"))
"""How many hypothesis tries of each property; CI asks for more."""

hypothesis.settings.register_profile("ours", deadline=None, max_examples=EXAMPLES)  # that a machine is busy is no fault
hypothesis.settings.load_profile("ours")

FORCED = os.environ.get("NEWSLETTER_TESTS_FORCE", "").split(",")
"""What must not skip: CI says postgresql,browser."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a developer's machine, what PostgreSQL and the browser do is for `make test-slow`; where it must not skip,
    it is for every run, and where one is missing it skips and says why."""
    there = {"postgresql": postgres.binaries, "browser": chromium}
    slow = [what for what, found in there.items() if what not in FORCED and found() is not None]
    for item in items:
        if any(item.get_closest_marker(what) for what in slow):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What has been imported by now stays: to look there for garbage takes a twentieth of the whole run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def missing(what: str, why: str) -> None:
    """Skip with a reason, unless this run must not."""
    if what in FORCED:
        pytest.fail(f"{why}, and this run must not skip it")
    pytest.skip(why)


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory, where the machine has such a place: what must be durable waits there for no disk."""
    there = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="newsletter-", dir=there if os.access(there, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[psycopg.Connection]:
    """A migrated database on a server of its own."""
    folder = postgres.binaries()
    if folder is None:
        missing("postgresql", "PostgreSQL's server binaries are not installed")
        raise AssertionError
    with postgres.server(folder) as address:
        with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE newsletter")
        migrate(f"postgresql+psycopg://{address}/newsletter")
        with psycopg.connect(f"postgresql://{address}/newsletter", autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="session")
def sqlite_template(memory: Path) -> Path:
    file = memory / "migrated.db"
    migrate(f"sqlite:///{file}")
    return file


def migrate(url: str) -> None:
    engine = sa.create_engine(url)
    database.upgrade(engine)
    engine.dispose()


@pytest.fixture
def sqlite_url(sqlite_template: Path, memory: Path) -> str:
    file = memory / "newsletter.db"
    for old in memory.glob(f"{file.name}*"):
        old.unlink()
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgres_url(postgres_database: psycopg.Connection) -> str:
    """The same database for every test, emptied: to make one for each costs more than most tests."""
    postgres.empty(postgres_database)
    there = postgres_database.info
    return f"postgresql+psycopg://{there.user}@{there.host}:{there.port}/{there.dbname}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either_database(request: pytest.FixtureRequest) -> str:
    """The test runs on both."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MORNING)


@pytest.fixture(scope="session")
def post_office() -> Iterator[PostOffice]:
    with running_post_office() as office:
        yield office


@pytest.fixture
def inbox(post_office: PostOffice) -> Inbox:
    return post_office.new_inbox()


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


@pytest.fixture(scope="session")
def key_files(memory: Path) -> list[Path]:
    """Made once, because each waits for the disk."""
    files = [memory / "secret.key", memory / "suppression.key"]
    for file in files:
        secrets.create(file)
    return files


def configured(**values: object) -> Config:
    """As Config makes it but for what the environment says: to look there takes longer than the rest of a house."""
    config = Config.__new__(Config)
    BaseModel.__init__(config, **values)
    return config


@pytest.fixture
def build_house(tmp_path: Path, clock: FixedClock, inbox: Inbox, key_files: list[Path]) -> Iterator[BuildHouse]:
    """Makes a house on the database at a URL; further arguments are Config's own."""
    built: list[Flask] = []

    def build(url: str, **settings: object) -> House:
        for file in key_files:
            if not (tmp_path / file.name).exists():
                shutil.copy(file, tmp_path)
        values = {
            "site_url": "https://news.example.org",
            "database": DatabaseConfig(url=url),
            "mail": MailConfig(host=inbox.host, port=inbox.port, bounce_address="bounces@example.org"),
            "fetching": FetchingConfig(allow_networks=("127.0.0.1/32",), timeout_seconds=5),
            "doctor": DoctorConfig(watch_senders=False),  # no test asks the world's name servers
            "directory": tmp_path,
        }
        config = configured(**(values | settings))
        if "connections" not in config.mail.model_fields_set:  # so that one mail comes after the other
            config = config.model_copy(update={"mail": config.mail.model_copy(update={"connections": 1})})
        app = create_app(config, clock=clock)
        app.config["TESTING"] = True
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
