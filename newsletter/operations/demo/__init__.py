"""The whole product on one machine, with sample outlets and a mailbox to look into."""

from __future__ import annotations

from flask import Flask

from newsletter.app import create_app
from newsletter.foundation.config import Config, DemoConfig
from newsletter.operations.demo import pages
from newsletter.operations.demo.clock import DemoClock


def assemble(config: Config) -> Flask:
    """The app with the demo's clock and pages."""
    clock = DemoClock(config.path((config.demo or DemoConfig()).clock_file))
    app = create_app(config, clock=clock)
    pages.install(app, clock)
    return app
