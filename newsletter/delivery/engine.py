"""Who runs the shards. Here: one worker process that answers sign-ups, empties the outbox and sends editions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from threading import Thread

from flask import Flask

from newsletter.delivery import ledger, welcoming
from newsletter.delivery.sending import RELAY_ALERT, Job, send_due
from newsletter.foundation import alerts, safety
from newsletter.foundation.database import transaction
from newsletter.foundation.secrets import Keys
from newsletter.mail import outbox
from newsletter.mail.smtp import ConversationBroken, RelayUnavailable, SenderRefused
from newsletter.subscribers import answering, asking

IDLE_SECONDS = 0.5
RELAY_SECONDS = 5.0
LOOK_ROUND = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Worker:
    """Answers sign-ups, sends people's own mails and editions. Works one step at a time for a test and a command; a
    service runs it with editions in a thread of their own, so that nobody who signs up waits for a million copies.

    `trouble` is why the relay could not be used when it was last needed, or None.
    """

    def __init__(self, app: Flask, job: Job, keys: Keys) -> None:
        self._app = app
        self._job = job
        self._keys = keys
        self.trouble: RelayUnavailable | None = None
        self._failing: Collection[str] = ()
        """The relays that were of no use the last time, while others were."""
        self._looked_at: datetime | None = None
        self._watch = safety.Watch(job.clock)

    def step(self) -> bool:
        """Do what is due, people's own mails first. False when nothing was due."""
        return self._guarded(self._everything)

    def until_idle(self) -> None:
        """Work until nothing is due, or the relay is away, or the stop is set."""
        while not self._job.stop.is_set() and self.step():
            pass

    def run(self) -> None:
        """Work until the stop is set; what is in flight then is finished."""
        editions = Thread(target=self._again_and_again, args=(self._editions,), name="editions")
        editions.start()
        self._again_and_again(self._people)
        editions.join()

    def _again_and_again(self, work: Callable[[], bool]) -> None:
        while not self._job.stop.is_set():
            try:
                busy, pause = self._guarded(work), RELAY_SECONDS if self.trouble else IDLE_SECONDS
            except Exception:  # a fault in one step must not end the worker; it is logged with its cause
                log.exception("A step of the worker failed; it goes on.")
                busy, pause = False, RELAY_SECONDS
            if not busy:
                self._job.stop.wait(pause)

    def _guarded(self, work: Callable[[], bool]) -> bool:
        with self._app.app_context():
            try:
                return work()
            except RelayUnavailable as error:
                self._relay_is_away(error)
                return False

    def _everything(self) -> bool:
        hindered: RelayUnavailable | None = None
        try:
            busy = self._people()
        except (ConversationBroken, SenderRefused) as error:
            busy, hindered = False, error  # by one mail; the relay is there, so the editions have their turn
        sent = safety.halted() is None and self._editions()
        if hindered:
            self._relay_is_away(hindered)
        return busy or sent

    def _people(self) -> bool:
        """What somebody waits for who has just pressed a button, and what time itself decides."""
        job = self._job
        if self._watch.tell(safety.look) is not None:
            return bool(answering.answer_due(job.clock.now(), self._keys, job.links))
        settled = ledger.settle(job.clock.now())
        answered = answering.answer_due(job.clock.now(), self._keys, job.links)
        self._look_round(job.clock.now())
        welcoming.welcome_due(job.clock.now())
        handed_over = outbox.send_due(job.transport, job.config, job.links, job.clock, job.stop)
        if handed_over:
            self._relay_is_back()
        return bool(settled or answered or handed_over)

    def _look_round(self, now: datetime) -> None:
        """What need not be looked for between any two mails."""
        if self._looked_at is None or not timedelta() <= now - self._looked_at < LOOK_ROUND:
            self._looked_at = now
            answering.remind_due(now, self._keys, self._job.links)
            asking.watch(now)

    def _editions(self) -> bool:
        names = [one.settings.name for one in self._job.relays]
        round_ = send_due(self._job, careful=names if self.trouble is not None else self._failing)
        self._failing = round_.failing
        if round_.ended:
            self._relay_is_back()
        return round_.ended > 0

    def _relay_is_away(self, error: RelayUnavailable) -> None:
        self.trouble = error
        log.warning("%s", error)
        with transaction():
            alerts.raise_(
                RELAY_ALERT,
                str(error),
                "Mails wait and go out by themselves when the relay answers. Check the relay and the [mail] settings.",
                self._job.clock.now(),
            )

    def _relay_is_back(self) -> None:
        self.trouble = None
        if any(alert.key == RELAY_ALERT for alert in alerts.open_alerts()):
            with transaction():
                alerts.resolve(RELAY_ALERT, self._job.clock.now())
