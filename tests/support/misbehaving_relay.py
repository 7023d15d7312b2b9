"""A relay that does what real ones do on bad days: hangs up, refuses, or says nothing more, at a chosen moment."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

HANG_UP = "hang up"
"""An answer that is none: the connection ends."""

Answer = Callable[[str, str], str | None]


def as_usual(moment: str, recipient: str) -> str | None:
    return None


@dataclass
class MisbehavingRelay:
    """`answer(moment, recipient)` gives the reply at a moment: connect, EHLO, MAIL, RCPT, DATA, body (the first line of
    it has come) or dot; at MAIL it is told the sender. None is the usual reply; HANG_UP ends the connection; "550 No;
    hang up" does both.
    """

    host: str = "127.0.0.1"
    port: int = 0
    answer: Answer = as_usual
    taken: list[str] = field(default_factory=list)
    """The recipient of every mail that this relay has accepted."""
    tried: list[str] = field(default_factory=list)
    """The recipient of every RCPT command."""
    extensions: tuple[str, ...] = ()
    """What EHLO is answered with, such as PIPELINING."""
    came: list[bytes] = field(default_factory=list)
    """What came, as it came: what is in one piece was sent together."""
    octets: list[bytes] = field(default_factory=list)
    """The content of every mail that came whole, with its stuffing taken away."""


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.recipient = ""
        self.refused = False
        self.unread = b""
        try:
            self._talk()
        except (ConnectionError, EOFError):
            return

    def _talk(self) -> None:
        self._reply("connect", "220 ready")
        while True:
            line = self._line().decode().strip()
            verb = line[:4].upper()
            if verb in ("MAIL", "RCPT"):
                self.recipient = line.partition("<")[2].partition(">")[0]
            if verb == "RCPT":
                self.server.relay.tried.append(self.recipient)
            if verb == "MAIL":
                self.refused = False
            if verb == "QUIT":
                self._reply(verb, "221 bye")
                return
            usual = {"DATA": "354 go on", "EHLO": "\r\n".join(self._extensions())}
            self._reply(verb, usual.get(verb, "250 OK"))
            self.refused = self.refused or (verb in ("MAIL", "RCPT") and not self.last.startswith("25"))
            if verb == "DATA" and self.last.startswith("354"):
                self._take()

    def _extensions(self) -> list[str]:
        *others, last = ("relay", *self.server.relay.extensions)
        return [*(f"250-{one}" for one in others), f"250 {last}"]

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self._line()) != b".\r\n":
            if self.refused:
                continue
            lines.append(line)
            if len(lines) == 1:
                self._reply("body", "")
        if self.refused:  # RFC 2920, 3.1: then there is no mail, whatever was said to DATA
            self.wfile.write(b"554 5.5.1 no valid recipients\r\n")
            return
        self.server.relay.octets.append(b"".join(line.removeprefix(b".") for line in lines))
        self._reply("dot", "250 taken")
        if self.last.startswith("250"):
            self.server.relay.taken.append(self.recipient)

    def _reply(self, moment: str, usual: str) -> None:
        chosen = self.server.relay.answer(moment, self.recipient)
        self.last = usual if chosen is None else chosen
        words = self.last.removesuffix(HANG_UP).rstrip("; ")
        if words:
            self.wfile.write(words.encode("ascii") + b"\r\n")
        if self.last.endswith(HANG_UP):
            raise EOFError

    def _line(self) -> bytes:
        while b"\n" not in self.unread:
            octets = self.connection.recv(1 << 20)
            if not octets:
                raise EOFError
            self.server.relay.came.append(octets)
            self.unread += octets
        line, end, self.unread = self.unread.partition(b"\n")
        return line + end


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    relay: MisbehavingRelay


@contextmanager
def running_relay(answer: Answer = as_usual, port: int = 0) -> Iterator[MisbehavingRelay]:
    with _Server(("127.0.0.1", port), _Conversation) as server:
        relay = server.relay = MisbehavingRelay(port=server.server_address[1], answer=answer)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield relay
        finally:
            relay.answer = lambda moment, recipient: HANG_UP
            server.shutdown()
            thread.join()


def at(moment: str, reply: str, *, to: str = "", times: int = 1) -> Answer:
    """Misbehave at one moment, for one recipient or any, so many times; as usual otherwise."""
    left = [times]

    def answer(now: str, recipient: str) -> str | None:
        if now != moment or (to and recipient != to) or left[0] == 0:
            return None
        left[0] -= 1
        return reply

    return answer


@contextmanager
def drip(octets: bytes) -> Iterator[int]:
    """A server that says an octet every twentieth of a second to whoever connects."""
    ended = Event()

    class Slow(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                for octet in octets:
                    self.request.sendall(bytes([octet]))
                    if ended.wait(0.05):
                        return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            ended.set()
            server.shutdown()
            thread.join()
