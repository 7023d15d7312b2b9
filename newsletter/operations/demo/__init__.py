"""The whole product on one machine, with sample outlets and a mailbox to look into."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, request

from newsletter.app import create_app
from newsletter.foundation.config import Config, DemoConfig, the_config
from newsletter.operations.demo import pages
from newsletter.operations.demo.clock import DemoClock


def assemble(config: Config) -> Flask:
    """The app with the demo's clock and pages."""
    clock = DemoClock(config.path((config.demo or DemoConfig()).clock_file))
    app = create_app(config, clock=clock)
    pages.install(app, clock)
    app.before_request(_refuse_other_names)
    return app


def _refuse_other_names() -> None:
    """A page of a stranger whose name is rebound to this machine could read the demo, its staff link included."""
    ours = {urlsplit(the_config().site_url).hostname, "localhost"}
    if urlsplit(f"//{request.host}").hostname not in ours:
        abort(400)
