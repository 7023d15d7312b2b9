"""Ticks that call verbs. A tick decides nothing; what is due is asked of the calendar and the tables.

APScheduler only wakes us up: its own cron would shift or double a job on the days when the clocks change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from newsletter.delivery import releasing
from newsletter.editions import publishing
from newsletter.foundation.clock import Clock
from newsletter.newsletters import calendar
from newsletter.newsletters.models import newsletters
from newsletter.stories import collecting
from newsletter.stories.fetching import Fetcher
from newsletter.subscribers import housekeeping

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tick:
    """A verb that is called every so many seconds, and says how much it found to do."""

    name: str
    seconds: int
    verb: Callable[[datetime], int]


def ticks(fetcher: Fetcher) -> tuple[Tick, ...]:
    """Every tick. Collecting comes before editions, so that a draft has the latest stories."""
    return (
        Tick("collect", 20, lambda now: len(collecting.collect_due(now, fetcher))),
        Tick("editions", 5, _editions),
        Tick("housekeeping", 3600, housekeeping.tidy),
    )


def _editions(now: datetime) -> int:
    return publishing.draft_due(now) + releasing.release_due(now)


def run_once(app: Flask, clock: Clock, fetcher: Fetcher) -> None:
    """Every tick, once: for the demo and for tests."""
    for tick in ticks(fetcher):
        with app.app_context():
            tick.verb(clock.now())


def run(app: Flask, clock: Clock, fetcher: Fetcher, stop: Event) -> None:
    """Tick until the stop is set, then finish what is in flight.

    Collecting runs once before anything else, so that no draft is made of yesterday's stories after a pause.
    """
    scheduler = BackgroundScheduler(timezone="UTC")
    for number, tick in enumerate(ticks(fetcher)):
        job = _guarded(app, tick, clock)
        if number == 0:
            job()
        first = None if number == 0 else datetime.now(UTC)  # noqa: TID251 - APScheduler's own clock, not ours
        _add(scheduler, job, tick.seconds, first)
    scheduler.start()
    with app.app_context():
        log.info("%s", next_line(clock.now()))
    stop.wait()
    scheduler.shutdown(wait=True)


def _add(scheduler: BackgroundScheduler, job: Callable[[], None], seconds: int, first: datetime | None) -> None:
    when = {"next_run_time": first} if first else {}
    scheduler.add_job(job, "interval", seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None, **when)


def _guarded(app: Flask, tick: Tick, clock: Clock) -> Callable[[], None]:
    def call() -> None:
        try:
            with app.app_context():
                tick.verb(clock.now())
        except Exception:  # a fault in one tick must not end the scheduler; it is logged with its cause
            log.exception("The tick “%s” failed; it is tried again in %d seconds.", tick.name, tick.seconds)

    return call


def next_line(now: datetime) -> str:
    """What the scheduler will do next, in one line."""
    coming = []
    for newsletter in newsletters():
        for slot in newsletter.slots:
            found = calendar.next_schedule(now, slot.local_time, slot.zone, newsletter.cutoff_minutes, newsletter.days)
            if found:
                coming.append((found.cutoff_at, f"{newsletter.name} of {found.local_date} for {slot.label}"))
    if not coming:
        return "Nothing is planned: there is no newsletter yet."
    cutoff_at, what = min(coming)
    return f"Next: draft {what} at {cutoff_at:%Y-%m-%d %H:%M} UTC."
