"""Ticks that call verbs. A tick decides nothing; what is due is asked of the calendar and the tables.

APScheduler only wakes us up: its own cron would shift or double a job on the days when the clocks change. Of several
schedulers one leads, by a lease in the database; the others wait until it is released or has run out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from newsletter.delivery import bounces, counting, housekeeping, proposing, releasing, repute, watching
from newsletter.editions import publishing
from newsletter.editions.concerning import newsletter_of
from newsletter.editions.models import Edition, EditionKind, EditionState, editions_in
from newsletter.foundation import leases, safety
from newsletter.foundation.clock import Clock, the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.newsletters import calendar, senders
from newsletter.newsletters.calendar import Stage
from newsletter.newsletters.models import Approval, newsletters
from newsletter.staff import alerting
from newsletter.stories import collecting, health
from newsletter.stories.fetching import Fetcher
from newsletter.subscribers import bulk, growing, import_runs
from newsletter.subscribers.mails import sender_of

BEAT_SECONDS = 5
LIFE = timedelta(seconds=30)
"""How long a leader is believed that gives no sign of life. It gives six of them meanwhile."""

COLLECT = "collect"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tick:
    """A verb that is called every so many seconds, and says how much it found to do."""

    name: str
    seconds: int
    verb: Callable[[datetime], int]


def ticks(fetcher: Fetcher) -> tuple[Tick, ...]:
    """Every tick. Collecting comes before drafts, so that they have the latest stories; a draft that takes its time
    keeps no other edition from going out.

    Imports are worked on here, a few seconds at a time: in the worker they would take the sending's own processor.

    What is due again in the outbox and the ledger, and what a dead worker left, the workers find by themselves.
    """
    return (
        Tick(COLLECT, 20, lambda now: len(collecting.collect_due(now, fetcher))),
        Tick("compose", 5, publishing.draft_due),
        Tick("send", 5, releasing.release_due),
        Tick("drafts", 10, proposing.propose_due),
        Tick("count", 5, counting.count_due),
        Tick("bulk", 2, bulk.work_due),
        Tick("bounces", 60, bounces.poll_due),
        Tick("watch", 60, watching.watch),
        Tick("alerts", 20, _alerts),
        Tick("ping", 60, watching.ping),
        Tick("imports", 2, lambda now: import_runs.work_due(the_clock(), the_keys())),
        Tick("housekeeping", 3600, housekeeping.tidy),
        Tick("days", 3600, growing.count_due),
        Tick("repute", 3600, repute.count_due),
        Tick("senders", 4 * 3600, senders.look_round),
    )


def _alerts(now: datetime) -> int:
    """Staff are told in the first newsletter's name, since its address is one that the relay takes."""
    every = newsletters()
    return health.watch(now) + alerting.tell(now, sender_of(every[0]) if every else None, newsletter_of)


def run_once(app: Flask, clock: Clock, fetcher: Fetcher) -> None:
    """Every tick, once: for the demo and for tests."""
    for tick in ticks(fetcher):
        with app.app_context():
            tick.verb(clock.now())


class Leader:
    """Whether this process is the one of several schedulers that ticks."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._watch = safety.Watch(clock)
        self._holder = leases.holder_here()
        self._believed_until = float("-inf")

    @property
    def leads(self) -> bool:
        """By the steady clock: a process that was stopped for a minute, or whose database is away, leads no more."""
        return self._clock.steady() < self._believed_until

    def beat(self) -> bool:
        """Give a sign of life, and say whether we lead."""
        until = self._clock.steady() + LIFE.total_seconds()
        with self._app.app_context():
            led = self._watch.tell(partial(safety.beat, self._holder, LIFE))
        self._believed_until = until if led else float("-inf")
        return led

    def look(self) -> None:
        """Halt everything if the clock was set or this is a copy."""
        with self._app.app_context():
            self._watch.tell(safety.look)

    def resign(self) -> None:
        self._believed_until = float("-inf")
        with self._app.app_context():
            leases.release(safety.SCHEDULER, self._holder, self._clock.now())


class _Executor(BasePoolExecutor):  # type: ignore[misc]
    """Works in threads that are ours to wait for."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__(threads)


