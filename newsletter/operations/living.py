"""A thread that gives a process's signs of life, whatever the others are busy with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import sqlalchemy as sa
from flask import Flask

from newsletter.foundation import leases, processes
from newsletter.foundation.clock import the_clock
from newsletter.foundation.processes import BEAT_SECONDS, Kind

log = logging.getLogger(__name__)


class Life:
    """From `begin` to `end` this process is one of those that live. A database that is away for a while costs a sign
    of life and nothing else; who is killed gives none any more."""

    def __init__(self, app: Flask, kind: Kind, every: float = BEAT_SECONDS) -> None:
        self._app = app
        self._kind = kind
        self._every = every
        self._name = leases.holder_here()
        self._over = Event()
        self._thread = Thread(target=self._live, name="life", daemon=True)

    def begin(self) -> Life:
        self._thread.start()
        return self

    def end(self) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _live(self) -> None:
        with self._app.app_context():
            since = the_clock().now()
        while True:
            self._say(lambda: processes.beat(self._name, self._kind, since, the_clock().now()))
            if self._over.wait(self._every):
                break
        self._say(lambda: processes.end(self._name))

    def _say(self, what: Callable[[], None]) -> None:
        with self._app.app_context():
            try:
                what()
            except sa.exc.SQLAlchemyError:
                log.debug("A sign of life could not be written.", exc_info=True)


@contextmanager
def living(app: Flask, kind: Kind, every: float = BEAT_SECONDS) -> Iterator[None]:
    """For as long as the block lasts."""
    life = Life(app, kind, every).begin()
    try:
        yield
    finally:
        life.end()
