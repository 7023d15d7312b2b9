"""The app as a command wants it: with the demo's clock and pages when the config is a demo's."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from newsletter.app import create_app
from newsletter.foundation import config as config_module
from newsletter.foundation import database, installation, secrets
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import Config, the_config
from newsletter.foundation.secrets import the_keys
from newsletter.operations import demo


def assemble(config: Config) -> Flask:
    """Raises what `create_app` raises."""
    return demo.assemble(config) if config.demo else create_app(config)


def ready(file: Path) -> Flask:
    """The app of a config file, after making sure that it can work: its tables are at this program's version and its
    suppression key is the right one.

    Raises ConfigUnreadable, ConfigInvalid, KeyMissing, KeyChanged, DatabaseNotMigrated, DatabaseUnreachable.
    """
    app = assemble(config_module.load(file))
    with app.app_context():
        database.check(database.db.engine)
        installation.verify(the_keys(), the_config().path(the_config().suppression_key_file))
    return app


def upgrade(config: Config) -> str:
    """Make the keys where there are none, bring the tables to this program's version, and say which it is.

    Raises DatabaseUnreachable, KeyChanged.
    """
    for file in (config.secret_key_file, config.suppression_key_file):
        secrets.create(config.path(file))
    app = assemble(config)
    with app.app_context():
        database.upgrade(database.db.engine)
        installation.verify(the_keys(), config.path(config.suppression_key_file))
        installation.set_up(the_keys(), the_clock().now())
        return database.check(database.db.engine)
