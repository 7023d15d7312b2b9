"""Our own SMTP server in a process of its own: it takes every mail, counts it by its reader, and may be far away."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

END = b"\r\n.\r\n"
CAN = b"250-relay.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
GOOD = b"250 2.0.0 Ok\r\n"
ROOM = 1 << 16
"""Read into again and again: to be given new room for each mail costs more than all else here."""


@dataclass(frozen=True)
class Relay:
    """Where it listens."""

    port: int
    _process: Connection

    def received(self) -> Counter[str]:
        """How many mails each address got since this was asked the last time."""
        self._process.send(None)
        return Counter(self._process.recv())


@contextmanager
def relay(away_seconds: float = 0.0) -> Iterator[Relay]:
    """Each batch of commands is answered as long after it arrived; what arrives meanwhile does not wait for that."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(away_seconds, theirs), daemon=True)
    process.start()
    theirs.close()
    with ours:
        try:
            yield Relay(ours.recv(), ours)
        finally:
            process.terminate()
            process.join()


def _serve(away_seconds: float, ours: Connection) -> None:
    # Python's epoll rounds up to the next millisecond, select does not, and this relay's distance must be exact.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_listen(away_seconds, ours))


async def _listen(away_seconds: float, ours: Connection) -> None:
    received: Counter[str] = Counter()

    def tell() -> None:
        ours.recv()
        ours.send(dict(received))
        received.clear()

    loop = asyncio.get_running_loop()
    later = partial(loop.call_later, away_seconds) if away_seconds else at_once
    server = await loop.create_server(lambda: Conversation(received, later), "127.0.0.1")
    loop.add_reader(ours.fileno(), tell)
    ours.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def at_once(call: Callable[..., None], *given: object) -> None:
    call(*given)


class Conversation(asyncio.BufferedProtocol):
    """With one client. What it says while its answers are on their way is read at once (RFC 2920); `later` is what
    brings them."""

    def __init__(self, received: Counter[str], later: Callable[..., object]) -> None:
        self._received, self._later = received, later
        self._heard = bytearray()
        self._room = memoryview(bytearray(ROOM))
        self._recipients: list[str] = []
        self._in_mail = False
        self._ends = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 relay.example ESMTP\r\n")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._heard += self._room[:nbytes]
        if answers := b"".join(self._answers()):
            self._later(self._transport.write, answers)
        if self._ends:
            self._later(self._transport.close)

    def _answers(self) -> Iterator[bytes]:
        while not self._ends and (end := self._heard.find(END if self._in_mail else b"\r\n")) >= 0:
            if self._in_mail:
                del self._heard[: end + len(END)]
                yield self._take()
            else:
                line = bytes(self._heard[:end])
                del self._heard[: end + 2]
                yield self._answer(line)
        if self._in_mail:
            del self._heard[: -len(END) + 1]  # of an end that is not whole there is no more than that

    def _take(self) -> bytes:
        self._received.update(self._recipients)
        self._recipients, self._in_mail = [], False
        return GOOD

    def _answer(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                return CAN
            case b"RCPT":
                self._recipients.append(line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace"))
            case b"RSET":
                self._recipients = []
            case b"DATA":
                self._in_mail = True
                self._heard[:0] = b"\r\n"  # a mail may be empty, and its dot still stands at a line's beginning
                return b"354 End with a dot\r\n"
            case b"QUIT":
                self._ends = True
                return b"221 2.0.0 Bye\r\n"
            case b"HELO" | b"MAIL" | b"NOOP":
                pass
            case _:
                return b"502 5.5.1 What?\r\n"
        return GOOD
