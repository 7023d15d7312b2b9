"""What is looked at: one installation, of which any part may be broken. Nothing of it is changed by looking."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from flask import Flask

from newsletter.foundation import config as config_module
from newsletter.foundation.clock import Clock, SystemClock, the_clock
from newsletter.foundation.config import Config, ConfigInvalid, DemoConfig, the_config
from newsletter.foundation.database import DatabaseUnreachable, db
from newsletter.foundation.errors import NewsletterError
from newsletter.mail.answers import Lookup
from newsletter.mail.resolving import Resolver
from newsletter.operations.demo.clock import DemoClock

CONNECT_SECONDS = 5
MOST_FAULTS = 20


class NothingToAsk(NewsletterError):
    """{why}"""


@dataclass(frozen=True)
class Patient:
    """`config` leaves out the sections in `doubtful`, each of which has one of the `faults`. `clock` is the service's,
    which in a demo is not the `machine`'s."""

    file: Path
    config: Config
    faults: tuple[NewsletterError, ...]
    doubtful: frozenset[str]
    clock: Clock
    machine: Clock
    ask: Lookup
    app: Flask | None = field(repr=False)

    @contextmanager
    def database(self) -> Iterator[None]:
        """Where tables can be read, and nothing written. Raises NothingToAsk, DatabaseUnreachable."""
        if self.app is None:
            raise NothingToAsk(why="There is no database yet.")
        with self.app.app_context():
            try:
                yield
            except sa.exc.DBAPIError as error:
                cause = " ".join(str(error.orig).split())[:200]
                if isinstance(error, sa.exc.ProgrammingError) or "no such" in cause:
                    raise NothingToAsk(why="The database has other tables than this program expects.") from error
                raise DatabaseUnreachable(cause=cause) from error

    @property
    def sqlite_file(self) -> Path | None:
        return sqlite_file(self.config)


def sqlite_file(config: Config) -> Path | None:
    url = sa.make_url(config.database_url)
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def admit(file: Path, machine: Clock | None = None) -> Patient:
    """Raises ConfigUnreadable, and ConfigInvalid where nothing of the config can be read."""
    config, faults, doubtful = _read(file)
    machine = machine or SystemClock()
    clock = _clock(config, machine)
    ask = Resolver(config.doctor.resolvers, max(config.doctor.timeout_seconds / 3, 0.2))
    return Patient(file, config, faults, doubtful, clock, machine, ask, _app(config, clock))


def _clock(config: Config, machine: Clock) -> Clock:
    demo = DemoClock(config.path((config.demo or DemoConfig()).clock_file))
    return demo if config.demo and demo.exists() else machine


def _read(file: Path) -> tuple[Config, tuple[NewsletterError, ...], frozenset[str]]:
    """The config without its faulty sections, so that one wrong key hides nothing else."""
    faults: list[NewsletterError] = []
    doubtful: set[str] = set()
    try:
        return config_module.load(file), (), frozenset()
    except ConfigInvalid as error:
        first = latest = error
    try:
        text = file.read_text("utf-8")
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise first from None
    while len(faults) < MOST_FAULTS:
        section = str(latest.subject["key"]).partition(".")[0]
        faults.append(latest)
        doubtful.add(section)
        if section not in values:  # an environment variable is what is wrong
            raise first
        del values[section]
        try:
            return config_module.checked(file, values, text), tuple(faults), frozenset(doubtful)
        except ConfigInvalid as error:
            latest = error
    raise first


def _app(config: Config, clock: Clock) -> Flask | None:
    """Just enough of the app to ask questions of the tables; None where SQLite would make an empty file."""
    url = _reading_url(config)
    if url is None:
        return None
    app = Flask("newsletter.doctor")
    the_config.install(app, config)
    the_clock.install(app, clock)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"execution_options": {"postgresql_readonly": True}}
    db.init_app(app)
    return app


def _reading_url(config: Config) -> str | None:
    url = sa.make_url(config.database_url)
    if url.drivername != "sqlite":
        with_timeout = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
        return with_timeout.render_as_string(hide_password=False)
    file = sqlite_file(config)
    if file is None or not file.exists():
        return None
    return f"sqlite:///file:{quote(str(file))}?mode=ro&uri=true"


def discharge(patient: Patient) -> None:
    """Let go of the database's connections."""
    if patient.app is not None:
        with patient.app.app_context():
            db.engine.dispose()
