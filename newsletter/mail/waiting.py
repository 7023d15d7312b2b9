"""Work that never waits by itself: it says what it waits for, so that one thread can wait for hundreds at once.

These are coroutines, but not asyncio's: the same conversation with a relay is held for one mail by who has a thread to
wait in (`waited`), and for an edition by hundreds beside each other (`delivery.loop`).
"""

from __future__ import annotations

import select
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")
Work = Coroutine[Any, Any, T]


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Ready(NamedTuple):
    """A socket that can be read from or written to. `until` is how long to wait at most, of time.monotonic()."""

    sock: HasFileno
    to_write: bool
    until: float


@coroutine
def until_ready(sock: HasFileno, until: float, *, to_write: bool = False) -> Generator[Ready, None, None]:
    """Raises TimeoutError."""
    yield Ready(sock, to_write, until)


def waited(work: Work[T]) -> T:
    """The result of work that waits for nothing but sockets; this thread waits for them."""
    try:
        wanted: Ready = work.send(None)
        while True:
            wanted = work.send(None) if _is_ready(wanted) else work.throw(TimeoutError())
    except StopIteration as end:
        result: T = end.value
        return result


def _is_ready(wanted: Ready) -> bool:
    poll = select.poll()
    poll.register(wanted.sock.fileno(), select.POLLOUT if wanted.to_write else select.POLLIN)
    return bool(poll.poll(max(0.0, wanted.until - time.monotonic()) * 1000))
