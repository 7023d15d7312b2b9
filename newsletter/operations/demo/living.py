"""Living through the demo's days: what the button "Next morning" does."""

from __future__ import annotations

import datetime as wall
import time
from datetime import datetime, timedelta

from flask import Flask

from newsletter import scheduling
from newsletter.app import worker
from newsletter.editions.models import EditionState, editions_in
from newsletter.operations.demo.clock import ZONE, DemoClock
from newsletter.stories.fetching import the_fetcher

SLOT_TIME = wall.time(6, 0)
PATIENCE = 300


def next_morning(app: Flask, clock: DemoClock) -> None:
    """Let six o'clock come, so that today's edition goes out, and then the next day's morning with its draft.

    The verbs are the service's own; they find what is due, whoever else calls them at the same time.
    """
    today = clock.today()
    clock.set_to(datetime.combine(today, SLOT_TIME, ZONE))
    live(app, clock)
    if cooling := _cooling(app):
        clock.set_to(max(cooling))
        live(app, clock)
    clock.set_to_morning(today + timedelta(days=1))
    live(app, clock)


def _cooling(app: Flask) -> list[datetime]:
    """When what was sent by hand takes effect."""
    with app.app_context():
        return [one.send_at for one in editions_in(EditionState.APPROVED) if one.send_at is not None]


def live(app: Flask, clock: DemoClock) -> None:
    """Everything that is due at the clock's time: collect, draft, send."""
    with app.app_context():
        fetcher = the_fetcher()
    scheduling.run_once(app, clock, fetcher)
    at_work = worker(app)
    for _ in range(PATIENCE):
        at_work.until_idle()
        with app.app_context():
            if not editions_in(EditionState.SENDING):
                return
        time.sleep(0.1)  # the worker process has the rest in hand
