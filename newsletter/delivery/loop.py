"""One thread that does many pieces of work beside each other.

A thread for each connection would spend more time on taking turns than on the mails (docs/performance.md).
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count
from threading import Thread
from types import coroutine
from typing import Any, Generic, NamedTuple, Self, TypeVar

from newsletter.mail.waiting import HasFileno, Ready, Work

T = TypeVar("T")

log = logging.getLogger(__name__)

FOREVER = float("inf")
NOTHING = object()


class Answer(Generic[T]):
    """What somebody will say from another thread, once (`Loop.tell`), and one piece of work waits for."""

    def __init__(self) -> None:
        self.said: Any = NOTHING
        self.asked_by: Work[None] | None = None

    @coroutine
    def told(self) -> Generator[Answer[T], T, T]:
        answer = yield self
        return answer


class Asleep(NamedTuple):
    """Until a moment of time.monotonic()."""

    until: float


@coroutine
def asleep(seconds: float) -> Generator[Asleep, None, None]:
    yield Asleep(time.monotonic() + seconds)


class Loop:
    """Does what is begun in it for as long as the block lasts. Work may wait for sockets, for other threads and for a
    time. `after_a_turn` is called whenever all that could go on has done so; it must not raise."""

    def __init__(self, name: str, after_a_turn: Callable[[], None] = lambda: None) -> None:
        self._after_a_turn = after_a_turn
        self._selector = selectors.DefaultSelector()
        self._bell, self._button = os.pipe()
        os.set_blocking(self._button, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._rung = False
        self._called: deque[Callable[[], None]] = deque()
        """What other threads want done here."""
        self._waiting: dict[HasFileno, tuple[Work[None], Ready]] = {}
        self._watched: dict[HasFileno, int] = {}
        self._sleeping: list[tuple[float, int, Work[None]]] = []
        self._counted = count()
        self._at_work = 0
        self._next_timeout = FOREVER
        self._closed = False
        self._thread = Thread(target=self._run, name=name)
        self._thread.start()

    def begin(self, work: Work[None]) -> None:
        self.soon(partial(self._begin, work))

    def tell(self, answer: Answer[T], said: T) -> None:
        self.soon(partial(self._hear, answer, said))

    async def in_a_thread(self, call: Callable[[], T]) -> T:
        """What cannot but wait, done elsewhere. Raises what it raises."""
        answer: Answer[tuple[T | None, Exception | None]] = Answer()

        def run() -> None:
            try:
                self.tell(answer, (call(), None))
            except Exception as error:
                self.tell(answer, (None, error))

        Thread(target=run, name=f"{self._thread.name}-waits").start()
        result, error = await answer.told()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all work has ended."""
        self.soon(self._close)
        self._thread.join()
        self._selector.close()
        for end in (self._bell, self._button):
            os.close(end)

    def soon(self, call: Callable[[], None]) -> None:
        """Have something done in the loop's thread. It must not raise."""
        self._called.append(call)
        if not self._rung:
            self._rung = True
            with suppress(BlockingIOError):  # then it is ringing all the time
                os.write(self._button, b"!")

    def _run(self) -> None:
        while self._at_work or not self._closed:
            for key, _ in self._selector.select(self._patience()):
                self._look_at(key.fileobj)
            self._rung = False  # before what was called is looked at, so that nothing called later stays unheard
            while self._called:
                self._called.popleft()()
            self._time_out()
            self._after_a_turn()

    def _patience(self) -> float | None:
        return None if self._next_timeout == FOREVER else max(0.0, self._next_timeout - time.monotonic())

    def _look_at(self, sock: Any) -> None:
        if sock == self._bell:
            os.read(self._bell, 4096)
        elif (waiting := self._waiting.pop(sock, None)) is not None:
            self._go_on(waiting[0])
        else:
            self._forget(sock)  # nobody waits for it at the moment

    def _time_out(self) -> None:
        now = time.monotonic()
        if now < self._next_timeout:
            return
        while self._sleeping and self._sleeping[0][0] <= now:
            self._go_on(heappop(self._sleeping)[2])
        for sock, (work, wanted) in list(self._waiting.items()):
            if wanted.until <= now:
                del self._waiting[sock]
                self._go_on(work, error=TimeoutError())
        moments = [wanted.until for _, wanted in self._waiting.values()]
        self._next_timeout = min([*moments, *(self._sleeping[0][:1] if self._sleeping else ())], default=FOREVER)

    def _begin(self, work: Work[None]) -> None:
        self._at_work += 1
        self._go_on(work)

    def _hear(self, answer: Answer[T], said: T) -> None:
        answer.said = said
        if answer.asked_by is not None:
            self._go_on(answer.asked_by, said)

    def _close(self) -> None:
        self._closed = True

    def _go_on(self, work: Work[None], said: Any = None, error: Exception | None = None) -> None:
        """Until it waits for something, or has ended."""
        try:
            wanted = work.throw(error) if error else work.send(said)
            while isinstance(wanted, Answer) and wanted.said is not NOTHING:
                wanted = work.send(wanted.said)
        except StopIteration:
            self._at_work -= 1
        except BaseException:
            self._at_work -= 1
            log.exception("A piece of work ended with a fault of ours.")
        else:
            try:
                self._let_wait(work, wanted)
            except (OSError, ValueError) as fault:  # it waits for what cannot be waited for
                self._go_on(work, error=fault)

    def _let_wait(self, work: Work[None], wanted: Ready | Asleep | Answer[Any]) -> None:
        if isinstance(wanted, Answer):
            wanted.asked_by = work
            return
        self._next_timeout = min(self._next_timeout, wanted.until)
        if isinstance(wanted, Asleep):
            heappush(self._sleeping, (wanted.until, next(self._counted), work))
            return
        self._watch(wanted.sock, selectors.EVENT_WRITE if wanted.to_write else selectors.EVENT_READ)
        self._waiting[wanted.sock] = work, wanted

    def _watch(self, sock: HasFileno, events: int) -> None:
        """A socket is watched on when nobody waits for it, until it does something: mostly it does not."""
        if self._watched.get(sock) == events:
            return
        known = self._selector.get_map().get(sock.fileno())
        if known is not None:  # by other events; or another one, long closed, had this number
            self._forget(known.fileobj)
        self._selector.register(sock, events)
        self._watched[sock] = events

    def _forget(self, sock: Any) -> None:
        self._selector.unregister(sock)
        del self._watched[sock]
