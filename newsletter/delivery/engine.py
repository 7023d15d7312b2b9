"""Who runs the shards. Here: one worker process that answers sign-ups, empties the outbox and sends editions."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from flask import Flask

from newsletter.delivery import ledger, welcoming
from newsletter.delivery.sending import Job, send_due
from newsletter.foundation import alerts, safety
from newsletter.foundation.database import transaction
from newsletter.foundation.secrets import Keys
from newsletter.mail import outbox
from newsletter.mail.smtp import ConversationBroken, RelayUnavailable, SenderRefused
from newsletter.subscribers import answering, asking

IDLE_SECONDS = 0.5
RELAY_SECONDS = 5.0
RELAY_ALERT = "relay-failing"
LOOK_ROUND = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Worker:
    """Works one step at a time, so that a test can call a step and a loop can call it for ever.

    `trouble` is why the relay could not be used when it was last needed, or None.
    """

    def __init__(self, app: Flask, job: Job, keys: Keys) -> None:
        self._app = app
        self._job = job
        self._keys = keys
        self.pause = IDLE_SECONDS
        self.trouble: RelayUnavailable | None = None
        self._looked_at: datetime | None = None
        self._watch = safety.Watch(job.clock)

    def step(self) -> bool:
        """Do what is due, people's own mails first. False when nothing was due."""
        with self._app.app_context():
            try:
                busy = self._work()
            except RelayUnavailable as error:
                self._relay_is_away(error)
                return False
            return busy

    def _work(self) -> bool:
        job = self._job
        if self._watch.tell(safety.look) is not None:
            return bool(answering.answer_due(job.clock.now(), self._keys, job.links))
        settled = ledger.settle(job.clock.now())
        answered = answering.answer_due(job.clock.now(), self._keys, job.links)
        self._look_round(job.clock.now())
        welcoming.welcome_due(job.clock.now())
        handed_over, hindered = 0, None
        try:
            handed_over = outbox.send_due(job.transport, job.config, job.links, job.clock, job.stop)
        except (ConversationBroken, SenderRefused) as error:
            hindered = error  # by one mail; the relay is there, so the editions have their turn
        sent = send_due(job, carefully=self.trouble is not None)
        if hindered:
            raise hindered
        if handed_over or sent:
            self._relay_is_back()
        return bool(settled or answered or handed_over or sent)

    def _look_round(self, now: datetime) -> None:
        """What need not be looked for between any two shards."""
        if self._looked_at is None or not timedelta() <= now - self._looked_at < LOOK_ROUND:
            self._looked_at = now
            answering.remind_due(now, self._keys, self._job.links)
            asking.watch(now)

    def until_idle(self) -> None:
        """Work until nothing is due, or the relay is away, or the stop is set."""
        while not self._job.stop.is_set() and self.step():
            pass

    def run(self) -> None:
        """Work until the stop is set; what is in flight then is finished."""
        while not self._job.stop.is_set():
            try:
                busy = self.step()
            except Exception:  # a fault in one step must not end the worker; it is logged with its cause
                log.exception("A step of the worker failed; it goes on.")
                busy, self.pause = False, RELAY_SECONDS
            if not busy:
                self._job.stop.wait(self.pause)

    def _relay_is_away(self, error: RelayUnavailable) -> None:
        self.pause, self.trouble = RELAY_SECONDS, error
        log.warning("%s", error)
        with transaction():
            alerts.raise_(
                RELAY_ALERT,
                str(error),
                "Mails wait and go out by themselves when the relay answers. Check the relay and the [mail] settings.",
                self._job.clock.now(),
            )

    def _relay_is_back(self) -> None:
        self.pause, self.trouble = IDLE_SECONDS, None
        if any(alert.key == RELAY_ALERT for alert in alerts.open_alerts()):
            with transaction():
                alerts.resolve(RELAY_ALERT, self._job.clock.now())
