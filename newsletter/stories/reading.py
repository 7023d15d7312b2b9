"""Strangers' octets are read in processes of their own, which may be stopped.

The libraries that read feeds and pages take hours over some answers of a few kilobytes, in one step that no thread can
be called back from (docs/decisions/005).
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import BoundedSemaphore
from typing import Any, ParamSpec, TypeVar

from newsletter.foundation.errors import NewsletterError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 15.0
GIGABYTES = 1
AT_ONCE = max(2, min(os.cpu_count() or 2, 4))


class ReadingStopped(NewsletterError):
    """It could not be read within {seconds:g} seconds, so we stopped. What is meant to be read takes far less."""


class ReadingFailed(NewsletterError):
    """It could not be read: our reader broke down over it, and our log says how."""


def apart(deed: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `deed`, a module's function, gives; done in another process. What goes in and comes out is pickled.

    Raises ReadingStopped, ReadingFailed, and the NewsletterErrors of `deed`.
    """
    with _readers.one() as reader:
        return reader.ask(deed, args, kwargs)  # type: ignore[no-any-return]


class _Reader:
    """One process. `well` until it was stopped or broke down."""

    def __init__(self) -> None:
        self._ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self.well = True

    def ask(self, deed: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            self._ours.send((SECONDS, deed, args, kwargs))
            came_well, answer = self._ours.recv()
        except (OSError, EOFError) as error:
            status = self.end()
            if status == -signal.SIGALRM:
                raise ReadingStopped(seconds=SECONDS) from error
            log.error("Reading ended a process with status %d.", status)
            raise ReadingFailed from error
        if came_well:
            return answer
        kind, subject = answer
        if kind is ReadingFailed:
            log.error("Reading failed.\n%s", subject["how"])
        raise kind(**subject)

    def end(self) -> int:
        """Its exit status: minus the signal that stopped it."""
        self.well = False
        self._ours.close()
        return self._process.wait()


class _Readers:
    """As many processes as are wanted at once, up to a bound. They are kept, since beginning one takes a moment."""

    def __init__(self) -> None:
        self._room = BoundedSemaphore(AT_ONCE)
        self._idle: list[_Reader] = []

    @contextmanager
    def one(self) -> Iterator[_Reader]:
        with self._room:
            reader = self._taken() or _Reader()
            try:
                yield reader
            finally:
                if reader.well:
                    self._idle.append(reader)

    def _taken(self) -> _Reader | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def end(self) -> None:
        while reader := self._taken():
            reader.end()


def _begin_anew() -> None:
    """Processes are not shared with a copy of this one."""
    global _readers
    _readers = _Readers()


_readers = _Readers()
atexit.register(lambda: _readers.end())
os.register_at_fork(after_in_child=_begin_anew)


def serve(fileno: int) -> None:
    """The other side: answers one question after the other until nobody is there any more.

    A timer of the system ends the process when a question takes too long, whatever it is at.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked
    with suppress(ValueError, OSError):  # not every system has it
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES * 10**9, GIGABYTES * 10**9))
    with Connection(fileno) as theirs:
        while True:
            try:
                question = theirs.recv()
            except EOFError:
                return
            theirs.send_bytes(_answer(*question))


def _answer(seconds: float, deed: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return pickle.dumps((True, deed(*args, **kwargs)))
    except NewsletterError as error:
        words = {name: str(value) for name, value in error.subject.items()}
        return pickle.dumps((False, (type(error), words)))
    except Exception:  # a fault of ours in reading a stranger's octets; who asked goes on
        return pickle.dumps((False, (ReadingFailed, {"how": traceback.format_exc()})))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
