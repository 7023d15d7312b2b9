"""Work of which the next piece is made while somebody is at the one before: in a thread of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

from flask import current_app

T = TypeVar("T")

SWITCH_SECONDS = 0.0005
"""So long, and not ten times that, whoever hears from the database waits for the one who computes."""


def ahead(make: Callable[[], Generator[T, None, None]], pieces: int = 1) -> Generator[T, None, None]:
    """What `make` gives, so many pieces ahead, made in an app context and with a session of its own. Raises what it
    raises, after the pieces before. Whoever stops half-way closes it."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    room, stopped = Semaphore(pieces), Event()
    made: SimpleQueue[tuple[T] | Exception | None] = SimpleQueue()

    def work() -> None:
        try:
            with app.app_context():
                for one in make():
                    room.acquire()
                    if stopped.is_set():
                        return
                    made.put((one,))
            made.put(None)
        except Exception as error:
            made.put(error)

    thread, usual = Thread(target=work, name="ahead"), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    thread.start()
    try:
        while (piece := made.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            room.release()
            yield piece[0]
    finally:
        stopped.set()
        room.release()
        thread.join()
        sys.setswitchinterval(usual)
