"""Child processes as one group: started together, restarted when one dies, ended together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

from newsletter.foundation.errors import CannotStart

YOUNG_SECONDS = 10.0
"""A child that ends before it is this old did not start properly."""
DEATHS_IN_YOUTH = 3
POLL_SECONDS = 0.2

PARENT = "NEWSLETTER_PARENT"

log = logging.getLogger(__name__)


def follow_parent() -> None:
    """Let this process end in order when the group's first process was killed and can end nobody any more."""
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    log.warning("The group's first process is gone, so this one ends too.")
    os.kill(os.getpid(), signal.SIGTERM)


class ChildFails(CannotStart):
    """The {name} ended {times} times in a row right after its start (exit status {status}); its last words stand
    above. The whole group is stopped, and nothing is lost."""


@dataclass
class Child:
    """One process of the group. The next one is started when it `is_ready`."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    young_deaths: int = field(default=0)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=os.environ | {PARENT: str(os.getpid())})
        self.born = time.monotonic()
        log.info("The %s runs as process %d.", self.name, self.process.pid)

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class Group:
    """Runs children until it is told to stop.

    A child that dies is started again after a moment that doubles while it keeps dying young; one that dies young
    three times in a row ends the group, because something is wrong that starting again does not mend.
    """

    def __init__(self, children: Sequence[Child], grace_seconds: float = 60.0) -> None:
        self._children = list(children)
        self._grace = grace_seconds
        self._stop = Event()

    def stop(self, *_signal: object) -> None:
        self._stop.set()

    def run(self, when_up: Callable[[], None] = lambda: None) -> None:
        """Start everything, call `when_up`, and keep watch until told to stop.

        Raises ChildFails when a child cannot be kept alive; the others are ended properly first.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        try:
            for child in self._children:
                child.start()
                while not (child.is_ready() or self._stop.wait(POLL_SECONDS)):
                    self._mend()
            if not self._stop.is_set():
                when_up()
            while not self._stop.wait(POLL_SECONDS):
                self._mend()
        finally:
            self._end()

    def _mend(self) -> None:
        for child in self._children:
            if child.has_died():
                self._restart(child)

    def _restart(self, child: Child) -> None:
        status = child.process.returncode if child.process else None
        young = time.monotonic() - child.born < YOUNG_SECONDS
        child.young_deaths = child.young_deaths + 1 if young else 0
        if child.young_deaths >= DEATHS_IN_YOUTH:
            raise ChildFails(name=child.name, times=child.young_deaths, status=status)
        log.warning("The %s ended with status %s; it is started again.", child.name, status)
        if not self._stop.wait(POLL_SECONDS * 2**child.young_deaths):
            child.start()

    def _end(self) -> None:
        """Ask every child to finish what is in flight; the last resort comes after the grace period."""
        running = [c.process for c in self._children if c.process is not None and c.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._grace
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.error("Process %d did not finish in %d seconds and is killed.", process.pid, self._grace)
                process.kill()
                process.wait()
