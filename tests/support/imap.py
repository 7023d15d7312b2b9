"""A mailbox that speaks as much IMAP as its reader does, over a real socket, and breaks when told to."""

from __future__ import annotations

import re
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

FETCH = re.compile(rb"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", re.IGNORECASE)
MOVE = re.compile(rb'UID (MOVE|COPY) (\d+) "?([^"]+)"?', re.IGNORECASE)
STORE = re.compile(rb"UID STORE (\d+)", re.IGNORECASE)


@dataclass
class Mailbox:
    """`folders` hold mails by their number. `break_at` is a command at which the server hangs up, once."""

    folders: dict[str, dict[int, bytes]] = field(default_factory=lambda: {"INBOX": {}})
    password: str = "secret"
    can_move: bool = True
    break_at: str = ""
    port: int = 0
    seen: list[str] = field(default_factory=list)

    def put(self, *mails: bytes) -> None:
        for octets in mails:
            self.folders["INBOX"][1 + max((n for f in self.folders.values() for n in f), default=0)] = octets


class _Talk(socketserver.StreamRequestHandler):
    box: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        while line := self.rfile.readline():
            tag, _, command = line.strip().partition(b" ")
            word = " ".join(command.decode("ascii", "replace").split()[: 2 if command[:3].upper() == b"UID" else 1])
            self.box.seen.append(word.upper())
            if self.box.break_at == word.upper():
                self.box.break_at = ""
                return
            verdict = self._do(word.upper(), command)
            self.wfile.write(tag + b" " + verdict + b"\r\n")
            if word.upper() == "LOGOUT":
                return

    def _do(self, word: str, command: bytes) -> bytes:
        box = self.box
        inbox = box.folders["INBOX"]
        if word == "CAPABILITY":
            self.wfile.write(b"* CAPABILITY IMAP4rev1" + (b" MOVE" if box.can_move else b"") + b"\r\n")
        elif word == "LOGIN":
            return b"OK in" if f'"{box.password}"'.encode() in command else b"NO wrong password"
        elif word == "LIST":
            name = command.split()[-1].strip(b'"').decode()
            if name in box.folders:
                self.wfile.write(f'* LIST () "/" "{name}"\r\n'.encode())
        elif word == "CREATE":
            box.folders[command.split()[-1].strip(b'"').decode()] = {}
        elif word == "SELECT":
            self.wfile.write(f"* {len(inbox)} EXISTS\r\n".encode())
        elif word == "UID SEARCH":
            self.wfile.write(b"* SEARCH " + b" ".join(str(n).encode() for n in inbox) + b"\r\n")
        elif match := FETCH.match(command):
            octets = inbox.get(int(match[1]), b"")[: int(match[2])]
            self.wfile.write(b"* 1 FETCH (UID %s BODY[]<0> {%d}\r\n%s)\r\n" % (match[1], len(octets), octets))
        elif match := MOVE.match(command):
            folder = box.folders[match[3].strip().decode()]
            folder[int(match[2])] = inbox[int(match[2])]
            if match[1].upper() == b"MOVE":
                del inbox[int(match[2])]
        elif match := STORE.match(command):
            self._deleted = int(match[1])
        elif word == "EXPUNGE":
            del inbox[self._deleted]
        return b"OK done"


@contextmanager
def running_mailbox(**settings: object) -> Iterator[Mailbox]:
    box = Mailbox(**settings)  # type: ignore[arg-type]
    handler = type("Talk", (_Talk,), {"box": box})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