class Scheduler:
    """The ticks of one process, which it takes part in while it leads."""

    def __init__(self, app: Flask, clock: Clock, fetcher: Fetcher) -> None:
        self._app = app
        self._clock = clock
        self.ticks = ticks(fetcher)
        self._leader = Leader(app, clock)
        self._was_leading = self._has_collected = False
        self._last_said = ""
        self._jobs: list[Job] = []

    def run(self, stop: Event) -> None:
        """Tick until the stop is set, then finish what is in flight."""
        threads = ThreadPoolExecutor(len(self.ticks) + 1)  # so that the heartbeat waits for no tick
        scheduler = BackgroundScheduler(timezone="UTC", executors={"default": _Executor(threads)})
        self._jobs = [_add(scheduler, partial(self.tick, tick), tick.seconds) for tick in self.ticks]
        _add(scheduler, self.beat, BEAT_SECONDS)
        scheduler.start()
        stop.wait()
        scheduler.shutdown(wait=False)  # its own waiting holds the lock that a tick needs to wake others
        threads.shutdown(wait=True)
        _logging(self._leader.resign, "The lease could not be released; it runs out by itself.")

    def beat(self) -> None:
        _logging(self._leader.beat, "The scheduler's heartbeat failed; it is tried again in a moment.")
        leads = self._leader.leads
        if leads and not self._was_leading:
            self._has_collected = False
            _wake(self._jobs)
        self._was_leading = leads
        _logging(self._say, "The scheduler cannot say what comes next.")

    def tick(self, tick: Tick) -> None:
        """Collecting comes before anything else, so that no draft is made of yesterday's stories after a pause."""
        if not self._leader.leads or not (self._has_collected or tick.name == COLLECT):
            return
        if not _logging(self._leader.look, "The scheduler could not make sure that it may send."):
            return
        _guarded(self._app, tick, self._clock)()
        if tick.name == COLLECT and not self._has_collected:
            self._has_collected = True
            _wake(self._jobs[1:])

    def _say(self) -> None:
        """What is next, whenever that is something else than before."""
        with self._app.app_context():
            line = next_line(self._clock.now()) if self._was_leading else waiting_line()
        if line != self._last_said:
            log.info("%s", line)
        self._last_said = line


def run(app: Flask, clock: Clock, fetcher: Fetcher, stop: Event) -> None:
    """Tick until the stop is set, then finish what is in flight."""
    Scheduler(app, clock, fetcher).run(stop)


def _add(scheduler: BackgroundScheduler, call: Callable[[], None], seconds: float) -> Job:
    return scheduler.add_job(
        call,
        "interval",
        seconds=seconds,
        next_run_time=_at_once(),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )


def _wake(jobs: list[Job]) -> None:
    with suppress(JobLookupError):  # it is being shut down
        for job in jobs:
            job.modify(next_run_time=_at_once())


def _at_once() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - APScheduler's own clock, not ours


def _guarded(app: Flask, tick: Tick, clock: Clock) -> Callable[[], None]:
    def call() -> None:
        with app.app_context():
            tick.verb(clock.now())

    def guarded() -> None:
        _logging(call, f"The tick “{tick.name}” failed; it is tried again in {tick.seconds} seconds.")

    return guarded


def _logging(call: Callable[[], object], trouble: str) -> bool:
    """Whether it went well. A fault in one of them must not end the scheduler; it is logged with its cause."""
    try:
        call()
    except Exception:
        log.exception("%s", trouble)
        return False
    return True


def next_line(now: datetime) -> str:
    """What the scheduler will do next, in one line."""
    reason = safety.halted()
    if reason is not None:
        return f"Nothing is sent: {reason} {safety.REMEDY}"
    coming = [*_drafts_ahead(now), *_sends_ahead(now)]
    if not coming:
        return "Nothing is planned: there is no newsletter yet."
    at, what = min(coming)
    return f"Next: {what} at {at:%Y-%m-%d %H:%M} UTC."


def _drafts_ahead(now: datetime) -> list[tuple[datetime, str]]:
    coming = []
    for newsletter in newsletters():
        for slot in newsletter.slots:
            found = calendar.next_schedule(
                now, slot.local_time, slot.zone, newsletter.cutoff_minutes, newsletter.days, newsletter.skip_dates
            )
            if found:
                coming.append((found.cutoff_at, f"draft {newsletter.name} of {found.local_date} for {slot.label}"))
    return coming


def _sends_ahead(now: datetime) -> list[tuple[datetime, str]]:
    """Editions that go out if nobody does anything: at their slot, or when a Send by hand takes effect."""
    return [
        (one.goes_at, f"send {_called(one)} of {one.local_date} for {one.slot.label}")
        for one in editions_in(EditionState.DRAFTED, EditionState.APPROVED)
        if one.goes_at is not None and one.held_at is None and _goes_by_itself(one, now)
    ]


def _called(one: Edition) -> str:
    other = "" if one.kind is EditionKind.DAILY else f" ({one.kind} {one.number})"
    return one.newsletter.name + other


def _goes_by_itself(one: Edition, now: datetime) -> bool:
    if one.send_at is not None:
        return True
    approves = one.state is EditionState.APPROVED or one.newsletter.approval is Approval.AUTO
    return approves and calendar.stage(one, now) is Stage.OPEN


def waiting_line() -> str:
    """Why this scheduler does nothing, in one line."""
    leader = leases.lease(safety.SCHEDULER)
    holder = f" ({leader.holder})" if leader else ""
    return f"Another scheduler leads{holder}. This one waits, and takes over when that one ends."
