"""Work on several pieces at a time, each in a thread of its own, that comes to its end piece after piece, in order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from threading import Condition, Lock, Thread
from typing import Any, Generic, TypeVar

from flask import Flask, current_app

P = TypeVar("P")
R = TypeVar("R")

SWITCH_SECONDS = 0.0005
"""So long, and not ten times that, whoever hears from the database waits for those who compute."""


class LineClosed(Exception):
    """Nobody asks for this piece any more, so its turn never comes."""


class Turn:
    """When a piece may come to its end: after those before it, and when somebody asks for it."""

    def __init__(self, line: _Line[P, R], number: int) -> None:
        self._line, self._number = line, number

    def comes(self, within: float | None = None) -> bool:
        """Wait for it, so many seconds at most; False when it has not come by then. Raises LineClosed."""
        return self._line.wait(self._number, within)


def in_lanes(pieces: Iterator[P], work: Callable[[P, Turn], R], lanes: int) -> Generator[R, None, None]:
    """What `work` gives for each piece, in their order, with so many at work at a time.

    A lane is a thread with an app context and a session of its own, in which pieces are fetched, too; one at a time.
    One lane alone is the caller's own thread. Raises what fetching or working raises, after the pieces before. Whoever
    stops half-way closes it: what is begun then meets LineClosed at its turn.
    """
    line = _Line(pieces, work)
    if lanes == 1:
        yield from line.alone()
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    threads: list[Thread] = []
    with _switching_often():
        try:
            for _ in range(lanes):
                thread = Thread(target=line.drive, args=(app,), name="lane")
                thread.start()
                threads.append(thread)
            yield from line.ends()
        finally:
            line.close()
            for thread in threads:
                thread.join()


@contextmanager
def _switching_often() -> Generator[None, None, None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Line(Generic[P, R]):
    """Pieces by their numbers. `_turn` is whose end is asked for, and `_end` holds how it came out."""

    def __init__(self, pieces: Iterator[P], work: Callable[[P, Turn], R]) -> None:
        self._pieces, self._work = pieces, work
        self._fetching, self._fetched, self._is_last = Lock(), 0, False
        self._changed, self._turn, self._closed = Condition(), -1, False
        self._end: list[_Done | BaseException] = []

    def alone(self) -> Generator[R, None, None]:
        for number, piece in enumerate(self._pieces):
            self._turn = number
            yield self._work(piece, Turn(self, number))

    def ends(self) -> Generator[R, None, None]:
        for number in count():
            with self._changed:
                self._turn = number
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._end)
                end = self._end.pop()
            if isinstance(end, BaseException):
                raise end
            if end.result is _NO_MORE:
                return
            yield end.result

    def wait(self, number: int, within: float | None) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._turn == number, within)
            if self._closed:
                raise LineClosed
            return self._turn == number

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drive(self, app: Flask) -> None:
        """One lane, until there are no more pieces or nobody asks for them."""
        with app.app_context(), suppress(LineClosed):
            while self._one():
                pass

    def _one(self) -> bool:
        """Whether there may be more. Raises LineClosed."""
        with self._fetching:
            if self._is_last:
                return False
            number, end = self._fetched, _tried(lambda: next(self._pieces, _NO_MORE))
            self._fetched += 1
            self._is_last = is_last = isinstance(end, BaseException) or end.result is _NO_MORE
        if isinstance(end, _Done) and not is_last:
            piece = end.result
            end = _tried(lambda: self._work(piece, Turn(self, number)))
        self.wait(number, None)
        with self._changed:
            self._end.append(end)
            self._changed.notify_all()
        return isinstance(end, _Done) and not is_last


@dataclass(frozen=True)
class _Done:
    result: Any


_NO_MORE = object()


def _tried(call: Callable[[], object]) -> _Done | BaseException:
    """How it came out. Raises LineClosed."""
    try:
        return _Done(call())
    except LineClosed:
        raise
    except BaseException as error:
        return error
